"""Ordinary clients as a load generator: ``python -m clients.load.crowd``, told what to do as the swarm is."""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # while the rest is imported

import asyncio
import contextlib
import sys
from functools import partial

from clients.base import load_client_class
from clients.load import ordinary_clients
from clients.load.generator import LOOK_NS, LoadGenerator, settings_of_each
from clients.load.orders import Order
from clients.load.ordinary_clients import OrdinaryClient
from clients.load.process import main, run
from clients.sockets.limits import raise_descriptor_limit
from servers.wire import now_ns

CONNECTING_AT_ONCE = 64
"""Clients that have been started and not yet been answered."""


class Crowd(LoadGenerator):
    """Coroutines as clients: connected, stepped, read and closed like the swarm."""

    def __init__(self, order: Order, offset_ns: int) -> None:
        try:
            client_class = load_client_class(order.client)
            make: type[OrdinaryClient] = getattr(ordinary_clients, client_class.ordinary)
        except (ModuleNotFoundError, AttributeError) as error:
            raise ValueError(f"there is no ordinary client for {order.client}; use the swarm") from error
        if unknown := set(order.settings) - set(client_class.settings):
            raise ValueError(f"a client for {order.client} has no {', '.join(sorted(unknown))}")
        if order.ca is not None or order.settings.get("compression"):
            raise ValueError("ordinary clients have neither TLS nor compression here; use the swarm")
        if order.silence_s is not None:
            raise ValueError("ordinary clients wait for TCP to tell that a connection is dead; use the swarm")
        self._clients = [
            make(number, order, settings, self) for number, settings in enumerate(settings_of_each(order))
        ]
        super().__init__(self._clients, offset_ns=offset_ns)
        raise_descriptor_limit(order.clients)
        self._loop = asyncio.new_event_loop()
        self._tasks: list[asyncio.Task[None]] = []

    def count_ready(self) -> None:
        """Count a client that has been answered for the first time, and let the next one begin."""
        super().count_ready()
        self._start()

    def _start(self) -> None:
        for client in self._clients[len(self._tasks) : self.ready + CONNECTING_AT_ONCE]:
            self._tasks.append(self._loop.create_task(client.run()))

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
    # Ordinary clients leave the garbage collector as it is.
    sys.exit(main(partial(run, make=Crowd, freeze=False)))
