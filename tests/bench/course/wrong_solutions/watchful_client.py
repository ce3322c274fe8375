"""Exercise 14, a client that watches its connection: wrong in what it takes for dead.

Behind "Loses:" are the rules that it breaks, all of them, by the names of their functions.
"""

import json

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from clients.base import ServerError

TRANSPORT = "websocket"


class _Solution:
    """A right client, of which each class below changes one thing."""

    heartbeats, last_look, attempt_s = 2.5, 0.5, 5.0
    first_pause_s, longest_pause_s, factor = 0.5, 30.0, 2

    def __init__(self, address, heartbeat_s, rng):
        self.address, self.heartbeat_s, self.rng = address, heartbeat_s, rng
        self.cursor, self.deadline_ns, self.wants_connection = None, None, True
        self.failures, self.looks_again = 0, False

    def connecting(self, now_ns):
        self.looks_again = False
        self.wait(now_ns, self.attempt_s)

    def connected(self, now_ns):
        self.shake_hands()
        self.listen(now_ns)

    def receive_data(self, data, now_ns):
        before = self.frames
        ticks = self.read(data)
        self.note(now_ns, ticks, self.frames - before)
        self.judge_success(ticks)
        for tick in ticks:
            self.cursor = tick["seq"]
        return ticks

    def note(self, now_ns, ticks, frames):
        self.listen(now_ns)

    def judge_success(self, ticks):
        if self.frames:
            self.failures = 0

    def disconnected(self, now_ns):
        self.pause(now_ns)

    def on_deadline(self, now_ns):
        if not self.wants_connection:
            self.wants_connection = True
        elif self.looks_again:
            self.looks_again = False
            self.wait(now_ns, self.last_look * self.heartbeat_s)
        else:
            self.give_up(now_ns)

    def give_up(self, now_ns):
        self.pause(now_ns)

    def listen(self, now_ns):
        self.looks_again = True
        self.wait(now_ns, self.heartbeats * self.heartbeat_s)

    def pause(self, now_ns):
        self.wants_connection = False
        limit_s = min(self.first_pause_s * self.factor ** min(self.failures, 10), self.longest_pause_s)
        self.failures += 1
        self.wait(now_ns, self.draw(limit_s))

    def draw(self, limit_s):
        return self.rng.uniform(0, limit_s)

    def wait(self, now_ns, seconds):
        self.deadline_ns = now_ns + round(seconds * 1e9)

    def data_to_send(self):
        return b"".join(self.protocol.data_to_send())

    def shake_hands(self):
        host, port, path = self.address
        query = "" if self.cursor is None else f"?after={self.cursor}"
        self.protocol = ClientProtocol(parse_uri(f"ws://{host}:{port}{path}{query}"))
        self.protocol.send_request(self.protocol.connect())
        self.frames = 0

    def read(self, data):
        self.protocol.receive_data(data)
        if self.protocol.handshake_exc is not None:
            self.failures *= not self.succeeds_by_bytes
            raise ServerError("refused")
        ticks = []
        for frame in self.protocol.events_received():
            if isinstance(frame, Frame) and (frame.opcode is not Opcode.CLOSE or self.counts_closes):
                self.frames += 1
                if frame.opcode is Opcode.TEXT and frame.data.startswith(b"["):
                    ticks += json.loads(frame.data)
        return ticks

    succeeds_by_bytes = counts_closes = False


class NeverGivesUp(_Solution):
    """TCP will tell. Loses: gives_up_a_dead_one, gives_up_one_that_never_spoke, reads_before_it_judges.

    Graded: it does not give up a dead connection.
    """

    def listen(self, now_ns):
        self.deadline_ns = None


class GivesUpAfterOneHeartbeat(_Solution):
    """A heartbeat is due, and does not come. Loses: keeps_a_slow_one.

    Graded: it gives up a live connection that is slow.
    """

    heartbeats, last_look = 0.75, 0.35


class GivesUpAfterTwoHeartbeats(_Solution):
    """One may be left out, but none be late. Loses: keeps_a_slow_one.

    Graded: it gives up a live connection that is slow.
    """

    heartbeats = 1.6


class WaitsForFourHeartbeats(_Solution):
    """Better safe than sorry. Loses: gives_up_a_dead_one, gives_up_one_that_never_spoke.

    Graded: it does not give up a dead connection.
    """

    heartbeats = 3.5


class KnowsOneHeartbeat(_Solution):
    """A minute is usual. Loses: gives_up_a_dead_one, gives_up_one_that_never_spoke, reads_before_it_judges.

    Graded: it does not give up a dead connection.
    """

    def listen(self, now_ns):
        self.looks_again = True
        self.wait(now_ns, 60)


class HearsTicksOnly(_Solution):
    """Data is what counts. Loses: keeps_a_silent_market, keeps_a_slow_one, keeps_one_with_a_long_message,
    reads_before_it_judges.

    Graded: it gives up a live connection of a silent market.
    """

    def note(self, now_ns, ticks, frames):
        if ticks:
            self.listen(now_ns)


