"""Which ticks are due, and when: the plan that a server tells, computed a piece at a time.

A plan is a pure function (servers/workloads/plan.py). So it is known what is owed, also when the server is
silent.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clients.load.orders import Due
from servers.options import MAX_RATE_HZ
from servers.workloads.plan import DRAWN_PLANS, due_times

MOST_DRAWN = 1_000_000
"""A plan of chance is drawn from its start on; so many ticks of the past take a second, and Locust waits."""
MOST_AT_ONCE = 100_000
"""Ticks that are told together; the rest follows a second later."""
AHEAD_NS = 3_000_000_000
"""How far a swarm knows the plan beforehand; it is told more each second."""


class DueTicks:
    """The ticks of a plan, from one of them on.

    Args:
        plan: Parameters of due_times, as the server tells them.
        first_seq: The tick to begin with: the newest that there is.
    """

    def __init__(self, plan: Mapping[str, Any], first_seq: int) -> None:
        self._seq = max(first_seq, 1)
        self._due: Iterator[int] = due_times(**plan, after=self._seq - 1)
        self._next_ns = next(self._due)

    def until(self, at_ns: int) -> Due:
        """Return the ticks that have not been returned yet, up to the first one due after an instant."""
        first_seq, due_ns = self._seq, [self._take()]
        while due_ns[-1] <= at_ns and len(due_ns) < MOST_AT_ONCE:
            due_ns.append(self._take())
        return Due(first_seq, due_ns)

    def _take(self) -> int:
        due_ns = self._next_ns
        self._seq, self._next_ns = self._seq + 1, next(self._due)
        return due_ns


def due_ticks(plan: Mapping[str, Any] | None, first_seq: int) -> DueTicks | None:
    """Return the ticks of a plan; None if it is a recording's, too long to draw again, or makes no sense."""
    if plan is None or plan.get("plan") == "replay":
        return None
    if plan.get("plan") in DRAWN_PLANS and first_seq > MOST_DRAWN:
        return None
    try:
        return DueTicks(plan, first_seq) if plan["rate_hz"] <= MAX_RATE_HZ else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
