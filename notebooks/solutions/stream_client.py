"""Exercise 11: a client for HTTP streaming without I/O (RFC 6202, section 3)."""

import json

import httptools

from clients.base import ServerError, TickClient

TRANSPORT = "http_streaming"
CONTENT_TYPE = b"application/x-ndjson"


class Client(TickClient):
    """A client for HTTP streaming: each line is an array of ticks, what was missed, or empty."""

    settings = ()

    __slots__ = ("_content_type", "_has_ended", "_has_head", "_parser", "_received")

    def connected(self, now_ns):
        """Ask once: the answer has no end."""
        self._parser = httptools.HttpResponseParser(self)
        self._received = b""  # what came of a line is forgotten: it is asked for again
        self._content_type, self._has_head, self._has_ended = b"", False, False
        self.done_with_connection = False
        self.ready, self.ready_ns = True, now_ns
        self.requests += 1
        host, port, path = self._address
        self.outbox = f"GET {path}{self._query()} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    def disconnected(self):
        """Be ready to connect again."""
        self.ready = False

    def receive_data(self, data, arrived_ns):
        """Take bytes of the stream; return the ticks of the lines that are whole now."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ServerError(f"not an HTTP answer: {error}") from error
        if not self._has_head:
            return ()
        if self._parser.get_status_code() != 200:
            return self._take_refusal()
        if self._content_type != CONTENT_TYPE:
            raise ServerError(f"not a stream of lines: its Content-Type is {self._content_type[:80]!r}")
        self.done_with_connection = self._has_ended
        *lines, self._received = self._received.split(b"\n")
        return self._take_lines(lines)

    def _take_lines(self, lines):
        ticks, before = [], self.messages
        for line in lines:
            try:
                ticks.extend(self._take_line(line))
            except ServerError as error:
                error.ticks = ticks  # they have come, and moved the cursor
                raise
        arrays = self.messages - before
        self.stamp_shared = arrays > 1 or (arrays == 1 and self._received != b"")
        return ticks

    def _take_line(self, line):
        if not line.strip():
            return ()  # a heartbeat
        if line.startswith(b"{") and isinstance(_field_of(line, "missed"), int):
            return ()  # the seq of the next tick tells the same
        ticks = self._read(line)
        self.messages += 1
        return ticks

    def _take_refusal(self):
        """Wait until a refusal is whole, and say why."""
        if not self._has_ended:
            return ()
        status = self._parser.get_status_code()
        if status == 400:
            self.cursor = None  # it may be ahead of a server that was started anew: begin as at first
        said = self._received[:100].decode("latin-1") or "no reason given"
        raise ServerError(f"HTTP {status}: {_field_of(self._received, 'error') or said}")

    # Called by the parser

    def on_header(self, name, value):
        """Note the media type: names and types are in any case, parameters may follow (RFC 9110, 8.3.1)."""
        if name.lower() == b"content-type":
            self._content_type = value.partition(b";")[0].strip().lower()

    def on_headers_complete(self):
        """Note that status and headers are known."""
        self._has_head = True

    def on_body(self, body):
        """Collect a piece of the stream, out of its chunks (RFC 9112, section 7.1)."""
        self._received += body

    def on_message_complete(self):
        """Note that the answer has ended."""
        self._has_ended = True


def _field_of(text, name):
    """Return a field of a JSON object; None if there is none, or no object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found.get(name) if isinstance(found, dict) else None
