"""Exercise 10, a server that streams over HTTP: wrong in the ways that come first."""

import asyncio
import contextlib
import dataclasses
import json
import math

from aiohttp import web

from servers.base import health, parse_query
from servers.http import serve_http

TRANSPORT = "http_streaming"
HEADERS = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}


def _on_a_stream(send):
    """Make a server of a function that sends on one stream."""

    @contextlib.asynccontextmanager
    async def serve(feed, listener, options):
        async def answer_ticks(request):
            cursor = parse_query(request.query, feed).cursor
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            await send(feed, options, response, cursor)
            return response

        async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
            yield

    return serve


async def _news(feed, options, response, cursor, *, beat=b"\n", told=True):
    """Yield delivery after delivery; the rest is right, unless it is told otherwise."""
    while True:
        try:
            async with asyncio.timeout(options.heartbeat_s):
                await feed.newer_than(cursor, math.inf)
        except TimeoutError:
            await response.write(beat)
            continue
        if feed.newest_seq <= cursor:
            return
        delivery = feed.after(cursor)
        cursor = delivery.last_seq
        if delivery.missed and told:
            await response.write(b'{"missed":%d}\n' % delivery.missed)
        yield delivery


async def _lines(response, news):
    """Send deliveries, rightly."""
    async for delivery in news:
        await response.write(delivery.body + b"\n")


@_on_a_stream
async def takes_a_chunk_for_a_message(feed, options, response, cursor):
    """Each write is a chunk, which has a length. Graded: a line has no end."""
    async for delivery in _news(feed, options, response, cursor):
        await response.write(delivery.body)


@_on_a_stream
async def ends_a_line_with_the_next(feed, options, response, cursor):
    """A line end stands between lines. Graded: it answers at the wrong time."""
    between = b""
    async for delivery in _news(feed, options, response, cursor):
        await response.write(between + delivery.body)
        between = b"\n"


@_on_a_stream
async def sends_a_line_per_tick(feed, options, response, cursor):
    """A tick a line is what JSON lines are. Graded: what it sends is no array of ticks."""
    async for delivery in _news(feed, options, response, cursor):
        for tick in json.loads(delivery.body):
            await response.write(json.dumps(tick).encode() + b"\n")


@_on_a_stream
async def encodes_again(feed, options, response, cursor):
    """As one writes JSON in Python. Graded: its arrays have not the bytes that they should."""
    async for delivery in _news(feed, options, response, cursor):
        await response.write(json.dumps(json.loads(delivery.body)).encode() + b"\n")


@_on_a_stream
async def says_nothing_of_what_is_lost(feed, options, response, cursor):
    """It is lost. Graded: it does not tell a client how many ticks it missed."""
    await _lines(response, _news(feed, options, response, cursor, told=False))


@_on_a_stream
async def ends_when_all_is_told(feed, options, response, cursor):
    """An answer has an end. Graded: ticks were lost."""
    async for delivery in _news(feed, options, response, cursor):
        await response.write(delivery.body + b"\n")
        if delivery.last_seq == feed.newest_seq:
            return


@_on_a_stream
async def sends_the_newest_only(feed, options, response, cursor):
    """Whoever listens wants the news. Graded: ticks were lost."""
    async for _ in _news(feed, options, response, cursor):
        await response.write(feed.after(feed.newest_only()).body + b"\n")


@_on_a_stream
async def counts_its_own_ticks(feed, options, response, cursor):
    """The cursor moves by what was sent. Graded: it does not keep the contract latest."""
    while feed.newest_seq > cursor:
        delivery = feed.after(cursor)
        cursor += len(json.loads(delivery.body)) + delivery.missed
        await response.write(delivery.body + b"\n")
        await feed.newer_than(cursor, math.inf)


@_on_a_stream
async def looks_five_times_a_second(feed, options, response, cursor):
    """That is live enough. Graded: it answers at the wrong time."""
    async for delivery in _news(feed, options, response, cursor):
        await response.write(delivery.body + b"\n")
        await asyncio.sleep(0.2)


@_on_a_stream
async def spins_when_the_feed_is_closed(feed, options, response, cursor):
    """Nothing new: look again. Graded: it spins: it looks again and again, and never waits."""
    await _lines(response, _news(feed, options, response, cursor))
    while True:
        await feed.newer_than(feed.newest_seq, math.inf)
        await asyncio.sleep(0)


@_on_a_stream
async def beats_unless_told_otherwise(feed, options, response, cursor):
    """Proxies want it so. Graded: it sends heartbeats that nobody asked for."""
    options = dataclasses.replace(options, heartbeat_s=options.heartbeat_s or 15)
    await _lines(response, _news(feed, options, response, cursor))


@_on_a_stream
async def beats_with_empty_arrays(feed, options, response, cursor):
    """Nothing is an array without ticks. Graded: it is silent for too long."""
    await _lines(response, _news(feed, options, response, cursor, beat=b"[]\n"))


@_on_a_stream
async def never_beats(feed, options, response, cursor):
    """Nothing new, nothing to say. Graded: it is silent for too long."""
    options = dataclasses.replace(options, heartbeat_s=None)
    await _lines(response, _news(feed, options, response, cursor))


@_on_a_stream
async def beats_ten_times_as_often(feed, options, response, cursor):
    """To be sure. Graded: its heartbeats come too often."""
    options = dataclasses.replace(options, heartbeat_s=options.heartbeat_s and options.heartbeat_s / 10)
    await _lines(response, _news(feed, options, response, cursor))


@contextlib.asynccontextmanager
async def reads_the_query_by_itself(feed, listener, options):
    """It is a number. Graded: it does not refuse a bad query with a sentence."""

    async def answer_ticks(request):
        cursor = int(request.query.get("after", feed.newest_only()))
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        await _lines(response, _news(feed, options, response, cursor))
        return response

    async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
        yield


@contextlib.asynccontextmanager
async def has_the_head_of_json(feed, listener, options):
    """Lines of JSON are JSON. Graded: its head does not say what it sends."""

    async def answer_ticks(request):
        cursor = parse_query(request.query, feed).cursor
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "application/json"})
        await response.prepare(request)
        await _lines(response, _news(feed, options, response, cursor))
        return response

    async with serve_http(TRANSPORT, feed, listener, options, answer_ticks):
        yield


@contextlib.asynccontextmanager
async def lets_head_in(feed, listener, options):
    """An application of its own, by two lines of the tutorial. Graded: it goes on answering a HEAD."""

    async def answer_ticks(request):
        cursor = parse_query(request.query, feed).cursor
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        await _lines(response, _news(feed, options, response, cursor))
        return response

    async def answer_health(request):
        return web.Response(body=health(TRANSPORT, feed, 0))

    app = web.Application()
    app.router.add_get("/ticks", answer_ticks)
    app.router.add_get("/health", answer_health)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()


@_on_a_stream
async def keeps_a_queue_per_client(feed, options, response, cursor):
    """So no tick is lost. Graded: a client that does not read makes the server's memory grow."""
    queue = asyncio.Queue()

    def note():
        nonlocal cursor
        while cursor < feed.newest_seq:
            delivery = feed.after(cursor)
            cursor = delivery.last_seq
            queue.put_nowait(delivery.body + b"\n")

    note()
    feed.listeners.add(note)
    try:
        while True:
            await response.write(await queue.get())
    finally:
        feed.listeners.discard(note)
