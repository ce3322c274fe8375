"""Exercise 10: HTTP streaming (RFC 6202, section 3): one answer that has no end, a line a delivery.

A client that never reads costs little: ``write`` goes on until over 64 KiB wait in the event loop's buffer,
and then waits for the kernel to take them; the next delivery is taken from the shared history only then.
"""

import asyncio
import contextlib
import math

from aiohttp import web

from servers.base import parse_query
from servers.http import serve_http

TRANSPORT = "http_streaming"
HEADERS = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}


@contextlib.asynccontextmanager
async def serve(feed, listener, options):
    """Serve the feed on the listening socket while the context is open."""

    async def answer_ticks(request):
        cursor = parse_query(request.query, feed).cursor
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        while True:
            try:
                async with asyncio.timeout(options.heartbeat_s):  # None is no limit
                    await feed.newer_than(cursor, math.inf)
            except TimeoutError:
                await response.write(b"\n")
                continue
            if feed.newest_seq <= cursor:  # the feed is closed
                return response
            delivery = feed.after(cursor)
            cursor = delivery.last_seq
            await response.write(_lines(delivery))

    async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
        yield


def _lines(delivery):
    """Return a delivery as bytes of the stream."""
    missed = b'{"missed":%d}\n' % delivery.missed if delivery.missed else b""
    return missed + delivery.body + b"\n"
