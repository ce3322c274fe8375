"""Server-sent events (WHATWG HTML, section 9.2): one question, and an answer that has no end.

The answer is a stream of text (``text/event-stream``). Each delivery is an event in it, and a client that
comes back says by ``Last-Event-ID`` what it holds, so a browser's EventSource resumes by itself::

    retry: 2000             after a cut, come back in 2 s
    id: 41                  the cursor; without data, it is no event

    id: 42                  the newest tick of the array
    data: [{"seq":42,…}]

An event is encoded once, for all clients. As in servers/variants/websocket_aiohttp.py one task writes to all
clients that keep up, and waits for none. One whose buffer is not empty drops out and gets a task of its own,
which sends from the shared history as the client reads. So one that never reads costs what the event loop
holds for it, 64 KiB and one delivery. What the history has lost by then, an event ``missed`` tells it; and
after 20 s without progress the kernel ends the connection (TCP_USER_TIMEOUT, see servers/base.py).

A heartbeat is a comment line (section 9.2.7). Nobody answers it but TCP. With compression the stream is one
gzip file, flushed after each event, with a window for each connection, as large as those of ``websockets``.

A full server answers 503 and ``Retry-After``. EventSource gives up after that, and after any other answer
than 200 with this content type (section 9.2.3): its page must try again by itself.

EventSource may ask any origin, but a page of another one can read the stream only if the answer says so in
Access-Control-Allow-Origin (WHATWG Fetch, CORS protocol). None is sent here: pages of the same origin only.
"""

import asyncio
import contextlib
import dataclasses
import socket
import zlib
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http import StreamWriter

from servers.base import VARY_HEADERS
from servers.event_stream import COMMENT, SCRIPT, STREAM_HEADERS, Events, opening, read_cursor
from servers.feed import Feed
from servers.http import accepts_gzip, serve_http
from servers.options import ServerOptions

GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL = 12, 5
"""What ``websockets`` takes for its windows: 4 KiB, and 40 KiB in all, not zlib's 256 KiB."""


@dataclasses.dataclass(eq=False, slots=True)
class Client:
    """One client: its cursor, and the task that serves it while it does not keep up."""

    writer: StreamWriter
    transport: asyncio.Transport
    cursor: int
    deflate: "zlib._Compress | None"
    catching_up: asyncio.Task[None] | None = None

    async def write(self, text: bytes) -> None:
        """Write a piece of the stream; it does not wait for the client."""
        if self.deflate is not None:
            text = self.deflate.compress(text) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        await self.writer.write(text, drain=False)


@contextlib.asynccontextmanager
async def serve(feed: Feed, listener: socket.socket, options: ServerOptions) -> AsyncIterator[None]:
    """Serve the feed on the listening socket while the context is open."""
    clients: dict[Client, None] = {}
    news, stopping = asyncio.Event(), asyncio.Event()
    events = Events(feed)

    async def send_next(client: Client) -> None:
        """Send one delivery; it does not wait for the client."""
        text, client.cursor = events.after(client.cursor)
        await client.write(text)

    async def catch_up(client: Client) -> None:
        """Send from the history, as fast as the client reads, until it holds the newest tick."""
        with contextlib.suppress(ConnectionError):
            while client.cursor < feed.newest_seq:
                await client.writer.drain()
                await send_next(client)
        client.catching_up = None

    def start_catching_up(client: Client) -> None:
        client.catching_up = asyncio.create_task(catch_up(client))

    def takes_more(client: Client) -> bool:
        return client.catching_up is None and not client.transport.get_write_buffer_size()

    async def publish() -> None:
        """Send what is new to all clients that keep up; part from those that still owe the last one."""
        while await news.wait():
            news.clear()
            for client in [c for c in clients if c.catching_up is None and c.cursor < feed.newest_seq]:
                if takes_more(client):
                    with contextlib.suppress(ConnectionError):  # its handler hears of it too
                        await send_next(client)
                if client.cursor < feed.newest_seq:
                    start_catching_up(client)

    async def beat(heartbeat_s: float) -> None:
        """Send a comment each ``heartbeat_s``, to all who have taken what they were sent."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            due_s = max(due_s + heartbeat_s, loop.time())
            await asyncio.sleep(due_s - loop.time())
            for client in filter(takes_more, list(clients)):
                with contextlib.suppress(ConnectionError):
                    await client.write(COMMENT)

    async def answer_ticks(request: web.Request) -> web.StreamResponse:
        """Serve one client until its connection closes, or the server stops."""
        cursor = read_cursor(request.headers, request.query, feed)
        response = web.StreamResponse(headers=STREAM_HEADERS)
        deflate = None
        if options.compression:
            response.headers.update(VARY_HEADERS)
            if accepts_gzip(request):
                response.headers["Content-Encoding"] = "gzip"
                window_bits = GZIP_WINDOW_BITS | 16  # zlib's word for the format of RFC 1952
                deflate = zlib.compressobj(wbits=window_bits, memLevel=GZIP_MEMORY_LEVEL)
        writer = await response.prepare(request)
        assert isinstance(writer, StreamWriter)
        assert request.transport is not None
        client = Client(writer, request.transport, cursor, deflate)
        await client.write(opening(cursor))
        clients[client] = None
        start_catching_up(client)
        try:
            await stopping.wait()
        finally:
            del clients[client]
            if client.catching_up is not None:
                client.catching_up.cancel()
        if deflate is not None:
            await writer.write(deflate.flush(), drain=False)
        return response

    async with serve_http("server_sent_events", feed, listener, options, answer_ticks, script=SCRIPT):
        tasks = [asyncio.create_task(publish())]
        if options.heartbeat_s is not None:
            tasks.append(asyncio.create_task(beat(options.heartbeat_s)))
        feed.listeners.add(news.set)
        try:
            yield
        finally:
            feed.listeners.discard(news.set)
            for task in tasks:
                task.cancel()
            stopping.set()