class HearsPingsOnly(_Solution):
    """Heartbeats are there for that. Loses: keeps_a_busy_one, keeps_one_with_a_long_message.

    Graded: it gives up a live connection while ticks come.
    """

    def note(self, now_ns, ticks, frames):
        if frames and not ticks:
            self.listen(now_ns)


class HearsWholeMessagesOnly(_Solution):
    """What is not whole says nothing. Loses: keeps_one_with_a_long_message.

    Graded: it gives up a live connection on which a long message is coming.
    """

    def note(self, now_ns, ticks, frames):
        if frames:
            self.listen(now_ns)


class CountsFromItsOpening(_Solution):
    """A deadline is set once. Loses: keeps_a_busy_one, keeps_a_silent_market, keeps_a_slow_one,
    keeps_one_with_a_long_message, reads_before_it_judges.

    Graded: it gives up a live connection while ticks come.
    """

    def note(self, now_ns, ticks, frames):
        pass


class CountsFromTheFirstByte(_Solution):
    """Before the first byte there is no last. Loses: gives_up_one_that_never_spoke.

    Graded: it does not give up a connection.
    """

    def connected(self, now_ns):
        self.shake_hands()
        self.deadline_ns = None


class KeepsTheDeadlineOfItsAttempt(_Solution):
    """It opened, so all is well. Loses: keeps_a_slow_one, gives_up_one_that_never_spoke.

    Graded: it gives up a live connection that is slow.
    """

    def connected(self, now_ns):
        self.shake_hands()


class WaitsForEverForAnAttempt(_Solution):
    """An attempt is answered or refused. Loses: gives_up_an_attempt_without_answer.

    Graded: it does not give up an attempt.
    """

    def connecting(self, now_ns):
        self.deadline_ns = None


class TimesAttemptsByHeartbeats(_Solution):
    """One limit for all. Loses: waits_for_a_slow_attempt, gives_up_an_attempt_without_answer.

    Graded: it gives up an attempt that is slow.
    """

    def connecting(self, now_ns):
        self.listen(now_ns)


class JudgesBeforeItReads(_Solution):
    """The deadline is over. Loses: reads_before_it_judges.

    Graded: it gives up a live connection before it has read.
    """

    heartbeats = 3.0

    def on_deadline(self, now_ns):
        self.looks_again = False
        super().on_deadline(now_ns)


class TakesEachDeadlineForASleep(_Solution):
    """Late is late. Loses: gives_up_a_dead_one, gives_up_one_that_never_spoke,
    gives_up_an_attempt_without_answer, reads_before_it_judges.

    Graded: it does not give up a dead connection.
    """

    def on_deadline(self, now_ns):
        if self.wants_connection and now_ns > self.deadline_ns:
            self.listen(now_ns)
        else:
            super().on_deadline(now_ns)


class WaitsForTheRestOfAMessage(_Solution):
    """A message has begun, so the rest will come. Loses: gives_up_a_dead_one.

    Graded: it does not give up a connection that died within a message.
    """

    def note(self, now_ns, ticks, frames):
        if frames or self.protocol.state.name != "OPEN":
            self.listen(now_ns)
        else:
            self.deadline_ns = None


class CountsFromTheOldConnection(_Solution):
    """The last byte is the last byte. Loses: keeps_a_slow_one.

    Graded: it gives up a live connection that is slow, after an outage.
    """

    heard_ns = None

    def note(self, now_ns, ticks, frames):
        self.heard_ns = now_ns
        self.listen(now_ns)

    def connected(self, now_ns):
        super().connected(now_ns)
        if self.heard_ns is not None:
            self.wait(self.heard_ns, self.heartbeats * self.heartbeat_s)


class GrowsPatient(_Solution):
    """It was too hasty, so it waits longer. Loses: gives_up_a_dead_one.

    Graded: it does not give up a second dead connection.
    """

    def give_up(self, now_ns):
        self.heartbeats *= 1.5
        super().give_up(now_ns)


class LearnsThePace(_Solution):
    """Four times the usual gap is a long time. Loses: keeps_a_busy_one.

    Graded: it gives up a live connection when ticks come no more.
    """

    last_look = 0.1

    def connected(self, now_ns):
        self.heard_ns, self.gap_s = None, self.heartbeat_s
        super().connected(now_ns)

    def note(self, now_ns, ticks, frames):
        if self.heard_ns is not None:
            self.gap_s += 0.2 * ((now_ns - self.heard_ns) / 1e9 - self.gap_s)
        self.heard_ns, self.looks_again = now_ns, True
        self.wait(now_ns, min(4 * self.gap_s, self.heartbeats * self.heartbeat_s))


class HurriesBack(_Solution):
    """The way is known. Loses: waits_for_a_slow_attempt. Graded: it gives up an attempt that is slow."""

    def connecting(self, now_ns):
        super().connecting(now_ns)
        if self.failures:
            self.wait(now_ns, 1.0)


class KnowsTheServerIsThere(_Solution):
    """It has answered before. Loses: gives_up_an_attempt_without_answer.

    Graded: it does not give up an attempt.
    """

    def connecting(self, now_ns):
        super().connecting(now_ns)
        if self.cursor is not None:
            self.deadline_ns = None
