"""Watches a beginner's client, ``async def ticks(url)``: with real sockets, in simulated time.

Ticks may be dicts or objects, with ``seq``.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, NoReturn

from bench.course.grading.base import TimeIsOver, explained, fail
from bench.course.grading.simulated import clock
from bench.course.grading.simulated.client_driver import POLL_INTERVAL_S
from bench.course.grading.simulated.clock import Clock
from bench.course.grading.simulated.loopback_server import Theatre
from bench.course.grading.simulated.service import Stage
from bench.course.grading.simulated.strict_servers import PEERS

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
        assert isinstance(loop, clock.VirtualLoop)
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
        clock.run(subject.clock, play(), last / rate_hz + LIMIT_S)
    return watched


def _ended(watched: Watched) -> NoReturn:
    fail(
        "it stops by itself",
        f"the generator ended after {len(watched.items)} ticks",
        "ticks without end, as long as somebody takes them",
        "while True: ask, or listen; and catch what a refusal or a cut raises",
    )
