"""A service on a real socket in simulated time: ticks are published on their plan, whoever waits is woken."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from bench.course.grading.base import Fault, offences
from bench.course.grading.simulated.server_connections import ServerConnection
from bench.course.grading.simulated.service import NEVER_NS, Service


class _Socket(asyncio.Protocol):
    """One socket, and the connection that speaks on it."""

    def __init__(self, server: "LoopbackServer") -> None:
        self.server = server
        self.connection = server.make_connection(server.service)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.sockets.add(self)
        self.server.connections_opened += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.server.sockets.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self.connection.receive(data)
        except Fault as fault:
            offences.append(fault)
            self.transport.abort()
            return
        self.flush()

    def wake(self) -> None:
        self.connection.wake()
        self.flush()

    def flush(self) -> None:
        """Write what the connection says, and be there when its time comes."""
        if self.connection.outbox:
            data = bytes(self.connection.outbox)
            self.connection.outbox.clear()
            if self.server.cut_next_delivery:
                self.server.cut_next_delivery = False
                self.transport.write(data[: len(data) // 2])
                self.transport.close()
                return
            self.transport.write(data)
        if self.connection.closed:
            self.transport.close()
        if self._timer is not None:
            self._timer.cancel()
        if self.connection.wake_ns is not None:
            self._timer = asyncio.get_running_loop().call_at(self.connection.wake_ns / 1e9, self.wake)


class LoopbackServer:
    """A strict server of one transport on a free port of loopback.

    Attributes:
        cut_next_delivery: Cut the connection in the middle of the next answer or message.
        connections_opened: How many, so far.
    """

    def __init__(self, service: Service, make_connection: Callable[[Service], ServerConnection]) -> None:
        self.service, self.make_connection = service, make_connection
        self.sockets: set[_Socket] = set()
        self.cut_next_delivery = False
        self.connections_opened = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._port = 0
        self._returning: asyncio.Task[None] | None = None

    def cut(self) -> None:
        """Cut all connections now."""
        for socket in list(self.sockets):
            socket.transport.abort()

    def close_port(self, seconds: float) -> None:
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
        self._server = await loop.create_server(lambda: _Socket(self), "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen, and publish, while the context is open."""
        await self._listen()
        self.url = f"http://127.0.0.1:{self._port}/ticks"
        async with publishing(self.service, self._wake):
            try:
                yield
            finally:
                self.cut()
                if self._returning is not None:
                    self._returning.cancel()
                assert self._server is not None
                self._server.close()

    def _wake(self) -> None:
        for socket in list(self.sockets):
            socket.wake()


@contextlib.asynccontextmanager
async def publishing(service: Service, wake: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Publish the ticks of a service when they are due, while the context is open."""

    async def publish() -> None:
        while service.feed.next_due_ns < NEVER_NS:
            await asyncio.sleep(max(service.feed.next_due_ns - service.clock(), 0) / 1e9)
            if service.feed.publish_due():
                wake()

    task = asyncio.create_task(publish())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
