"""One client, blocking: ``for arrival in stream("websocket", url): …``. For notebooks, the terminal, and you.

It is a swarm of one: the same client, the same socket, the same arrival times as in a measurement.
"""

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from clients.base import Address, TickClient, Ticks, load
from clients.stamped_socket import SocketFactory, StampedSocket, measure_clock_offset
from clients.swarm import Swarm
from clients.tls_socket import TlsSocket, client_context
from servers.wire import Tick, decode_ticks, now_ns

CONNECT_TIMEOUT_S = 5.0
LONGEST_PRICE = 24  # characters; a longer one is written with a power of ten


class AddressError(ValueError):
    """What was given as the address of a server is none."""


class Arrival(NamedTuple):
    """A tick as it came.

    ``arrived_ns`` is when the kernel had it, on the bench clock; ``read_bytes`` the length of the read that
    completed it, with its HTTP head or frame header; ``message`` the number of the answer or frame.
    """

    tick: Tick
    arrived_ns: int
    read_bytes: int
    message: int

    @property
    def age_ms(self) -> float:
        """How old the tick was on arrival, in ms: meaningful on the server's machine only."""
        return (self.arrived_ns - self.tick.due_ns) / 1e6

    @property
    def price_text(self) -> str:
        """The price with all its digits and at least two after the point: 8.6e-06 is 0.0000086."""
        whole, _, fraction = f"{Decimal(repr(self.tick.price)):f}".partition(".")
        text = f"{whole}.{fraction:0<2}"
        return text if len(text) <= LONGEST_PRICE else repr(self.tick.price)


def stream(client: str, url: str, *, ca: str | None = None, **settings: Any) -> Iterator[Arrival]:
    """Yield ticks as they arrive, for ever; connections that break are opened again.

    Args:
        client: A module of clients/, such as ``websocket``.
        url: The server's, such as ``http://127.0.0.1:8000/ticks``; https is over TLS.
        ca: PEM file of the authority behind the server's certificate; None trusts those of the system.
        settings: What the client takes, such as ``poll_interval_s=0.5`` or ``after=0``.

    Raises:
        AddressError: If the url is none.
        ValueError: If ``ca`` cannot be read.
        TimeoutError: If the server does not answer within 5 s.
    """
    client_class = load(client)

    class Listener(client_class):  # type: ignore[misc, valid-type]
        """The client, keeping what it hears."""

        def receive_data(self, data: bytes, arrived_ns: int) -> Ticks:
            ticks: Ticks = super().receive_data(data, arrived_ns)
            heard.extend(
                Arrival(tick, arrived_ns, len(data), self.messages)
                for tick in ticks
                if isinstance(tick, Tick)
            )
            return ticks

    heard: deque[Arrival] = deque()
    try:
        address = urlsplit(url)
        encrypted = address.scheme == "https"
        host, port = address.hostname or "127.0.0.1", address.port or (443 if encrypted else 80)
    except ValueError as error:
        raise AddressError(f"{url} is no address of a server: {error}") from error
    if "poll_interval_s" in client_class.settings and settings.get("poll_interval_s"):
        settings.setdefault("epoch_ns", now_ns())
    listener: TickClient = Listener(
        Address(host, port, address.path or "/ticks"), decode=decode_ticks, **settings
    )
    make_socket: SocketFactory = StampedSocket
    if encrypted:
        make_socket = partial(TlsSocket, context=client_context(ca), server_name=host)
    swarm = Swarm([listener], host, port, offset_ns=measure_clock_offset().offset_ns, make_socket=make_socket)
    try:
        swarm.connect(deadline_ns=now_ns() + round(CONNECT_TIMEOUT_S * 1e9))
        while True:
            while heard:
                yield heard.popleft()
            swarm.step()
    finally:
        swarm.close()
