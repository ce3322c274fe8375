"""Back-off: how long a client whose connection has ended waits before it connects again.

When a server dies, all its clients lose their connections at one instant. If each waits for the same time,
all come back at one instant, too: a herd, again and again, while the server is too busy to serve any. A
random wait spreads them.
"""

from collections.abc import Callable
from random import Random

FIRST_LIMIT_S, LONGEST_LIMIT_S = 0.05, 2.0

BACKOFFS: dict[str, Callable[[Random, float], float]] = {
    "jittered": lambda random, limit_s: random.uniform(0.0, limit_s),
    "doubling": lambda random, limit_s: limit_s,
    "none": lambda random, limit_s: FIRST_LIMIT_S,
}
"""The wait in seconds, from the limit that doubles with each failure.

``jittered`` is "full jitter": a uniform random time between 0 and the limit (M. Brooker, "Exponential Backoff
And Jitter", AWS Architecture Blog, 2015).
"""


class Backoff:
    """One way to wait, for any number of clients.

    Args:
        name: One of ``BACKOFFS``.
        seed: Of the random times; None draws others each time.

    Raises:
        ValueError: If there is no such way.
    """

    def __init__(self, name: str = "jittered", seed: int | None = None) -> None:
        if name not in BACKOFFS:
            raise ValueError(f"backoff is {name!r}; choose one of {', '.join(BACKOFFS)}")
        self._wait_s = BACKOFFS[name]
        self._random = Random(seed)

    def next_limit_s(self, limit_s: float) -> float:
        """Return the limit after one more failure: it doubles, from 50 ms to 2 s; 0 is before any failure."""
        return min(max(2 * limit_s, FIRST_LIMIT_S), LONGEST_LIMIT_S)

    def wait_s(self, limit_s: float) -> float:
        """Return how long to wait now."""
        return self._wait_s(self._random, limit_s)
