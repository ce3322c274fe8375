"""The client that a student's server is graded with: plain, by aiohttp, in simulated time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import msgspec

from bench.course.grading.base import Fault, TimeIsOver, fail
from bench.course.grading.simulated.clock import Clock, run_simulated
from bench.course.grading.simulated.loopback_server import publishing
from bench.course.grading.simulated.server_connections import CONNECTIONS
from bench.course.grading.simulated.service import Service
from servers.base import Serve, listen
from servers.options import ServerOptions
from servers.wire import Missed

LIMIT_S = 60.0

decode_json = msgspec.json.Decoder().decode


class Arrival(NamedTuple):
    """An array as it came: its bytes, its ticks, and the simulated instant."""

    body: bytes
    ticks: list[dict[str, Any]]
    at_ns: int


class Visitor:
    """Visits a student's server while it serves.

    Attributes:
        missed: Ticks that the server has said the history no longer has.
        heartbeats_ns: Simulated instants at which an empty line came.
        unfinished_line: What came of a line whose end has not come yet.
    """

    def __init__(self, transport: str, service: Service, url: str, session: aiohttp.ClientSession) -> None:
        self.transport, self.service, self.url = transport, service, url
        self.session = session
        self.missed = 0
        self.heartbeats_ns: list[int] = []
        self.unfinished_line = b""

    async def get(self, target: str) -> tuple[int, dict[str, str], bytes]:
        """Ask by plain HTTP; return status, headers and body."""
        async with self.session.get(self.url + target) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    def deliveries(self, query: str = "") -> AsyncIterator[Arrival]:
        """Return what comes to a client that starts with this query, without end."""
        if self.transport == "websocket":
            return self._frames(query)
        if self.transport == "http_streaming":
            return self._lines(query)
        return self._answers(query)

    async def seqs_until(self, last: int, query: str = "") -> list[int]:
        """Return the ``seq`` of all ticks that come, up to tick ``last``."""
        seqs: list[int] = []
        async with contextlib.aclosing(self.deliveries(query)) as coming:  # type: ignore[type-var]
            async for arrival in coming:
                seqs += [tick["seq"] for tick in arrival.ticks]
                if seqs and seqs[-1] >= last:
                    return seqs
        return seqs

    async def ask(self, query: str) -> Arrival:
        """Ask once, as a client that polls."""
        status, headers, body = await self.get(f"/ticks{query}")
        if status != 200:
            raise _refuses(query, status, body)
        self.missed += int(headers.get("Ticks-Missed", 0))
        return self._arrival(body)

    async def _answers(self, query: str) -> AsyncIterator[Arrival]:
        while True:
            asked_ns = self.service.clock()
            arrival = await self.ask(query)
            yield arrival
            if arrival.ticks:
                query = f"?after={arrival.ticks[-1]['seq']}"
            elif self.transport == "long_polling" and self.service.clock() == asked_ns:
                fail(
                    "it does not hold the request",
                    f"/ticks{query}: an empty array at once",
                    "an answer when there is a tick, or when the hold is over (30 s unless told otherwise)",
                    "await feed.newer_than(cursor, hold_s) before feed.after(cursor)",
                )
            if self.transport == "short_polling":
                await asyncio.sleep(0.1)

    async def _frames(self, query: str) -> AsyncIterator[Arrival]:
        async with self.session.ws_connect(self.url + "/ticks" + query) as connection:
            async for message in connection:
                body = message.data if isinstance(message.data, bytes) else message.data.encode()
                if body.startswith(b"{"):
                    self.missed += self._number_missed(body)
                else:
                    yield self._arrival(body)

    async def _lines(self, query: str) -> AsyncIterator[Arrival]:
        """Read lines: an array, what was missed, or nothing at all, which is a heartbeat."""
        async with self.session.get(self.url + "/ticks" + query) as answer:
            if answer.status != 200:
                raise _refuses(query, answer.status, await answer.read())
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                self.unfinished_line = rest
                for line in lines:
                    if not line.strip():
                        self.heartbeats_ns.append(self.service.clock())
                    elif line.startswith(b"{"):
                        self.missed += self._number_missed(line)
                    else:
                        yield self._arrival(line.removesuffix(b"\r"))

    def _number_missed(self, text: bytes) -> int:
        try:
            return msgspec.json.decode(text, type=Missed).missed
        except msgspec.MsgspecError as error:
            raise _no_array(text) from error

    def _arrival(self, body: bytes) -> Arrival:
        try:
            ticks = decode_json(body)
            seqs_are_there = all(isinstance(tick["seq"], int) for tick in ticks)
            return Arrival(body, ticks * seqs_are_there, self.service.clock())
        except (ValueError, TypeError, KeyError, msgspec.DecodeError) as error:
            raise _no_array(body) from error


@contextlib.asynccontextmanager
async def visitor_of(serve: Serve, transport: str, service: Service) -> AsyncIterator[Visitor]:
    """Run a student's server in this process, on a free port of loopback, while the context is open."""
    options = ServerOptions(
        payload_bytes=service.payload_bytes, contract=service.contract, heartbeat_s=service.heartbeat_s
    )
    with listen(options) as listener:
        url = "http://{}:{}".format(*listener.getsockname()[:2])
        async with (
            publishing(service),
            aiohttp.ClientSession() as session,  # whoever still waits is there when the server stops
            serve(service.feed, listener, options),
        ):
            try:
                yield Visitor(transport, service, url, session)
            finally:
                service.feed.close()


