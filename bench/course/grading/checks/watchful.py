"""The rules for ``class WatchfulClient``: it keeps a slow connection, and gives up a dead one."""

import itertools
from typing import NamedTuple

from bench.course.grading.base import expect_order, fail
from bench.course.grading.simulated.service import Service
from bench.course.grading.simulated.watched_client import WatchedClient

HEARTBEATS_S = (0.5, 4.0, 15.0)
SLOW_HEARTBEATS, DEAD_HEARTBEATS = 2.5, 3.5
"""A live connection is silent for up to 2.5 heartbeats; a dead one is given up after 3.5 at most."""
SLOW_ATTEMPT_S, DEAD_ATTEMPT_S = 3.5, 10.0
"""Two lost packets delay it by 1 s and 2 s (RFC 6298, sections 2 and 5.5); half a second is for the way."""
LONGEST_PAUSE_S = 30.0
ALMOST = 0.99
TOLERANCE_S = 0.05
"""What is slow comes just within its limit; what is dead may be given up just after: deadlines are late."""
SILENT_HZ = 0.001
MESSAGE_BYTES = 2**16
PART_BYTES = 40
LATE_CALL_S = 1.0
UNANSWERED = 4
"""So many attempts in a row are never answered."""
EARLIER_TICKS = 5
HEARD_HINT = "set deadline_ns anew with each byte; when on_deadline comes, there was none for so long"


class StudentWatcher(NamedTuple):
    """A student's class."""

    client_class: type

    def connect_to(self, service: Service, heartbeat_s: float, seed: int = 0) -> WatchedClient:
        """Start a new client of a service."""
        return WatchedClient(self.client_class, service, heartbeat_s, seed)


def keeps_a_busy_one(student: StudentWatcher) -> None:
    """Ticks come so often that the server never needs a ping; then the market closes."""
    for heartbeat_s in HEARTBEATS_S:
        service = Service(5 / heartbeat_s)
        watched = student.connect_to(service, heartbeat_s)
        _keep(
            watched,
            20 * heartbeat_s,
            "while ticks come",
            "each byte is a sign of life, in a tick as in a ping",
        )
        service.close_market()
        _keep(
            watched,
            1.9 * heartbeat_s,
            "when ticks come no more",
            "how often ticks come says nothing of how long their server may be silent: that is its heartbeat",
        )


