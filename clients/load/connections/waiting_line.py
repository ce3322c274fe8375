"""Who is to connect: a line of those whose turn it is, and those who wait after a failure (back-off)."""

import heapq
from collections import deque

from clients.load.connections.backoff import Backoff
from clients.load.connections.seat import Seat


class WaitingLine:
    """The clients without a connection that want one.

    Args:
        at_once: How many connections may be under way at once.
        backoff: How long clients wait after a failure.
        herd: Whether clients that come back may connect however many connections are under way.

    Attributes:
        under_way: Connections that have been asked for, and have not proved themselves yet.
    """

    def __init__(self, at_once: int, backoff: Backoff, *, herd: bool) -> None:
        self.under_way = 0
        self._at_once = at_once
        self._backoff = backoff
        self._herd = herd
        self._line: deque[Seat] = deque()
        self._retries: list[tuple[int, int, Seat]] = []  # (joins the line at, seat number, seat)

    def join(self, seat: Seat) -> None:
        """Stand in line; one whom the limit does not hold for passes all others."""
        seat.queued = True
        if self._herd and seat.been_ready:
            self._line.appendleft(seat)
        else:
            self._line.append(seat)

    def join_later(self, seat: Seat, now: int) -> None:
        """Wait after a failure, then stand in line."""
        seat.queued = True
        seat.backoff_limit_s = self._backoff.next_limit_s(seat.backoff_limit_s)
        wait_ns = round(self._backoff.wait_s(seat.backoff_limit_s) * 1e9)
        heapq.heappush(self._retries, (now + wait_ns, seat.number, seat))

    def next_ns(self) -> int | None:
        """Return when somebody may connect, as far as that depends on time; 0 is at once."""
        if self._line and (self.under_way < self._at_once or (self._herd and self._line[0].been_ready)):
            return 0
        return self._retries[0][0] if self._retries else None

    def next_seat(self, now: int) -> Seat | None:
        """Return who connects now, if somebody may: it has left the line."""
        while self._retries and self._retries[0][0] <= now:
            self.join(heapq.heappop(self._retries)[2])
        if self.next_ns() != 0:
            return None
        seat = self._line.popleft()
        seat.queued = False
        return seat
