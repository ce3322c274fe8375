"""The rules for a beginner's client: ``async def ticks(url)``, a generator that yields tick after tick.

It runs with real sockets in simulated time. Ticks may be dicts or objects, with ``seq``.
"""

import asyncio
import contextlib
import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, NoReturn

from bench.grading import virtual
from bench.grading.base import Check, TimeIsOver, expect_order, explained, fail
from bench.grading.drive import POLL_INTERVAL_S
from bench.grading.peers import PEERS
from bench.grading.stage import Stage
from bench.grading.theatre import Theatre
from bench.grading.virtual import Clock

ALREADY = 5
LIMIT_S = 60.0
OUTAGE_S = 3.0
MOST_TRIES_HZ = 20
"""Tries per second of an outage; a pause of 0.1 s makes half as many."""
NEAR_MS = 5.0
Scene = Callable[[Theatre, int], None]


class Subject(NamedTuple):
    """A student's generator, the transport it speaks, and the clock that its process is on."""

    ticks: Callable[..., AsyncIterator[Any]]
    transport: str
    clock: Clock

    def takes(self, name: str) -> bool:
        """Whether the function has such a parameter."""
        return name in inspect.signature(self.ticks).parameters


class Watched(NamedTuple):
    """What came of it: the ticks yielded, when, the theatre with its stage, and instants of connecting."""

    items: list[Any]
    yielded_ns: list[int]
    theatre: Theatre
    connects_ns: list[int]

    @property
    def stage(self) -> Stage:
        """The stage, with all requests."""
        return self.theatre.stage

    @property
    def seqs(self) -> list[int]:
        """The ``seq`` of all that was yielded."""
        return [field(item, "seq") for item in self.items]


def field(item: Any, name: str) -> Any:
    """Return a field of what was yielded: a dict's key or an object's attribute."""
    with explained(
        "what it yields is no tick",
        "yield tick by tick: for tick in array: yield tick; and look at the status first, for an error is no "
        "array",
        f"a dict with the key {name!r}, or an object with the attribute {name}",
    ):
        found = item[name] if isinstance(item, dict) else getattr(item, name)
        if type(found) is not int and (name == "seq" or type(found) is not float):
            raise TypeError(f"{name} is a {type(found).__name__}")
        return found


def watch(
    subject: Subject,
    *,
    rate_hz: float,
    last: int,
    scene: Scene | None = None,
    already: int = ALREADY,
    history_ticks: int = 5_000,
) -> Watched:
    """Run the generator until it has yielded tick ``last`` (or simulated time is over).

    ``scene`` is called after each tick with the theatre and the tick's seq.
    """
    stage = Stage(rate_hz, already=already, history_ticks=history_ticks, clock=subject.clock)
    theatre = Theatre(stage, PEERS[subject.transport])
    watched = Watched([], [], theatre, [])

    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual.VirtualLoop)
        loop.connects_ns = watched.connects_ns
        async with theatre.open():
            if scene is not None:
                scene(theatre, 0)
            url = theatre.url.replace("http:", "ws:") if subject.transport == "websocket" else theatre.url
            settings = {"poll_interval_s": POLL_INTERVAL_S} if subject.takes("poll_interval_s") else {}
            async with contextlib.aclosing(subject.ticks(url, **settings)) as coming:  # type: ignore[type-var]
                async for item in coming:
                    watched.items.append(item)
                    watched.yielded_ns.append(stage.clock())
                    stage.held_seq = seq = field(item, "seq")
                    if seq >= last or len(watched.items) > 10 * last:
                        return
                    if scene is not None:
                        scene(theatre, seq)
        _ended(watched)

    with contextlib.suppress(TimeIsOver):  # what is missing then is told by the ticks that did not come
        virtual.run(subject.clock, play(), last / rate_hz + LIMIT_S)
    return watched


def _ended(watched: Watched) -> NoReturn:
    fail(
        "it stops by itself",
        f"the generator ended after {len(watched.items)} ticks",
        "ticks without end, as long as somebody takes them",
        "while True: ask, or listen; and catch what a refusal or a cut raises",
    )


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


def survives_a_refusal(subject: Subject) -> None:
    """503: the server is full for three seconds, before the first tick and after a cut."""

    def refuse(theatre: Theatre, seq: int) -> None:
        if seq in (0, 10):
            theatre.stage.refuse(OUTAGE_S)
            theatre.cut()

    watched = watch(subject, rate_hz=2, last=30, scene=refuse)
    expect_order(watched.seqs, watched.seqs[0] if watched.seqs else ALREADY, 30)


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

    watched = watch(subject, rate_hz=4, last=80, scene=go_away)
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
    expect_order(watched.seqs, ALREADY, 80)


def goes_on_after_lost_history(subject: Subject) -> None:
    """It was away for longer than the history lasts, and is told how many ticks it missed."""
    gone: list[int] = []

    def go_away(theatre: Theatre, seq: int) -> None:
        if seq >= 10 and not gone:
            gone.append(seq)
            theatre.go_away(OUTAGE_S)

    watched = watch(subject, rate_hz=10, last=120, scene=go_away, history_ticks=10)
    seqs = watched.seqs
    steps = itertools.pairwise(seqs)
    gap = next((number for number, (seq, after) in enumerate(steps, 1) if after != seq + 1), len(seqs))
    expect_order(seqs[:gap], ALREADY, seqs[gap - 1] if seqs[gap:] else 120)
    if seqs[gap:]:
        expect_order(seqs[gap:], seqs[gap - 1] + watched.stage.missed + 1, 120)


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
                "a latency that begins when the client asks leaves out how long the tick had waited by then "
                "(coordinated omission): begin at tick['due_ns'], for each tick of the array",
            )


def checks(*, tells_latency: bool) -> tuple[Check[Subject], ...]:
    """Return the checks for a file: latency is looked at where it is told."""
    return CHECKS + LATENCY_CHECKS * tells_latency


HOUSE = "README, Three ways to the same tick"
CHECKS: tuple[Check[Subject], ...] = (
    Check("asks in the right form", HOUSE, asks_in_the_right_form),
    Check("begins with the newest tick", HOUSE, begins_with_the_newest),
    Check("yields every tick once and in order, at 1 and 20 Hz", HOUSE, every_tick_once_and_in_order),
    Check("yields every tick of an array", HOUSE, many_ticks_in_one_array),
    Check("asks as often as its transport needs", "README, How it is measured", requests_are_counted),
    Check("keeps its connection between requests", "RFC 9112, section 9.3", keeps_its_connection),
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
)
LATENCY_CHECKS: tuple[Check[Subject], ...] = (
    Check(
        "counts latency from the due instant", "README, How it is measured", latency_begins_when_a_tick_is_due
    ),
)
