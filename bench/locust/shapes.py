"""How the number of users can change over time: pure functions of time, and the search for capacity."""

import math
from typing import NamedTuple

CONNECT_S = 20
"""A step whose users have not all connected after so long has failed."""
SETTLE_S = 2
MEASURE_S = 5
ALLOWED_LATE_RATIO = 0.01
"""Deliveries that may be later than the limit: that is a p99 within the limit."""
BRACKET_RATIO = 1.15
"""A search ends when the least number that is too many is at most so many times the most that is not."""


def ramp(elapsed_s: float, run_time_s: float, users: int) -> int:
    """Return a number that rises evenly, from one user at the start to all at the end."""
    return max(1, min(users, math.ceil(users * elapsed_s / run_time_s)))


def spike(elapsed_s: float, run_time_s: float, users: int) -> int:
    """Return all users in the middle fifth of the time, and a tenth of them before and after."""
    return users if 0.4 <= elapsed_s / run_time_s < 0.6 else max(1, users // 10)


class Seen(NamedTuple):
    """What a search looks at: connected clients now, and deliveries since the start, in all and late."""

    connected: int
    delivered: int
    late: int


class CapacitySearch:
    """The most users whose p99 stays within a limit: doubled until it does not, then tried in between.

    Each step waits until all are connected, lets them settle, and counts late deliveries for a while.

    Args:
        first: Users of the first step.
        most: Users that it does not go beyond.

    Attributes:
        users: How many are tried now.
        enough: The most users so far that were served in time; None before any.
        too_many: The fewest that were not.
    """

    def __init__(self, first: int, most: int) -> None:
        self.users = min(max(first, 1), most)
        self.enough: int | None = None
        self.too_many: int | None = None
        self._most = most
        self._began_s = 0.0
        self._connected_s: float | None = None
        self._from: Seen | None = None

    @property
    def is_over(self) -> bool:
        """Whether the answer is known as well as it will be."""
        if self.too_many is None:
            return self.enough == self._most
        if self.enough is None:
            return self.too_many == 1
        return self.too_many - self.enough <= 1 or self.too_many / self.enough <= BRACKET_RATIO

    def look(self, elapsed_s: float, seen: Seen) -> None:
        """Go on with the step by what is seen now, or judge it and begin the next."""
        if self._connected_s is None:
            if seen.connected >= self.users:
                self._connected_s = elapsed_s
            elif elapsed_s - self._began_s > CONNECT_S:
                self._judge(elapsed_s, in_time=False)
        elif self._from is None:
            if elapsed_s - self._connected_s >= SETTLE_S:
                self._from = seen
        elif elapsed_s - self._connected_s >= SETTLE_S + MEASURE_S:
            delivered, late = seen.delivered - self._from.delivered, seen.late - self._from.late
            self._judge(elapsed_s, in_time=delivered > 0 and late <= ALLOWED_LATE_RATIO * delivered)

    def _judge(self, elapsed_s: float, *, in_time: bool) -> None:
        if in_time:
            self.enough = self.users
        else:
            self.too_many = self.users
        self._began_s, self._connected_s, self._from = elapsed_s, None, None
        if self.is_over:
            return
        if self.too_many is None:
            self.users = min(2 * self.users, self._most)
        elif self.enough is None:
            self.users = max(self.users // 2, 1)
        else:
            self.users = round(math.sqrt(self.enough * self.too_many))

    def sentence(self, limit_ms: float) -> str:
        """Say what was found."""
        served = f"99 % of the deliveries within {limit_ms:g} ms"
        if self.enough is None:
            return f"{served}: not even with {self.too_many or self.users} users"
        if self.too_many is None:
            return f"{served}: with {self.enough} users, and no more were tried"
        return f"{served}: with {self.enough} users, but not with {self.too_many}"