async def connect_with_small_window(host: str, port: int) -> socket.socket:
    """Return a connection whose receiving end has room for next to nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, port))
    return sock


def _refuses(query: str, status: int, body: bytes) -> Fault:
    return Fault(
        "it refuses a right request",
        seen=f"/ticks{query}: {status} {body[:120]!r}",
        expected="200 and arrays of ticks",
        hint="servers/base.py, parse_query, reads the query",
    )


def _no_array(body: bytes) -> Fault:
    return Fault(
        "what it sends is no array of ticks",
        seen=repr(body[:120]),
        expected='[{"seq":1,"due_ns":…,"symbol":…,"price":…,"padding":…}], also for one tick or none',
        where="README, Three ways to the same tick; servers/feed.py, Delivery",
        hint="send delivery.body as it is: it is a JSON array already",
    )


def _unfinished(line: bytes) -> Fault:
    return Fault(
        "a line has no end",
        seen=f"{line[-200:]!r}, and then nothing",
        expected="\\n behind each line",
        where="RFC 6202, section 3.2, Framing Techniques",
        hint="a client collects the bytes of a line, and takes it when its end comes; neither a write nor a "
        "chunk is an end",
    )


class StudentServer(NamedTuple):
    """A student's server, the transport it speaks, and the clock that its process is on."""

    serve: Serve
    transport: str
    clock: Clock

    @property
    def pushes(self) -> bool:
        """Whether ticks come to a client unasked."""
        return CONNECTIONS[self.transport].pushes

    def visit(self, service: Service, behave: Callable[[Visitor], Awaitable[None]]) -> None:
        """Serve a service, and let a visitor of it behave like this."""

        async def play() -> None:
            async with visitor_of(self.serve, self.transport, service) as visitor:
                visitors.append(visitor)
                await behave(visitor)

        visitors: list[Visitor] = []
        try:
            run_simulated(self.clock, play(), LIMIT_S)
        except TimeIsOver as error:
            if visitors and visitors[0].unfinished_line:
                raise _unfinished(visitors[0].unfinished_line) from error
            raise

    def service(self, rate_hz: float, *, earlier_ticks: int = 5, history_ticks: int = 5_000) -> Service:
        """Return a service on the clock of this process."""
        return Service(rate_hz, earlier_ticks=earlier_ticks, history_ticks=history_ticks, clock=self.clock)
