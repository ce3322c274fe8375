"""Long polling: the client asks, and the server holds the request until there is something to say.

Push made of requests (RFC 6202, section 2): a tick leaves as soon as it is published, if the client's next
request is already there. If not, ticks wait in the history for it, and go together. A request held for longer
than ``hold`` is answered with an empty array, so that no proxy on the way takes it for dead.

Pages of another origin cannot read the answers, as in servers/short_polling.py; yet each question of theirs
is held, and takes a place.
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
        query = parse_query(request.query, feed, holds=True)
        await feed.newer_than(query.cursor, query.hold_s)
        return ticks_response(feed.after(query.cursor))

    async with serve_http("long_polling", feed, listener, options, answer_ticks, script="long_polling.js"):
        yield
