"""Short polling without a framework: the same answers as servers/short_polling.py, by httptools."""

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

    def answer_ticks(connection: Connection, query: Mapping[str, str]) -> None:
        connection.answer(feed.after(parse_query(query, feed).cursor))

    async with serve_httptools(
        "short_polling_httptools", feed, listener, options, answer_ticks, script="polling.js"
    ):
        yield
