"""WebSocket by picows: a compiled parser and writer, and callbacks in place of tasks.

It keeps the contract of servers/websocket.py. Each client is a listener with a cursor; a tick is framed once,
and the kernel is given the same bytes for every client. picows brings its own socket transport (aiofastnet)
in place of the event loop's, and writes at once, not at the end of the loop's turn.

A client that does not keep up is paused by its transport as soon as a byte stays behind. When all is taken,
it is sent the shared history from its cursor, one delivery at a time. Where picows differs from its siblings:

- requests other than GET, HEAD too, are answered with 400 and a plain sentence, before they can be seen here;
- the size of a message is limited frame by frame; nothing of it is kept;
- ``Connection: keep-alive, Upgrade``, as Firefox sends it, is refused: picows wants ``Upgrade`` alone;
- it accepts connections until the process has no files left, then prints a traceback; those who wait are
  accepted when others have gone. A client has 10 s for its handshake, and does not count until then;
- it takes what RFC 6455 forbids: reserved bits (section 5.2), a continuation of nothing and a message within
  a message (5.4), close codes above 4999 (7.4.2), and text that is no UTF-8 (8.1).
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import cast

import msgspec
from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from servers.base import BACKLOG, ssl_context
from servers.browser.page import build_page
from servers.door import HEAD_TIMEOUT_S, Door
from servers.feed import Delivery, Feed
from servers.options import ServerOptions
from servers.websocket_rules import (
    GOING_AWAY,
    MAX_MESSAGE_BYTES,
    SCRIPT,
    STOP_TIMEOUT_S,
    STOPPING,
    Refused,
    admit,
    plain_answer,
)
from servers.wire import Missed

HEADER_ROOM_BYTES = 14
"""The room that picows wants before a message, for the longest header (RFC 6455, section 5.2)."""


class Broadcast:
    """The feed's deliveries, framed for picows, and the clients that get them."""

    def __init__(self, feed: Feed, door: Door) -> None:
        self.feed = feed
        self.door = door
        self.clients: dict[Client, None] = {}
        self._framed: tuple[Delivery | None, bytearray] = (None, bytearray())

    def framed(self, delivery: Delivery) -> bytearray:
        """Return a delivery with room for its header: built once for all who keep up."""
        if self._framed[0] is not delivery:
            self._framed = (delivery, bytearray(HEADER_ROOM_BYTES) + delivery.body)
        return self._framed[1]

    def publish(self) -> None:
        """Send what is new to all clients that take it."""
        for client in list(self.clients):
            client.send_news()


class Client(WSListener):
    """One client: a cursor, and whether its transport takes more."""

    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self._feed = broadcast.feed
        self._cursor = 0
        self._paused = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Serve the client from its cursor, or say why not."""
        self.transport = transport
        try:
            self._cursor = admit(
                transport.request.path.decode("latin-1"),
                self._feed,
                len(self._broadcast.clients),
                self._broadcast.door,
            )
        except Refused as refused:
            self.close(refused.code, refused.reason)
            return
        transport.underlying_transport.set_write_buffer_limits(high=0)
        self._broadcast.clients[self] = None
        self.send_news()

    def send_news(self) -> None:
        """Send from the history until the client holds the newest tick, or does not keep up."""
        while self._cursor < self._feed.newest_seq and not self._paused:
            delivery = self._feed.after(self._cursor)
            if delivery.missed:
                self.transport.send(WSMsgType.TEXT, msgspec.json.encode(Missed(delivery.missed)))
            self.transport.send_reuse_external_bytearray(
                WSMsgType.TEXT, self._broadcast.framed(delivery), HEADER_ROOM_BYTES
            )
            self._cursor = delivery.last_seq

    def pause_writing(self) -> None:
        """Stop sending: the kernel's buffers are full."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on: the kernel has taken all."""
        self._paused = False
        self.send_news()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer a close; nothing else is expected of a client."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Forget the client."""
        self._broadcast.clients.pop(self, None)

    def close(self, code: int, reason: str) -> None:
        """Send a close; end the connection when it is answered, or after 5 s."""
        self.transport.send_close(cast(WSCloseCode, code), reason)  # picows takes any number
        asyncio.get_running_loop().call_later(STOP_TIMEOUT_S, self.transport.disconnect, False)


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open.

    Raises:
        ValueError: If messages are to be compressed.
    """
    if options.compression:
        raise ValueError("websocket_picows does not compress; use websocket or websocket_aiohttp")
    broadcast = Broadcast(feed, Door(options.max_clients))
    page = build_page("websocket_picows", options, SCRIPT)

    def route(request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """Answer what is no WebSocket handshake at /ticks; else listen to the client."""
        target = request.path.decode("latin-1")
        answer = plain_answer(
            target,
            request.headers.getall("Host", []),
            request.headers.getall("Sec-WebSocket-Version", []),
            transport="websocket_picows",
            feed=feed,
            clients=len(broadcast.clients),
            page=page,
        )
        if answer is None:
            return Client(broadcast)
        headers = {"Content-Type": answer.content_type, **answer.headers}
        if answer.status < 400:
            response = WSUpgradeResponse.create_ok_response(answer.body, headers)
        else:
            response = WSUpgradeResponse.create_error_response(answer.status, answer.body, headers)
        return WSUpgradeResponseWithListener(response, None)

    heartbeat_s = options.heartbeat_s
    half_s = (heartbeat_s or 0) / 2
    server = await ws_create_server(
        route,
        sock=listener,
        backlog=BACKLOG,
        ssl=ssl_context(options),
        websocket_handshake_timeout=HEAD_TIMEOUT_S,
        enable_auto_ping=heartbeat_s is not None,
        auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
        auto_ping_idle_timeout=half_s,  # half a period idle, a ping, half a period for its pong
        auto_ping_reply_timeout=half_s,
        max_frame_size=MAX_MESSAGE_BYTES,
        logger_name=_quiet_logger(),
    )
    feed.listeners.add(broadcast.publish)
    try:
        yield
    finally:
        feed.listeners.discard(broadcast.publish)
        server.close()
        clients = list(broadcast.clients)
        for client in clients:
            client.close(GOING_AWAY, STOPPING)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await asyncio.gather(*(client.transport.wait_disconnected() for client in clients))
        for client in clients:
            client.transport.disconnect(graceful=False)
        await server.wait_closed()


def _quiet_logger() -> logging.Logger:
    """Return a logger that keeps clients' mistakes (a broken handshake) off the terminal."""
    logger = logging.getLogger("servers.variants.websocket_picows")
    logger.setLevel(logging.CRITICAL)
    return logger
