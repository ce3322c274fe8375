"""What a delivery's latency is distributed like, in theory: a mixture of uniform pieces."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

MS_PER_S = 1e3
BISECTIONS = 80
"""Halvings of an interval: after 80 of them no two floats are left in it."""


@dataclass(frozen=True)
class Link:
    """How long the way between a client and the feed is: fixed times, the same for every request and answer.

    Fields:
        up_s: One-way transit of a request, from the client until the server looks for ticks.
        down_s: One-way transit of a delivery.
        service_s: From the moment at which the server takes ticks from the feed until they are on the way.
        client_s: From a delivery's arrival until the client's next request is on the way, if it asks at once.
    """

    up_s: float = 0.0
    down_s: float = 0.0
    service_s: float = 0.0
    client_s: float = 0.0

    @property
    def delivery_s(self) -> float:
        """From taking ticks from the feed until the client has them."""
        return self.service_s + self.down_s

    @property
    def turnaround_s(self) -> float:
        """From taking ticks from the feed until the next request of a client that asks at once is there."""
        return self.delivery_s + self.client_s + self.up_s


@dataclass(frozen=True, eq=False)
class Latency:
    """The distribution of a latency: with probability ``weight`` uniform between ``low_ms`` and ``high_ms``.

    A piece whose two ends are the same is a point: so much of the latency is exactly that.
    """

    weight: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]

    @classmethod
    def of(cls, *pieces: tuple[float, float, float]) -> "Latency":
        """Build it from pieces (weight, low_s, high_s); weights need not add up to one."""
        weight, low_s, high_s = np.array(pieces, dtype=np.float64).T
        return cls(weight / weight.sum(), low_s * MS_PER_S, high_s * MS_PER_S)

    @classmethod
    def mixed(cls, latencies: Iterable["Latency"]) -> "Latency":
        """Return the latency over clients of whom each has another distribution and equally many ticks."""
        every = list(latencies)
        return cls(
            np.concatenate([latency.weight for latency in every]) / len(every),
            np.concatenate([latency.low_ms for latency in every]),
            np.concatenate([latency.high_ms for latency in every]),
        )

    @cached_property
    def mean_ms(self) -> float:
        """The mean."""
        return float(self.weight @ (self.low_ms + self.high_ms) / 2)

    @cached_property
    def max_ms(self) -> float:
        """The longest latency that can be."""
        return float(self.high_ms[self.weight > 0].max())

    def cdf(self, x_ms: ArrayLike) -> NDArray[np.float64]:
        """Return the share of latencies up to each of ``x_ms``."""
        x = np.atleast_1d(np.asarray(x_ms, dtype=np.float64))[:, None]
        length = self.high_ms - self.low_ms
        within = np.clip((x - self.low_ms) / np.where(length > 0, length, 1.0), 0.0, 1.0)
        share = np.where(length > 0, within, x >= self.low_ms)
        return np.asarray(share @ self.weight, dtype=np.float64)

    def quantile_ms(self, share: float) -> float:
        """Return the shortest latency that at least this share (0 to 1) of deliveries does not exceed."""
        low, high = float(self.low_ms.min()), self.max_ms
        if self.cdf(low)[0] >= share:
            return low
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.cdf(middle)[0] >= share else (middle, high)
        return high


def over_fan_out(
    latency_of: Callable[[Link], Latency], link: Link, *, clients: int, per_client_s: float
) -> Latency:
    """Return the latency over all clients of a server that writes to one after the other.

    A tick that is due for everybody at once is written to client i (0, 1 …) only after i others: that is
    i × ``per_client_s`` of service before its own, on average (clients − 1)/2 × ``per_client_s``.

    Args:
        latency_of: The latency of one client over its link, such as ``push_latency``.
        link: The link of the first client.
        clients: How many clients.
        per_client_s: Server time per delivery.
    """
    return Latency.mixed(
        latency_of(Link(link.up_s, link.down_s, link.service_s + i * per_client_s, link.client_s))
        for i in range(clients)
    )
