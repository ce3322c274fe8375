"""Exercise 11: a client for server-sent events without I/O (WHATWG HTML, sections 9.2.5 and 9.2.6)."""

import json
import re

import httptools

from clients.base import ServerError, TickClient

TRANSPORT = "server_sent_events"
LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)
"""A carriage return at the end of what has come may be half of a pair: it waits for the next byte."""


class Client(TickClient):
    """A client for server-sent events."""

    settings = ()

    __slots__ = ("_complete", "_data", "_event", "_parser", "_stream")

    def connected(self, now_ns):
        """Ask once: the answer has no end."""
        self._parser = httptools.HttpResponseParser(self)
        self._stream, self._complete = b"", False
        self._data, self._event = [], b""
        self.ready, self.ready_ns = True, now_ns
        self.requests += 1
        host, port, path = self._address
        self.outbox = (
            f"GET {path}{self._query()} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()

    def disconnected(self):
        """Be ready to connect again."""
        self.ready = False

    def receive_data(self, data, arrived_ns):
        """Take bytes of the stream; return the ticks of the events that are whole now."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ServerError(f"not an HTTP answer: {error}") from error
        if self._complete:
            self._refused()
        if self._stream and self._parser.get_status_code() != 200:
            return ()
        *lines, self._stream = LINE_END.split(self._stream)
        ticks, before = [], self.messages
        for line in lines:
            ticks.extend(self._take_line(line))
        self.stamp_shared = self.messages - before > 1
        return ticks

    def _take_line(self, line):
        """Take one line; an empty one ends an event."""
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                self._data.append(value)
            elif name == b"event":
                self._event = value
            return ()
        data, event = b"\n".join(self._data), self._event
        self._data, self._event = [], b""
        if not data or event not in (b"", b"message"):
            return ()  # a comment; or what was missed, which the next tick's seq tells
        self.messages += 1
        return self._read(data)

    def _refused(self):
        """Say why the answer has ended: only a refusal does."""
        status = self._parser.get_status_code()
        try:
            sentence = json.loads(self._stream)["error"]
        except (ValueError, KeyError, TypeError):
            sentence = "the stream has ended"
        raise ServerError(f"HTTP {status}: {sentence}")

    # Called by the parser

    def on_body(self, body):
        """Collect a piece of the stream, out of its chunks (RFC 9112, section 7.1)."""
        self._stream += body

    def on_message_complete(self):
        """Note that the answer has an end."""
        self._complete = True
