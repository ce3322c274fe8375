"""Server-sent events by Starlette under uvicorn: an asynchronous generator for each client.

It keeps the contract of servers/server_sent_events.py, and looks like what people deploy: a StreamingResponse
(FastAPI's is the same) is given a generator, which yields an event and waits for the next tick. There is no
broadcast: each tick wakes each client's own task, and its event goes through Starlette and uvicorn anew. What
is encoded once for all is the event's text.

A client that never reads costs 64 KiB and one delivery, as there: uvicorn lets a generator go on only while
less than that waits in the event loop. Meanwhile the generator keeps nothing but its cursor into the history.

Starlette's own gzip leaves event streams alone, and so does this server. uvicorn sends chunks to clients of
HTTP/1.0 too, which RFC 9112, section 6.1, forbids.
"""

import asyncio
import contextlib
import json
import math
import socket
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from servers.base import ANSWER_HEADERS, FOR_PEOPLE, HEALTH_PATH, PATH, BadRequest, health
from servers.browser.page import HTML, PAGE_PATH, build_page
from servers.door import RETRY_AFTER_S, Door
from servers.event_stream import COMMENT, SCRIPT, STREAM_HEADERS, Events, opening, read_cursor
from servers.feed import Feed
from servers.options import DAY_S, ServerOptions
from servers.request_head import check_hosts, read_target
from servers.variants.uvicorn_server import serve_uvicorn

NAME = "server_sent_events_starlette"


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open.

    Raises:
        ValueError: If the stream is to be compressed.
    """
    if options.compression:
        raise ValueError(f"{NAME} does not compress; use server_sent_events")
    loop = asyncio.get_running_loop()
    door = Door(options.max_clients)
    events = Events(feed)
    page = build_page(NAME, options, SCRIPT)
    heartbeat_s = options.heartbeat_s or math.inf

    async def stream(cursor: int) -> AsyncIterator[bytes]:
        """Yield what one client is sent; Starlette ends it when the client is gone."""
        yield opening(cursor)
        beat_s = loop.time() + heartbeat_s
        while not feed.closed:
            await feed.newer_than(cursor, min(beat_s - loop.time(), DAY_S))
            if cursor < feed.newest_seq:
                text, cursor = events.after(cursor)
                yield text
            if loop.time() >= beat_s:
                beat_s = max(beat_s + heartbeat_s, loop.time())
                yield COMMENT

    async def answer_ticks(request: Request) -> Response:
        if request.method != "GET":  # HEAD comes with it
            raise HTTPException(405)
        _, query = read_target(request.state.target)
        cursor = read_cursor(request.headers, query, feed)
        return StreamingResponse(stream(cursor), headers=STREAM_HEADERS)

    async def answer_health(request: Request) -> Response:
        return _json(health(NAME, feed, len(connections)))

    async def answer_page(request: Request) -> Response:
        return Response(page.body, headers={**page.headers, **ANSWER_HEADERS, "Content-Type": HTML})

    app = Starlette(
        routes=[
            Route(PATH, answer_ticks),
            Route(HEALTH_PATH, answer_health),
            Route(PAGE_PATH, answer_page),
        ],
        exception_handlers={BadRequest: _refuse_query, 404: _refuse_path, 405: _refuse_method},
    )
    app.router.redirect_slashes = False

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what goes no further than the door; give all else to Starlette."""
        connection, target = scope["state"]["connection"], scope["state"]["target"]
        headers = Headers(scope=scope)
        response: Response | None = None
        try:
            check_hosts(headers.getlist("Host"))
            path, _ = read_target(target)
        except BadRequest as bad:
            response = _error(400, str(bad), CLOSE)
        else:
            if path not in FOR_PEOPLE and not connection.is_admitted():
                response = _error(503, door.sentence, {**CLOSE, "Retry-After": str(RETRY_AFTER_S)})
            elif "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
                response = _error(413, "a request body is not read here; ask by GET with a query", CLOSE)
        await (response or app)(scope, receive, send)

    async with serve_uvicorn(answer, door, listener, options) as connections:
        yield


CLOSE = {"Connection": "close"}


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    headers = {**(headers or {}), **ANSWER_HEADERS}
    return Response(body, status, headers, media_type="application/json")


def _error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json(json.dumps({"error": sentence}).encode(), status, headers)


async def _refuse_query(request: Request, bad: Exception) -> Response:
    return _error(400, str(bad))


async def _refuse_path(request: Request, missing: Exception) -> Response:
    return _error(404, f"there is no {request.url.path}; ask for {PATH} or {HEALTH_PATH}")


async def _refuse_method(request: Request, wrong: Exception) -> Response:
    return _error(405, f"{request.method} is not answered here; use GET", {"Allow": "GET"})
