"""One client, blocking: ``for arrival in stream("websocket", url): …``. For notebooks, the terminal, and you.

It is a swarm of one: the same client, the same socket, the same arrival times as in a measurement.
"""

from collections import deque
from collections.abc import Generator
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from clients.base import Address, TickClient, Ticks, load_client_class
from clients.load.swarm import Swarm
from clients.sockets.stamped_socket import SocketFactory, StampedSocket, measure_clock_offset
from clients.sockets.tls_socket import TlsSocket, client_context
from servers.wire import Tick, decode_ticks, now_ns

CONNECT_TIMEOUT_S = 5.0
PATH_SIGNS = "/%:@!$&'()*+,;=~"
"""Signs of a path, beside letters and digits, that stand for themselves (RFC 3986, section 3.3)."""
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


class ServerUrl(NamedTuple):
    """Where a server is, and whether TLS is spoken with it."""

    address: Address
    encrypted: bool


def read_url(url: str, *, upgrades: bool) -> ServerUrl:
    """Read the address of a server (RFC 3986): ``https://host:port/path``, or without scheme, port or path.

    Without a scheme it is http, without a path /ticks; the port is then 80, or 443 with TLS.

    Args:
        url: What is to be read. A WebSocket server's may begin with ws or wss (RFC 6455, section 3), too.
        upgrades: Whether it is for a WebSocket.

    Raises:
        AddressError: If it is none, or has parts that no client here sends; with what to do.
    """

    def refused(why: str) -> AddressError:
        return AddressError(f"{url} is no address of a server: {why}")

    if not url.isprintable() or " " in url:
        raise refused("it holds a space or a control character")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
        host = (parts.hostname or "").encode("ascii" if ":" in (parts.hostname or "") else "idna").decode()
    except ValueError as error:
        raise refused(str(error)) from error
    schemes = ("http", "https", "ws", "wss") if upgrades else ("http", "https")
    if parts.scheme not in schemes:
        raise refused(f"it begins with {parts.scheme}://, but must with {'://, '.join(schemes)}://")
    if not host:
        raise refused("it names no host, such as 127.0.0.1")
    if "@" in parts.netloc:
        raise refused("the clients send no user and no password; leave them out")
    if port == 0:
        raise refused("no server listens on port 0")
    if "?" in url or "#" in url:
        raise refused("the clients write the query themselves; leave out what follows the path")
    encrypted = parts.scheme in ("https", "wss")
    path = quote(parts.path, safe=PATH_SIGNS) or "/ticks"
    return ServerUrl(Address(host, port or (443 if encrypted else 80), path), encrypted)


def stream(
    client: str, url: str, *, ca: str | None = None, silence_s: float | None = None, **settings: Any
) -> Generator[Arrival, None, None]:
    """Yield ticks as they arrive, until it is closed; connections that break are opened again.

    Args:
        client: A module of clients/, such as ``websocket``.
        url: The server's, such as ``http://127.0.0.1:8000/ticks``; https and wss are over TLS.
        ca: PEM file of the authority behind the server's certificate; None trusts those of the system.
        silence_s: A connection on which nothing has come for so long, though something is to come, is given
            up and opened again; None waits for TCP to tell.
        settings: What the client takes, such as ``poll_interval_s=0.5`` or ``after=0``.

    Raises:
        AddressError: If the url is none.
        CertificateError: If ``ca`` cannot be read.
        TimeoutError: If the server does not answer within 5 s.
    """
    client_class = load_client_class(client)
    server = read_url(url, upgrades=client_class.upgrades)
    if ca is not None and not server.encrypted:
        raise AddressError(f"a certificate is for TLS, but {url} is without; write https:// in it")
    make_socket: SocketFactory = StampedSocket
    if server.encrypted:
        make_socket = partial(TlsSocket, context=client_context(ca), server_name=server.address.host)
    return _listen(client_class, server.address, make_socket, silence_s, settings)


def _listen(
    client_class: type[TickClient],
    address: Address,
    make_socket: SocketFactory,
    silence_s: float | None,
    settings: dict[str, Any],
) -> Generator[Arrival, None, None]:
    heard: deque[Arrival] = deque()

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

    listener: TickClient = Listener(address, decode=decode_ticks, **settings)
    swarm = Swarm(
        [listener],
        address.host,
        address.port,
        offset_ns=measure_clock_offset().offset_ns,
        make_socket=make_socket,
        silence_s=silence_s,
    )
    try:
        swarm.connect(deadline_ns=now_ns() + round(CONNECT_TIMEOUT_S * 1e9))
        while True:
            while heard:
                yield heard.popleft()
            swarm.step()
    finally:
        swarm.close()
