"""The swarm as a process of its own: ``python -m clients.load``, told by lines (orders.py)."""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # while the rest is imported

import sys
from functools import partial
from typing import Any

from clients.base import Address, load_client_class
from clients.load.connections.backoff import Backoff
from clients.load.generator import settings_of_each
from clients.load.orders import Order
from clients.load.process import main, run
from clients.load.swarm import Swarm
from clients.sockets.stamped_socket import SocketFactory, StampedSocket
from clients.sockets.tls_socket import TlsSocket, client_context


def make_swarm(order: Order, offset_ns: int) -> Swarm:
    """Build the swarm that was ordered."""
    tcp: dict[str, Any] = {"lossy": order.lossy, "user_timeout_s": order.user_timeout_s}
    make_socket: SocketFactory = partial(StampedSocket, **tcp)
    if order.ca is not None:
        make_socket = partial(TlsSocket, context=client_context(order.ca), server_name=order.host, **tcp)
    client_class, address = load_client_class(order.client), Address(order.host, order.port, order.path)
    return Swarm(
        [client_class(address, **settings) for settings in settings_of_each(order)],
        order.host,
        order.port,
        offset_ns=offset_ns,
        mss=order.mss,
        congestion=order.congestion,
        make_socket=make_socket,
        silence_s=order.silence_s,
        backoff=Backoff(order.backoff, order.seed),
        herd=order.herd,
    )


if __name__ == "__main__":
    sys.exit(main(partial(run, make=make_swarm, freeze=True)))
