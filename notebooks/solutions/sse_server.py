"""Exercise 10: server-sent events (WHATWG HTML, section 9.2): one answer that has no end.

A client that never reads costs little: ``write`` goes on until over 64 KiB wait in the event loop's buffer,
and then waits for the kernel to take them; the next delivery is taken from the shared history only then.
"""

import asyncio
import contextlib

from aiohttp import web

from servers.base import parse_query
from servers.http import serve_http

TRANSPORT = "server_sent_events"
KEEP_ALIVE_S = 15.0
"""A comment every 15 seconds or so keeps proxies from ending the connection (WHATWG HTML, section 9.2.7)."""


@contextlib.asynccontextmanager
async def serve(feed, listener, options):
    """Serve the feed on the listening socket while the context is open."""

    async def answer_ticks(request):
        query = dict(request.query)
        if "Last-Event-ID" in request.headers:  # a browser that comes back (section 9.2.4)
            query["after"] = request.headers["Last-Event-ID"]
        cursor = parse_query(query, feed).cursor
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        while True:
            if await _is_over(feed, cursor):
                return response
            delivery = feed.after(cursor)
            cursor = delivery.last_seq
            await response.write(_event(delivery))

    async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
        yield


async def _is_over(feed, cursor):
    """Wait for news or the time of a comment; return whether the feed is closed, and nothing will come."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await feed.newer_than(cursor, KEEP_ALIVE_S)
    return feed.newest_seq <= cursor and loop.time() - began_s < KEEP_ALIVE_S / 2


def _event(delivery):
    """Return a delivery as bytes of the stream; one without ticks is a comment."""
    if delivery.body == b"[]":
        return b": nothing new\n\n"
    missed = f'event: missed\ndata: {{"missed":{delivery.missed}}}\n\n' if delivery.missed else ""
    return f"{missed}id: {delivery.last_seq}\ndata: ".encode() + delivery.body + b"\n\n"
