"""A server that is searched for its capacity, without a server: trials that differ from one to the next.

Nothing of how the capacity is fitted is known here. In each trial the server bears other numbers of clients,
and other ones for each of the trial's ticks; the clients that it does not reach in time are late.
"""

import dataclasses
import math
import random

from bench.results.capacity import ALLOWED_LATE_RATIO, Search, Tried, next_clients

TICKS = 5


@dataclasses.dataclass
class NoisyServer:
    """A server whose trials are noisy.

    Attributes:
        borne: How many clients it serves within the limit in a tick without noise.
        noise: Standard deviation of the logarithm of that, between single ticks of different trials.
        rng: The source of chance.
        of_ticks: Which share of the variance is within a trial, from tick to tick.
        cliff: How fast deliveries become late beyond what is borne: 1 for a push that is written to one
            client after the other; more for a queue of polls, in which soon all are late.
        hinted: How many times too large the headroom is, by which a search leaps.
        odd_ratio: How often a trial ends the other way round.
    """

    borne: float
    noise: float
    rng: random.Random
    of_ticks: float = 0.5
    cliff: float = 1.0
    hinted: float = 0.6
    odd_ratio: float = 0.0

    def late_ratio(self, clients: int) -> float:
        """Return the share of late deliveries of one trial of so many clients."""
        trial = self.noise * math.sqrt(1 - self.of_ticks) * self.rng.gauss(0, 1)
        late = 0.0
        for _ in range(TICKS):
            tick = self.noise * math.sqrt(self.of_ticks) * self.rng.gauss(0, 1)
            missed = 1 - self.borne * math.exp(trial + tick) / clients
            late += min(max(self.cliff * missed, 0.0), 1.0) / TICKS
        if self.rng.random() < self.odd_ratio:
            return 0.0 if late > ALLOWED_LATE_RATIO else 0.5
        return late

    def capacity(self, trials: int = 2_000) -> float:
        """Return the clients at which half of the trials are served in time, by trying."""
        plain = dataclasses.replace(self, odd_ratio=0.0, rng=random.Random(0))
        low, high = math.log(self.borne / 4), math.log(self.borne * 4)
        for _ in range(12):
            middle = (low + high) / 2
            clients = round(math.exp(middle))
            passed = sum(plain.late_ratio(clients) <= ALLOWED_LATE_RATIO for _ in range(trials))
            low, high = (middle, high) if passed > trials / 2 else (low, middle)
        return math.exp(low)

    def search(self, search: Search) -> list[Tried]:
        """Search for its capacity; return the steps."""
        steps: list[Tried] = []
        while (clients := next_clients(search, steps)) is not None:
            headroom = self.hinted * self.borne / clients * math.exp(self.noise * self.rng.gauss(0, 1))
            steps.append(Tried(clients, self.late_ratio(clients), headroom))
        return steps
