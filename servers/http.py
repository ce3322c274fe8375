"""What the two polling servers share: an aiohttp application with one handler at ``/ticks``.

A client that never reads cannot make the server's memory grow: its connection gets one answer at a time.
aiohttp hands each to the event loop, and looks at the next request at once, unless over 64 KiB of answers
wait there; then it waits for the kernel to take them. After 20 s without progress the kernel ends the
connection (TCP_USER_TIMEOUT, see :func:`servers.base.listen`). One that does not ask, or not to the end, is
closed after 10 s, and counts as a connection until then (servers/door.py).

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
from aiohttp.web_protocol import RequestHandler

from servers.base import (
    ANSWER_HEADERS,
    BACKLOG,
    FOR_PEOPLE,
    HEALTH_PATH,
    PATH,
    VARY_HEADERS,
    BadRequest,
    health,
    ssl_context,
)
from servers.browser.page import HTML, PAGE_PATH, Page, build_page
from servers.door import HEAD_TIMEOUT_S, RETRY_AFTER_S, Door, Full
from servers.feed import Delivery, Feed
from servers.options import ServerOptions
from servers.request_head import check_target

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Visitors = set[RequestHandler]
"""Connections that have not asked yet."""

STOP_TIMEOUT_S = 5.0

_log = logging.getLogger("servers.http")


def _only_our_faults(record: logging.LogRecord) -> bool:
    """Keep off the terminal what clients do: a malformed request is answered with 400, and one may leave."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | ConnectionError))


@contextlib.asynccontextmanager
async def serve_http(
    transport: str,
    feed: Feed,
    listener: socket.socket,
    options: ServerOptions,
    answer_ticks: Handler,
    *,
    script: str | None = None,
) -> AsyncIterator[None]:
    """Serve ``GET /ticks`` by ``answer_ticks``, and ``GET /health``, while the context is open.

    With a ``script`` there is a page at ``/`` that asks by it (servers/browser/page.py).
    """
    server: web.Server
    known_connections: weakref.WeakSet[asyncio.Task[None]] = weakref.WeakSet()
    door = Door(options.max_clients)
    visitors: Visitors = set()

    @web.middleware
    async def refuse_politely(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer whatever is wrong with one JSON sentence, and go on."""
        visitors.discard(request.protocol)
        connection = request.task  # one per connection, and unlike uvloop's TLS transports weakly referable
        if connection not in known_connections and request.path not in FOR_PEOPLE:
            others = min(len(known_connections), len(server.connections) - 1)
            if not door.has_room_for_a_client(others):
                return _error(503, door.sentence, headers={"Retry-After": str(RETRY_AFTER_S)})
            known_connections.add(connection)
        if request.can_read_body:
            return _error(413, "a request body is not read here; ask by GET with a query")
        try:
            check_target(request.raw_path)
            response = await handler(request)
            if options.compression and request.path == PATH and not response.prepared:
                response.headers.update(VARY_HEADERS)
                if accepts_gzip(request):
                    response.enable_compression(web.ContentCoding.gzip)
            return response
        except BadRequest as bad:
            return _error(400, str(bad), close=False)
        except web.HTTPNotFound:
            return _error(404, f"there is no {request.path}; ask for {PATH} or {HEALTH_PATH}", close=False)
        except web.HTTPMethodNotAllowed:
            return _error(
                405, f"{request.method} is not answered here; use GET", close=False, headers={"Allow": "GET"}
            )

    async def answer_health(request: web.Request) -> web.Response:
        body = health(transport, feed, len(server.connections))
        return _json(body)

    app = web.Application(middlewares=[refuse_politely])
    app.router.add_get(PATH, answer_ticks, allow_head=False)
    app.router.add_get(HEALTH_PATH, answer_health)
    if script is not None:
        app.router.add_get(PAGE_PATH, _page_handler(build_page(transport, options, script)))
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=STOP_TIMEOUT_S, logger=_log
    )
    await runner.setup()
    assert runner.server is not None
    server = runner.server
    try:
        async with listening(runner, listener, options, door, visitors):
            yield
    finally:
        await runner.cleanup()


_log.addFilter(_only_our_faults)


# Connections, before they have asked


@contextlib.asynccontextmanager
async def listening(
    runner: web.AppRunner,
    listener: socket.socket,
    options: ServerOptions,
    door: Door,
    visitors: Visitors,
) -> AsyncIterator[None]:
    """Accept connections for an application while the context is open.

    aiohttp waits an hour for a request, and the number of its connections has no bound. So each connection
    is a visitor until its first request is whole; those that still are one after a while are closed.

    Args:
        runner: The application, set up.
        listener, options: Where to listen, and how.
        door: How many connections there may be.
        visitors: Those that have not asked yet; whoever handles a request takes its connection out.
    """
    loop = asyncio.get_running_loop()
    application = runner.server
    assert application is not None

    def expire(visitor: RequestHandler) -> None:
        if visitor in visitors:
            visitors.discard(visitor)
            visitor.force_close()

    def build_connection() -> asyncio.Protocol:
        if not door.has_room_for_a_connection(len(application.connections)):
            return Full(door.sentence)
        visitor = application()
        visitors.add(visitor)
        loop.call_later(HEAD_TIMEOUT_S, expire, visitor)
        return visitor

    server = await loop.create_server(
        build_connection, sock=listener, backlog=BACKLOG, ssl=ssl_context(options)
    )
    try:
        yield
    finally:
        server.close()


def ticks_response(delivery: Delivery) -> web.Response:
    """Answer with a delivery: the JSON array, and what the client must know beside it."""
    headers = {}
    if delivery.missed:
        headers["Ticks-Missed"] = str(delivery.missed)
    if delivery.waiting:
        headers["Ticks-Waiting"] = str(delivery.waiting)
    return _json(delivery.body, headers=headers)


def _page_handler(page: Page) -> Handler:
    headers = {**page.headers, **ANSWER_HEADERS, "Content-Type": HTML}

    async def answer_page(request: web.Request) -> web.Response:
        return web.Response(body=page.body, headers=headers)

    return answer_page


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    headers = {**(headers or {}), **ANSWER_HEADERS}
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def accepts_gzip(request: web.Request) -> bool:
    """Return whether gzip is among what the client accepts (RFC 9110, section 12.5.3)."""
    for offer in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = offer.replace(" ", "").partition(";")
        if coding == "gzip":
            return weight.rstrip(".0") != "q="
    return False


def _error(
    status: int, sentence: str, *, close: bool = True, headers: Mapping[str, str] | None = None
) -> web.Response:
    response = _json(json.dumps({"error": sentence}).encode(), status, headers)
    if close:
        response.force_close()
    return response
