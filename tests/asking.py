"""How the conformance tests ask a server, and which transports a test is for."""

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.measure.subject import Server
from bench.transports import TRANSPORTS, Transport, names_of
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
        return answer.status, answer.headers, json.loads(text) if text[:1] in (b"[", b"{") else text.decode()


@contextlib.contextmanager
def event_stream(
    server: Server, target: str = "/ticks", **headers: str
) -> Iterator[tuple[http.client.HTTPResponse, Iterator[dict[str, str]]]]:
    """Ask for a stream of events; yield the answer, and what it brings: the fields of each block.

    Blocks are the lines up to an empty one; comments are among the fields, with an empty name.
    """
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)

    def blocks() -> Iterator[dict[str, str]]:
        fields: dict[str, str] = {}
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(":")
            if line == b"\n":
                yield fields
                fields = {}
            else:
                fields[name] = value.removeprefix(" ")

    with contextlib.closing(connection):
        connection.request("GET", target, headers={name.replace("_", "-"): headers[name] for name in headers})
        answer = connection.getresponse()
        yield answer, blocks()


def wait_for_tick(server: Server, seq: int) -> None:
    """Return when the server has published this tick."""
    wait_until(lambda: server.health()["newest_seq"] >= seq, f"tick {seq} is published")


def is_websocket(transport: Transport) -> bool:
    return transport.framing == "WebSocket"


def is_event_stream(transport: Transport) -> bool:
    return transport.framing == "event stream"


def of(*families: str, **facts: object) -> pytest.MarkDecorator:
    """Return the parameters of a test for some transports only, by facts of the registry."""
    chosen = [TRANSPORTS[name] for name in names_of(*families, **facts)]
    return pytest.mark.parametrize("transport", chosen, ids=lambda transport: transport.name)


by_websocket, by_event_stream, by_holding = of(framing="WebSocket"), of(framing="event stream"), of("held")
