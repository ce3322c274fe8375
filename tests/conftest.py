"""Fixtures: real servers on free ports, and swarms in this process; both are stopped, whatever happens."""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings

from bench.measure.subject import Server, running_server
from bench.transports import TRANSPORTS, Transport
from clients.base import Address, TickClient
from clients.load.generator import DELIVERY_FIELDS
from clients.load.swarm import Swarm
from clients.sockets.stamped_socket import measure_clock_offset
from servers.options import ServerOptions
from servers.wire import now_ns
from tests.waiting import LIMIT_S

settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)  # the same each time
settings.register_profile("fuzz", deadline=None, max_examples=1_000)  # make fuzz: new ones
settings.load_profile("ci")


@pytest.fixture(params=list(TRANSPORTS.values()), ids=lambda transport: transport.name)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Every transport of the registry, one after the other."""
    return request.param


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start servers: ``start_server(transport, rate_hz=…)``; they are killed in the end, to save time."""
    with ExitStack() as stack:

        def start(transport: Transport, **options: Any) -> Server:
            server = stack.enter_context(running_server(transport.server, ServerOptions(**options)))
            stack.callback(server.kill)
            return server

        yield start


class WatchedSwarm:
    """A swarm in this process that can be stepped until something is true."""

    def __init__(self, server: Server, clients: list[TickClient], **options: Any) -> None:
        self.clients = clients
        self.swarm = Swarm(
            clients, server.host, server.port, offset_ns=measure_clock_offset().offset_ns, **options
        )

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Step until the condition holds; fail if it does not in time."""
        deadline_ns = now_ns() + round(LIMIT_S * 1e9)
        while not condition():
            assert now_ns() < deadline_ns, f"not in time: {what}"
            self.swarm.step(wait_until_ns=now_ns() + 10_000_000)

    def connect(self) -> None:
        """Step until all clients are connected and answered."""
        self.swarm.connect(now_ns() + round(LIMIT_S * 1e9))

    def seqs(self, client: int) -> list[int]:
        """Return the ``seq`` of the ticks delivered to a client, in the order of their coming."""
        flat = self.swarm.deliveries
        width = len(DELIVERY_FIELDS)
        return [flat[row + 1] for row in range(0, len(flat), width) if flat[row] == client]


@pytest.fixture
def watch() -> Iterator[Callable[..., WatchedSwarm]]:
    """Build swarms: ``watch(server, transport, count, **settings of the clients)``."""
    gc.freeze()  # so that collecting looks through what this test made only, not through all of pandas
    swarms: list[WatchedSwarm] = []

    def build(server: Server, transport: Transport, count: int = 1, **settings: Any) -> WatchedSwarm:
        if "poll_interval_s" in transport.client_class.settings:
            settings.setdefault("poll_interval_s", 0.05)
        address = Address(server.host, server.port, server.path)
        clients = [transport.client_class(address, **settings) for _ in range(count)]
        swarms.append(WatchedSwarm(server, clients))
        return swarms[-1]

    yield build
    for swarm in swarms:
        swarm.swarm.close()
    gc.collect()
    gc.unfreeze()
