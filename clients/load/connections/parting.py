"""The end of connections: each is kept until the server has closed it too; what all have cost is summed.

A connection that is closed at this end first is open at the other (RFC 9293, section 3.6): the last packets
are still to come, and count.
"""

from collections.abc import Iterable

from clients.sockets.poller import READABLE, Poller
from clients.sockets.stamped_socket import StampedSocket, WireCounts


class Parting:
    """Connections that are about to end, and the sum of those that have.

    Args:
        poller: Watches the sockets.
    """

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._waiting: dict[int, StampedSocket] = {}  # by descriptor; the server's end is still to come
        self._past_counts: WireCounts | None = WireCounts()

    def begin(self, sock: StampedSocket, *, wait: bool) -> None:
        """Say that nothing more will be sent; ``wait`` for the end of the server, or do not."""
        if sock.finish() and wait:
            self._waiting[sock.fileno()] = sock
            self._poller.modify(sock.fileno(), READABLE)
        else:
            self.end(sock)

    def hear(self, fd: int) -> None:
        """Read from one that waits; at its end, let it go."""
        if (sock := self._waiting.get(fd)) is not None:
            try:
                ended = not sock.receive()[0]
            except OSError as error:
                ended = not isinstance(error, BlockingIOError)
            if ended:
                self.end(sock)

    def end(self, sock: StampedSocket, *, counted: bool = True) -> None:
        """Close a connection, and add up what it has cost: one that never stood has no counts."""
        self._waiting.pop(sock.fileno(), None)
        if counted and self._past_counts is not None:
            counts = sock.wire_counts()
            self._past_counts = None if counts is None else self._past_counts.plus(counts)
        self._poller.unregister(sock.fileno())
        sock.close()

    def end_all(self) -> None:
        """Close those that still wait."""
        for sock in list(self._waiting.values()):
            self.end(sock)

    def wire_counts(self, in_use: Iterable[StampedSocket]) -> WireCounts | None:
        """Return the sums over all connections so far, with those in use; None where they are not known."""
        total = self._past_counts
        for sock in (*in_use, *self._waiting.values()):
            counts = sock.wire_counts()
            if total is None or counts is None:
                return None
            total = total.plus(counts)
        return total
