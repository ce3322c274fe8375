"""The registry: every transport that is measured. Adding one is a server, a client, and a line here.

Whatever depends on what a transport is like asks for a fact of its line, never for its name. So a new one
takes part, as its facts say, in designs, theory, tables, figures and decision maps.
"""

from typing import NamedTuple

from clients.base import TickClient, load_client_class

FAMILIES = ("pull", "held", "push")
"""The client asks on its own clock; it asks and the server waits; the server sends unasked."""


class Transport(NamedTuple):
    """A transport, and what it is like.

    Attributes:
        name: What it is called on the command line and in trials.csv.
        server: A module of servers/.
        client: A module of clients/; variants share one.
        family: ``pull``, ``held`` or ``push``: see :data:`FAMILIES`.
        framing: What is put around an array of ticks: ``HTTP`` (a request or an answer), ``WebSocket`` (a
            frame) or ``event stream`` (an event in a chunk). Theory computes bytes by it.
        label: Its name for people.
        colour: Its colour in figures and tables (of Okabe and Ito's palette, legible to the colour-blind).
        library: What the server is written with.
        variant_of: The transport whose protocol it speaks, where that is another one by another library.
        heartbeats: Whether the server can send something each ``heartbeat_s`` to a client that gets no ticks.
        compresses: Whether the server can compress.
        speaks_upwards: Whether a client can send at will on the connection on which it gets ticks.
        over_tcp: Whether it runs over TCP, so that TCP's options apply and its counters can be read.
    """

    name: str
    server: str
    client: str
    family: str
    framing: str
    label: str
    colour: str
    library: str
    variant_of: str | None = None
    heartbeats: bool = False
    compresses: bool = True
    speaks_upwards: bool = False
    over_tcp: bool = True

    @property
    def protocol(self) -> str:
        """The name of the transport whose protocol it speaks: its own, or that which it is a variant of."""
        return self.variant_of or self.name

    @property
    def protocol_label(self) -> str:
        """What that protocol is called for people, without a library."""
        return TRANSPORTS[self.protocol].label

    @property
    def client_class(self) -> type[TickClient]:
        """The client class."""
        return load_client_class(self.client)


SHORT_POLLING = Transport(
    name="short_polling",
    server="short_polling",
    client="short_polling",
    family="pull",
    framing="HTTP",
    label="short polling",
    colour="#D55E00",
    library="aiohttp",
)
LONG_POLLING = Transport(
    name="long_polling",
    server="long_polling",
    client="long_polling",
    family="held",
    framing="HTTP",
    label="long polling",
    colour="#E69F00",
    library="aiohttp",
)
WEBSOCKET = Transport(
    name="websocket",
    server="websocket",
    client="websocket",
    family="push",
    framing="WebSocket",
    label="WebSocket",
    colour="#0072B2",
    library="websockets",
    heartbeats=True,
    speaks_upwards=True,
)
SERVER_SENT_EVENTS = Transport(
    name="server_sent_events",
    server="server_sent_events",
    client="server_sent_events",
    family="push",
    framing="event stream",
    label="server-sent events",
    colour="#009E73",
    library="aiohttp",
    heartbeats=True,
)


def _variant(of: Transport, library: str, *, compresses: bool) -> Transport:
    """Return the same transport by another library."""
    name = f"{of.name}_{library}"
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
        _variant(SHORT_POLLING, "httptools", compresses=False),
        LONG_POLLING,
        _variant(LONG_POLLING, "httptools", compresses=False),
        SERVER_SENT_EVENTS,
        _variant(SERVER_SENT_EVENTS, "starlette", compresses=False),
        WEBSOCKET,
        _variant(WEBSOCKET, "aiohttp", compresses=True),
        _variant(WEBSOCKET, "picows", compresses=False),
    )
}


def names_of(*families: str, **facts: object) -> list[str]:
    """Return the names of the transports of some families, or of all, of which these facts are true.

    They come family by family as asked for, and within a family in the order of the registry::

        names_of("push", "held", compresses=True)
    """
    alike = [each for each in TRANSPORTS.values() if all(getattr(each, key) == facts[key] for key in facts)]
    if not families:
        return [each.name for each in alike]
    return [each.name for family in families for each in alike if each.family == family]


def main_names(*families: str, **facts: object) -> list[str]:
    """Return the same without variants by other libraries, which are measured only where asked for."""
    return names_of(*families, variant_of=None, **facts)
