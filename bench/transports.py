"""The registry: every transport that is measured. Adding one is a server, a client, and a line here."""

from typing import NamedTuple

from clients.base import TickClient
from clients.base import load_client_class as load_client


class Transport(NamedTuple):
    """A transport.

    ``server`` is a module of servers/, ``client`` one of clients/; a variant by another library has its own
    server and shares the client. ``family`` is pull (the client asks on its own clock), held (it asks and the
    server waits) or push. ``colour`` is its colour in every figure and table (of Okabe and Ito's palette,
    legible to the colour-blind). ``library`` is what the server is written with; ``variant_of`` names the
    transport whose protocol it speaks, where that is another one. ``compresses`` says whether the server can.
    """

    name: str
    server: str
    client: str
    family: str
    label: str
    colour: str
    library: str
    variant_of: str | None = None
    compresses: bool = True

    @property
    def protocol(self) -> str:
        """The name of the transport whose protocol it speaks: its own, or that which it is a variant of."""
        return self.variant_of or self.name

    @property
    def client_class(self) -> type[TickClient]:
        """The client class."""
        return load_client(self.client)


SHORT_POLLING = Transport(
    "short_polling", "short_polling", "short_polling", "pull", "short polling", "#D55E00", "aiohttp"
)
LONG_POLLING = Transport(
    "long_polling", "long_polling", "long_polling", "held", "long polling", "#E69F00", "aiohttp"
)
WEBSOCKET = Transport("websocket", "websocket", "websocket", "push", "WebSocket", "#0072B2", "websockets")


def _variant(of: Transport, suffix: str, library: str, *, compresses: bool) -> Transport:
    """Return the same transport by another library."""
    name = f"{of.name}_{suffix}"
    return of._replace(
        name=name,
        server=name,
        label=f"{of.label} ({library})",
        library=library,
        variant_of=of.name,
        compresses=compresses,
    )


TRANSPORTS = {
    transport.name: transport
    for transport in (
        SHORT_POLLING,
        _variant(SHORT_POLLING, "lean", "httptools", compresses=False),
        LONG_POLLING,
        _variant(LONG_POLLING, "lean", "httptools", compresses=False),
        WEBSOCKET,
        _variant(WEBSOCKET, "aiohttp", "aiohttp", compresses=True),
        _variant(WEBSOCKET, "picows", "picows", compresses=False),
    )
}
MAIN = [name for name, transport in TRANSPORTS.items() if transport.variant_of is None]
"""The transports that every experiment measures; variants by other libraries are measured where named."""
