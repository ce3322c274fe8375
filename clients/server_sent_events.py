"""Server-sent events (WHATWG HTML, section 9.2): one request, and an answer that goes on and on.

httptools takes the answer out of its chunks (RFC 9112, section 7.1), clients/event_stream.py cuts it into
events. The usual case, one whole chunk that is one whole event, is read here, because it is most of what the
swarm does; the property test in tests/clients/test_server_sent_events.py holds the two ways equal.

A client that comes back says what it holds twice: in its query, like its siblings, and by ``Last-Event-ID``,
like a browser's EventSource. After a refusal it comes back, too, when it is told to; EventSource would not.
"""

import re
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
import msgspec

from clients.base import Address, ServerError, TickClient, Ticks
from clients.event_stream import Event, EventStreamParser
from clients.headers import event_source_lines
from clients.http import GZIP, LARGEST_BODY_BYTES, refusal
from servers.wire import Missed, Tick, TickStamp, decode_stamps

CONTENT_TYPE = b"text/event-stream"
PLAIN_END = b"\n\n\r\n"
_plain_begin = re.compile(rb"([0-9a-f]{1,6})\r\nid: (\d{1,18})\ndata: \[").match


class Client(TickClient):
    """A client for server-sent events.

    Args:
        address: The server.
        headers, cookie_bytes: See :func:`clients.headers.event_source_lines`.
        compression: Whether gzip is asked for (RFC 9110, section 12.5.3). It is understood in any case.
        after, decode: See :class:`clients.base.TickClient`.
    """

    settings: ClassVar[tuple[str, ...]] = ("headers", "cookie_bytes", "compression")
    ordinary = "OrdinaryServerSentEventsClient"

    __slots__ = (
        "_between_chunks",
        "_content_type",
        "_encoding",
        "_ended",
        "_events",
        "_gzip",
        "_has_head",
        "_headers",
        "_http",
        "_pieces",
    )

    def __init__(
        self,
        address: Address,
        *,
        headers: str = "minimal",
        cookie_bytes: int = 0,
        compression: bool = False,
        after: int | None = None,
        decode: Callable[[bytes], Ticks] = decode_stamps,
    ) -> None:
        super().__init__(address, after=after, decode=decode)
        self._headers = event_source_lines(
            headers, address, cookie_bytes=cookie_bytes, compression=compression
        )
        self._events = EventStreamParser()
        self._http: Any = None

    def connected(self, now_ns: int) -> None:
        """Ask for the stream, from where the last one was cut."""
        last_event_id = self._events.last_event_id
        self._events = EventStreamParser(last_event_id)
        self._http = httptools.HttpResponseParser(self)
        self._content_type = self._encoding = b""
        self._gzip: Any = None
        self._has_head = self._ended = self._between_chunks = self.ready = False
        self._pieces: list[bytes] = []
        resuming = b"Last-Event-ID: %b\r\n" % last_event_id if last_event_id else b""
        question = f"GET {self._address.path}{self._query()} HTTP/1.1\r\n{self._headers}"
        self.outbox = question.encode() + resuming + b"\r\n"

    def disconnected(self) -> None:
        """Be ready to connect again; what has come of an event without its end is dropped."""
        self.ready = False

    def receive_data(self, data: bytes, arrived_ns: int) -> Ticks:
        """Take bytes of the stream; return the ticks of the events that are whole now."""
        if self._between_chunks and data.endswith(PLAIN_END) and self._events.between_events:
            array = self._plain_event(data)
            if array:
                self.stamp_shared = False
                self.messages += 1
                return self._read(array)
        try:
            self._http.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ServerError(f"not an HTTP answer: {error}") from error
        ends_line = data.endswith(b"\n")
        self._between_chunks = self._between_chunks and ends_line  # else the head of a chunk has begun
        if not self.ready and not self._begins(arrived_ns):
            return ()
        ticks: list[TickStamp | Tick] = []
        try:
            self._take_pieces(ticks, ends_line)
            if self._ended:
                raise ServerError("the server ended the stream")
        except ServerError as error:
            error.ticks = ticks
            raise
        return ticks

    def _plain_event(self, data: bytes) -> bytes:
        """Return the array of a read that is one chunk of one event as our servers write it; or nothing."""
        begin = _plain_begin(data)
        if begin is None or int(begin[1], 16) != len(data) - len(begin[1]) - 2 * len(b"\r\n"):
            return b""
        if self._gzip is not None or data.count(b"\n") != 5 or data.count(b"\r") != 2:
            return b""
        self._events.took(begin[2])
        return data[begin.end() - 1 : -len(PLAIN_END)]

    def _begins(self, arrived_ns: int) -> bool:
        """Look at the head of the answer; return whether it is whole, and a stream of events begins.

        Raises:
            ServerError: If something else begins; in the words of the server, if it has any.
        """
        if not self._has_head:
            return False
        status = self._http.get_status_code()
        if status != 200:
            body = b"".join(self._pieces)
            if self._ended or len(body) > LARGEST_BODY_BYTES:
                raise ServerError(refusal(status, body) if body else f"HTTP {status}, and no stream")
            return False
        if self._content_type.partition(b";")[0].strip().lower() != CONTENT_TYPE:
            said = self._content_type.decode(errors="replace") or "no content type"
            raise ServerError(f"HTTP 200 with {said}; a stream of events has {CONTENT_TYPE.decode()}")
        if self._encoding not in (b"", b"gzip"):
            said = self._encoding.decode(errors="replace")
            raise ServerError(f"a stream encoded as {said}; gzip was asked for")
        if self._encoding:
            self._gzip = zlib.decompressobj(GZIP)
        self.ready, self.ready_ns = True, arrived_ns
        return True

    def _take_pieces(self, ticks: list[TickStamp | Tick], ends_line: bool) -> None:
        """Take what came of the stream, and append the ticks of the events that are whole now.

        The stamp is shared if the read completed several events, or holds anything behind the last one.

        Raises:
            ServerError: If the stream is no gzip, or what came is no ticks.
        """
        pieces, self._pieces = self._pieces, []
        before, is_last = self.messages, False
        for piece in pieces:
            text = piece if self._gzip is None else self._decompress(piece)
            taken = self.messages
            for event in self._events.receive_data(text):
                ticks.extend(self._take_event(event))
            is_last = self.messages > taken and self._events.ends_with_event
        completed = self.messages - before
        self.stamp_shared = completed > 1 or (completed == 1 and not (is_last and ends_line))

    def _take_event(self, event: Event) -> Ticks:
        """Return the ticks of an event; those of another type are for others, as in a browser."""
        if event.type == b"message":
            self.messages += 1
            return self._read(event.data)
        if event.type == b"missed":  # the gap is counted at the next tick's seq
            try:
                msgspec.json.decode(event.data, type=Missed)
            except msgspec.MsgspecError as error:
                raise ServerError(f"an event that tells of nothing missed: {error}") from error
        return ()

    def _decompress(self, piece: bytes) -> bytes:
        try:
            text: bytes = self._gzip.decompress(piece, LARGEST_BODY_BYTES)
        except zlib.error as error:
            raise ServerError(f"a stream that is not gzip: {error}") from error
        if self._gzip.unconsumed_tail:
            raise ServerError(f"a piece of gzip that holds over {LARGEST_BODY_BYTES >> 20} MiB")
        return text

    # Called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what the answer is."""
        name = name.lower()
        if name == b"content-type":
            self._content_type = value
        elif name == b"content-encoding":
            self._encoding = value.lower()

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._has_head = True

    def on_chunk_header(self) -> None:
        """Note that a chunk has begun: behind an event in the same read, something comes."""
        self._between_chunks = False
        self._pieces.append(b"")

    def on_body(self, body: bytes) -> None:
        """Collect a piece of the stream, out of its chunks."""
        self._pieces.append(body)

    def on_chunk_complete(self) -> None:
        """Note that a chunk is whole."""
        self._between_chunks = True

    def on_message_complete(self) -> None:
        """Note that the answer has an end, which a stream has not."""
        self._ended = True
