"""Long polling without a framework: the same answers as servers/long_polling.py, by httptools.

A held request is an entry in a dictionary and a timer, not a task: a tick answers all of them in one loop.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping

from servers.base import parse_query
from servers.feed import Feed
from servers.options import ServerOptions
from servers.variants.httptools_connection import Connection
from servers.variants.httptools_server import serve_httptools


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open."""
    loop = asyncio.get_running_loop()
    held: dict[Connection, tuple[int, asyncio.TimerHandle]] = {}

    def answer_ticks(connection: Connection, query: Mapping[str, str]) -> None:
        asked = parse_query(query, feed, holds=True)
        if feed.newest_seq > asked.cursor or asked.hold_s <= 0:
            connection.answer(feed.after(asked.cursor))
        else:
            timer = loop.call_later(asked.hold_s, answer_held, connection)
            held[connection] = (asked.cursor, timer)

    def answer_held(connection: Connection) -> None:
        cursor, timer = held.pop(connection)
        timer.cancel()
        connection.answer(feed.after(cursor))

    def answer_all() -> None:
        """Answer whoever waits: a tick is there, or the feed was closed."""
        for connection in list(held):
            answer_held(connection)

    def forget(connection: Connection) -> None:
        if connection in held:
            held.pop(connection)[1].cancel()

    feed.listeners.add(answer_all)
    try:
        async with serve_httptools(
            "long_polling_httptools",
            feed,
            listener,
            options,
            answer_ticks,
            script="long_polling.js",
            forget=forget,
        ):
            yield
    finally:
        feed.listeners.discard(answer_all)
