"""What is measured: the deliveries of a window's ticks, as they were written down.

``deliveries`` is an int64 array of shape (n, 6), a row per tick delivered to a client, in the order in which
the swarm handled them; its columns are ``clients.load.generator.DELIVERY_FIELDS``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLIENT, SEQ, DUE_NS, ARRIVED_NS, HANDLED_NS, STAMP_SHARED = range(6)
NS_PER_MS = 1e6

Deliveries = NDArray[np.int64]


class WindowTicks(NamedTuple):
    """The ticks due in the window: from ``first_seq`` to ``last_seq``, both included, due in [start, end)."""

    first_seq: int
    last_seq: int
    start_ns: int
    end_ns: int

    @property
    def ticks(self) -> int:
        """How many ticks it is."""
        return self.last_seq - self.first_seq + 1


def in_window(deliveries: Deliveries, window: WindowTicks) -> Deliveries:
    """Return the deliveries of the window's ticks."""
    seq = deliveries[:, SEQ]
    return deliveries[(seq >= window.first_seq) & (seq <= window.last_seq)]


def expected_deliveries(window: WindowTicks, clients: int) -> int:
    """Return how many deliveries there should be. One market, one room: each client gets each tick once."""
    return window.ticks * clients
