"""The registry: every transport that is measured. Adding one is a server, a client, and a line here."""

from typing import NamedTuple

from clients.base import TickClient
from clients.base import load as load_client


class Transport(NamedTuple):
    """A transport.

    ``server`` is a module of servers/, ``client`` one of clients/; a variant by another library has its own
    server and shares the client. ``family`` is pull (the client asks on its own clock), held (it asks and the
    server waits) or push. ``colour`` is its colour in every figure and table (of Okabe and Ito's palette,
    legible to the colour-blind).
    """

    name: str
    server: str
    client: str
    family: str
    label: str
    colour: str

    @property
    def client_class(self) -> type[TickClient]:
        """The client class."""
        return load_client(self.client)


TRANSPORTS = {
    transport.name: transport
    for transport in (
        Transport("short_polling", "short_polling", "short_polling", "pull", "short polling", "#D55E00"),
        Transport("long_polling", "long_polling", "long_polling", "held", "long polling", "#E69F00"),
        Transport("websocket", "websocket", "websocket", "push", "WebSocket", "#0072B2"),
    )
}
