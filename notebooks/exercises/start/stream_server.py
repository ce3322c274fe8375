"""Exercise 10, HTTP streaming (RFC 6202, section 3): this server sends one line and ends.

Grade it with ``bench grade stream_server.py``. Once it has its place in servers/ (exercise 12), look at it
with ``curl -N 'http://127.0.0.1:8000/ticks?after=0'``.
"""

import contextlib

from aiohttp import web

from servers.base import parse_query
from servers.http import serve_http

TRANSPORT = "http_streaming"


@contextlib.asynccontextmanager
async def serve(feed, listener, options):
    """Serve the feed on the listening socket while the context is open."""

    async def answer_ticks(request):
        cursor = parse_query(request.query, feed).cursor
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        # To do: line after line, as the feed has news (feed.newer_than); a line {"missed":…} before it, if
        # delivery.missed; an empty line after options.heartbeat_s of silence, if that is not None. Be sure to
        # end when the feed is closed: newer_than then returns at once, and nothing is new.
        delivery = feed.after(cursor)
        await response.write(delivery.body + b"\n")
        return response

    async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
        yield
