"""Exercise 10, server-sent events (WHATWG HTML, section 9.2): this server sends one event and ends.

Grade it with ``bench grade sse_server.py``. Once it has its place in servers/ (exercise 12), look at it with
``curl -N 'http://127.0.0.1:8000/ticks?after=0'``.
"""

import contextlib

from aiohttp import web

from servers.base import parse_query
from servers.http import serve_http

TRANSPORT = "server_sent_events"


@contextlib.asynccontextmanager
async def serve(feed, listener, options):
    """Serve the feed on the listening socket while the context is open."""

    async def answer_ticks(request):
        cursor = parse_query(request.query, feed).cursor
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        # To do: event after event, as the feed has news (feed.newer_than); with an id, so that a browser
        # that comes back can say in Last-Event-ID what it has; and an event `missed`, if delivery.missed. Be
        # sure to end when the feed is closed: newer_than then returns at once, and nothing is new.
        delivery = feed.after(cursor)
        await response.write(b"data: " + delivery.body + b"\n\n")
        return response

    async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
        yield
