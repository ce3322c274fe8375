"""The rules for a beginner's client, ``async def ticks(url)``, while all goes well; then ticks_outages.py."""

import inspect

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.checks import ticks_outages
from bench.course.grading.simulated.client_driver import POLL_INTERVAL_S
from bench.course.grading.simulated.generator_run import ALREADY, Subject, field, watch
from bench.course.grading.simulated.loopback_server import Theatre

NEAR_MS = 5.0


def asks_in_the_right_form(subject: Subject) -> None:
    """The peer refuses every other form; the first request has no cursor."""
    watched = watch(subject, rate_hz=1, last=ALREADY)
    if not watched.stage.requests:
        fail("it asks nothing", "no request came", "GET /ticks", "connect to the url that it is given")
    first = watched.stage.requests[0]
    if first.cursor is not None:
        fail(
            "its first request has a cursor already",
            first.target,
            "/ticks without `after`",
            "give `after` only when a tick has come",
        )


def begins_with_the_newest(subject: Subject) -> None:
    """Five ticks have been published; a client that comes now gets the fifth first."""
    watched = watch(subject, rate_hz=1, last=ALREADY)
    expect_order(watched.seqs, ALREADY, ALREADY)


def every_tick_once_and_in_order(subject: Subject) -> None:
    """At rates below and above that of the polls."""
    for rate_hz, last in ((1, 10), (20, 100)):
        expect_order(watch(subject, rate_hz=rate_hz, last=last).seqs, ALREADY, last)


def many_ticks_in_one_array(subject: Subject) -> None:
    """Twenty ticks become due while the client is busy with one."""

    def hurry(theatre: Theatre, seq: int) -> None:
        if seq in (10, 11, 40):
            theatre.stage.clock.now_ns += 2_000_000_000

    expect_order(watch(subject, rate_hz=10, last=90, scene=hurry).seqs, ALREADY, 90)


def keeps_its_connection(subject: Subject) -> None:
    """As long as nothing cuts it, one is enough."""
    watched = watch(subject, rate_hz=2, last=30)
    if watched.theatre.opened > 1:
        fail(
            "it connects again and again",
            f"{watched.theatre.opened} connections for {len(watched.stage.requests)} requests",
            "one connection, that is used until it is cut",
            "each new connection costs a round trip, three packets, and TLS its handshake: open one "
            "ClientSession before the loop; take message after message from one WebSocket",
        )


def requests_are_counted(subject: Subject) -> None:
    """How often it asks in 10 s of simulated time."""
    if subject.transport == "short_polling" and not subject.takes("poll_interval_s"):
        fail(
            "it cannot be told how often to poll",
            f"ticks{inspect.signature(subject.ticks)}",
            "async def ticks(url, poll_interval_s=1.0)",
            "add the parameter, and pause so many seconds between polls",
        )
    watched = watch(subject, rate_hz=4, last=60)
    seen = len(watched.stage.between(1.1, 11.1))
    expected, why = {
        "short_polling": (round(10 / POLL_INTERVAL_S), f"one per poll_interval_s of {POLL_INTERVAL_S:g} s"),
        "long_polling": (40, "one per tick at 4 Hz"),
    }.get(subject.transport, (0, "none after the first: the server pushes"))
    if abs(seen - expected) > (1 if expected else 0):
        fail(
            "it asks too often" if seen > expected else "it asks too seldom",
            f"{seen} requests in 10 s",
            f"{expected}: {why}",
            "one pause between two polls; none in long polling, where the server waits",
        )


def latency_begins_when_a_tick_is_due(subject: Subject) -> None:
    """A tick yielded with latency_ms is so old: now − due_ns, not now − the moment of asking."""
    watched = watch(subject, rate_hz=4, last=40)
    for item, at_ns in zip(watched.items, watched.yielded_ns, strict=True):
        told, true = field(item, "latency_ms"), (at_ns - field(item, "due_ns")) / 1e6
        if abs(told - true) > NEAR_MS:
            fail(
                "its latency does not begin when the tick was due",
                f"latency_ms of tick {field(item, 'seq')} is {told:.0f}",
                f"{true:.0f} in this simulation: arrived − due_ns, on the bench clock (servers.wire.now_ns)",
                "from asking to answer is the response time; it leaves out how long the tick had waited by "
                "then: begin at tick['due_ns'], for each tick of the array",
            )


def checks(*, tells_latency: bool) -> tuple[Check[Subject], ...]:
    """Return the checks for a file: latency is looked at where it is told."""
    return CHECKS + ticks_outages.CHECKS + LATENCY_CHECKS * tells_latency


HOUSE = ticks_outages.HOUSE
CHECKS: tuple[Check[Subject], ...] = (
    Check("asks in the right form", HOUSE, asks_in_the_right_form),
    Check("begins with the newest tick", HOUSE, begins_with_the_newest),
    Check("yields every tick once and in order, at 1 and 20 Hz", HOUSE, every_tick_once_and_in_order),
    Check("yields every tick of an array", HOUSE, many_ticks_in_one_array),
    Check("asks as often as its transport needs", "README, How it is measured", requests_are_counted),
    Check("keeps its connection between requests", "RFC 9112, section 9.3", keeps_its_connection),
)
LATENCY_CHECKS: tuple[Check[Subject], ...] = (
    Check(
        "counts latency from the due instant", "README, How it is measured", latency_begins_when_a_tick_is_due
    ),
)
