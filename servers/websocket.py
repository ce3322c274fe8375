"""WebSocket (RFC 6455): one handshake, then the server writes each tick to the open connection as it comes.

Nobody asks, so the server must look after those who do not keep up. Clients that do are sent each tick by
one broadcast. One whose kernel buffers are full drops out of the broadcast and gets a task of its own, which
sends from the shared history as fast as the client reads (back-pressure) until it has caught up. Its memory
here is one delivery, however long it stalls; ticks that the history has lost by then are counted to it; and
after 20 s without progress the kernel ends the connection (TCP_USER_TIMEOUT, see servers/base.py).

With compression (permessage-deflate, RFC 7692) a broadcast compresses each message for each connection anew,
because every connection has a window of its own. Over TLS a client that does not keep up is noticed later,
when the event loop's buffer of encrypted bytes is full too (64 KiB).

Browsers let a page of any origin open a WebSocket, and read it: WHATWG Fetch's rules for other origins do not
reach that far. They name the page's origin in a header, by which a server must choose if its ticks are not
for everybody (RFC 6455, section 10.2). These are, so it is not looked at.

Of RFC 6455 the library lets one thing pass: a length in more bytes than it needs (section 5.2). A client that
has not finished its handshake within 10 s is closed; until then it does not count towards ``max_clients``.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import msgspec
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from servers.base import BACKLOG, ssl_context
from servers.browser.page import build_page
from servers.door import HEAD_TIMEOUT_S, Door
from servers.feed import Feed
from servers.options import ServerOptions
from servers.websocket_rules import (
    GOING_AWAY,
    MAX_MESSAGE_BYTES,
    SCRIPT,
    STOP_TIMEOUT_S,
    STOPPING,
    PlainAnswer,
    Refused,
    admit,
    plain_answer,
)
from servers.wire import Missed


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open."""
    keeping_up: dict[ServerConnection, None] = {}
    catching_up: dict[ServerConnection, asyncio.Task[None]] = {}
    broadcast_seq = feed.newest_seq
    door = Door(options.max_clients)
    page = build_page("websocket", options, SCRIPT)

    def clients() -> int:
        return len(keeping_up) + len(catching_up)

    async def catch_up(connection: ServerConnection, cursor: int) -> None:
        """Send from the history, one delivery at a time, until the client holds the newest tick."""
        with contextlib.suppress(ConnectionClosed):
            while cursor < feed.newest_seq:
                delivery = feed.after(cursor)
                if delivery.missed:
                    await connection.send(msgspec.json.encode(Missed(delivery.missed)), text=True)
                await connection.send(delivery.body, text=True)
                cursor = delivery.last_seq
            keeping_up[connection] = None
        catching_up.pop(connection, None)

    def start_catching_up(connection: ServerConnection, cursor: int) -> None:
        catching_up[connection] = asyncio.create_task(catch_up(connection, cursor))

    def publish() -> None:
        """Send what is new to all clients that keep up; part from those that still owe the last one."""
        nonlocal broadcast_seq
        for connection in [c for c in keeping_up if c.transport.get_write_buffer_size()]:
            del keeping_up[connection]
            start_catching_up(connection, broadcast_seq)
        while broadcast_seq < feed.newest_seq:
            delivery = feed.after(broadcast_seq)
            broadcast(keeping_up, delivery.body, text=True)
            broadcast_seq = delivery.last_seq

    async def answer(connection: ServerConnection) -> None:
        """Serve one client until its connection closes."""
        assert connection.request is not None
        try:
            cursor = admit(connection.request.path, feed, clients(), door)
        except Refused as refused:
            await connection.close(refused.code, refused.reason)
            return
        start_catching_up(connection, cursor)
        try:
            async for _ in connection:  # nothing is expected of a client, but its pongs and its close
                pass
        except ConnectionClosed:
            pass
        finally:
            keeping_up.pop(connection, None)
            if (task := catching_up.pop(connection, None)) is not None:
                task.cancel()

    def route(connection: ServerConnection, request: Request) -> Response | None:
        """Answer what is no WebSocket handshake at /ticks; None goes on with the handshake."""
        plain = plain_answer(
            request.path,
            request.headers.get_all("Host"),
            request.headers.get_all("Sec-WebSocket-Version"),
            transport="websocket",
            feed=feed,
            clients=clients(),
            page=page,
        )
        return None if plain is None else _plain_response(connection, request, plain)

    encryption = ssl_context(options)
    feed.listeners.add(publish)
    server = await serve_websockets(
        answer,
        sock=listener,
        ssl=encryption,
        backlog=BACKLOG,
        process_request=route,
        compression="deflate" if options.compression else None,
        ping_interval=options.heartbeat_s,
        ping_timeout=options.heartbeat_s,
        max_size=MAX_MESSAGE_BYTES,
        open_timeout=HEAD_TIMEOUT_S,
        close_timeout=STOP_TIMEOUT_S,
        server_header=None,
        logger=_quiet_logger(),
    )
    try:
        yield
    finally:
        feed.listeners.discard(publish)
        server.close(code=GOING_AWAY, reason=STOPPING)
        await server.wait_closed()


def _plain_response(connection: ServerConnection, request: Request, plain: PlainAnswer) -> Response:
    response = connection.respond(plain.status, plain.body.decode())
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = plain.content_type
    response.headers.update(plain.headers)
    if request.method == "HEAD":
        response.body = b""
    return response


def _quiet_logger() -> logging.Logger:
    """Return a logger that keeps clients' mistakes (a broken handshake) off the terminal."""
    logger = logging.getLogger("servers.websocket")
    logger.setLevel(logging.CRITICAL)
    return logger
