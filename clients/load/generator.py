"""What every load generator is: clients, what it has recorded of them, and how it is driven."""

import struct
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from clients.base import load_client_class
from clients.load.orders import Order
from clients.short_polling import stratified_phases
from clients.sockets.stamped_socket import WireCounts
from servers.wire import now_ns

LOOK_NS = 20_000_000
"""How often a load generator looks up from its sockets: for orders, and for whether it is done."""

DELIVERY_FIELDS = ("client", "seq", "due_ns", "arrived_ns", "handled_ns", "stamp_shared")

# array.frombytes of packed integers takes half the time of array.extend of the same tuple.
pack_delivery = struct.Struct(f"@{len(DELIVERY_FIELDS)}q").pack
pack_lag = struct.Struct("@2q").pack


class Counts(Protocol):
    """The counts of one client since the start: see :class:`clients.base.TickClient`."""

    cursor: int | None
    requests: int
    empty_responses: int
    polls_skipped: int


class LoadGenerator(ABC):
    """Clients of one server, driven step by step: the swarm, or ordinary clients beside it.

    Args:
        clients: The clients.
        offset_ns: Bench clock − CLOCK_REALTIME.
        clock: The bench clock, in ns.

    Attributes:
        deliveries: A flat array of int64, six to a delivered tick: see ``DELIVERY_FIELDS``.
        request_lags_ns: Two int64 to a request: when it was sent, and sent − should have been sent.
        connect_ns: For each connection, from connect() until it can be used: after the handshakes of TCP, of
            TLS where there is one, and of WebSocket.
        sockets: Three int64 to whatever happened to a connection of the swarm: see ``SOCKET_FIELDS`` of
            clients/sockets/events.py.
        first_answer_counts: What the first connection of each client cost on the wire until its first answer
            was whole, summed over all clients; None where it is not known.
        errors: What servers refused and connections broke by, and how often.
        ready: Clients that have been connected and answered at least once.
    """

    def __init__(
        self, clients: Sequence[Counts], *, offset_ns: int, clock: Callable[[], int] = now_ns
    ) -> None:
        self.deliveries = array("q")
        self.request_lags_ns = array("q")
        self.connect_ns = array("q")
        self.sockets = array("q")
        self.errors: Counter[str] = Counter()
        self.ready = 0
        self.first_answer_counts: WireCounts | None = None
        self.bytes_up = self.bytes_down = 0
        self.user_stamped_reads = 0
        self.clients = clients
        self.offset_ns = offset_ns
        self._clock = clock

    def count_ready(self) -> None:
        """Count a client that has been connected and answered for the first time."""
        self.ready += 1

    @abstractmethod
    def step(self, max_events: int = 256, wait_until_ns: int | None = None) -> int:
        """Do what is due, then wait for sockets until then at most; return how many were served."""

    @abstractmethod
    def wire_counts(self) -> WireCounts | None:
        """Return what the kernel has counted on all connections so far, or None where it is not known."""

    @abstractmethod
    def close(self) -> None:
        """End every connection."""

    def connect(self, deadline_ns: int, look_up: Callable[[], object] = lambda: None) -> None:
        """Step until every client has been connected and answered.

        Args:
            deadline_ns: When to give up, on the bench clock.
            look_up: Called now and then; what it raises ends the attempt.

        Raises:
            TimeoutError: If some are not ready in time; says how many and why.
        """
        look_ns = self._clock()
        while self.ready < len(self.clients):
            if self._clock() > deadline_ns:
                reasons = "; ".join(f"{reason} ({count}×)" for reason, count in self.errors.most_common(3))
                raise TimeoutError(
                    f"{len(self.clients) - self.ready} of {len(self.clients)} clients did not get through "
                    f"to the server in time{': ' + reasons if reasons else ''}"
                )
            if self._clock() >= look_ns:
                look_up()
                look_ns = self._clock() + LOOK_NS
            self.step(wait_until_ns=min(deadline_ns, look_ns))


def settings_of_each(order: Order) -> list[dict[str, Any]]:
    """Return every client's own settings; those that poll get stratified phases from a common epoch."""
    settings = [dict(order.settings) for _ in range(order.clients)]
    if "poll_interval_s" in load_client_class(order.client).settings:
        epoch_ns = now_ns()
        for own, phase in zip(settings, stratified_phases(order.clients, order.seed), strict=True):
            own.update(epoch_ns=epoch_ns, phase=phase)
    return settings
