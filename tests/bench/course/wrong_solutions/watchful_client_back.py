"""Exercise 14, a client that watches its connection: wrong in how it comes back.

Behind "Loses:" are the rules that it breaks. Each changes one thing of the client in watchful_client.py.
"""

from tests.bench.course.wrong_solutions.watchful_client import TRANSPORT, _Solution

__all__ = ["TRANSPORT"]


class ForgetsItsCursor(_Solution):
    """A new connection, a new beginning. Loses: comes_back_with_its_cursor. Graded: ticks."""

    def connected(self, now_ns):
        self.cursor = None
        super().connected(now_ns)


class ForgetsItsCursorWhenItGivesUp(_Solution):
    """What was dead is forgotten. Loses: comes_back_with_its_cursor. Graded: ticks were lost."""

    def give_up(self, now_ns):
        self.cursor = None
        super().give_up(now_ns)


class WantsAnotherAtOnce(_Solution):
    """It wants a connection, after all. Loses: gives_up_a_dead_one, gives_up_one_that_never_spoke,
    gives_up_an_attempt_without_answer, reads_before_it_judges.

    Graded: it does not give up a dead connection.
    """

    def give_up(self, now_ns):
        self.connecting(now_ns)


class NeverComesBack(_Solution):
    """It has given up. Loses: keeps_a_slow_one, gives_up_a_dead_one, gives_up_one_that_never_spoke,
    waits_for_a_slow_attempt, gives_up_an_attempt_without_answer, comes_back_with_its_cursor,
    waits_longer_each_time, takes_an_opening_for_no_success, waits_at_random, is_quick_again_after_success,
    reads_before_it_judges.

    Graded: it never comes back.
    """

    def pause(self, now_ns):
        self.wants_connection, self.deadline_ns = False, None


class ComesBackAtOnce(_Solution):
    """No tick shall be late. Loses: waits_longer_each_time, takes_an_opening_for_no_success,
    waits_at_random, is_quick_again_after_success.

    Graded: it tries again and again without a pause.
    """

    def disconnected(self, now_ns):
        pass


class WaitsAsLongEachTime(_Solution):
    """A second is enough. Loses: waits_longer_each_time. Graded: it does not wait longer."""

    factor, first_pause_s = 1, 1.0


class WaitsForHours(_Solution):
    """Twice as long, each time. Loses: waits_longer_each_time. Graded: it waits too long."""

    longest_pause_s = 1e9


class BeginsWithALongPause(_Solution):
    """The server needs its time. Loses: is_quick_again_after_success.

    Graded: its first pause after a good connection is long.
    """

    first_pause_s = 3.0


class DoublesInLockstep(_Solution):
    """The limit is the pause. Loses: waits_at_random.

    Graded: all clients come back at about the same time.
    """

    def draw(self, limit_s):
        return limit_s


class JittersALittle(_Solution):
    """Ten per cent more or less. Loses: waits_at_random.

    Graded: all clients come back at about the same time.
    """

    def draw(self, limit_s):
        return limit_s * self.rng.uniform(0.8, 1)


class NeverForgetsFailures(_Solution):
    """They are counted. Loses: is_quick_again_after_success.

    Graded: its first pause after a good connection is long.
    """

    def judge_success(self, ticks):
        pass


class ForgetsFailuresByTicksOnly(_Solution):
    """A ping is no tick. Loses: is_quick_again_after_success.

    Graded: its first pause after a good connection is long.
    """

    def judge_success(self, ticks):
        if ticks:
            self.failures = 0


class ForgetsFailuresWhenItOpens(_Solution):
    """It is connected. Loses: takes_an_opening_for_no_success. Graded: an attempt that opens."""

    def connected(self, now_ns):
        self.failures = 0
        super().connected(now_ns)


class ForgetsFailuresByARefusal(_Solution):
    """Bytes have come. Loses: takes_an_opening_for_no_success. Graded: an attempt that is answered."""

    succeeds_by_bytes = True


class CountsOnlyWhatItIsTold(_Solution):
    """What it gives up is no failure. Loses: waits_longer_each_time, takes_an_opening_for_no_success.

    Graded: it does not wait longer.
    """

    def give_up(self, now_ns):
        before = self.failures
        super().give_up(now_ns)
        self.failures = before


class GivesUpWithoutAPause(_Solution):
    """The connection was dead long enough. Loses: waits_longer_each_time, takes_an_opening_for_no_success,
    waits_at_random.

    Graded: it does not wait longer.
    """

    def give_up(self, now_ns):
        self.wants_connection, self.deadline_ns = False, now_ns


class ForgetsFailuresByAHandshake(_Solution):
    """Bytes were read without an error. Loses: takes_an_opening_for_no_success.

    Graded: an attempt that is closed with 1013.
    """

    def judge_success(self, ticks):
        self.failures = 0


class ForgetsFailuresByAClose(_Solution):
    """A close is a frame. Loses: takes_an_opening_for_no_success.

    Graded: an attempt that is closed with 1013.
    """

    counts_closes = True


class AsksTheConnectionBefore(_Solution):
    """It worked, once. Loses: waits_longer_each_time. Graded: it does not wait longer."""

    frames = 0

    def pause(self, now_ns):
        if self.frames:
            self.failures = 0
        super().pause(now_ns)


class AddsHalfASecond(_Solution):
    """Longer, each time. Loses: waits_longer_each_time. Graded: it does not wait longer."""

    def pause(self, now_ns):
        self.wants_connection = False
        self.failures += 1
        self.wait(now_ns, self.draw(min(self.first_pause_s * self.failures, self.longest_pause_s)))


class TakesTheFirstOfManyForItsCursor(_Solution):
    """One tick comes at a time. Loses: comes_back_with_its_cursor. Graded: ticks came twice."""

    def receive_data(self, data, now_ns):
        ticks = super().receive_data(data, now_ns)
        if ticks:
            self.cursor = ticks[0]["seq"]
        return ticks
