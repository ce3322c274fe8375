"""A late load generator must be found out: a swarm slowed down on purpose cannot pass for a fast one."""

import select
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from bench.measure.subject import Server
from bench.results.deliveries import (
    ARRIVED_NS,
    DUE_NS,
    HANDLED_NS,
    NS_PER_MS,
    Deliveries,
    WindowTicks,
    in_window,
)
from bench.results.figures import lag_p99_ms, latency_figures, stamp_shared_ratio
from bench.transports import TRANSPORTS
from clients.base import Address
from clients.load.generator import DELIVERY_FIELDS
from clients.load.swarm import Swarm
from clients.short_polling import stratified_phases
from clients.sockets.stamped_socket import measure_clock_offset
from servers.wire import now_ns
from tests.waiting import LIMIT_S

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no epoll here to slow down"),
]

STALL_S, STALL_MS = 0.05, 50.0
LATE_MS = 40.0
StartServer = Callable[..., Server]


class StallingPoller:
    """An epoll whose owner is late: what was ready is told 50 ms after."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.register, self.modify = self._epoll.register, self._epoll.modify
        self.unregister, self.close = self._epoll.unregister, self._epoll.close
        self.stall_s = 0.0

    def poll(self, timeout: float | None = None, maxevents: int = -1, /) -> Sequence[tuple[int, int]]:
        events = self._epoll.poll(timeout, maxevents)
        time.sleep(self.stall_s)
        return events


def run_late(server: Server, name: str, count: int, ticks: int, **settings: Any) -> tuple[Swarm, int]:
    """Connect, then watch so many ticks in a loop of 50 ms a turn; return the swarm and the first of them."""
    client_class, address = TRANSPORTS[name].client_class, Address(server.host, server.port, server.path)
    clients = [client_class(address, **settings) for _ in range(count)]
    if "poll_interval_s" in client_class.settings:
        settings["epoch_ns"] = now_ns()
        clients = [
            client_class(address, phase=phase, **settings) for phase in stratified_phases(count, seed=1)
        ]
    poller = StallingPoller()
    offset_ns = measure_clock_offset().offset_ns
    with closing(Swarm(clients, server.host, server.port, offset_ns=offset_ns, poller=poller)) as swarm:
        deadline_ns = now_ns() + round(LIMIT_S * 1e9)
        swarm.connect(deadline_ns)
        poller.stall_s = STALL_S
        first = max(client.cursor or 0 for client in clients) + 2
        while any((client.cursor or 0) < first + ticks - 1 for client in clients):
            assert now_ns() < deadline_ns, "not in time: the last tick"
            swarm.step(wait_until_ns=now_ns() + 1_000_000)
    return swarm, first


def deliveries_of(swarm: Swarm) -> Deliveries:
    return np.array(swarm.deliveries, dtype=np.int64).reshape(-1, len(DELIVERY_FIELDS))


def window_of(deliveries: Deliveries, first_seq: int, ticks: int) -> WindowTicks:
    """Return the window of so many ticks; its instants play no part here."""
    return WindowTicks(first_seq, first_seq + ticks - 1, 0, 0)


def generator_lag_p99_ms(own: Deliveries) -> float:
    return lag_p99_ms(own[:, HANDLED_NS] - own[:, ARRIVED_NS])


def test_late_reading_of_lone_ticks_shows_as_generator_lag_not_as_latency(start_server: StartServer) -> None:
    """Random gaps of 200 ms: most ticks are alone in their read, some are not (by the seed)."""
    server = start_server(TRANSPORTS["websocket"], rate_hz=5, plan="poisson", seed=12)
    swarm, first = run_late(server, "websocket", count=5, ticks=9)
    deliveries = deliveries_of(swarm)
    window = window_of(deliveries, first, 9)
    own = in_window(deliveries, window)
    assert generator_lag_p99_ms(own) >= LATE_MS
    assert stamp_shared_ratio(deliveries, window) > 0.01
    figures = latency_figures(deliveries, window)
    assert figures["latency_p50_ms"] < STALL_MS / 3
    assert figures["client_reported_p50_ms"] >= LATE_MS


def test_late_reading_of_many_ticks_shows_as_shared_stamps(start_server: StartServer) -> None:
    """At 100 Hz each read holds several ticks, and its stamp is the newest one's.

    The lag after the newest can be no longer than the gap between ticks, so it is the share of stamps that
    are but upper bounds that gives the swarm away; and none is later than the moment it was handled.
    """
    server = start_server(TRANSPORTS["websocket"], rate_hz=100)
    swarm, first = run_late(server, "websocket", count=5, ticks=100)
    deliveries = deliveries_of(swarm)
    window = window_of(deliveries, first, 100)
    own = in_window(deliveries, window)
    assert stamp_shared_ratio(deliveries, window) > 0.5
    handled_ms = (own[:, HANDLED_NS] - own[:, DUE_NS]) / NS_PER_MS
    assert np.quantile(handled_ms, 0.99) >= LATE_MS
    assert (own[:, ARRIVED_NS] <= own[:, HANDLED_NS]).all()


@pytest.mark.parametrize(
    ("name", "settings"), [("short_polling", {"poll_interval_s": 0.2}), ("long_polling", {})]
)
def test_late_asking_shows_as_request_lag(
    start_server: StartServer, name: str, settings: dict[str, Any]
) -> None:
    server = start_server(TRANSPORTS[name], rate_hz=10)
    swarm, _ = run_late(server, name, count=20, ticks=10, **settings)
    request_lags_ns = np.array(swarm.request_lags_ns, dtype=np.int64).reshape(-1, 2)[:, 1]
    assert len(request_lags_ns) >= 100
    assert lag_p99_ms(request_lags_ns) >= LATE_MS


@pytest.mark.parametrize("name", ["websocket", "long_polling"])
def test_kernel_stamps_are_not_moved_by_a_late_swarm(start_server: StartServer, name: str) -> None:
    """With a tick at a time, stamps say when it came, and only the handling is late."""
    server = start_server(TRANSPORTS[name], rate_hz=6)
    swarm, first = run_late(server, name, count=3, ticks=6)
    deliveries = deliveries_of(swarm)
    window = window_of(deliveries, first, 6)
    own = in_window(deliveries, window)
    assert generator_lag_p99_ms(own) >= LATE_MS
    assert latency_figures(deliveries, window)["latency_p50_ms"] < STALL_MS / 3
