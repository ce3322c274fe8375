"""WebSocket by aiohttp: the handshake is a request, and its handler lives as long as the client.

It keeps the contract of servers/websocket.py. aiohttp has no broadcast, so one task sends each tick to all
clients that keep up, one after the other, and waits for none of them. A client whose buffer is not empty
drops out and gets a task of its own, which sends from the shared history and waits while the event loop's
buffer (64 KiB) is full.

A ping is sent when nothing came for ``heartbeat_s``; aiohttp gives the pong half of that.

aiohttp takes what RFC 6455 forbids: unmasked frames of a client (section 5.1), a length in more bytes than it
needs (5.2), and close codes above 4999 (7.4.2).
"""

import asyncio
import contextlib
import dataclasses
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from servers.browser.page import build_page
from servers.door import Door
from servers.feed import Feed
from servers.http import Visitors, listening
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

NEVER_WAIT = sys.maxsize
"""``writer_limit`` of a socket that waits for its client where we say so, and not within a send."""


@dataclasses.dataclass(eq=False, slots=True)
class Client:
    """One client: its cursor, and the task that serves it while it does not keep up."""

    socket: web.WebSocketResponse
    writer: AbstractStreamWriter
    transport: asyncio.Transport
    cursor: int
    catching_up: asyncio.Task[None] | None = None


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open."""
    clients: dict[Client, None] = {}
    news = asyncio.Event()
    door = Door(options.max_clients)
    visitors: Visitors = set()
    page = build_page("websocket_aiohttp", options, SCRIPT)

    async def send_next(client: Client) -> None:
        """Send one delivery; it does not wait for the client."""
        delivery = feed.after(client.cursor)
        client.cursor = delivery.last_seq
        if delivery.missed:
            await client.socket.send_frame(msgspec.json.encode(Missed(delivery.missed)), WSMsgType.TEXT)
        await client.socket.send_frame(delivery.body, WSMsgType.TEXT)

    async def catch_up(client: Client) -> None:
        """Send from the history, as fast as the client reads, until it holds the newest tick."""
        with contextlib.suppress(ConnectionError):
            while client.cursor < feed.newest_seq:
                await client.writer.drain()
                await send_next(client)
        client.catching_up = None

    def start_catching_up(client: Client) -> None:
        client.catching_up = asyncio.create_task(catch_up(client))

    async def publish() -> None:
        """Send what is new to all clients that keep up; part from those that still owe the last one."""
        while await news.wait():
            news.clear()
            for client in [c for c in clients if c.catching_up is None and c.cursor < feed.newest_seq]:
                if not client.transport.get_write_buffer_size():
                    with contextlib.suppress(ConnectionError):  # its handler hears of it too
                        await send_next(client)
                if client.cursor < feed.newest_seq:
                    start_catching_up(client)

    async def answer(request: web.Request) -> web.StreamResponse:
        """Serve one client until its connection closes; what is no handshake gets a plain answer."""
        visitors.discard(request.protocol)
        plain = plain_answer(
            request.raw_path,
            request.headers.getall("Host", []),
            request.headers.getall("Sec-WebSocket-Version", []),
            transport="websocket_aiohttp",
            feed=feed,
            clients=len(clients),
            page=page,
        )
        if plain is not None:
            return _plain_response(plain)
        if request.method != "GET":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not answered here; use GET")
        connection = web.WebSocketResponse(
            heartbeat=options.heartbeat_s,
            compress=options.compression,
            max_msg_size=MAX_MESSAGE_BYTES,
            timeout=STOP_TIMEOUT_S,
            writer_limit=NEVER_WAIT,
        )
        try:
            writer = await connection.prepare(request)
        except UnicodeEncodeError:  # aiohttp repeats the header in its answer
            return _refusal(HTTPStatus.BAD_REQUEST, "this is no WebSocket handshake: a header is not ASCII")
        except web.HTTPBadRequest as bad:
            return _refusal(HTTPStatus.BAD_REQUEST, f"this is no WebSocket handshake: {bad.text}")
        try:
            cursor = admit(request.raw_path, feed, len(clients), door)
        except Refused as refused:
            await connection.close(code=refused.code, message=refused.reason.encode())
            return connection
        assert request.transport is not None
        client = Client(connection, writer, request.transport, cursor)
        clients[client] = None
        start_catching_up(client)
        try:
            async for _ in connection:  # nothing is expected of a client, but its pongs and its close
                pass
        finally:
            del clients[client]
            if client.catching_up is not None:
                client.catching_up.cancel()
        return connection

    async def close_all(app: web.Application) -> None:
        """Tell all clients that the server stops; wait 5 s for those that do not read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                closing = (c.socket.close(code=GOING_AWAY, message=STOPPING.encode()) for c in clients)
                await asyncio.gather(*closing)
        for client in clients:
            client.transport.abort()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    app.on_shutdown.append(close_all)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S, logger=_quiet_logger())
    await runner.setup()
    feed.listeners.add(news.set)
    publishing = asyncio.create_task(publish())
    try:
        async with listening(runner, listener, options, door, visitors):
            yield
    finally:
        feed.listeners.discard(news.set)
        publishing.cancel()
        await runner.cleanup()


def _refusal(status: HTTPStatus, sentence: str) -> web.Response:
    return _plain_response(PlainAnswer(status, json.dumps({"error": sentence}).encode()))


def _plain_response(plain: PlainAnswer) -> web.Response:
    return web.Response(
        status=plain.status,
        body=plain.body,
        headers={**plain.headers, "Content-Type": plain.content_type},
    )


def _quiet_logger() -> logging.Logger:
    """Return a logger that keeps clients' mistakes (a broken handshake) off the terminal."""
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)  # one line for each subprotocol offered
    logger = logging.getLogger("servers.variants.websocket_aiohttp")
    logger.setLevel(logging.CRITICAL)
    return logger
