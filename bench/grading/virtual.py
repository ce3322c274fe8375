"""Simulated time: a clock that is set, and an event loop whose timers cost nothing.

When no socket has anything to say, the loop jumps to its next timer. So a client that polls once a second is
watched for a minute within a moment, and its requests can be counted exactly.
"""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any

QUIET_S = 0.001
"""Real time without an event after which all that was sent on loopback is held to have arrived."""
START_NS = 1_000 * 10**9
"""The simulated clock begins at 1,000 s: a client that takes 0 for "not yet" is not helped by chance."""


class Clock:
    """The bench clock, in simulated ns."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        """Return the simulated instant in ns."""
        return self.now_ns


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for sockets a moment, and then sets the clock forward instead of waiting on."""

    clock: Clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        events = super().select(QUIET_S)
        if not events:
            self.clock.now_ns += math.ceil(timeout * 1e9)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a simulated clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        selector = _JumpingSelector()
        selector.clock = clock
        super().__init__(selector)

    def time(self) -> float:
        """Return the simulated time in s."""
        return self.clock.now_ns / 1e9


def run(clock: Clock, main: Coroutine[Any, Any, None], limit_s: float) -> None:
    """Run a coroutine in simulated time.

    Raises:
        TimeoutError: If it is not done within ``limit_s`` simulated seconds.
    """

    async def limited() -> None:
        async with asyncio.timeout(limit_s):
            await main

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: None)  # what a check needs, it asks
        runner.run(limited())