def keeps_a_silent_market(student: StudentWatcher) -> None:
    """A ping in each interval, and nothing else."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        _keep(
            watched,
            30 * heartbeat_s,
            "of a silent market",
            "a ping brings no tick, and is a sign of life all the same",
        )


def keeps_a_slow_one(student: StudentWatcher) -> None:
    """It opens late, its first answer is late, and each second heartbeat is 2.5 intervals after the last.

    So is the one that it comes back with after an outage.
    """
    hint = (
        "a heartbeat may be left out, and the next be late; count from the last byte of this connection, or "
        "from its opening as long as none has come"
    )
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        slow_s = ALMOST * SLOW_HEARTBEATS * heartbeat_s
        watched.opens_after_s, watched.holds = 1.0, True
        for which in ("that is slow", "that is slow, after an outage"):
            if not watched.run_until_open(DEAD_ATTEMPT_S + LONGEST_PAUSE_S):
                break  # that it does not come back is another rule
            _keep(watched, slow_s, which, hint)
            watched.holds = False
            for _ in range(4):
                _keep(watched, 1.1 * heartbeat_s, which, hint)
                watched.put_off_heartbeat(ALMOST * SLOW_HEARTBEATS)
                _keep(watched, slow_s, which, hint)
            watched.opens_after_s, watched.holds = None, True
            watched.cut()
            watched.run(10 * heartbeat_s)
            watched.opens_after_s = 1.0


def keeps_one_with_a_long_message(student: StudentWatcher) -> None:
    """A message of 64 KiB comes by and by; a ping cannot come within its frame (RFC 6455, section 5.5)."""
    for heartbeat_s in HEARTBEATS_S:
        service = Service(0.25 / heartbeat_s, payload_bytes=MESSAGE_BYTES)
        watched = student.connect_to(service, heartbeat_s)
        watched.run(1.9 * heartbeat_s)
        watched.holds = True
        watched.run(0.15 * heartbeat_s)  # the next tick is published after two heartbeats
        service.close_market()
        for _ in range(10):
            watched.let_through(MESSAGE_BYTES // 12)
            _keep(
                watched,
                0.9 * heartbeat_s,
                "on which a long message is coming",
                "a piece of a message is a sign of life: take note of bytes, whatever they complete",
            )


def gives_up_a_dead_one(student: StudentWatcher) -> None:
    """Bytes stop, and nobody says so: in a busy market and in a silent one, and within a message.

    So does the connection that it comes back with.
    """
    for heartbeat_s in HEARTBEATS_S:
        limit_s = DEAD_HEARTBEATS * heartbeat_s
        for rate_hz in (3 / heartbeat_s, SILENT_HZ):
            watched = student.connect_to(Service(rate_hz), heartbeat_s)
            for what in ("a dead connection", "a second dead connection"):
                watched.run(7.3 * heartbeat_s)
                watched.is_silent = True
                _expect_given_up(watched, what, "its last byte", limit_s, HEARD_HINT)
                _expect_asked(watched)
        watched = student.connect_to(Service(3 / heartbeat_s), heartbeat_s)
        watched.run(7.3 * heartbeat_s)
        watched.holds = True
        watched.run(0.4 * heartbeat_s)
        watched.let_through(PART_BYTES)
        watched.is_silent, watched.holds = True, False
        hint = "the rest of a message that has begun may never come: its connection can die like any other"
        _expect_given_up(watched, "a connection that died within a message", "its last byte", limit_s, hint)


def gives_up_one_that_never_spoke(student: StudentWatcher) -> None:
    """The kernel of a server that stands still opens connections all the same, and no byte comes."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(1), heartbeat_s)
        watched.opens_after_s, watched.is_silent = 1.0, True
        watched.run(1.0 + TOLERANCE_S)
        _expect_given_up(
            watched,
            "a connection that opened and never said a word",
            "its opening",
            DEAD_HEARTBEATS * heartbeat_s,
            "connected() sets deadline_ns, too: a connection that opens has still to say something",
        )
        _expect_asked(watched)


def waits_for_a_slow_attempt(student: StudentWatcher) -> None:
    """A connection takes 3.5 s to open, whatever the heartbeat, and so does the one after a cut."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        watched.opens_after_s = ALMOST * SLOW_ATTEMPT_S
        for _ in range(2):
            watched.run(0)
            attempt = watched.attempt(-1)
            watched.run(SLOW_ATTEMPT_S)
            if attempt.opened_ns is None:
                fail(
                    "it gives up an attempt that is slow",
                    _given_up(watched, attempt.asked_ns, attempt.ended_ns, "it was asked for"),
                    f"patience for {SLOW_ATTEMPT_S:g} s: two lost packets, and the way",
                    "an attempt has a time limit of its own, which has nothing to do with heartbeats, nor "
                    "with earlier attempts",
                )
            watched.cut()
            watched.run_until_asked(LONGEST_PAUSE_S + TOLERANCE_S)


def gives_up_an_attempt_without_answer(student: StudentWatcher) -> None:
    """Behind a pulled plug nobody answers, and nobody says no: at first, and again and again after a cut."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        for _ in range(2):
            watched.opens_after_s = None
            watched.cut()
            for _ in range(UNANSWERED):
                watched.run(0)
                _expect_given_up(
                    watched,
                    "an attempt that is never answered",
                    "it was asked for",
                    DEAD_ATTEMPT_S,
                    "connecting() sets deadline_ns; on_deadline then sets wants_connection to False, and "
                    "pauses",
                )
                _expect_asked(watched)
            watched.opens_after_s = 0.0
            watched.run(2.2 * heartbeat_s)


