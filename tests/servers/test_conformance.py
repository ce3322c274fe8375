"""One suite over the registry: what every transport owes its clients, whatever library it is written with."""

import contextlib
import http.client
import json
import socket
from typing import Any

import msgspec
import pytest
from aiohttp.http import SERVER_SOFTWARE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.theory.traffic import array_bytes, response_head_bytes
from bench.transports import TRANSPORTS, Transport
from servers.wire import TickStamp, now_ns
from tests.asking import (
    HANDSHAKE,
    StartServer,
    Watch,
    by_holding,
    by_websocket,
    event_stream,
    get,
    is_event_stream,
    is_websocket,
    of,
    wait_for_tick,
)
from tests.waiting import wait_until

# Every tick, once, in order


@pytest.mark.parametrize(
    ("transport", "rate_hz", "ticks"),
    [
        pytest.param(transport, rate_hz, ticks, id=f"{transport.name}-{rate_hz}")
        for transport in TRANSPORTS.values()
        for rate_hz, ticks in [(1, 3), (20, 12), (100, 100), (500, 400)]
        if transport.variant_of is None or rate_hz in (20, 500)  # variants: the two that take least time
    ],
)
def test_every_tick_once_and_in_order(
    transport: Transport, start_server: StartServer, watch: Watch, rate_hz: float, ticks: int
) -> None:
    server = start_server(transport, rate_hz=rate_hz, history_ticks=5_000)
    swarm = watch(server, transport, count=5)
    swarm.connect()
    swarm.until(lambda: all((c.cursor or 0) >= ticks for c in swarm.clients), f"tick {ticks}")
    for client in range(5):
        seqs = swarm.seqs(client)
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
    assert not swarm.swarm.errors


@pytest.mark.parametrize("payload_bytes", [96, 127, 4_000, 65_536])
def test_payload_size_is_exact(
    transport: Transport, start_server: StartServer, watch: Watch, payload_bytes: int
) -> None:
    server = start_server(transport, rate_hz=50, payload_bytes=payload_bytes, history_ticks=500)
    bodies: list[bytes] = []

    def decode(array: bytes) -> Any:
        bodies.append(array)
        return watching.decode(array)

    watching = msgspec.json.Decoder(list[TickStamp])
    swarm = watch(server, transport, decode=decode)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 10, "tick 10")
    for body in bodies:
        count = len(watching.decode(body))
        if count:
            assert len(body) == count * payload_bytes + count + 1  # commas between, brackets around


def test_bursts_are_delivered_in_batches_without_loss(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    """A history longer than a batch (1,000 ticks, 256 KiB) comes in several, at once."""
    server = start_server(transport, rate_hz=2_000, payload_bytes=500, history_ticks=20_000)
    wait_for_tick(server, 3_000)
    swarm = watch(server, transport, after=0)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 3_000, "tick 3,000")
    assert swarm.seqs(0)[:3_000] == list(range(1, 3_001))


# Cursors


def test_late_joiner_begins_with_the_newest_tick(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, rate_hz=10)
    wait_for_tick(server, 5)
    newest = server.health()["newest_seq"]
    swarm = watch(server, transport)
    swarm.until(lambda: swarm.clients[0].cursor is not None, "a first tick")
    assert swarm.seqs(0)[0] >= newest


def test_after_zero_gets_the_whole_history(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, rate_hz=50)
    wait_for_tick(server, 20)
    swarm = watch(server, transport, after=0)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 20, "tick 20")
    assert swarm.seqs(0)[:20] == list(range(1, 21))


def test_cut_connection_is_resumed_without_loss_or_double(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, rate_hz=100)
    swarm = watch(server, transport, count=3)
    swarm.connect()
    for goal in (30, 60, 90):
        swarm.until(lambda goal=goal: all((c.cursor or 0) >= goal for c in swarm.clients), f"tick {goal}")
        for seat in swarm.swarm._seats.values():
            if seat.sock is not None:
                seat.sock._sock.shutdown(socket.SHUT_RDWR)
    swarm.until(lambda: all((c.cursor or 0) >= 120 for c in swarm.clients), "tick 120")
    for client in range(3):
        seqs = swarm.seqs(client)
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
    assert len(swarm.swarm.connect_ns) > 3


def test_a_client_is_told_what_the_history_has_lost(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport, rate_hz=100, history_ticks=10)
    wait_for_tick(server, 40)
    if is_websocket(transport):
        with connect(server.url.replace("http:", "ws:") + "?after=0") as socket_:
            told = json.loads(socket_.recv(timeout=20))["missed"]
            first = json.loads(socket_.recv(timeout=20))[0]["seq"]
    elif is_event_stream(transport):
        with event_stream(server, "/ticks?after=0") as (_, blocks):
            _, missed, event = next(blocks), next(blocks), next(blocks)
        assert (missed["event"], "event" in event) == ("missed", False)
        told, first = json.loads(missed["data"])["missed"], json.loads(event["data"])[0]["seq"]
    else:
        _, headers, ticks = get(server, "/ticks?after=0")
        told, first = int(headers["Ticks-Missed"]), ticks[0]["seq"]
    assert told == first - 1 >= 30


