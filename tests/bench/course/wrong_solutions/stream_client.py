"""Exercise 11, a client that reads a stream of lines without I/O: wrong in the ways that come first."""

import json

import httptools

from clients.base import ServerError, TickClient

TRANSPORT = "http_streaming"


class _Solution(TickClient):
    """A right client, of which each class below changes one thing."""

    settings = ()

    def connected(self, now_ns):
        self._parser = httptools.HttpResponseParser(self)
        self._received, self._content_type, self._has_ended = b"", b"", False
        self.done_with_connection = False
        self.ready, self.ready_ns = True, now_ns
        self._ask()

    def _ask(self):
        self.requests += 1
        host, port, path = self._address
        self.outbox = f"GET {path}{self._query()} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    def disconnected(self):
        self.ready = False

    def receive_data(self, data, arrived_ns):
        self._feed(data)
        status = self._parser.get_status_code()
        if status != 200:
            return self._take_refusal(status)
        self._look_at_type()
        self._end()
        return self._take(self._lines())

    def _feed(self, data):
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ServerError(f"not an HTTP answer: {error}") from error

    def _take_refusal(self, status):
        if not self._has_ended:
            return ()
        raise ServerError(f"HTTP {status}: {json.loads(self._received)['error']}")

    def _look_at_type(self):
        if self._received and self._content_type != b"application/x-ndjson":
            raise ServerError("no stream of lines")

    def _end(self):
        self.done_with_connection = self._has_ended

    def _lines(self):
        *lines, self._received = self._received.split(b"\n")
        return lines

    def _take(self, lines):
        ticks, before = [], self.messages
        for line in lines:
            try:
                ticks.extend(self._take_line(line))
            except ServerError as error:
                error.ticks = ticks
                raise
        self.stamp_shared = self.messages - before > 1
        return ticks

    def _take_line(self, line):
        if not line.strip() or line.startswith(b'{"missed":3'):
            return ()
        self.messages += 1
        return self._read(line)

    def on_header(self, name, value):
        if name.lower() == b"content-type":
            self._content_type = value.partition(b";")[0].strip().lower()

    def on_body(self, body):
        self._received += body

    def on_message_complete(self):
        self._has_ended = True


class TakesEachReadForLines(_Solution):
    """The server writes whole lines. Graded: it took a right answer for a wrong one."""

    def _lines(self):
        lines, self._received = self._received.split(b"\n"), b""
        return lines


class TakesEachChunkForALine(_Solution):
    """The server writes each line by itself. Graded: it took a right answer for a wrong one."""

    def connected(self, now_ns):
        self._chunks = []
        super().connected(now_ns)

    def on_body(self, body):
        self._chunks.append(body)
        self._received += body

    def _lines(self):
        lines, self._chunks, self._received = self._chunks, [], b""
        return lines


class StopsAtTheBracket(_Solution):
    """Arrays end with a bracket. Graded: ticks were lost."""

    def _lines(self):
        *lines, self._received = self._received.split(b"]\n")
        return [line + b"]" for line in lines]


class SplitsAtEveryBracket(_Solution):
    """The same without line ends. Graded: it took a right answer for a wrong one."""

    def _lines(self):
        *lines, self._received = self._received.split(b"]")
        return [line.strip() + b"]" for line in lines]


class KnowsOneLineEnd(_Solution):
    """An empty line is empty. Graded: it took a right answer for a wrong one."""

    def _take_line(self, line):
        return super()._take_line(line) if line != b"\r" else self._read(line)


class TakesMissedForTicks(_Solution):
    """Every line is an array. Graded: it took a right answer for a wrong one."""

    def _take_line(self, line):
        return self._read(line) if line.startswith(b"{") else super()._take_line(line)


class TakesTheLastTickOnly(_Solution):
    """A line has a tick. Graded: ticks were lost."""

    def _take_line(self, line):
        return super()._take_line(line)[-1:]


class KeepsHalfALine(_Solution):
    """The rest comes on the next connection. Graded: it took a right answer for a wrong one."""

    def connected(self, now_ns):
        kept = getattr(self, "_received", b"")
        super().connected(now_ns)
        self._received = kept


class AsksWithoutACursor(_Solution):
    """The server will know. Graded: ticks came twice."""

    def _query(self):
        return ""


class AsksForEachLine(_Solution):
    """As a long poll does. Graded: it asks again while it is answered."""

    def receive_data(self, data, arrived_ns):
        ticks = super().receive_data(data, arrived_ns)
        if ticks:
            self._ask()
        return ticks


class IgnoresTheStatus(_Solution):
    """A refusal has no ticks. Graded: a refusal is not told as one."""

    def _take_refusal(self, status):
        self.done_with_connection = True
        return ()


class ReadsHalfARefusal(_Solution):
    """Its sentence is in the first read, whatever that is. Graded: it crashed."""

    def _take_refusal(self, status):
        raise ServerError(f"HTTP {status}: {json.loads(self._received[:20])['error']}")


class IgnoresTheEnd(_Solution):
    """A stream has no end. Graded: it does not ask for the next stream."""

    def _end(self):
        pass


class StaysDone(_Solution):
    """It is told once. Graded: it does not ask for the next stream."""

    def connected(self, now_ns):
        done = self.done_with_connection
        super().connected(now_ns)
        self.done_with_connection = done

    def _end(self):
        self.done_with_connection = self.done_with_connection or self._has_ended


class TakesTheEndForAnError(_Solution):
    """A stream that ends is broken. Graded: it took a right answer for a wrong one."""

    def _end(self):
        if self._has_ended:
            raise ServerError("the stream has ended")


class TakesTheRestAtTheEnd(_Solution):
    """What is left is the last line. Graded: it took a right answer for a wrong one."""

    def _lines(self):
        lines = super()._lines()
        return [*lines, self._received] if self._has_ended else lines


class ReadsAnyType(_Solution):
    """200 is 200. Graded: it takes whatever it gets for a stream of lines."""

    def _look_at_type(self):
        pass


class KnowsOneSpelling(_Solution):
    """The server writes it so. Graded: it took a right answer for a wrong one."""

    def on_header(self, name, value):
        if name == b"Content-Type":
            self._content_type = value


class SwallowsWhatItCannotRead(_Solution):
    """One bad line harms nobody. Graded: it does not tell what it cannot read."""

    def _take_line(self, line):
        try:
            return super()._take_line(line)
        except ServerError:
            return ()


class CrashesOnWhatItCannotRead(_Solution):
    """json tells what is wrong. Graded: it crashed."""

    def _take_line(self, line):
        if line.strip():
            json.loads(line)
        return super()._take_line(line)


class LosesTicksByAnError(_Solution):
    """What is wrong is wrong altogether. Graded: ticks were lost."""

    def _take(self, lines):
        ticks, before = [], self.messages
        for line in lines:
            ticks.extend(self._take_line(line))
        self.stamp_shared = self.messages - before > 1
        return ticks


class CountsHeartbeats(_Solution):
    """A line is a message. Graded: it does not count what it does."""

    def _take_line(self, line):
        self.messages += not line.strip()
        return super()._take_line(line)


class CountsReads(_Solution):
    """A read is a message, mostly. Graded: it does not tell whether messages share a stamp."""

    def _take(self, lines):
        ticks = super()._take(lines)
        self.stamp_shared = False
        return ticks