def comes_back_with_its_cursor(student: StudentWatcher) -> None:
    """After a cut, one behind many ticks, one within a message, and a connection that it gave up itself."""
    service = Service(4)
    watched = student.connect_to(service, 1.0)
    watched.run(2)
    watched.cut()
    watched.run(LONGEST_PAUSE_S)
    watched.opens_after_s = None
    watched.cut()
    watched.run(LONGEST_PAUSE_S)
    watched.opens_after_s = 0.0
    watched.run_until_open(DEAD_ATTEMPT_S + LONGEST_PAUSE_S)
    watched.cut()
    watched.run(LONGEST_PAUSE_S)
    watched.holds = True
    watched.run(1)
    watched.let_through(250)
    watched.cut()
    watched.holds = False
    watched.run(LONGEST_PAUSE_S)
    watched.is_silent = True
    attempt = watched.attempt(-1)
    if not watched.run_until_ended(attempt, 2 * DEAD_HEARTBEATS):
        watched.cut()  # that it does not give up is another rule
    watched.is_silent = False
    watched.run(LONGEST_PAUSE_S)
    service.close_market()
    watched.run(1)
    hint = "self.cursor is to be the seq of the newest tick that receive_data has returned, also after a cut"
    expect_order(watched.seqs, EARLIER_TICKS, service.feed.newest_seq, hint)


def reads_before_it_judges(student: StudentWatcher) -> None:
    """Its process stood still for long: its timer comes first, and what waited to be read comes behind."""
    for heartbeat_s, stopped in itertools.product(HEARTBEATS_S, (6.4, 20.7)):
        alive, dead = (student.connect_to(Service(SILENT_HZ), heartbeat_s) for _ in range(2))
        for watched in (alive, dead):
            watched.run(5.3 * heartbeat_s)
            watched.is_stopped, watched.is_silent = True, watched is dead
            watched.run(stopped * heartbeat_s)
            watched.go_on()
        _keep(
            alive,
            10 * heartbeat_s,
            "before it has read what came while its own process stood still",
            "on_deadline then comes first, long after deadline_ns: wait half a heartbeat more, and read",
        )
        _expect_given_up(
            dead,
            "a connection that died while its own process stood still",
            "its process went on",
            DEAD_HEARTBEATS * heartbeat_s,
            "a last look is a look with an end: set deadline_ns, and give up when that comes",
            since_ns=dead.now_ns,
        )
        _expect_asked(dead)


def fail_to_return(watched: WatchedClient) -> None:
    """Say that a client asks for no connection after one that has ended."""
    fail(
        "it does not come back",
        f"no attempt within {LONGEST_PAUSE_S:g} s after the last one had ended; "
        f"{watched.deadline_in_words()}",
        "a pause, then another attempt",
        "on_deadline is also called at the end of a pause: then it sets wants_connection to True",
    )


def _keep(watched: WatchedClient, seconds: float, which: str, hint: str) -> None:
    """Let time pass, and hold that the connection (or the attempt) that there is lives through it."""
    watched.run(0)
    attempt = watched.attempt(-1)
    if watched.run_until_ended(attempt, seconds):
        fail(
            f"it gives up a live connection {which}",
            _given_up(watched, attempt.last_sign_ns, attempt.ended_ns, "its last sign of life"),
            f"it is kept: up to {SLOW_HEARTBEATS:g} heartbeats of silence are no sign of death",
            hint,
        )


def _expect_given_up(
    watched: WatchedClient, what: str, since: str, limit_s: float, hint: str, since_ns: int | None = None
) -> None:
    """Hold that a connection (or an attempt) that is dead is given up in time."""
    attempt = watched.attempt(-1)
    begin_ns = attempt.last_sign_ns if since_ns is None else since_ns
    watched.run_until_ended(attempt, 3 * limit_s)
    if attempt.ended_ns is None or attempt.ended_ns - begin_ns > round((limit_s + TOLERANCE_S) * 1e9):
        fail(
            f"it does not give up {what}, or too late",
            _given_up(watched, begin_ns, attempt.ended_ns, since),
            f"given up {limit_s:g} s after {since}, at most",
            hint,
        )


def _expect_asked(watched: WatchedClient) -> None:
    """Hold that after a pause the client asks for another connection."""
    watched.is_silent = False
    if not watched.run_until_asked(LONGEST_PAUSE_S + TOLERANCE_S):
        fail_to_return(watched)


def _given_up(watched: WatchedClient, begin_ns: int, end_ns: int | None, since: str) -> str:
    if end_ns is None:
        when = f"not given up: {watched.deadline_in_words()}"
    else:
        when = f"given up {(end_ns - begin_ns) / 1e9:.3g} s after {since}"
        if watched.called_late_s > LATE_CALL_S:
            when += f" by on_deadline: deadline_ns lay {watched.called_late_s:.3g} s behind"
    return f"{when}; a heartbeat is {watched.heartbeat_ns / 1e9:g} s"
