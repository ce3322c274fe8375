"""An HTTP/1.1 server for the polling variants: asyncio.Protocol and httptools, and no framework on top.

It keeps the contract of servers/http.py and sends the same head, so that what differs is the library. There
is no task per request: it is answered in the call that read it, or later (httptools_connection.py).
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

from servers.base import BACKLOG, FOR_PEOPLE, HEALTH_PATH, PATH, BadRequest, health, ssl_context
from servers.browser.page import HTML, PAGE_PATH, Page, build_page
from servers.door import RETRY_AFTER_S, Door
from servers.feed import Feed
from servers.options import ServerOptions
from servers.request_head import check_hosts, read_target
from servers.variants.httptools_connection import Connection, Request

STOP_TIMEOUT_S = 5.0
RETRY_AFTER = f"Retry-After: {RETRY_AFTER_S}\r\n"

AnswerTicks = Callable[[Connection, Mapping[str, str]], None]


class HttptoolsServer:
    """Decides on each request: who may ask, and what answers.

    Args:
        answer_ticks: Called with connection and query of each ``GET /ticks``; it answers at once or later.
        forget: Called when a connection is gone.
        page: What people are given at ``/``.
    """

    def __init__(
        self,
        transport: str,
        feed: Feed,
        door: Door,
        answer_ticks: AnswerTicks,
        forget: Callable[[Connection], Any],
        page: Page,
    ) -> None:
        self.connections: set[Connection] = set()
        self.all_gone = asyncio.Event()
        self._clients: set[Connection] = set()  # those that asked for more than their health
        self._transport = transport
        self._feed = feed
        self._door = door
        self._answer_ticks = answer_ticks
        self._forget = forget
        self._page = page

    def build_connection(self) -> Connection:
        """Return a connection that is served here."""
        return Connection(self.handle, self.take_note, self.forget_connection)

    def take_note(self, connection: Connection) -> None:
        """Take note of a connection, or close it if it is one too many."""
        if not self._door.has_room_for_a_connection(len(self.connections)):
            connection.turn_away(HTTPStatus.SERVICE_UNAVAILABLE, self._door.sentence, RETRY_AFTER)
            return
        self.connections.add(connection)

    def forget_connection(self, connection: Connection) -> None:
        """Drop all that is known of a connection."""
        self.connections.discard(connection)
        self._clients.discard(connection)
        self._forget(connection)
        if not self.connections:
            self.all_gone.set()

    def handle(self, connection: Connection, request: Request) -> None:
        """Answer one request, or refuse it with a sentence and go on."""
        if request.problem:
            connection.refuse(HTTPStatus.BAD_REQUEST, request.problem, close=True)
            return
        try:
            check_hosts(request.hosts)
            path, query = read_target(request.url)
        except BadRequest as bad:
            connection.refuse(HTTPStatus.BAD_REQUEST, str(bad), close=True)
            return
        if connection not in self._clients and path not in FOR_PEOPLE:
            if not self._door.has_room_for_a_client(len(self._clients)):
                connection.refuse(
                    HTTPStatus.SERVICE_UNAVAILABLE, self._door.sentence, RETRY_AFTER, close=True
                )
                return
            self._clients.add(connection)
        if request.has_body:
            sentence = "a request body is not read here; ask by GET with a query"
            connection.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence, close=True)
        elif path == HEALTH_PATH and request.method in ("GET", "HEAD"):
            body = health(self._transport, self._feed, len(self.connections))
            connection.respond(HTTPStatus.OK, body)
        elif path == PAGE_PATH and request.method in ("GET", "HEAD"):
            extra = "".join(f"{name}: {value}\r\n" for name, value in self._page.headers.items())
            connection.respond(HTTPStatus.OK, self._page.body, extra, content_type=HTML)
        elif path not in (PATH, PAGE_PATH, HEALTH_PATH):
            connection.refuse(HTTPStatus.NOT_FOUND, f"there is no {path}; ask for {PATH} or {HEALTH_PATH}")
        elif request.method != "GET":
            sentence = f"{request.method} is not answered here; use GET"
            connection.refuse(HTTPStatus.METHOD_NOT_ALLOWED, sentence, "Allow: GET\r\n")
        else:
            try:
                self._answer_ticks(connection, query)
            except BadRequest as bad:
                connection.refuse(HTTPStatus.BAD_REQUEST, str(bad))


@contextlib.asynccontextmanager
async def serve_httptools(
    transport: str,
    feed: Feed,
    listener: socket.socket,
    options: ServerOptions,
    answer_ticks: AnswerTicks,
    *,
    script: str,
    forget: Callable[[Connection], Any] = lambda connection: None,
) -> AsyncIterator[None]:
    """Serve ``GET /ticks`` by ``answer_ticks``, and ``GET /health``, while the context is open.

    ``script`` is what the page at ``/`` asks by (servers/browser/page.py).

    Raises:
        ValueError: If answers are to be compressed.
    """
    if options.compression:
        raise ValueError(f"{transport} does not compress; use {transport.removesuffix('_httptools')}")
    page = build_page(transport, options, script)
    served = HttptoolsServer(transport, feed, Door(options.max_clients), answer_ticks, forget, page)
    server = await asyncio.get_running_loop().create_server(
        served.build_connection, sock=listener, backlog=BACKLOG, ssl=ssl_context(options)
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(served.connections):
            connection.stop()
        if served.connections:
            served.all_gone.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(served.all_gone.wait(), STOP_TIMEOUT_S)
        for connection in list(served.connections):
            connection.abort()
        await server.wait_closed()
