"""Ordinary asyncio clients under the swarm's orders (clients/load/orders.py), so that it can be compared.

A coroutine a client, as people write them: ``async for message in connection`` by websockets, a session of
aiohttp that asks again and again, and ``json``. Only their sockets are special: they tell when the kernel had
what was read. So a delivery has both times of one socket: ``arrived_ns`` by the kernel, and ``handled_ns``,
when the coroutine had the decoded message in hand, which is all that such a load generator could report.

They run on plain asyncio: its loop calls the Python socket's ``recv``, which is overridden here to get the
kernel's stamp; uvloop reads from the descriptor, past the socket.
"""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from clients.base import Address, load_client_class
from clients.event_stream import LARGEST_EVENT_BYTES
from clients.headers import event_source_lines, header_lines, websocket_headers
from clients.load.generator import LoadGenerator, pack_delivery, pack_lag
from clients.load.orders import Order
from clients.sockets.stamped_socket import ANCILLARY_BYTES, prepare, unpack_stamp
from clients.websocket import frame_length
from servers.wire import now_ns

RETRY_S, KEEP_ALIVE_S = 0.2, 3600
LIBRARY_HEADERS = ("Accept", "Accept-Encoding", "User-Agent")
"""What aiohttp adds and the swarm does not: left out, so that the server has the same work."""


class ObservedSocket(socket.socket):
    """A TCP socket that tells its client what was read, when the kernel had it, and what is sent."""

    __slots__ = ("_client",)

    def __init__(self, client: "OrdinaryClient", order: Order) -> None:
        super().__init__(socket.AF_INET6 if ":" in order.host else socket.AF_INET, socket.SOCK_STREAM)
        self._client = client
        prepare(self, mss=order.mss, congestion=order.congestion, user_timeout_s=order.user_timeout_s)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Read, for protocols that take bytes."""
        data, ancillary, _, _ = self.recvmsg(bufsize, ANCILLARY_BYTES, flags)
        self._client.reads(data, ancillary)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read, for protocols that have a buffer."""
        view = memoryview(buffer)[: nbytes or None]
        length, ancillary, _, _ = self.recvmsg_into([view], ANCILLARY_BYTES, flags)
        self._client.reads(bytes(view[:length]), ancillary)
        return length

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Send."""
        self._client.sends()
        sent = super().send(data, flags)
        self._client.generator.bytes_up += sent
        return sent


class OrdinaryClient(ABC):
    """One client: its coroutine, and its counts as in :class:`clients.base.TickClient`.

    Args:
        number: Of this client among all.
        order: The order that all of them obey.
        settings: This client's own.
        generator: What writes down what it gets.
    """

    def __init__(self, number: int, order: Order, settings: dict[str, Any], generator: LoadGenerator) -> None:
        self.generator = generator
        self.cursor: int | None = None
        self.messages = self.requests = self.empty_responses = self.polls_skipped = 0
        self.request_due_ns = 0  # 0 when there is none to be sent
        self.connecting_since_ns = 0  # 0 when the connection can be used
        self._number, self._order = number, order
        self._address = Address(order.host, order.port, order.path)
        self._header_set: str = settings.get("headers", "minimal")
        self._cookie_bytes: int = settings.get("cookie_bytes", 0)
        self._query = ""

    @abstractmethod
    async def talk(self) -> None:
        """Connect and take ticks until the connection ends."""

    @abstractmethod
    def arrived(self, data: bytes, arrived_ns: int) -> None:
        """Take note of what a read gave, and when the kernel had its newest byte."""

    async def run(self) -> None:
        """Talk, and begin again when that has ended."""
        while True:
            reason = "the server ended the connection"
            try:
                await self.talk()
            except (aiohttp.ClientError, WebSocketException, OSError, ValueError) as error:
                reason = getattr(error, "message", "") or str(error) or type(error).__name__
            self.generator.errors[reason] += 1
            await asyncio.sleep(RETRY_S)

    def make_socket(self, _address: object = None) -> ObservedSocket:
        """Return a new socket; from now on it is connecting."""
        self.connecting_since_ns = now_ns()
        return ObservedSocket(self, self._order)

    def reads(self, data: bytes, ancillary: Sequence[tuple[int, int, bytes]]) -> None:
        """Take note of a read, and of the kernel's stamp beside it."""
        if not data:
            return
        self.generator.bytes_down += len(data)
        if ancillary:
            seconds, nanoseconds = unpack_stamp(ancillary[0][2])
            self.arrived(data, seconds * 1_000_000_000 + nanoseconds + self.generator.offset_ns)
        else:
            self.generator.user_stamped_reads += 1
            self.arrived(data, now_ns())

    def sends(self) -> None:
        """Take note that a request leaves now."""
        if self.request_due_ns:
            now = now_ns()
            self.generator.request_lags_ns.frombytes(pack_lag(now, now - self.request_due_ns))
            self.request_due_ns = 0

    def take(self, ticks: list[dict[str, Any]], arrived_ns: int, shared: bool) -> None:
        """Write down ticks that the coroutine has in hand."""
        handled_ns = now_ns()
        write = self.generator.deliveries.frombytes
        for tick in ticks:
            seq = tick["seq"]
            write(pack_delivery(self._number, seq, tick["due_ns"], arrived_ns, handled_ns, shared))
            if self.cursor is None or seq > self.cursor:
                self.cursor = seq
        self.messages += 1
        if self.messages == 1:
            self.generator.count_ready()

    def _is_connected(self) -> None:
        self.generator.connect_ns.append(now_ns() - self.connecting_since_ns)
        self.connecting_since_ns = 0

    def _url(self, scheme: str) -> str:
        host, port, path = self._address
        after = "" if self.cursor is None else f"after={self.cursor}"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}?{after}{self._query}"


