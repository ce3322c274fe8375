"""The rules for a beginner's client whose server refuses, cuts, or is away."""

import itertools

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.simulated.generator_run import EARLIER_TICKS, StudentGenerator, run_generator
from bench.course.grading.simulated.loopback_server import LoopbackServer

OUTAGE_S = 3.0
"""After it a client may be at a pause of up to 30 s: so there are ticks for a minute more."""
ANEW_TICKS = 8
MOST_TRIES_HZ = 20
"""Tries per second of an outage; a pause of 0.1 s makes half as many."""


def survives_a_refusal(student: StudentGenerator) -> None:
    """503: the server is full for three seconds, before the first tick and again after ten."""
    came: list[int] = []

    def refuse(server: LoopbackServer, seq: int) -> None:
        came.append(seq)
        if len(came) in (1, 11):
            server.service.refuse(OUTAGE_S)
            server.cut()

    run = run_generator(student, rate_hz=2, last=80, trouble=refuse)
    expect_order(run.seqs, run.seqs[0] if run.seqs else EARLIER_TICKS, 80)


def resumes_after_a_cut(student: StudentGenerator) -> None:
    """The connection is cut in silence, and in the middle of a delivery."""

    def cut(server: LoopbackServer, seq: int) -> None:
        if seq == 10:
            server.cut()
        server.cut_next_delivery = server.cut_next_delivery or seq == 20

    run = run_generator(student, rate_hz=4, last=40, trouble=cut)
    expect_order(run.seqs, EARLIER_TICKS, 40)
    if run.service.stale_requests:
        request = run.service.stale_requests[0]
        fail(
            "it asks for ticks that it has",
            f"{request.target}, when it had yielded a later tick",
            "after=SEQ of the newest tick that it has",
            "what comes twice and is thrown away was paid for all the same: move the cursor with each tick",
        )


def waits_before_it_tries_again(student: StudentGenerator) -> None:
    """The port is closed for three seconds; then the server is full for as long."""
    outages_ns: list[int] = []

    def go_away(server: LoopbackServer, seq: int) -> None:
        if seq == 10 and not outages_ns:
            server.close_port(OUTAGE_S)
            outages_ns.append(server.service.clock())
        elif seq >= 40 and len(outages_ns) == 1:
            server.service.refuse(OUTAGE_S)
            server.cut()
            outages_ns.append(server.service.clock())

    run = run_generator(student, rate_hz=4, last=300, trouble=go_away)
    requests_ns = [request.at_ns for request in run.service.requests]
    for begin_ns, tries_ns, what in zip(
        outages_ns, (run.connects_ns, requests_ns), ("its port was closed", "it refused"), strict=False
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
    expect_order(run.seqs, EARLIER_TICKS, 300)


def goes_on_after_lost_history(student: StudentGenerator) -> None:
    """It was away for longer than the history lasts, and is told how many ticks it missed."""
    gone: list[int] = []

    def go_away(server: LoopbackServer, seq: int) -> None:
        if seq >= 10 and not gone:
            gone.append(seq)
            server.close_port(OUTAGE_S)

    run = run_generator(student, rate_hz=10, last=500, trouble=go_away, history_ticks=10)
    seqs = run.seqs
    steps = itertools.pairwise(seqs)
    gap = next((number for number, (seq, after) in enumerate(steps, 1) if after != seq + 1), len(seqs))
    expect_order(seqs[:gap], EARLIER_TICKS, seqs[gap - 1] if seqs[gap:] else 500)
    if seqs[gap:]:
        expect_order(seqs[gap:], seqs[gap - 1] + run.service.missed + 1, 500)


def begins_anew_after_a_restart(student: StudentGenerator) -> None:
    """The server is away for a moment; then it counts from 1, and refuses the cursor from before."""
    restarted: list[int] = []

    def restart(server: LoopbackServer, seq: int) -> None:
        if seq >= 60 and not restarted:
            restarted.append(seq)
            server.close_port(OUTAGE_S)
            server.service.restart(rate_hz=1)  # slowly, so that it does not catch up with the cursor

    run = run_generator(student, rate_hz=4, last=200, trouble=restart)
    seqs = run.seqs
    steps = itertools.pairwise(seqs)
    anew = next((number for number, (seq, after) in enumerate(steps, 1) if after < seq), len(seqs))
    expect_order(seqs[:anew], EARLIER_TICKS, max([60, *seqs[anew - 1 : anew]]))
    if anew == len(seqs):
        fail(
            "it does not begin anew when its cursor is refused",
            f"{len(run.service.requests)} requests, the last {run.service.requests[-1].target}",
            "a request without `after`, and then the ticks of the new server",
            "400 (WebSocket: close code 4400) to a request with a cursor says that the server was started "
            "anew: forget the cursor, and begin as at first",
        )
    expect_order(seqs[anew : anew + ANEW_TICKS], seqs[anew], seqs[anew] + ANEW_TICKS - 1)


HOUSE = "README, Three ways to the same tick"
CHECKS: tuple[Check[StudentGenerator], ...] = (
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
