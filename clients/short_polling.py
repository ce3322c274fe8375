"""Short polling: ask, get an answer at once, wait, ask again.

Open loop: ask at fixed instants, ``poll_interval_s`` apart, whatever the answers do; if one is still out at
the next instant, that poll is skipped and counted. Closed loop: ask ``poll_pause_s`` after each answer.
"""

import random
from typing import Any, ClassVar

from clients.base import Address
from clients.http import HttpClient


class Client(HttpClient):
    """A short-polling client.

    Args:
        address: The server.
        poll_interval_s: Seconds between polls (open loop).
        poll_pause_s: Seconds between an answer and the next poll (closed loop); give one of the two.
        epoch_ns: Instant on the bench clock from which the polls of all clients are counted; by default this
            client's first connection.
        phase: This client's place in the interval, 0 to 1.
        options: See :class:`clients.http.HttpClient`.
    """

    settings: ClassVar[tuple[str, ...]] = ("poll_interval_s", "poll_pause_s", *HttpClient.settings)
    beginner = "ShortPollingUser"

    __slots__ = ("_interval_ns", "_pause_ns", "_phase")

    def __init__(
        self,
        address: Address,
        *,
        poll_interval_s: float | None = None,
        poll_pause_s: float | None = None,
        epoch_ns: int | None = None,
        phase: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(address, **options)
        if (poll_interval_s is None) == (poll_pause_s is None):
            raise ValueError("give either poll_interval_s or poll_pause_s")
        self._interval_ns = None if poll_interval_s is None else round(poll_interval_s * 1e9)
        self._pause_ns = 0 if poll_pause_s is None else round(poll_pause_s * 1e9)
        self._phase = phase
        if self._interval_ns is not None and epoch_ns is not None:
            self.deadline_ns = epoch_ns + round(phase * self._interval_ns)

    def connected(self, now_ns: int) -> None:
        """Begin on a new connection; the first may also begin the intervals."""
        if self._interval_ns is not None and self.deadline_ns is None:
            self.deadline_ns = now_ns + self._interval_ns  # the first question comes with the connection
        super().connected(now_ns)

    def on_deadline(self, now_ns: int) -> None:
        """Poll, unless the last answer is still out."""
        assert self.deadline_ns is not None
        due_ns = self.deadline_ns
        if self._interval_ns is None:
            self.deadline_ns = None
        else:
            self.deadline_ns = due_ns + self._interval_ns
        if self._awaiting:
            self.polls_skipped += 1
        elif self._started:
            self._ask(due_ns)

    def _answered(self, arrived_ns: int, waiting: bool) -> None:
        if waiting:
            self._ask(arrived_ns)
        elif self._interval_ns is None:
            pause_ns = self._pause_ns
            if self.messages == 1:  # spread the clients over the pause
                pause_ns = round(self._phase * pause_ns)
            if pause_ns:
                self.deadline_ns = arrived_ns + pause_ns
            else:
                self._ask(arrived_ns)


def stratified_phases(count: int, seed: int) -> list[float]:
    """Return one phase in [0, 1) per client, one in each of ``count`` equal strata, in shuffled order.

    Client i gets (π(i) + u_i) / count with a random permutation π and random u_i in [0, 1). Independent
    random phases would miss the mean wait of half an interval by more than 5 % in two runs of three at
    100 clients.
    """
    rng = random.Random(seed)
    strata = list(range(count))
    rng.shuffle(strata)
    return [(stratum + rng.random()) / count for stratum in strata]
