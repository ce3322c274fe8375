"""The ordinary clients as a load generator: ``python -m clients.crowd``, told what to do as the swarm is."""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # while the rest is imported

import asyncio
import contextlib
import sys

from clients.base import load
from clients.generator import LOOK_NS, LoadGenerator
from clients.limits import raise_descriptor_limit
from clients.orders import Order
from clients.peers import HttpPeer, WebSocketPeer
from clients.short_polling import stratified_phases
from clients.worker import main
from servers.wire import now_ns

CONNECTING_AT_ONCE = 64
"""Clients that have been started and not yet been answered."""
PEERS = {"short_polling": HttpPeer, "long_polling": HttpPeer, "websocket": WebSocketPeer}


class Crowd(LoadGenerator):
    """Coroutines as clients: connected, stepped, read and closed like the swarm."""

    def __init__(self, order: Order, offset_ns: int) -> None:
        if order.client not in PEERS:
            raise ValueError(f"there is no ordinary client for {order.client}; there is {', '.join(PEERS)}")
        if unknown := set(order.settings) - set(load(order.client).settings):
            raise ValueError(f"a client for {order.client} has no {', '.join(sorted(unknown))}")
        if order.ca is not None or order.settings.get("compression"):
            raise ValueError("ordinary clients have neither TLS nor compression here; use the swarm")
        self.offset_ns, self.epoch_ns = offset_ns, now_ns()
        self.phases = stratified_phases(order.clients, order.seed)
        self._peers = [PEERS[order.client](number, order, self) for number in range(order.clients)]
        super().__init__(self._peers)
        raise_descriptor_limit(order.clients)
        self._loop = asyncio.new_event_loop()
        self._tasks: list[asyncio.Task[None]] = []

    def admit(self) -> None:
        """Count a client that has been answered for the first time, and let the next one begin."""
        self.ready += 1
        self._start()

    def _start(self) -> None:
        for peer in self._peers[len(self._tasks) : self.ready + CONNECTING_AT_ONCE]:
            self._tasks.append(self._loop.create_task(peer.run()))

    def step(self, max_events: int = 0, wait_until_ns: int | None = None) -> int:
        """Run the event loop until then, but no longer than until orders are looked at again."""
        self._start()
        wait_ns = min((wait_until_ns or sys.maxsize) - now_ns(), LOOK_NS)
        self._loop.run_until_complete(asyncio.sleep(wait_ns / 1e9))
        return 0

    def wire_counts(self) -> None:
        """Return nothing: what these connections cost on the wire is not counted."""

    def close(self) -> None:
        """End all clients; a fault in one of them is raised here."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.close()


if __name__ == "__main__":
    sys.exit(main(Crowd, freeze=False))  # ordinary clients leave the garbage collector as it is