class OrdinaryWebSocketClient(OrdinaryClient):
    """A client by websockets. Messages wait in its queue, so their arrivals wait in one here.

    The reads are cut into frames, as far as it takes to know which read completed which message.
    """

    def __init__(self, number: int, order: Order, settings: dict[str, Any], generator: LoadGenerator) -> None:
        super().__init__(number, order, settings, generator)
        self._headers = websocket_headers(self._header_set, self._address, cookie_bytes=self._cookie_bytes)
        self._arrivals: deque[tuple[int, bool]] = deque()
        self._unread, self._shaking_hands = b"", True

    async def talk(self) -> None:
        """Take messages."""
        self._arrivals, self._unread, self._shaking_hands = deque(), b"", True
        sock = self.make_socket()
        try:
            await asyncio.get_running_loop().sock_connect(sock, self._address[:2])
        except BaseException:
            sock.close()
            raise
        plain: dict[str, Any] = {"compression": None, "ping_interval": None, "user_agent_header": None}
        async with connect(
            self._url("ws"), sock=sock, additional_headers=self._headers, **plain
        ) as connection:
            self._is_connected()
            async for message in connection:
                ticks = json.loads(message)
                self.take(ticks if isinstance(ticks, list) else [], *self._arrivals.popleft())

    def arrived(self, data: bytes, arrived_ns: int) -> None:
        """Note the arrival of each message that this read completed; shared, if it held anything beside."""
        data = self._unread + data
        start, end = 0, len(data)
        if self._shaking_hands:
            start = data.find(b"\r\n\r\n") + 4
            self._shaking_hands = start < 4
        completed = message_end = 0
        while not self._shaking_hands and start < end:
            length = frame_length(data, start)
            if not length or start + length > end:
                break
            first, start = data[start], start + length
            if first & 0x80 and first & 0x0F < 8:  # the last frame of a message (RFC 6455, section 5.2)
                completed, message_end = completed + 1, start
        self._unread = data if self._shaking_hands else data[start:]
        self._arrivals.extend([(arrived_ns, completed > 1 or message_end < end)] * completed)