# What answers say beside the ticks


@of("pull", "held")
def test_no_cache_may_keep_an_answer(transport: Transport, start_server: StartServer) -> None:
    """RFC 6202, section 5.6: an answer, or a refusal, that a cache kept would be an old one."""
    server = start_server(transport, rate_hz=20)
    for target, status in (("/ticks?after=0", 200), ("/ticks?after=-1", 400), ("/no", 404), ("/health", 200)):
        said, headers, _ = get(server, target)
        assert (said, headers["Cache-Control"], headers["Vary"]) == (status, "no-store", None), target


@of("pull", "held")
def test_variants_send_the_same_head_and_the_theory_knows_its_bytes(
    transport: Transport, start_server: StartServer
) -> None:
    _, headers, ticks = get(start_server(transport, payload_bytes=200), "/ticks")
    assert list(headers) == ["Cache-Control", "Content-Type", "Content-Length", "Date", "Server"]
    sent_bytes = len(f"HTTP/1.1 200 OK\r\n{headers}".replace("\n", "\r\n").replace("\r\r", "\r"))
    computed_bytes = response_head_bytes(array_bytes(len(ticks), 200))
    assert sent_bytes - len(headers["Server"]) == computed_bytes - len(SERVER_SOFTWARE)


# Contracts


def test_contract_latest_gives_the_newest_only(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, rate_hz=200, contract="latest")
    wait_for_tick(server, 50)
    swarm = watch(server, transport, after=0)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 100, "tick 100")
    seqs = swarm.seqs(0)
    assert seqs[0] >= 50
    assert seqs == sorted(set(seqs))


# Stopping


def test_stop_answers_held_requests_and_closes_sockets(
    transport: Transport, start_server: StartServer
) -> None:
    server = start_server(transport, rate_hz=0.01)
    wait_for_tick(server, 1)
    if is_websocket(transport):
        with connect(server.url.replace("http:", "ws:")) as socket_:
            socket_.recv(timeout=20)
            code = server.stop()
            with pytest.raises(ConnectionClosed) as closed:
                socket_.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    elif is_event_stream(transport):
        with event_stream(server) as (answer, blocks):
            next(blocks)
            code = server.stop()
            answer.read()  # to its end: the stream is closed, not cut
    elif transport.family == "held":
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/ticks?after=1&hold=60")
            wait_until(lambda: server.health()["clients"] >= 2, "it is held")
            code = server.stop()
            assert json.loads(connection.getresponse().read()) == []
    else:
        get(server, "/ticks")
        code = server.stop()
    assert code == 0


@by_holding
def test_long_hold_ends_with_an_empty_array(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport, rate_hz=0.01)
    wait_for_tick(server, 1)
    began_ns = now_ns()
    assert get(server, "/ticks?after=1&hold=0.3")[2] == []
    assert now_ns() - began_ns >= 0.298e9  # event loops round their clock to a millisecond


def test_a_dead_server_is_an_error_not_a_hang(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, rate_hz=50)
    swarm = watch(server, transport)
    swarm.connect()
    server.kill()
    swarm.until(lambda: bool(swarm.swarm.errors), "the loss is noticed")
    lost = watch(server, transport)
    with pytest.raises(TimeoutError, match="did not get through"):
        lost.swarm.connect(now_ns() + 200_000_000)


@of(heartbeats=True)
def test_heartbeats_do_not_disturb(transport: Transport, start_server: StartServer, watch: Watch) -> None:
    server = start_server(transport, rate_hz=50, heartbeat_s=0.3)  # a pong may take half of it
    swarm = watch(server, transport, count=3)
    swarm.connect()
    handshakes_bytes = swarm.swarm.bytes_up
    swarm.until(lambda: all((c.cursor or 0) >= 60 for c in swarm.clients), "tick 60")
    assert not swarm.swarm.errors
    if is_websocket(transport):
        assert swarm.swarm.bytes_up > handshakes_bytes  # by pongs
    seqs = swarm.seqs(0)
    assert seqs == list(range(seqs[0], seqs[-1] + 1))


@by_websocket
def test_a_client_that_answers_no_ping_is_let_go(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport, rate_hz=0.01, heartbeat_s=0.2)
    with socket.create_connection((server.host, server.port), timeout=20) as mute:
        mute.sendall(HANDSHAKE)
        received = b""
        while more := mute.recv(65_536):
            received += more
    assert b"101 Switching Protocols" in received
    assert b"\x89" in received  # the first byte of a ping (RFC 6455, section 5.5.2)
