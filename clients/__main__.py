"""The swarm as a process of its own: ``python -m clients``, told what to do by lines (clients/orders.py)."""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # while the rest is imported

import sys
from functools import partial

from clients.base import Address, TickClient, load
from clients.orders import Order
from clients.short_polling import stratified_phases
from clients.stamped_socket import SocketFactory, StampedSocket
from clients.swarm import Swarm
from clients.tls_socket import TlsSocket, client_context
from clients.worker import main
from servers.wire import now_ns


def build_clients(order: Order) -> list[TickClient]:
    """Build the clients; those that poll at an interval get stratified phases from a common epoch."""
    client_class = load(order.client)
    address = Address(order.host, order.port, order.path)
    settings = [dict(order.settings) for _ in range(order.clients)]
    if "poll_interval_s" in client_class.settings:
        epoch_ns = now_ns()
        for own, phase in zip(settings, stratified_phases(order.clients, order.seed), strict=True):
            own.update(epoch_ns=epoch_ns, phase=phase)
    return [client_class(address, latest=order.latest, **own) for own in settings]


def make_swarm(order: Order, offset_ns: int) -> Swarm:
    """Build the swarm that was ordered."""
    make_socket: SocketFactory = StampedSocket
    if order.ca is not None:
        make_socket = partial(TlsSocket, context=client_context(order.ca), server_name=order.host)
    return Swarm(
        build_clients(order),
        order.host,
        order.port,
        offset_ns=offset_ns,
        mss=order.mss,
        congestion=order.congestion,
        make_socket=make_socket,
    )


if __name__ == "__main__":
    sys.exit(main(make_swarm, freeze=True))
