"""The client that a student's server is graded with: plain, by aiohttp, in simulated time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import msgspec

from bench.course.grading.base import Fault, TimeIsOver, fail
from bench.course.grading.simulated import clock
from bench.course.grading.simulated.clock import Clock
from bench.course.grading.simulated.loopback_server import publishing
from bench.course.grading.simulated.service import Stage
from servers.base import Serve, listen
from servers.options import ServerOptions

LIMIT_S = 60.0

decode_json = msgspec.json.Decoder().decode


class Delivered(NamedTuple):
    """An array as it came: its bytes, its ticks, the simulated instant, and the event's id if it has one."""

    body: bytes
    ticks: list[dict[str, Any]]
    at_ns: int
    event_id: str = ""


class Visitor:
    """Visits a student's server while it serves a stage.

    Attributes:
        missed: Ticks that the server has said the history no longer has.
        unfinished: Lines of an event that no empty line has ended yet.
    """

    def __init__(self, transport: str, stage: Stage, url: str, session: aiohttp.ClientSession) -> None:
        self.transport, self.stage, self.url = transport, stage, url
        self.session = session
        self.missed = 0
        self.unfinished: list[str] = []

    async def get(self, target: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask by plain HTTP; return status, headers and body."""
        async with self.session.get(self.url + target, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    def deliveries(self, query: str = "", headers: dict[str, str] | None = None) -> AsyncIterator[Delivered]:
        """Return what comes to a client that starts with this query, without end."""
        if self.transport == "websocket":
            return self._frames(query)
        if self.transport == "server_sent_events":
            return self._events(query, headers or {})
        return self._answers(query)

    async def seqs_until(
        self, last: int, query: str = "", headers: dict[str, str] | None = None
    ) -> list[int]:
        """Return the ``seq`` of all ticks that come, up to tick ``last``."""
        seqs: list[int] = []
        async with contextlib.aclosing(self.deliveries(query, headers)) as coming:  # type: ignore[type-var]
            async for delivered in coming:
                seqs += [tick["seq"] for tick in delivered.ticks]
                if seqs and seqs[-1] >= last:
                    return seqs
        return seqs

    async def ask(self, query: str) -> Delivered:
        """Ask once, as a client that polls."""
        status, headers, body = await self.get(f"/ticks{query}")
        if status != 200:
            fail(
                "it refuses a right request",
                f"/ticks{query}: {status} {body[:120]!r}",
                "200 and an array of ticks",
                "servers/base.py, parse_query, reads the query",
            )
        self.missed += int(headers.get("Ticks-Missed", 0))
        return self._delivered(body)

    async def _answers(self, query: str) -> AsyncIterator[Delivered]:
        while True:
            asked_ns = self.stage.clock()
            delivered = await self.ask(query)
            yield delivered
            if delivered.ticks:
                query = f"?after={delivered.ticks[-1]['seq']}"
            elif self.transport == "long_polling" and self.stage.clock() == asked_ns:
                fail(
                    "it does not hold the request",
                    f"/ticks{query}: an empty array at once",
                    "an answer when there is a tick, or when the hold is over (30 s unless told otherwise)",
                    "await feed.newer_than(cursor, hold_s) before feed.after(cursor)",
                )
            if self.transport == "short_polling":
                await asyncio.sleep(0.1)

    async def _frames(self, query: str) -> AsyncIterator[Delivered]:
        async with self.session.ws_connect(self.url + "/ticks" + query) as connection:
            async for message in connection:
                body = message.data if isinstance(message.data, bytes) else message.data.encode()
                if body.startswith(b"{"):
                    self.missed += decode_json(body)["missed"]
                else:
                    yield self._delivered(body)

    async def _events(self, query: str, headers: dict[str, str]) -> AsyncIterator[Delivered]:
        """Read events (WHATWG HTML, section 9.2.6): blocks of lines, each ended by an empty one."""
        headers = {"Accept": "text/event-stream", **headers}
        async with self.session.get(self.url + "/ticks" + query, headers=headers) as answer:
            if answer.status != 200 or answer.content_type != "text/event-stream":
                fail(
                    "it does not answer with a stream of events",
                    f"{answer.status}, Content-Type: {answer.content_type}",
                    "200, Content-Type: text/event-stream",
                    "web.StreamResponse(headers={'Content-Type': 'text/event-stream'})",
                )
            fields: dict[str, str] = {}
            async for line in answer.content:
                self.unfinished.append(line.decode(errors="replace"))
                name, _, text = line.decode(errors="replace").rstrip("\r\n").partition(":")
                text = text.removeprefix(" ")
                if name:
                    fields[name] = f"{fields[name]}\n{text}" if name == "data" and name in fields else text
                    continue
                if line.strip():
                    continue  # a comment
                self.unfinished = []
                if fields.get("event") == "missed":
                    self.missed += decode_json(fields["data"])["missed"]
                elif "data" in fields:
                    yield self._delivered(fields["data"].encode(), fields.get("id", ""))
                fields = {}

    def _delivered(self, body: bytes, event_id: str = "") -> Delivered:
        try:
            ticks = decode_json(body)
            seqs_are_there = all(isinstance(tick["seq"], int) for tick in ticks)
            return Delivered(body, ticks * seqs_are_there, self.stage.clock(), event_id)
        except (ValueError, TypeError, KeyError, msgspec.DecodeError) as error:
            raise Fault(
                "what it sends is no array of ticks",
                seen=repr(body[:120]),
                expected='[{"seq":1,"due_ns":…,"symbol":…,"price":…,"padding":…}], also for one tick or none',
                where="README, Three ways to the same tick; servers/feed.py, Delivery",
                hint="send delivery.body as it is: it is a JSON array already",
            ) from error


@contextlib.asynccontextmanager
async def visiting(serve: Serve, transport: str, stage: Stage) -> AsyncIterator[Visitor]:
    """Run a student's server in this process, on a free port of loopback, while the context is open."""
    options = ServerOptions(payload_bytes=stage.payload_bytes)
    with listen(options) as listener:
        url = "http://{}:{}".format(*listener.getsockname()[:2])
        async with (
            publishing(stage),
            serve(stage.feed, listener, options),
            aiohttp.ClientSession() as session,
        ):
            try:
                yield Visitor(transport, stage, url, session)
            finally:
                stage.feed.close()


async def small_window(host: str, port: int) -> socket.socket:
    """Return a connection whose receiving end has room for next to nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (host, port))
    return sock


def _unfinished(lines: list[str]) -> Fault:
    return Fault(
        "an event has no end",
        seen=f"{''.join(lines)[-200:]!r}, and then nothing",
        expected="an empty line behind each event: its text ends in \\n\\n",
        where="WHATWG HTML, section 9.2.6",
        hint="a client collects the lines of an event, and takes it when an empty line comes",
    )


class Subject(NamedTuple):
    """A student's server, the transport it speaks, and the clock that its process is on."""

    serve: Serve
    transport: str
    clock: Clock

    def visit(self, stage: Stage, visitor: Callable[[Visitor], Awaitable[None]]) -> None:
        """Serve a stage, and visit it."""

        async def play() -> None:
            async with visiting(self.serve, self.transport, stage) as visiting_:
                visitors.append(visiting_)
                await visitor(visiting_)

        visitors: list[Visitor] = []
        try:
            clock.run(self.clock, play(), LIMIT_S)
        except TimeIsOver as error:
            if visitors and visitors[0].unfinished:
                raise _unfinished(visitors[0].unfinished) from error
            raise

    def stage(self, rate_hz: float, *, already: int = 5, history_ticks: int = 5_000) -> Stage:
        """Set a stage on the clock of this process."""
        return Stage(rate_hz, already=already, history_ticks=history_ticks, clock=self.clock)
