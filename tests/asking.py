"""How the conformance tests ask a server, and which transports a test is for."""

import contextlib
import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest

from bench.measure.subject import Server
from bench.transports import TRANSPORTS, Transport
from tests.waiting import wait_until

StartServer = Callable[..., Server]
Watch = Callable[..., Any]
"""What the fixtures ``start_server`` and ``watch`` of tests/conftest.py give."""

HANDSHAKE = (
    b"GET /ticks?after=0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def get(server: Server, target: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any, Any]:
    """Ask by plain HTTP; return status, headers and the decoded body."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, target, body)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text[:1] in b"[{" else text.decode()


def wait_for_tick(server: Server, seq: int) -> None:
    """Return when the server has published this tick."""
    wait_until(lambda: server.health()["newest_seq"] >= seq, f"tick {seq} is published")


def is_websocket(transport: Transport) -> bool:
    return transport.family == "push"


def of_family(family: str) -> pytest.MarkDecorator:
    """Return the parameters of a test that asks something of one family only."""
    chosen = [transport for transport in TRANSPORTS.values() if transport.family == family]
    return pytest.mark.parametrize("transport", chosen, ids=lambda transport: transport.name)


by_websocket, by_holding = of_family("push"), of_family("held")
