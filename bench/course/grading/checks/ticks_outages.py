"""The rules for a beginner's client whose server refuses, cuts, or is away."""

import itertools

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.simulated.generator_run import ALREADY, Subject, watch
from bench.course.grading.simulated.loopback_server import Theatre

OUTAGE_S = 3.0
"""After it a client may be at a pause of up to 30 s: so there are ticks for a minute more."""
ANEW_TICKS = 8
MOST_TRIES_HZ = 20
"""Tries per second of an outage; a pause of 0.1 s makes half as many."""


def survives_a_refusal(subject: Subject) -> None:
    """503: the server is full for three seconds, before the first tick and again after ten."""
    came: list[int] = []

    def refuse(theatre: Theatre, seq: int) -> None:
        came.append(seq)
        if len(came) in (1, 11):
            theatre.stage.refuse(OUTAGE_S)
            theatre.cut()

    watched = watch(subject, rate_hz=2, last=80, scene=refuse)
    expect_order(watched.seqs, watched.seqs[0] if watched.seqs else ALREADY, 80)


def resumes_after_a_cut(subject: Subject) -> None:
    """The connection is cut in silence, and in the middle of a delivery."""

    def cut(theatre: Theatre, seq: int) -> None:
        if seq == 10:
            theatre.cut()
        theatre.cut_next = theatre.cut_next or seq == 20

    watched = watch(subject, rate_hz=4, last=40, scene=cut)
    expect_order(watched.seqs, ALREADY, 40)
    if watched.stage.stale:
        asked = watched.stage.stale[0]
        fail(
            "it asks for ticks that it has",
            f"{asked.target}, when it had yielded a later tick",
            "after=SEQ of the newest tick that it has",
            "what comes twice and is thrown away was paid for all the same: move the cursor with each tick",
        )


def waits_before_it_tries_again(subject: Subject) -> None:
    """The port is closed for three seconds; then the server is full for as long."""
    outages_ns: list[int] = []

    def go_away(theatre: Theatre, seq: int) -> None:
        if seq == 10 and not outages_ns:
            theatre.go_away(OUTAGE_S)
            outages_ns.append(theatre.stage.clock())
        elif seq >= 40 and len(outages_ns) == 1:
            theatre.stage.refuse(OUTAGE_S)
            theatre.cut()
            outages_ns.append(theatre.stage.clock())

    watched = watch(subject, rate_hz=4, last=300, scene=go_away)
    requests_ns = [asked.at_ns for asked in watched.stage.requests]
    for begin_ns, tries_ns, what in zip(
        outages_ns, (watched.connects_ns, requests_ns), ("its port was closed", "it refused"), strict=False
    ):
        tries = sum(begin_ns < at_ns < begin_ns + OUTAGE_S * 1e9 for at_ns in tries_ns)
        if tries > MOST_TRIES_HZ * OUTAGE_S:
            fail(
                "it tries again without a pause",
                f"{tries} tries in the {OUTAGE_S:g} s in which {what}",
                f"at most {MOST_TRIES_HZ} a second, and best fewer each time",
                "a server that has just come back is knocked over by clients that all ask at once: await "
                "asyncio.sleep(…) behind the `except`",
            )
    expect_order(watched.seqs, ALREADY, 300)


def goes_on_after_lost_history(subject: Subject) -> None:
    """It was away for longer than the history lasts, and is told how many ticks it missed."""
    gone: list[int] = []

    def go_away(theatre: Theatre, seq: int) -> None:
        if seq >= 10 and not gone:
            gone.append(seq)
            theatre.go_away(OUTAGE_S)

    watched = watch(subject, rate_hz=10, last=500, scene=go_away, history_ticks=10)
    seqs = watched.seqs
    steps = itertools.pairwise(seqs)
    gap = next((number for number, (seq, after) in enumerate(steps, 1) if after != seq + 1), len(seqs))
    expect_order(seqs[:gap], ALREADY, seqs[gap - 1] if seqs[gap:] else 500)
    if seqs[gap:]:
        expect_order(seqs[gap:], seqs[gap - 1] + watched.stage.missed + 1, 500)


def begins_anew_after_a_restart(subject: Subject) -> None:
    """The server is away for a moment; then it counts from 1, and refuses the cursor from before."""
    restarted: list[int] = []

    def restart(theatre: Theatre, seq: int) -> None:
        if seq >= 60 and not restarted:
            restarted.append(seq)
            theatre.go_away(OUTAGE_S)
            theatre.stage.restart(rate_hz=1)  # slowly, so that it does not catch up with the cursor

    watched = watch(subject, rate_hz=4, last=200, scene=restart)
    seqs = watched.seqs
    steps = itertools.pairwise(seqs)
    anew = next((number for number, (seq, after) in enumerate(steps, 1) if after < seq), len(seqs))
    expect_order(seqs[:anew], ALREADY, max([60, *seqs[anew - 1 : anew]]))
    if anew == len(seqs):
        fail(
            "it does not begin anew when its cursor is refused",
            f"{len(watched.stage.requests)} requests, the last {watched.stage.requests[-1].target}",
            "a request without `after`, and then the ticks of the new server",
            "400 (WebSocket: close code 4400) to a request with a cursor says that the server was started "
            "anew: forget the cursor, and begin as at first",
        )
    expect_order(seqs[anew : anew + ANEW_TICKS], seqs[anew], seqs[anew] + ANEW_TICKS - 1)


HOUSE = "README, Three ways to the same tick"
CHECKS: tuple[Check[Subject], ...] = (
    Check("goes on after a refusal (503)", "servers/http.py; RFC 9110, section 15.6.4", survives_a_refusal),
    Check("resumes after a cut connection without loss or double", HOUSE, resumes_after_a_cut),
    Check(
        "waits before it tries again, and comes back",
        "RFC 6455, section 7.2.3 (for any client)",
        waits_before_it_tries_again,
    ),
    Check(
        "goes on when the history has lost ticks",
        "servers/feed.py, Delivery; servers/wire.py, Missed",
        goes_on_after_lost_history,
    ),
    Check(
        "begins anew when the server was started anew",
        "servers/base.py, parse_query; notebooks/exercises/README.md, How a client comes back",
        begins_anew_after_a_restart,
    ),
)
