"""One connection of the httptools server: bytes become requests, which are answered one after the other.

A client that never reads cannot make the server's memory grow. Its connection gets one answer at a time, the
next request waits until the kernel has taken most of that answer, and what it sends meanwhile is not read.
The head of a request has a deadline.
"""

import asyncio
import collections
import functools
import json
import platform
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, cast

import httptools

from servers.base import ANSWER_HEADERS
from servers.door import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from servers.feed import Delivery

MAX_REQUESTS_WAITING = 16
"""A client that is more requests than this ahead of its answers is not read from until they are served."""
LINGER_S = 2.0
"""How long a refused client may go on sending before the connection is cut."""
JSON = "application/json"

_SERVER = f"Python/{platform.python_version().rpartition('.')[0]} httptools/{httptools.__version__}"
_ANSWER_LINES = "".join(f"{name}: {value}\r\n" for name, value in ANSWER_HEADERS.items())


class Request(NamedTuple):
    """What is kept of a request until its turn comes."""

    method: str
    url: str
    keep_alive: bool
    hosts: tuple[str, ...] = ()
    """Its Host headers; there should be one."""
    problem: str = ""
    """Why it cannot be answered, if its bytes are no request."""
    has_body: bool = False


Handle = Callable[["Connection", Request], None]


class Connection(asyncio.Protocol):
    """One client's connection: parses requests, and hands them on one after the other.

    Args:
        handle: Called with each request when it is its turn; it calls ``answer``, ``respond`` or
            ``refuse``, at once or later.
        opened, lost: Called when the connection is there, and when it is gone.
    """

    def __init__(
        self, handle: Handle, opened: Callable[["Connection"], None], lost: Callable[["Connection"], None]
    ) -> None:
        self._handle = handle
        self._opened = opened
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: collections.deque[Request] = collections.deque()
        self._current: Request | None = None
        self._url = b""
        self._hosts: tuple[str, ...] = ()
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._can_write = True
        self._finished = False  # nothing that comes will be answered any more

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of a new client."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._deadline = self._loop.call_later(HEAD_TIMEOUT_S, self.abort)
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client at once, also where its request is held."""
        self._finished = True
        self._waiting.clear()
        self._meet_deadline()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came; answer the first request if none is being answered."""
        if self._finished:
            return
        self._head_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._refuse_bytes(f"this is no HTTP request: {error}")
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_bytes(f"the head of this request is over {MAX_HEAD_BYTES} bytes")
        if self._head_bytes and self._deadline is None and not self._finished:  # a head in pieces
            self._deadline = self._loop.call_later(HEAD_TIMEOUT_S, self.abort)
        if len(self._waiting) > MAX_REQUESTS_WAITING:
            self._transport.pause_reading()
        self._serve_next()

    def pause_writing(self) -> None:
        """Stop answering: the client does not take what it was sent."""
        self._can_write = False

    def resume_writing(self) -> None:
        """Go on with the request that waits."""
        self._can_write = True
        self._serve_next()

    # Called by the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url, self._hosts = b"", ()

    def on_url(self, url: bytes) -> None:
        """Collect a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the Host: a request without, or with two, is refused."""
        if len(name) == 4 and name.lower() == b"host":
            self._hosts = (*self._hosts, value.decode("latin-1"))

    def on_body(self, body: bytes) -> None:
        """Refuse a request with a body as soon as the first byte of it is here."""
        if not self._finished:
            self._finished = True
            url = self._url.decode("latin-1")
            self._waiting.append(Request("", url, keep_alive=False, hosts=self._hosts, has_body=True))

    def on_message_complete(self) -> None:
        """Put a whole request in the queue; after one that closes, nothing more is read."""
        self._head_bytes = 0
        self._meet_deadline()
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._refuse_bytes(f"this is HTTP/{version}; speak HTTP/1.1")
        if len(self._url) > MAX_HEAD_BYTES:
            self._refuse_bytes(f"the target of this request is over {MAX_HEAD_BYTES} bytes")
        if not self._finished:
            keep_alive = self._parser.should_keep_alive() and version == "1.1"
            self._finished = not keep_alive
            method, url = self._parser.get_method().decode(), self._url.decode("latin-1")
            hosts = self._hosts or (("",) if version == "1.0" else ())  # HTTP/1.0 needs none
            self._waiting.append(Request(method, url, keep_alive, hosts))

    def _parse(self, data: bytes) -> None:
        while data and not self._finished:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:  # not offered; ignored (RFC 9110, section 7.8)
                self._parser = httptools.HttpRequestParser(self)
                data = data[upgrade.args[0] :]

    def _refuse_bytes(self, problem: str) -> None:
        if not self._finished:
            self._finished = True
            self._waiting.append(Request("", "", keep_alive=False, problem=problem))

    def _meet_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # One request after the other

    def _serve_next(self) -> None:
        if not self._waiting or self._current is not None or not self._can_write:
            return
        self._current = self._waiting.popleft()
        if not self._waiting and not self._finished:
            self._transport.resume_reading()
        self._handle(self, self._current)

    def answer(self, delivery: Delivery) -> None:
        """Answer the current request with a delivery: the JSON array, and what must be known beside it."""
        extra = f"Ticks-Missed: {delivery.missed}\r\n" if delivery.missed else ""
        if delivery.waiting:
            extra += f"Ticks-Waiting: {delivery.waiting}\r\n"
        self.respond(HTTPStatus.OK, delivery.body, extra)

    def respond(
        self, status: int, body: bytes, extra: str = "", *, content_type: str = JSON, close: bool = False
    ) -> None:
        """Write an answer to the current request; the next one has its turn in the next turn of the loop."""
        request, self._current = self._current, None
        assert request is not None
        if self._transport.is_closing():
            return
        closes = close or not request.keep_alive
        if closes:
            self._finished = True
            self._waiting.clear()
        extra += "Connection: close\r\n" * closes
        head = _head(int(time.time()), status, len(body), extra, content_type)
        self._transport.write(head if request.method == "HEAD" else head + body)
        if close:
            self._close_gently()
        elif closes:
            self._transport.close()
        elif self._waiting:
            self._loop.call_soon(self._serve_next)

    def refuse(self, status: int, sentence: str, extra: str = "", *, close: bool = False) -> None:
        """Say in one JSON sentence why the current request is not answered."""
        self.respond(status, json.dumps({"error": sentence}).encode(), extra, close=close)

    def turn_away(self, status: int, sentence: str, extra: str) -> None:
        """Refuse a client before it has asked, and close."""
        self._current = Request("GET", "", keep_alive=False)
        self.refuse(status, sentence, extra)

    def _close_gently(self) -> None:
        """Close for writing only: a reset could overtake the answer (RFC 9112, section 9.6)."""
        if self._transport.can_write_eof():
            self._transport.resume_reading()
            self._transport.write_eof()
            self._loop.call_later(LINGER_S, self._transport.abort)
        else:  # TLS has no such thing
            self._transport.close()

    def stop(self) -> None:
        """Close when the client has taken its last answer."""
        self._finished = True
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()


@functools.lru_cache(maxsize=64)
def _head(second: int, status: int, body_bytes: int, extra: str, content_type: str) -> bytes:
    """Return the head of an answer. Within a second, those of answers of one length are the same."""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{extra}{_ANSWER_LINES}"
        f"Content-Type: {content_type}\r\nContent-Length: {body_bytes}\r\n"
        f"Date: {formatdate(second, usegmt=True)}\r\nServer: {_SERVER}\r\n\r\n"
    ).encode()