class OrdinaryServerSentEventsClient(OrdinaryClient):
    """A client by aiohttp that reads a stream of events line by line, as far as our servers write them.

    Blocks wait in its buffer, so their arrivals wait in a queue here. Each ends with an empty line, which
    neither the head of the answer nor a chunk has: their lines end with CR LF.
    """

    def __init__(self, number: int, order: Order, settings: dict[str, Any], generator: LoadGenerator) -> None:
        super().__init__(number, order, settings, generator)
        lines = event_source_lines(self._header_set, self._address, cookie_bytes=self._cookie_bytes)
        self._headers = dict(line.split(": ", 1) for line in lines.splitlines())
        self._arrivals: deque[tuple[int, bool]] = deque()
        self._unread = b""

    async def talk(self) -> None:
        """Take events."""
        self._arrivals, self._unread, ticks = deque(), b"", []
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=self.make_socket),
                headers=self._headers,
                skip_auto_headers=LIBRARY_HEADERS,
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=LARGEST_EVENT_BYTES,
                raise_for_status=True,
            ) as session,
            session.get(self._url("http")) as response,
        ):
            self._is_connected()
            async for line in response.content:
                if line.startswith(b"data: ["):
                    ticks = json.loads(line[len(b"data: ") :])
                elif line == b"\n":
                    arrival = self._arrivals.popleft()
                    if ticks:
                        self.take(ticks, *arrival)
                        ticks = []

    def arrived(self, data: bytes, arrived_ns: int) -> None:
        """Note the arrival of each block that this read completed; shared, if it held anything beside."""
        data = self._unread + data
        completed = data.count(b"\n\n")
        self._unread = data[-1:] if data[-1:] == b"\n" and data[-2:] != b"\n\n" else b""
        shared = completed > 1 or not data.endswith((b"\n\n", b"\n\n\r\n"))
        self._arrivals.extend([(arrived_ns, shared)] * completed)


class OrdinaryHttpClient(OrdinaryClient):
    """A client by aiohttp, with a session of its own. One answer at a time: the last read completed it.

    It asks at fixed instants, or a pause after each answer (long polling: none): see clients/short_polling.py
    """

    def __init__(self, number: int, order: Order, settings: dict[str, Any], generator: LoadGenerator) -> None:
        super().__init__(number, order, settings, generator)
        asked = {name: value for name, value in settings.items() if value is not None}
        polls = "poll_pause_s" in load_client_class(order.client).settings
        if polls and ("poll_interval_s" in asked) == ("poll_pause_s" in asked):
            raise ValueError("give either poll_interval_s or poll_pause_s")
        lines = header_lines(self._header_set, self._address, cookie_bytes=self._cookie_bytes)
        self._headers = dict(line.split(": ", 1) for line in lines.splitlines())
        self._keep_alive: bool = asked.get("keep_alive", True)
        self._query = f"&hold={asked['hold_s']:g}" if "hold_s" in asked else ""
        self._interval_ns: int = round(asked.get("poll_interval_s", 0) * 1e9)
        self._pause_ns: int = round(asked.get("poll_pause_s", 0) * 1e9)
        self._phase: float = asked.get("phase", 0.0)
        self._next_ns: int = asked.get("epoch_ns", 0) + round(self._phase * self._interval_ns)
        self._arrived_ns: int = 0

    async def talk(self) -> None:
        """Ask at once, and then again and again."""
        kept: dict[str, Any] = {"keepalive_timeout": KEEP_ALIVE_S}
        if not self._keep_alive:
            self._headers["Connection"] = "close"
            kept = {"force_close": True}
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=self.make_socket, **kept),
            headers=self._headers,
            skip_auto_headers=LIBRARY_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None),
            raise_for_status=True,
        ) as session:
            waiting = await self._ask(session, now_ns())
            while True:
                due_ns = self._arrived_ns if waiting else self._due_ns()
                if (wait_ns := due_ns - now_ns()) > 0:
                    await asyncio.sleep(wait_ns / 1e9)
                waiting = await self._ask(session, due_ns)

    async def _ask(self, session: aiohttp.ClientSession, due_ns: int) -> bool:
        """Ask, take the ticks, and return whether the server has more to give at once."""
        self.requests += 1
        self.request_due_ns = due_ns
        async with session.get(self._url("http")) as response:
            ticks = await response.json()
            self.take(ticks, self._arrived_ns, False)
        self.empty_responses += not ticks
        return "Ticks-Waiting" in response.headers

    def _due_ns(self) -> int:
        """Return when to ask next; instants at which the last answer was still out are skipped."""
        if not self._interval_ns:
            spread = self._phase if self.messages == 1 else 1.0  # of the clients, over the first pause
            return self._arrived_ns + round(self._pause_ns * spread)
        while (due_ns := self._next_ns) <= now_ns():
            self._next_ns += self._interval_ns
            self.polls_skipped += self.messages > 1
        self._next_ns += self._interval_ns
        return due_ns

    def arrived(self, data: bytes, arrived_ns: int) -> None:
        """Remember when."""
        self._arrived_ns = arrived_ns

    def sends(self) -> None:
        """Take note that a request leaves; the first on a connection shows that it can be used."""
        if self.connecting_since_ns:
            self._is_connected()
        super().sends()
