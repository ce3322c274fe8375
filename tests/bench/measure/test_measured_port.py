"""Control does not travel over the path that is measured: only the load connects to the server's port."""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.measure.trial import observe, run_trial, sleep_until, started
from bench.network.capture import available, capture
from bench.scenario import Scenario
from bench.transports import Transport

pytestmark = pytest.mark.alone

CLIENTS = 3
_listeners: list[list[Any]] = []


@functools.cache
def _install_hook() -> None:
    """Install the audit hook (PEP 578) that sees every connect() of this process; it stays for good."""

    def record(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            for addresses in _listeners:
                addresses.append(arguments[1])

    sys.addaudithook(record)


@contextmanager
def connects() -> Iterator[list[Any]]:
    """Give the addresses that this process connects to while the context is open."""
    _install_hook()
    _listeners.append([])
    try:
        yield _listeners[-1]
    finally:
        _listeners.pop()


def scenario_of(transport: str) -> Scenario:
    return Scenario(transport, clients=CLIENTS, rate_hz=50, window_s=0.3, warmup_s=0)


def test_the_harness_connects_to_nothing() -> None:
    with connects() as addresses:
        row = run_trial(scenario_of("short_polling"), seed=1).row
    assert row["delivered"] == row["expected"]
    assert addresses == []


def client_ports(transport: str, *, ask_within: bool) -> tuple[set[int], int]:
    """Return the ports that a trial's packets came from, and how many connections the load says it opened."""
    scenario = scenario_of(transport)
    waits: list[int] = []
    with (
        started(scenario, seed=1) as (server, swarm, _),
        capture(server.port) as packets,
        connects() as addresses,
    ):

        def wait_until(at_ns: int) -> None:
            waits.append(at_ns)
            if ask_within and len(waits) == 2:  # the first wait is for the window to begin
                server.health()
            sleep_until(at_ns)

        observation = observe(scenario, server, swarm, seed=1, wait_until=wait_until)
        assert len(addresses) == int(ask_within)
        ports = {packet.client_port for packet in packets.packets()}
    return ports, len(observation.samples.connects_ns)


can_capture = pytest.mark.skipif(available() != "", reason=available())


@can_capture
def test_every_packet_is_of_a_connection_of_the_load(transport: Transport) -> None:
    ports, opened = client_ports(transport.name, ask_within=False)
    assert len(ports) == opened == CLIENTS


@can_capture
def test_a_question_by_http_would_be_seen() -> None:
    ports, opened = client_ports("websocket", ask_within=True)
    assert (len(ports), opened) == (CLIENTS + 1, CLIENTS)
