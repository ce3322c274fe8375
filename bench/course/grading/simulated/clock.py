"""Simulated time: a clock that is set, and an event loop whose timers cost nothing.

When no socket has anything to say, the loop jumps to its next timer. So a client that polls once a second is
watched for a minute within a moment, and its requests can be counted exactly.
"""

import asyncio
import contextlib
import math
import selectors
import socket
from collections.abc import Coroutine
from typing import Any

from bench.course.grading.base import Fault, TimeIsOver, offences

QUIET_S = 0.001
"""Real time without an event after which all that was sent on loopback is held to have arrived."""
START_NS = 1_000 * 10**9
"""The simulated clock begins at 1,000 s: a client that takes 0 for "not yet" is not helped by chance."""
MOST_TURNS = 50_000
"""Turns of the event loop at one instant without a byte; more are a loop that never waits."""
MOST_CONNECTIONS = 100
"""New connections at one instant; more are a loop without a pause."""


class Clock:
    """The bench clock, in simulated ns."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        """Return the simulated instant in ns."""
        return self.now_ns


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for sockets a moment, and then sets the clock forward instead of waiting on.

    An offence is raised here, outside of the student's code: no ``except`` of theirs can catch it.
    """

    clock: Clock
    turns = 0
    raised = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if offences and not self.raised:
            self.raised = True
            raise offences[0]
        if timeout is None or timeout <= 0:
            events = super().select(timeout)
            self.turns = 0 if events else self.turns + 1
            if self.turns > MOST_TURNS:
                self.turns, self.raised = 0, True
                offences.append(_spins())
                raise offences[-1]
            return events
        self.turns = 0
        events = super().select(QUIET_S)
        if not events:
            self.clock.now_ns += math.ceil(timeout * 1e9)
        return events


def _spins() -> Fault:
    return Fault(
        "it spins: it looks again and again, and never waits",
        seen=f"{MOST_TURNS} turns of the event loop, and no time passed",
        expected="an await of what is to come",
        hint="asyncio.sleep(0) lets others run, but time stands still as long as nobody waits; a bare "
        "`except:` around an await catches its cancellation, too",
    )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a simulated clock.

    Attributes:
        connects_ns: Simulated instants at which somebody began to connect.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.connects_ns: list[int] = []
        selector = _JumpingSelector()
        selector.clock = clock
        super().__init__(selector)

    def time(self) -> float:
        """Return the simulated time in s."""
        return self.clock.now_ns / 1e9

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect, and count it.

        Raises:
            Fault: If there is no end to it.
        """
        self.connects_ns.append(self.clock.now_ns)
        if self.connects_ns[-MOST_CONNECTIONS:] == [self.clock.now_ns] * MOST_CONNECTIONS:
            offences.append(
                Fault(
                    "it tries again and again without a pause",
                    seen=f"{MOST_CONNECTIONS} new connections at one instant",
                    expected="a pause after a refusal, a cut or a closed port",
                    hint="wait a moment before the next try, best a little longer each time: await "
                    "asyncio.sleep(…) behind the `except`",
                )
            )
            raise offences[-1]
        await super().sock_connect(sock, address)


def run(clock: Clock, main: Coroutine[Any, Any, None], limit_s: float) -> VirtualLoop:
    """Run a coroutine in simulated time; return the loop that ran it.

    Raises:
        TimeIsOver: If it is not done within ``limit_s`` simulated seconds.
    """

    async def limited() -> None:
        try:
            async with asyncio.timeout(limit_s) as limit:
                await main
        except TimeoutError as error:
            if limit.expired():
                raise TimeIsOver from error
            raise

    loop = VirtualLoop(clock)
    loop.set_exception_handler(lambda loop, context: None)  # what a check needs, it asks
    runner = asyncio.Runner(loop_factory=lambda: loop)
    try:
        runner.run(limited())
    finally:
        with contextlib.suppress(Exception):  # what does not let itself be ended, or fails at its end
            runner.close()
    return loop
