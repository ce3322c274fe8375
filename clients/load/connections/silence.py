"""Who has heard nothing for too long, though something is to come.

TCP alone does not notice that the other end is gone while there is nothing to send: a connection over a cable
that is unplugged looks like one on which nothing happens. A client that wants to know has to watch the clock
(RFC 6455, section 5.5.2, offers pings for it; browsers' EventSource and WebSocket watch nothing).

What the server says resets no timer, for that would cost as much as reading it. Each client has one timer,
which looks, when it goes off, since when the client has heard nothing, and is set again for the rest.
"""

import heapq

from clients.load.connections.seat import Seat


class SilenceWatch:
    """The timers of all clients of a swarm.

    Args:
        silence_s: How long a client waits for whatever comes next.
    """

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self.timers: list[tuple[int, int, Seat]] = []  # (look again at, seat number, seat)
        self._silence_ns = round(silence_s * 1e9)

    def begin(self, seat: Seat, now: int) -> None:
        """Watch a client that begins to connect."""
        seat.quiet_since_ns = now
        if not seat.is_watched:
            seat.is_watched = True
            heapq.heappush(self.timers, (now + self._silence_ns, seat.number, seat))

    def silent_seats(self, now: int) -> list[Seat]:
        """Return the clients that have heard nothing for too long; they are watched no more.

        While a client connects, an answer to that is to come; later, the client knows (``expects``).
        """
        silent = []
        while self.timers and self.timers[0][0] <= now:
            _, number, seat = heapq.heappop(self.timers)
            if seat.sock is None:
                seat.is_watched = False
                continue
            waits = seat.client.expects or not seat.usable
            end_ns = (seat.quiet_since_ns if waits else now) + self._silence_ns
            if end_ns <= now:
                seat.is_watched = False
                silent.append(seat)
            else:
                heapq.heappush(self.timers, (end_ns, number, seat))
        return silent
