"""The load generators: which there are, what each is run by, and what it lacks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from clients.base import TickClient

PLAIN: Mapping[str, Any] = {"tls": False, "compression": False}


class Generator(NamedTuple):
    """A load generator.

    Attributes:
        module: What is run as its process; it obeys clients/load/orders.py.
        label: What its clients are called in a sentence.
        clients: The attribute of a client class that names what does the same here; empty: the swarm, which
            drives every client class itself.
        only: Fields of scenarios of which it has one value only, and that value.
        start_s, connect_s_per_client: How much longer than the swarm it takes to start, and to connect.
    """

    module: str
    label: str
    clients: str = ""
    only: Mapping[str, Any] = {}
    start_s: float = 0.0
    connect_s_per_client: float = 0.0

    def drives(self, client_class: type[TickClient]) -> bool:
        """Return whether it has clients that do what those of a class do."""
        return not self.clients or bool(getattr(client_class, self.clients))


GENERATORS = {
    "swarm": Generator("clients.load", "the swarm"),
    "asyncio": Generator("clients.load.crowd", "ordinary asyncio clients", "ordinary", PLAIN),
    "locust": Generator(
        "bench.locust.watched_beginners",
        "the Locust users that one writes first",
        "beginner",
        {**PLAIN, "headers": "minimal", "cookie_bytes": 0, "keep_alive": True},
        start_s=0.5,
        connect_s_per_client=0.001,
    ),
}
"""Locust's users send the headers of their libraries, whatever is asked for."""
