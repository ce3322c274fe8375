"""uvicorn, run as part of this process: on our listening socket and event loop, as polite as its siblings.

uvicorn accepts connections without a bound, and gives them any time and any length for a request. So each
connection is counted at the door here, has 10 s for its first request, and 16 KiB for the head of each. An
application finds in ``scope["state"]`` what ASGI does not tell: the connection, and the target as it came.

uvicorn looks ten times a second whether it is to stop, and stops 0.1 to 0.3 s later than its siblings. It
refuses what is no HTTP by itself, with a plain sentence.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Collection
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from servers.base import BACKLOG, ssl_context
from servers.door import HEAD_TIMEOUT_S, MAX_HEAD_BYTES, Door, Full
from servers.options import ServerOptions

STOP_TIMEOUT_S = 5.0


class Connection(HttpToolsProtocol):
    """One client's connection: uvicorn's, with bounds.

    Args:
        door: How many clients there may be.
        clients: Connections that have asked for more than what is for people.
        given: What uvicorn gives each connection.
    """

    def __init__(self, door: Door, clients: "set[Connection]", **given: Any) -> None:
        super().__init__(**given)
        self._door, self._clients = door, clients
        self._in_head, self._head_bytes = True, 0

    def is_admitted(self) -> bool:
        """Return whether this client is served; from then on it counts."""
        if self not in self._clients and not self._door.has_room_for_a_client(len(self._clients)):
            return False
        self._clients.add(self)
        return True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take note of a new connection."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._deadline.cancel()
        self._clients.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Have what came parsed, up to the longest head."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"the head of this request is over {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Hand a request on, with what the application must know of it."""
        self._in_head = False
        self._deadline.cancel()
        self.scope["state"] |= {"connection": self, "target": self.url.decode("latin-1")}
        super().on_headers_complete()


@contextlib.asynccontextmanager
async def serve_uvicorn(
    app: ASGIApp, door: Door, listener: socket.socket, options: ServerOptions
) -> AsyncIterator[Collection[Any]]:
    """Serve an application while the context is open; yields its connections."""
    clients: set[Connection] = set()

    def build_connection(**given: Any) -> asyncio.Protocol:
        if door.has_room_for_a_connection(len(connections)):
            return Connection(door, clients, **given)
        return Full(door.sentence)

    config = uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], build_connection),
        ws="none",
        lifespan="off",
        proxy_headers=False,
        backlog=BACKLOG,
        access_log=False,
        log_config=None,
        log_level="error",
    )
    config.load()
    config.ssl = ssl_context(options)
    server = uvicorn.Server(config)
    # What Server.serve() does, but for the signals, which are ours.
    server.lifespan = config.lifespan_class(config)
    connections = server.server_state.connections
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield connections
    finally:
        server.should_exit = True
        await ticking

        def abort_all() -> None:
            for connection in list(connections):
                connection.transport.abort()

        patience = asyncio.get_running_loop().call_later(STOP_TIMEOUT_S, abort_all)
        await server.shutdown()
        patience.cancel()
