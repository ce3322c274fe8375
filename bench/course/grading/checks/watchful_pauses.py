"""The rules for how ``class WatchfulClient`` comes back: later each time, at random, soon after a success.

The pauses are those that RFC 6455, section 7.2.3, asks for: a random first one, then longer and longer ones.
"""

import itertools
from collections.abc import Callable
from statistics import mean

from bench.course.grading.base import Check, fail
from bench.course.grading.checks import watchful
from bench.course.grading.checks.watchful import (
    DEAD_ATTEMPT_S,
    LONGEST_PAUSE_S,
    SILENT_HZ,
    StudentWatcher,
    fail_to_return,
)
from bench.course.grading.simulated.service import Service
from bench.course.grading.simulated.watched_client import WatchedClient

CLIENT_COUNT, FAILURES, GROWN, LATER = 30, 10, 3, 5
"""So many clients fail so often, and pause as often. The pauses of index GROWN and LATER are looked at."""
LEAST_GROWTH = 5.0
"""A limit that doubles has grown to 8 times by GROWN, one that grows by as much each time to 4 times. The
longest of thirty pauses tells the limit: that it is below five eighths of it has a chance of 0.625³⁰."""
LEAST_SPREAD_RATIO = 0.3
"""Of the longest pause: who draws half of it at random has nearly 0.5 among thirty clients."""
FIRST_PAUSE_S = 1.0
LEAST_SHARE = 0.5
SHORT_AGAIN_RATIO = 2.0
"""Of means over thirty clients: each is off by some 10 %."""
TOLERANCE_S = 0.01

Fails = Callable[[WatchedClient, Service], None]
"""Makes all attempts of a client fail in some way."""


def waits_longer_each_time(student: StudentWatcher) -> None:
    """Nobody listens, at first or after a good connection; or nobody answers."""
    longest_s = max(map(max, _pauses_of_all(student, _refuse)))
    if longest_s > LONGEST_PAUSE_S + TOLERANCE_S:
        fail(
            "it waits too long after a failure",
            f"a pause of {longest_s:.3g} s",
            f"{LONGEST_PAUSE_S:g} s at most",
            f"min(limit_s, {LONGEST_PAUSE_S:g}): a server that is back should not wait for its clients",
        )
    for make_fail, what in (
        (_refuse, "are refused"),
        (_lose, "are refused after a good connection"),
        (_leave_unanswered, "it gives up, because nobody answers"),
    ):
        clients = _pauses_of_all(student, make_fail, GROWN + 1)
        first_s, grown_s = (max(pauses_s[index] for pauses_s in clients) for index in (0, GROWN))
        if first_s <= 0 or grown_s < LEAST_GROWTH * first_s:
            fail(
                "it does not wait longer after each failure",
                f"of attempts that {what}: up to {first_s:.2g} s after the first, and up to {grown_s:.2g} s "
                f"after failure {GROWN + 1}",
                "a pause after each, with a limit that doubles",
                "count the failures that follow each other, in whatever way an attempt or a connection ends; "
                "limit_s is FIRST_PAUSE_S * 2**failures",
            )


def takes_an_opening_for_no_success(student: StudentWatcher) -> None:
    """A proxy without its server opens, and ends at once; a full server says so; one stands still."""
    refused_s = mean(pauses_s[LATER] for pauses_s in _pauses_of_all(student, _refuse, LATER + 1))
    for make_fail, what in (
        (_hang_up, "opens and is ended at once"),
        (_say_503, "is answered by HTTP 503"),
        (_close_as_full, "is closed with 1013 after the handshake"),
        (_stay_silent, "opens and never says a word"),
    ):
        paused_s = mean(pauses_s[LATER] for pauses_s in _pauses_of_all(student, make_fail, LATER + 1))
        if paused_s < LEAST_SHARE * refused_s:
            fail(
                f"an attempt that {what} is a success to it",
                f"on average it waits {paused_s:.2g} s after the sixth of them, and {refused_s:.2g} s after "
                "the sixth that is refused",
                "about the same",
                "neither connected() nor the bytes of a handshake or a refusal are a success, and what you "
                "give up is a failure; ticks and pings are a success: see self.frames",
            )


def waits_at_random(student: StudentWatcher) -> None:
    """Thirty clients lose their server at one instant, and are told; or all give it up at one instant."""
    told, silent = (_pauses_of_all(student, make_fail, LATER + 1) for make_fail in (_lose, _stay_silent))
    for clients, index in ((told, 0), (told, LATER), (silent, 0)):
        pauses_s = [pauses_s[index] for pauses_s in clients]
        if max(pauses_s) - min(pauses_s) <= LEAST_SPREAD_RATIO * max(pauses_s):
            fail(
                "all clients come back at about the same time",
                f"after failure {index + 1}, {CLIENT_COUNT} clients wait {min(pauses_s):.3g} "
                f"to {max(pauses_s):.3g} s",
                "pauses at random, from at most half of the limit up to the limit",
                "self._rng.uniform(0, limit_s): clients that come all at once throw a server down again",
            )


