"""HTTP/1.1 for the polling clients (RFC 9112): request bytes, and responses parsed by httptools.

The plain case, one whole answer with none but the usual headers, is recognised by its head; all else goes to
httptools. The property test in tests/clients/test_http_clients.py holds the two ways equal.
"""

import json
import re
import zlib
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import httptools

from clients.base import Address, ServerError, TickClient, Ticks
from clients.headers import header_lines
from servers.wire import decode_stamps

_PLAIN_HEADERS = rb"(?:Content-Type: application/json\r\n|Date: [^\r\n]*\r\n|Server: [^\r\n]*\r\n)*"
_plain_head = re.compile(
    rb"HTTP/1\.1 200 OK\r\n" + _PLAIN_HEADERS + rb"Content-Length: (\d{1,9})\r\n" + _PLAIN_HEADERS + rb"\r\n"
).fullmatch
_body_bytes: dict[bytes, int] = {}
_HEADS_KEPT = 64
LARGEST_BODY_BYTES = 2**20
GZIP = zlib.MAX_WBITS | 16
"""zlib's word for the format of RFC 1952."""


def _plain_body_bytes(head: bytes) -> int:
    """Return the length of the body that a plain head announces, or -1 if it is not plain; keep it.

    Heads repeat: within a second, those of answers of one length are the same to the byte.
    """
    plain = _plain_head(head)
    if plain is None:
        return -1
    if len(_body_bytes) >= _HEADS_KEPT:
        _body_bytes.clear()
    return _body_bytes.setdefault(head, int(plain[1]))


class HttpClient(TickClient):
    """A client that asks: one request at a time on a connection that is kept (or not) between requests.

    Args:
        headers, cookie_bytes: See :func:`clients.headers.header_lines`.
        keep_alive: False asks the server to close the connection after each answer.
        compression: Whether gzip is asked for (RFC 9110, section 12.5.3). It is understood in any case.
    """

    settings: ClassVar[tuple[str, ...]] = ("headers", "cookie_bytes", "keep_alive", "compression")
    pulls = True
    ordinary = "OrdinaryHttpClient"

    __slots__ = (
        "_awaiting",
        "_body",
        "_complete",
        "_encoding",
        "_headers",
        "_parser",
        "_parsing",
        "_request",
        "_request_cursor",
        "_started",
        "_waiting_ticks",
    )

    def __init__(
        self,
        address: Address,
        *,
        headers: str = "minimal",
        cookie_bytes: int = 0,
        keep_alive: bool = True,
        compression: bool = False,
        after: int | None = None,
        decode: Callable[[bytes], Ticks] = decode_stamps,
    ) -> None:
        super().__init__(address, after=after, decode=decode)
        lines = header_lines(headers, address, cookie_bytes=cookie_bytes, compression=compression)
        if not keep_alive:
            lines = lines.replace("Connection: keep-alive\r\n", "") + "Connection: close\r\n"
        self._headers = f" HTTP/1.1\r\n{lines}\r\n"
        self._request = b""
        self._request_cursor: int | None = -1
        self._awaiting = False
        self._started = False
        self._waiting_ticks = False
        self._complete = 0
        self._body = self._encoding = b""
        self._parser: Any = None
        self._parsing = False

    @property
    def expects(self) -> bool:
        """Whether an answer is owed."""
        return self._awaiting

    @abstractmethod
    def _answered(self, arrived_ns: int, waiting: bool) -> None:
        """Decide when to ask next; ``waiting`` says that the server has more to give at once."""

    def connected(self, now_ns: int) -> None:
        """Ask at once on the first connection, and on a later one if an answer is owed."""
        self._parser = httptools.HttpResponseParser(self)
        self._parsing = self._waiting_ticks = False
        self._complete, self._body, self._encoding = 0, b"", b""
        self.done_with_connection = False
        self.ready, self.ready_ns = True, now_ns
        if self.outbox:  # asked for while there was no connection: now it can be sent
            return
        if self._awaiting or not self._started:
            self._started = True
            self._ask(now_ns)

    def disconnected(self) -> None:
        """Forget a half answer; if one is owed, the question is asked again on the next connection.

        So is the first one, if it has never been asked because no connection came about.
        """
        self.ready = False
        self.wants_connection = self._awaiting or not self._started

    def _ask(self, due_ns: int) -> None:
        self._awaiting = True
        self.wants_connection = True
        self.requests += 1
        self.request_due_ns = due_ns
        if self.cursor != self._request_cursor:
            self._request_cursor = self.cursor
            self._request = f"GET {self._address.path}{self._query()}{self._headers}".encode()
        self.outbox = self._request

    def receive_data(self, data: bytes, arrived_ns: int) -> Ticks:
        """Take bytes of the answer; return its ticks once it is whole."""
        if not self._awaiting:
            raise ServerError("an answer without a question")
        if not self._parsing:
            head_end = data.find(b"\r\n\r\n") + 4
            head = data[:head_end]
            if head_end > 3 and (_body_bytes.get(head) or _plain_body_bytes(head)) == len(data) - head_end:
                return self._answer(data[head_end:], arrived_ns)
        return self._parse(data, arrived_ns)

    def _parse(self, data: bytes, arrived_ns: int) -> Ticks:
        self._parsing = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ServerError(f"not an HTTP answer: {error}") from error
        if not self._complete:
            return ()
        if self._complete > 1:
            raise ServerError("more answers than questions")
        body = _decode(self._body, self._encoding)
        self._body, self._encoding, self._complete, self._parsing = b"", b"", 0, False
        status = self._parser.get_status_code()
        if status != 200:
            raise ServerError(refusal(status, body))
        return self._answer(body, arrived_ns)

    def _answer(self, body: bytes, arrived_ns: int) -> Ticks:
        ticks = () if body == b"[]" else self._read(body)
        self.messages += 1
        self._awaiting = False
        if not ticks:
            self.empty_responses += 1
        waiting, self._waiting_ticks = self._waiting_ticks, False
        self._answered(arrived_ns, waiting)
        return ticks

    # Called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what the server says beside the ticks."""
        name = name.lower()
        if name == b"ticks-waiting":
            self._waiting_ticks = True
        elif name == b"content-encoding":
            self._encoding = value.lower()

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the body."""
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """Count a whole answer, and note whether the connection outlives it (RFC 9112, section 9.3)."""
        self._complete += 1
        self.done_with_connection = not self._parser.should_keep_alive()


def _decode(body: bytes, encoding: bytes) -> bytes:
    """Return the body without its encoding (RFC 9110, section 8.4).

    Raises:
        ServerError: If it is not gzip, not whole, or decodes to more than 1 MiB.
    """
    if not encoding:
        return body
    if encoding != b"gzip":
        raise ServerError(f"a body encoded as {encoding.decode(errors='replace')}; gzip was asked for")
    decoder = zlib.decompressobj(GZIP)
    try:
        decoded = decoder.decompress(body, LARGEST_BODY_BYTES)
    except zlib.error as error:
        raise ServerError(f"a body that is not gzip: {error}") from error
    if not decoder.eof or decoder.unused_data:
        raise ServerError(f"a gzip body that is not whole, or holds over {LARGEST_BODY_BYTES >> 20} MiB")
    return decoded


def refusal(status: int, body: bytes) -> str:
    """Return the sentence of an answer that refuses: the server's own, or else the body as it came."""
    try:
        return f"HTTP {status}: {json.loads(body)['error']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}: {body[:200].decode(errors='replace')}"
