"""Runs a beginner's client, ``async def ticks(url)``: with real sockets, in simulated time.

Ticks may be dicts or objects, with ``seq``.
"""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, NoReturn

from bench.course.grading.base import TimeIsOver, explained, fail
from bench.course.grading.simulated.client_driver import POLL_INTERVAL_S
from bench.course.grading.simulated.clock import Clock, SimulatedLoop, run_simulated
from bench.course.grading.simulated.loopback_server import LoopbackServer
from bench.course.grading.simulated.server_connections import CONNECTIONS
from bench.course.grading.simulated.service import Service

EARLIER_TICKS = 5
LIMIT_S = 60.0
Trouble = Callable[[LoopbackServer, int], None]


class StudentGenerator(NamedTuple):
    """A student's generator, the transport it speaks, and the clock that its process is on."""

    ticks: Callable[..., AsyncIterator[Any]]
    transport: str
    clock: Clock

    def takes(self, name: str) -> bool:
        """Whether the function has such a parameter."""
        return name in inspect.signature(self.ticks).parameters


class GeneratorRun(NamedTuple):
    """What came of it: the ticks yielded, when, the server that was asked, and instants of connecting."""

    items: list[Any]
    yielded_ns: list[int]
    server: LoopbackServer
    connects_ns: list[int]

    @property
    def service(self) -> Service:
        """What was served, with all requests."""
        return self.server.service

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


def run_generator(
    student: StudentGenerator,
    *,
    rate_hz: float,
    last: int,
    trouble: Trouble | None = None,
    earlier_ticks: int = EARLIER_TICKS,
    history_ticks: int = 5_000,
) -> GeneratorRun:
    """Run the generator until it has yielded tick ``last`` (or simulated time is over).

    ``trouble`` is called after each tick with the server and the tick's seq, and may cut, refuse or close it.
    """
    service = Service(rate_hz, earlier_ticks=earlier_ticks, history_ticks=history_ticks, clock=student.clock)
    server = LoopbackServer(service, CONNECTIONS[student.transport])
    run = GeneratorRun([], [], server, [])

    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        loop.connects_ns = run.connects_ns
        async with server.open():
            if trouble is not None:
                trouble(server, 0)
            url = server.url.replace("http:", "ws:") if student.transport == "websocket" else server.url
            settings = {"poll_interval_s": POLL_INTERVAL_S} if student.takes("poll_interval_s") else {}
            async with contextlib.aclosing(student.ticks(url, **settings)) as coming:  # type: ignore[type-var]
                async for item in coming:
                    run.items.append(item)
                    run.yielded_ns.append(service.clock())
                    service.yielded_seq = seq = field(item, "seq")
                    if seq >= last or len(run.items) > 10 * last:
                        return
                    if trouble is not None:
                        trouble(server, seq)
        _fail_as_ended(run)

    with contextlib.suppress(TimeIsOver):  # what is missing then is told by the ticks that did not come
        run_simulated(student.clock, play(), last / rate_hz + LIMIT_S)
    return run


def _fail_as_ended(run: GeneratorRun) -> NoReturn:
    fail(
        "it stops by itself",
        f"the generator ended after {len(run.items)} ticks",
        "ticks without end, as long as somebody takes them",
        "while True: ask, or listen; and catch what a refusal or a cut raises",
    )
