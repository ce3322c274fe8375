"""The rules for a beginner's client: ``async def ticks(url)``, a generator that yields tick after tick.

It runs with real sockets in simulated time. Ticks may be dicts or objects, with ``seq``.
"""

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from statistics import mean
from typing import Any, NamedTuple, NoReturn

from bench.grading import virtual
from bench.grading.base import Check, expect_order, explained, fail
from bench.grading.drive import POLL_INTERVAL_S
from bench.grading.peers import PEERS
from bench.grading.stage import Stage
from bench.grading.theatre import Theatre
from bench.grading.virtual import Clock

ALREADY = 5
LIMIT_S = 60.0
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
    """What came of it: the ticks yielded, when, and the stage with its requests."""

    items: list[Any]
    yielded_ns: list[int]
    stage: Stage

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
        return item[name] if isinstance(item, dict) else getattr(item, name)


def watch(
    subject: Subject, *, rate_hz: float, last: int, scene: Scene | None = None, already: int = ALREADY
) -> Watched:
    """Run the generator until it has yielded tick ``last`` (or simulated time is over).

    ``scene`` is called after each tick with the theatre and the tick's seq.
    """
    stage = Stage(rate_hz, already=already, clock=subject.clock)
    theatre = Theatre(stage, PEERS[subject.transport])
    watched = Watched([], [], stage)

    async def play() -> None:
        async with theatre.open():
            if scene is not None:
                scene(theatre, 0)
            url = theatre.url.replace("http:", "ws:") if subject.transport == "websocket" else theatre.url
            settings = {"poll_interval_s": POLL_INTERVAL_S} if subject.takes("poll_interval_s") else {}
            async with contextlib.aclosing(subject.ticks(url, **settings)) as coming:  # type: ignore[type-var]
                async for item in coming:
                    watched.items.append(item)
                    watched.yielded_ns.append(stage.clock())
                    seq = field(item, "seq")
                    if seq >= last or theatre.fault or len(watched.items) > 10 * last:
                        return
                    if scene is not None:
                        scene(theatre, seq)
        if theatre.fault is None:
            _ended(watched)

    with contextlib.suppress(TimeoutError):  # what is missing then is told by the ticks that did not come
        try:
            virtual.run(subject.clock, play(), last / rate_hz + LIMIT_S)
        except TimeoutError:
            raise
        except Exception:
            if theatre.fault is None:
                raise
    if theatre.fault is not None:
        raise theatre.fault
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
    """503: the server is full for a moment."""

    def refuse(theatre: Theatre, seq: int) -> None:
        if seq == 0:
            theatre.stage.refusals = [(503, "3 clients are connected, the most allowed; try later")] * 2

    watched = watch(subject, rate_hz=2, last=20, scene=refuse)
    expect_order(watched.seqs, watched.seqs[0] if watched.seqs else ALREADY, 20)


def resumes_after_a_cut(subject: Subject) -> None:
    """The connection is cut in silence, and in the middle of a delivery."""

    def cut(theatre: Theatre, seq: int) -> None:
        if seq == 10:
            theatre.cut()
        theatre.cut_next = theatre.cut_next or seq == 20

    expect_order(watch(subject, rate_hz=4, last=40, scene=cut).seqs, ALREADY, 40)


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
    told = mean(field(item, "latency_ms") for item in watched.items)
    true = mean(
        (at_ns - field(item, "due_ns")) / 1e6
        for item, at_ns in zip(watched.items, watched.yielded_ns, strict=True)
    )
    if abs(told - true) > 0.2 * true + 5:
        fail(
            "its latency does not begin when the tick was due",
            f"latency_ms is {told:.0f} on average",
            f"{true:.0f} in this simulation: arrived − due_ns, on the bench clock (servers.wire.now_ns)",
            "a latency that begins when the client asks leaves out how long the tick had waited by then "
            "(coordinated omission): begin at tick['due_ns']",
        )


def checks(source: str) -> tuple[Check[Subject], ...]:
    """Return the checks for a file: latency is looked at where it is told."""
    return CHECKS + LATENCY_CHECKS * ("latency_ms" in source)


HOUSE = "README, Three ways to the same tick"
CHECKS: tuple[Check[Subject], ...] = (
    Check("asks in the right form", HOUSE, asks_in_the_right_form),
    Check("begins with the newest tick", HOUSE, begins_with_the_newest),
    Check("yields every tick once and in order, at 1 and 20 Hz", HOUSE, every_tick_once_and_in_order),
    Check("yields every tick of an array", HOUSE, many_ticks_in_one_array),
    Check("asks as often as its transport needs", "README, How it is measured", requests_are_counted),
    Check("goes on after a refusal (503)", "servers/http.py; RFC 9110, section 15.6.4", survives_a_refusal),
    Check("resumes after a cut connection without loss or double", HOUSE, resumes_after_a_cut),
)
LATENCY_CHECKS: tuple[Check[Subject], ...] = (
    Check(
        "counts latency from the due instant", "README, How it is measured", latency_begins_when_a_tick_is_due
    ),
)