def is_quick_again_after_success(student: StudentWatcher) -> None:
    """A cut, ten failures, then a while of ticks (or of pings only), then a cut once more."""
    firsts_s, agains_s = [], []
    for seed in range(CLIENT_COUNT):
        watched = student.connect_to(Service(1 if seed % 2 else SILENT_HZ), 1.0, seed)
        watched.run(4.3)
        watched.refuses = True
        watched.cut()
        _await_attempts(watched, FAILURES + 1)
        watched.refuses = False
        _await_attempts(watched, FAILURES + 2)
        watched.run(4.3)
        watched.cut()
        _await_attempts(watched, FAILURES + 3)
        pauses_s = _pauses(watched)
        firsts_s.append(pauses_s[0])
        agains_s.append(pauses_s[-1])
    too_long = max(firsts_s + agains_s) > FIRST_PAUSE_S + TOLERANCE_S
    if too_long or mean(agains_s) > SHORT_AGAIN_RATIO * mean(firsts_s):
        fail(
            "its first pause after a good connection is long",
            f"up to {max(firsts_s):.3g} s after the first cut; up to {max(agains_s):.3g} s after {FAILURES} "
            "failures, some ticks or pings, and another cut",
            f"up to {FIRST_PAUSE_S:g} s, and about the same both times",
            "forget the failures when a tick or a ping has come: see self.frames",
        )


def _refuse(watched: WatchedClient, service: Service) -> None:
    watched.refuses = True


def _lose(watched: WatchedClient, service: Service) -> None:
    watched.run(4.3)
    _refuse(watched, service)
    watched.cut()


def _leave_unanswered(watched: WatchedClient, service: Service) -> None:
    watched.opens_after_s = None


def _stay_silent(watched: WatchedClient, service: Service) -> None:
    watched.is_silent = True


def _hang_up(watched: WatchedClient, service: Service) -> None:
    watched.hangs_up = True


def _say_503(watched: WatchedClient, service: Service) -> None:
    service.refuse(1e6)


def _close_as_full(watched: WatchedClient, service: Service) -> None:
    service.closes_when_full = True
    service.refuse(1e6)


def _pauses_of_all(student: StudentWatcher, make_fail: Fails, failures: int = FAILURES) -> list[list[float]]:
    """Return the pauses in s of each of many clients whose attempts all fail."""
    clients = []
    for seed in range(CLIENT_COUNT):
        service = Service(SILENT_HZ)
        watched = student.connect_to(service, 1.0, seed)
        make_fail(watched, service)
        _await_attempts(watched, failures + 1)
        clients.append(_pauses(watched))
    return clients


def _await_attempts(watched: WatchedClient, count: int) -> None:
    """Let time pass until a client has asked for so many connections; end what it should have given up."""
    watched.run(0)
    while len(watched.attempts) < count:
        last = watched.attempt(-1)
        if not watched.run_until_ended(last, DEAD_ATTEMPT_S + 1):
            watched.cut()  # that it does not give up is another rule
        if not watched.run_until(lambda last=last: watched.attempts[-1] is not last, 3_600):  # type: ignore[misc]
            fail_to_return(watched)


def _pauses(watched: WatchedClient) -> list[float]:
    """Return the times in s between the end of each attempt and the next."""
    pairs = itertools.pairwise(watched.attempts)
    return [(later.asked_ns - (earlier.ended_ns or later.asked_ns)) / 1e9 for earlier, later in pairs]


BACK = "notebooks/exercises/README.md, exercise 14; RFC 6455, section 7.2.3"
SILENCE = "notebooks/exercises/README.md, exercise 14"
CHECKS: tuple[Check[StudentWatcher], ...] = (
    Check("keeps a connection on which ticks come", SILENCE, watchful.keeps_a_busy_one),
    Check("keeps that of a silent market, by its heartbeats", SILENCE, watchful.keeps_a_silent_market),
    Check("keeps a slow one, silent for up to 2.5 heartbeats", SILENCE, watchful.keeps_a_slow_one),
    Check(
        "keeps one on which a long message comes piece by piece",
        "RFC 6455, section 5.5",
        watchful.keeps_one_with_a_long_message,
    ),
    Check(
        "gives up a dead one, 3.5 heartbeats after its last byte at most",
        SILENCE,
        watchful.gives_up_a_dead_one,
    ),
    Check("gives up one that opened and never said a word", SILENCE, watchful.gives_up_one_that_never_spoke),
    Check(
        "waits 3.5 s for an attempt that is slow",
        "RFC 6298, sections 2 and 5.5",
        watchful.waits_for_a_slow_attempt,
    ),
    Check(
        "gives up an attempt that nobody answers, after 10 s at most",
        SILENCE,
        watchful.gives_up_an_attempt_without_answer,
    ),
    Check(
        "comes back with its cursor: nothing is lost, nothing comes twice",
        SILENCE,
        watchful.comes_back_with_its_cursor,
    ),
    Check("waits longer after each failure, and never over 30 s", BACK, waits_longer_each_time),
    Check("takes no opening, and no refusal, for a success", BACK, takes_an_opening_for_no_success),
    Check("waits at random, so that clients do not all come at once", BACK, waits_at_random),
    Check("is quick again after ticks or heartbeats have come", BACK, is_quick_again_after_success),
    Check(
        "with distinction: when it stood still itself, reads before it judges",
        SILENCE,
        watchful.reads_before_it_judges,
    ),
)
