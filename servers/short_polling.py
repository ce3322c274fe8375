"""Short polling: the client asks again and again, and the server answers at once, often with nothing new.

The simplest transport and the only one without state: the client's cursor comes with each request. What it
costs is a whole request and response per question, and a tick waits until somebody asks.

A page of any origin can have a browser ask, but one of another origin cannot read the answer, because it
lacks Access-Control-Allow-Origin (WHATWG Fetch, CORS protocol). Whoever is no browser reads it anyway.
"""

import contextlib
import socket
from collections.abc import AsyncIterator

from aiohttp import web

from servers.base import parse_query
from servers.feed import Feed
from servers.http import serve_http, ticks_response
from servers.options import ServerOptions


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open."""

    async def answer_ticks(request: web.Request) -> web.Response:
        query = parse_query(request.query, feed)
        return ticks_response(feed.after(query.cursor))

    async with serve_http("short_polling", feed, listener, options, answer_ticks, script="polling.js"):
        yield
