"""Exercise 8, a long-polling client without I/O: wrong in the ways that come first."""

import json
import re

from clients.base import ServerError, TickClient

TRANSPORT = "long_polling"


class _Solution(TickClient):
    """A right client, of which each class below changes one thing."""

    settings = ("hold_s",)
    pulls = True

    def __init__(self, address, *, hold_s=30.0, **options):
        super().__init__(address, **options)
        self._hold_s = hold_s
        self._inbox = b""

    def connected(self, now_ns):
        self.ready, self.ready_ns = True, now_ns
        self._inbox = b""
        self._ask(now_ns)

    def disconnected(self):
        self.ready = False

    def receive_data(self, data, arrived_ns):
        self._inbox += data
        head, head_end, body = self._inbox.partition(b"\r\n\r\n")
        if not head_end or not self._is_whole(head, body):
            return ()
        self._inbox = b""
        self._look_at_status(head, body)
        ticks = self._read(body)
        self._count(ticks)
        self._ask(arrived_ns)
        return ticks

    def _is_whole(self, head, body):
        lines = head.decode().lower().split("\r\n")
        (length,) = (int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        return len(body) >= length

    def _look_at_status(self, head, body):
        status = int(head.split(b" ")[1])
        if status != 200:
            raise ServerError(f"HTTP {status}: {json.loads(body)['error']}")

    def _count(self, ticks):
        self.messages += 1
        self.empty_responses += not ticks

    def _ask(self, due_ns):
        self.requests += 1
        self.request_due_ns = due_ns
        host, port, path = self._address
        cursor = "" if self.cursor is None else f"after={self.cursor}&"
        self.outbox = (
            f"GET {path}?{cursor}hold={self._hold_s:g} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        ).encode()


class StopsAtTheBracket(_Solution):
    """Arrays end with a bracket. Graded: it took a right answer for a wrong one."""

    def _is_whole(self, head, body):
        return body.endswith((b"]", b"}"))


class StopsAtTheBracketAndWaits(_Solution):
    """The same, but it waits until it can be read. Graded: no tick came."""

    def _is_whole(self, head, body):
        try:
            json.loads(body)
        except ValueError:
            return False
        return body.endswith((b"]", b"}"))


class KnowsOneSpelling(_Solution):
    """The server writes it so. Graded: it crashed."""

    def _is_whole(self, head, body):
        return len(body) >= int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])


class FindsTheNameAnywhere(_Solution):
    """A regular expression finds it. Graded: ticks were lost."""

    def _is_whole(self, head, body):
        return len(body) >= int(re.search(rb"content-length: *(\d+)", head.lower())[1])


class CountsNothing(_Solution):
    """The counters are for others. Graded: it does not count what it does."""

    def _count(self, ticks):
        pass


class CountsOnlyTicks(_Solution):
    """An empty answer is no message. Graded: it does not count what it does."""

    def _count(self, ticks):
        self.messages += bool(ticks)


class ForgetsTheHold(_Solution):
    """Thirty seconds are the default. Graded: it does not say how long the server may hold the request."""

    def _ask(self, due_ns):
        super()._ask(due_ns)
        self.outbox = self.outbox.replace(b"&hold=2", b"").replace(b"?hold=2", b"")


class KeepsHalfAnAnswer(_Solution):
    """The rest comes on the next one. Graded: it took a right answer for a wrong one."""

    def connected(self, now_ns):
        self.ready, self.ready_ns = True, now_ns
        self._ask(now_ns)


class TellsNoSentence(_Solution):
    """The status says enough. Graded: a refusal is not told as one."""

    def _look_at_status(self, head, body):
        if b" 200 " not in head:
            raise ServerError("the server refused")


class IgnoresTheStatus(_Solution):
    """A refusal has no ticks. Graded: a refusal is not told as one."""

    def _read(self, body):
        return () if body.startswith(b"{") else super()._read(body)

    def _look_at_status(self, head, body):
        pass


class TakesEachReadForAnAnswer(_Solution):
    """It worked on loopback. Graded: it took a right answer for a wrong one."""

    def _is_whole(self, head, body):
        return True


class AsksWithoutACursor(_Solution):
    """The server will know. Graded: it asks again and again without a pause."""

    def _ask(self, due_ns):
        super()._ask(due_ns)
        self.outbox = re.sub(rb"after=\d+&", b"", self.outbox)
