"""What the two polling servers share: an aiohttp application with one handler at ``/ticks``.

A client that never reads cannot make the server's memory grow: its connection gets one answer at a time.
aiohttp hands each to the event loop, and looks at the next request at once, unless over 64 KiB of answers
wait there; then it waits for the kernel to take them. After 20 s without progress the kernel ends the
connection (TCP_USER_TIMEOUT, see :func:`servers.base.listen`).

With compression, ticks go as gzip to whoever accepts it; aiohttp compresses each answer anew.
"""

import asyncio
import contextlib
import json
import logging
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from servers.base import (
    ANSWER_HEADERS,
    BACKLOG,
    HEALTH_PATH,
    PATH,
    VARY_HEADERS,
    BadRequest,
    health,
    ssl_context,
)
from servers.feed import Delivery, Feed
from servers.options import ServerOptions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STOP_TIMEOUT_S = 5.0

_log = logging.getLogger("servers.http")


def _only_our_faults(record: logging.LogRecord) -> bool:
    """Keep clients' malformed requests off the terminal: they are answered with 400, and that is enough."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


@contextlib.asynccontextmanager
async def serve_http(
    transport: str, feed: Feed, listener: socket.socket, options: ServerOptions, answer_ticks: Handler
) -> AsyncIterator[None]:
    """Serve ``GET /ticks`` by ``answer_ticks``, and ``GET /health``, while the context is open."""
    server: web.Server
    known_connections: weakref.WeakSet[asyncio.Task[None]] = weakref.WeakSet()

    @web.middleware
    async def refuse_politely(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer whatever is wrong with one JSON sentence, and go on."""
        connection = request.task  # one per connection, and unlike uvloop's TLS transports weakly referable
        if connection not in known_connections and request.path != HEALTH_PATH:
            if (
                len(known_connections) >= options.max_clients
                and len(server.connections) > options.max_clients
            ):
                return _error(
                    503, f"{options.max_clients} clients are connected, the most allowed; try later"
                )
            known_connections.add(connection)
        if request.can_read_body:
            return _error(413, "a request body is not read here; ask by GET with a query")
        try:
            response = await handler(request)
            if options.compression and request.path == PATH:
                response.headers.update(VARY_HEADERS)
                if _accepts_gzip(request):
                    response.enable_compression(web.ContentCoding.gzip)
            return response
        except BadRequest as bad:
            return _error(400, str(bad), close=False)
        except web.HTTPNotFound:
            return _error(404, f"there is no {request.path}; ask for {PATH} or {HEALTH_PATH}", close=False)
        except web.HTTPMethodNotAllowed:
            return _error(405, f"{request.method} is not answered here; use GET", close=False, allow="GET")

    async def answer_health(request: web.Request) -> web.Response:
        body = health(transport, feed, len(server.connections), request.query.get("lags_after"))
        return _json(body)

    app = web.Application(middlewares=[refuse_politely])
    app.router.add_get(PATH, answer_ticks, allow_head=False)
    app.router.add_get(HEALTH_PATH, answer_health)
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=STOP_TIMEOUT_S, logger=_log
    )
    await runner.setup()
    assert runner.server is not None
    server = runner.server
    try:
        await web.SockSite(runner, listener, backlog=BACKLOG, ssl_context=ssl_context(options)).start()
        yield
    finally:
        await runner.cleanup()


_log.addFilter(_only_our_faults)


def ticks_response(delivery: Delivery) -> web.Response:
    """Answer with a delivery: the JSON array, and what the client must know beside it."""
    headers = {}
    if delivery.missed:
        headers["Ticks-Missed"] = str(delivery.missed)
    if delivery.waiting:
        headers["Ticks-Waiting"] = str(delivery.waiting)
    return _json(delivery.body, headers=headers)


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    headers = {**(headers or {}), **ANSWER_HEADERS}
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _accepts_gzip(request: web.Request) -> bool:
    """Return whether gzip is among what the client accepts (RFC 9110, section 12.5.3)."""
    for offer in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = offer.replace(" ", "").partition(";")
        if coding == "gzip":
            return weight.rstrip(".0") != "q="
    return False


def _error(status: int, sentence: str, *, close: bool = True, allow: str | None = None) -> web.Response:
    response = _json(json.dumps({"error": sentence}).encode(), status)
    if allow:
        response.headers["Allow"] = allow
    if close:
        response.force_close()
    return response
