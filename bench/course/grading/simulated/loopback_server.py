"""A stage on a real socket in simulated time: ticks are published on their plan, whoever waits is woken."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from bench.course.grading.base import Fault, offences
from bench.course.grading.simulated.service import NEVER_NS, Stage
from bench.course.grading.simulated.strict_servers import Peer


class _Connection(asyncio.Protocol):
    """One socket, and the peer that speaks on it."""

    def __init__(self, theatre: "Theatre") -> None:
        self.theatre = theatre
        self.peer = theatre.make_peer(theatre.stage)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.theatre.connections.add(self)
        self.theatre.opened += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.theatre.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.peer.receive(data)
        except Fault as fault:
            offences.append(fault)
            self.transport.abort()
            return
        self.flush()

    def wake(self) -> None:
        self.peer.wake()
        self.flush()

    def flush(self) -> None:
        """Write what the peer says, and be there when its time comes."""
        if self.peer.outbox:
            data = bytes(self.peer.outbox)
            self.peer.outbox.clear()
            if self.theatre.cut_next:
                self.theatre.cut_next = False
                self.transport.write(data[: len(data) // 2])
                self.transport.close()
                return
            self.transport.write(data)
        if self.peer.closed:
            self.transport.close()
        if self._timer is not None:
            self._timer.cancel()
        if self.peer.wake_ns is not None:
            self._timer = asyncio.get_running_loop().call_at(self.peer.wake_ns / 1e9, self.wake)


class Theatre:
    """A strict server of one transport on a free port of loopback.

    Attributes:
        cut_next: Cut the connection in the middle of the next answer or message.
        opened: Connections so far.
    """

    def __init__(self, stage: Stage, make_peer: Callable[[Stage], Peer]) -> None:
        self.stage, self.make_peer = stage, make_peer
        self.connections: set[_Connection] = set()
        self.cut_next = False
        self.opened = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._port = 0
        self._returning: asyncio.Task[None] | None = None

    def cut(self) -> None:
        """Cut all connections now."""
        for connection in list(self.connections):
            connection.transport.abort()

    def go_away(self, seconds: float) -> None:
        """Cut all connections, and let nobody in for so many simulated seconds: the port is closed."""
        assert self._server is not None
        self._server.close()
        self.cut()
        self._returning = asyncio.create_task(self._return_after(seconds))

    async def _return_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen, and publish, while the context is open."""
        await self._listen()
        self.url = f"http://127.0.0.1:{self._port}/ticks"
        async with publishing(self.stage, self._wake):
            try:
                yield
            finally:
                self.cut()
                if self._returning is not None:
                    self._returning.cancel()
                assert self._server is not None
                self._server.close()

    def _wake(self) -> None:
        for connection in list(self.connections):
            connection.wake()


@contextlib.asynccontextmanager
async def publishing(stage: Stage, wake: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Publish the ticks of a stage when they are due, while the context is open."""

    async def publish() -> None:
        while stage.feed.next_due_ns < NEVER_NS:
            await asyncio.sleep(max(stage.feed.next_due_ns - stage.clock(), 0) / 1e9)
            if stage.feed.publish_due():
                wake()

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
