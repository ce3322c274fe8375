"""A simulation of one client and its server, event by event, that knows no formula: the models' witness.

Ticks become due, requests and answers travel, the server looks into its log, the client decides when to ask.
What happens at one instant happens in the order in which it was planned; ticks come first.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

WARMUP_TICKS = 50
"""The first ticks are due while clients begin, and are left out of what is counted."""


@dataclass
class Outcome:
    """What one client lived through. Times are in seconds."""

    latencies_s: list[float] = field(default_factory=list)
    ticks_per_answer: list[int] = field(default_factory=list)
    requests: int = 0
    skipped: int = 0
    age_area_s2: float = 0.0
    observed_s: float = 0.0


Way = float | Callable[[], float]
"""How long a request or an answer is on its way: always as long, or drawn anew for each."""


def drawn(way_s: Way) -> float:
    return way_s() if callable(way_s) else way_s


class World:
    """A clock that jumps from event to event, a log of ticks, and one client's way to it."""

    def __init__(
        self, due_s: list[float], *, up_s: Way, down_s: Way, service_s: float, client_s: float = 0.0
    ) -> None:
        self.now_s = 0.0
        self.due_s, self.published = due_s, 0
        self.up_s, self.down_s, self.service_s, self.client_s = up_s, down_s, service_s, client_s
        self.taken = 0
        self.held: int | None = None
        self.held_since_s = 0.0
        self.outcome = Outcome()
        self.on_tick: Callable[[], None] = lambda: None
        self.on_answer: Callable[[], None] = lambda: None
        self.on_request: Callable[[], None] = lambda: None
        self._events: list[tuple[float, int, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, time_s: float, what: Callable[[], None], rank: int = 1) -> None:
        heapq.heappush(self._events, (time_s, rank, next(self._order), what))

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        self.at(self.now_s + delay_s, what)

    def run(self) -> Outcome:
        """Let everything happen until the last tick is published."""
        self.at(self.due_s[0], self._publish, rank=0)
        while self.published < len(self.due_s):
            self.now_s, _, _, happen = heapq.heappop(self._events)
            happen()
        return self.outcome

    def _publish(self) -> None:
        self.published += 1
        if self.published == WARMUP_TICKS:
            self.outcome, self.held_since_s = Outcome(), self.now_s
        if self.published < len(self.due_s):
            self.at(self.due_s[self.published], self._publish, rank=0)
        self.on_tick()

    def take(self) -> None:
        """Let the server take what the client has not, and send it."""
        first, self.taken = self.taken, self.published
        last = self.taken
        self.after(self.service_s + drawn(self.down_s), lambda: self._arrive(first, last))

    def _arrive(self, first: int, last: int) -> None:
        self.outcome.ticks_per_answer.append(last - first)
        if last > first:
            self._grow_older()
            self.held = last - 1
            self.outcome.latencies_s += [
                self.now_s - self.due_s[tick] for tick in range(max(first, WARMUP_TICKS), last)
            ]
        self.on_answer()

    def _grow_older(self) -> None:
        """Add up the age of what the client holds, from when it was last looked at until now."""
        if self.held is not None:
            passed_s = self.now_s - self.held_since_s
            age_s = self.held_since_s - self.due_s[self.held]
            self.outcome.age_area_s2 += passed_s * (age_s + passed_s / 2)
            self.outcome.observed_s += passed_s
        self.held_since_s = self.now_s

    def ask(self) -> None:
        """Send a request to the server."""
        self.outcome.requests += 1
        self.after(drawn(self.up_s), lambda: self.on_request())


def push(world: World) -> Outcome:
    world.on_tick = world.take
    return world.run()


def short_polling(world: World, interval_s: float, phase: float) -> Outcome:
    """Poll at fixed instants; skip one if the last answer is still out."""
    waiting = False
    instants = (interval_s * (k + phase) for k in count())

    def poll() -> None:
        nonlocal waiting
        world.at(next(instants), poll)
        if waiting:
            world.outcome.skipped += 1
        else:
            waiting = True
            world.ask()

    def answered() -> None:
        nonlocal waiting
        waiting = False

    world.on_request, world.on_answer = world.take, answered
    world.at(next(instants), poll)
    return world.run()


def paused_polling(world: World, pause_s: float, phase: float) -> Outcome:
    """Poll again so long after each answer."""
    world.on_request = world.take
    world.on_answer = lambda: world.after(world.client_s + pause_s, world.ask)
    world.at(phase * pause_s, world.ask)
    return world.run()


def long_polling(world: World, phase: float, hold_s: float = math.inf) -> Outcome:
    """Ask at once; the server holds a request until there is a tick, or its hold is over."""
    request: int | None = None
    numbers = count()

    def settle() -> None:
        nonlocal request
        request = None
        world.take()

    def time_out(number: int) -> None:
        if request == number:
            settle()

    def requested() -> None:
        nonlocal request
        request = next(numbers)
        number = request
        if world.published > world.taken:
            settle()
        elif hold_s < math.inf:
            world.after(hold_s, lambda: time_out(number))

    world.on_tick = lambda: settle() if request is not None else None
    world.on_request = requested
    world.on_answer = lambda: world.after(world.client_s, world.ask)
    world.at(phase, world.ask)
    return world.run()


def due_times(plan: str, rate_hz: float, ticks: int, seed: int) -> list[float]:
    """Return the instants of so many ticks."""

    def gaps() -> Iterator[float]:
        rng = random.Random(seed)
        while True:
            yield rng.expovariate(rate_hz) if plan == "poisson" else 1 / rate_hz

    due_s, now_s = [], 0.0
    for _, gap_s in zip(range(ticks), gaps(), strict=False):
        now_s += gap_s
        due_s.append(now_s)
    return due_s


def together(outcomes: list[Outcome]) -> Outcome:
    """Return what several clients lived through as one outcome."""
    whole = Outcome()
    for one in outcomes:
        whole.latencies_s += one.latencies_s
        whole.ticks_per_answer += one.ticks_per_answer
        whole.requests += one.requests
        whole.skipped += one.skipped
        whole.age_area_s2 += one.age_area_s2
        whole.observed_s += one.observed_s
    return whole
