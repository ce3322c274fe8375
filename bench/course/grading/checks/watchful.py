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
EARLIER_TICKS = 5
HEARD_HINT = "set deadline_ns anew with each byte; when on_deadline comes, there was none for so long"


class StudentWatcher(NamedTuple):
    """A student's class."""

    client_class: type

    def connect_to(self, service: Service, heartbeat_s: float, seed: int = 0) -> WatchedClient:
        """Start a new client of a service."""
        return WatchedClient(self.client_class, service, heartbeat_s, seed)


def keeps_a_busy_one(student: StudentWatcher) -> None:
    """Ticks come so often that the server never needs a ping."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(5 / heartbeat_s), heartbeat_s)
        watched.run(20 * heartbeat_s)
        _expect_kept(watched, "while ticks come", "each byte is a sign of life, in a tick as in a ping")


def keeps_a_silent_market(student: StudentWatcher) -> None:
    """A ping in each interval, and nothing else."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        watched.run(30 * heartbeat_s)
        _expect_kept(
            watched, "of a silent market", "a ping brings no tick, and is a sign of life all the same"
        )


def keeps_a_slow_one(student: StudentWatcher) -> None:
    """It opens late, its first answer is late, and each second heartbeat is 2.5 intervals after the last."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        watched.opens_after_s, watched.holds = 1.0, True
        watched.run(1.0 + ALMOST * SLOW_HEARTBEATS * heartbeat_s)
        watched.holds = False
        for _ in range(4):
            watched.run(1.1 * heartbeat_s)
            _expect_kept(
                watched,
                "that is slow",
                "a heartbeat may be left out, and the next be late; count from the last byte, or from the "
                "opening as long as none has come",
            )
            watched.put_off_heartbeat(ALMOST * SLOW_HEARTBEATS)
            watched.run(ALMOST * SLOW_HEARTBEATS * heartbeat_s)


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
            watched.run(0.9 * heartbeat_s)
        _expect_kept(
            watched,
            "on which a long message is coming",
            "a piece of a message is a sign of life: take note of bytes, whatever they complete",
        )


def gives_up_a_dead_one(student: StudentWatcher) -> None:
    """Bytes stop, and nobody says so: in a busy market and in a silent one."""
    for heartbeat_s, rate_hz in itertools.product(HEARTBEATS_S, (None, SILENT_HZ)):
        watched = student.connect_to(Service(rate_hz or 3 / heartbeat_s), heartbeat_s)
        watched.run(7.3 * heartbeat_s)
        watched.is_silent = True
        limit_s = DEAD_HEARTBEATS * heartbeat_s
        _expect_given_up(watched, "a dead connection", "its last byte", limit_s, HEARD_HINT)


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


def waits_for_a_slow_attempt(student: StudentWatcher) -> None:
    """A connection takes 3.5 s to open, whatever the heartbeat."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        watched.opens_after_s = ALMOST * SLOW_ATTEMPT_S
        watched.run(SLOW_ATTEMPT_S)
        first = watched.attempt(0)
        if first.opened_ns is None:
            fail(
                "it gives up an attempt that is slow",
                _given_up(watched, first.asked_ns, first.ended_ns, "it was asked for"),
                f"patience for {SLOW_ATTEMPT_S:g} s: two lost packets, and the way",
                "an attempt has a time limit of its own, which has nothing to do with heartbeats",
            )


def gives_up_an_attempt_without_answer(student: StudentWatcher) -> None:
    """Behind a pulled plug nobody answers, and nobody says no."""
    for heartbeat_s in HEARTBEATS_S:
        watched = student.connect_to(Service(SILENT_HZ), heartbeat_s)
        watched.opens_after_s = None
        watched.run(TOLERANCE_S)
        _expect_given_up(
            watched,
            "an attempt that is never answered",
            "it was asked for",
            DEAD_ATTEMPT_S,
            "connecting() sets deadline_ns; on_deadline then sets wants_connection to False, and pauses",
        )


def comes_back_with_its_cursor(student: StudentWatcher) -> None:
    """After a cut, after one within a message, and after a connection that it has given up itself."""
    service = Service(4)
    watched = student.connect_to(service, 1.0)
    watched.run(2)
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
    if not watched.run_until(lambda: attempt.ended_ns is not None, 2 * DEAD_HEARTBEATS):
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
        alive.run(10 * heartbeat_s)
        _expect_kept(
            alive,
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


def fail_to_return() -> None:
    """Say that a client asks for no connection after one that has ended."""
    fail(
        "it does not come back",
        f"no attempt within {LONGEST_PAUSE_S:g} s after the last one had ended",
        "a pause, then another attempt",
        "on_deadline is also called at the end of a pause: then it sets wants_connection to True",
    )


def _expect_kept(watched: WatchedClient, which: str, hint: str) -> None:
    first = watched.attempt(0)
    if first.ended_ns is not None:
        fail(
            f"it gives up a live connection {which}",
            _given_up(watched, first.last_sign_ns, first.ended_ns, "its last sign of life"),
            f"it is kept: up to {SLOW_HEARTBEATS:g} heartbeats of silence are no sign of death",
            hint,
        )


def _expect_given_up(
    watched: WatchedClient, what: str, since: str, limit_s: float, hint: str, since_ns: int | None = None
) -> None:
    """Hold that a connection that is dead is given up, and that another is asked for."""
    attempt = watched.attempt(-1)
    begin_ns = attempt.last_sign_ns if since_ns is None else since_ns
    watched.run_until(lambda: attempt.ended_ns is not None, 3 * limit_s)
    if attempt.ended_ns is None or attempt.ended_ns - begin_ns > round((limit_s + TOLERANCE_S) * 1e9):
        fail(
            f"it does not give up {what}, or too late",
            _given_up(watched, begin_ns, attempt.ended_ns, since),
            f"given up {limit_s:g} s after {since}, at most",
            hint,
        )
    watched.is_silent, watched.opens_after_s = False, 0.0
    if not watched.run_until_asked(LONGEST_PAUSE_S + TOLERANCE_S):
        fail_to_return()


def _given_up(watched: WatchedClient, begin_ns: int, end_ns: int | None, since: str) -> str:
    when = "not given up" if end_ns is None else f"given up {(end_ns - begin_ns) / 1e9:.3g} s after {since}"
    return f"{when}; a heartbeat is {watched.heartbeat_ns / 1e9:g} s"
