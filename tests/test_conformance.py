"""One suite over the registry: what every transport owes its clients, whatever library it is written with."""

import contextlib
import functools
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.processes import Server, running_server
from bench.transports import TRANSPORTS, Transport
from servers.options import ServerOptions
from servers.wire import TickStamp, now_ns
from tests.conftest import LIMIT_S

StartServer = Callable[..., Server]
Watch = Callable[..., Any]


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


@pytest.fixture(scope="module")
def standing_servers() -> Iterator[Callable[[Transport], Server]]:
    """Start one server per transport, for all tests that only ask and may not harm it."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(
            lambda transport: stack.enter_context(running_server(transport.server, ServerOptions()))
        )


@pytest.fixture
def standing_server(transport: Transport, standing_servers: Callable[[Transport], Server]) -> Server:
    """Return the transport's server that stands for all such tests."""
    return standing_servers(transport)


def wait_for_tick(server: Server, seq: int) -> None:
    """Return when the server has published this tick."""
    deadline_ns = now_ns() + round(LIMIT_S * 1e9)
    while server.health()["newest_seq"] < seq:
        assert now_ns() < deadline_ns, f"tick {seq} is not published in time"
        time.sleep(0.02)


def is_websocket(transport: Transport) -> bool:
    return transport.family == "push"


def of_family(family: str) -> pytest.MarkDecorator:
    """Return the parameters of a test that asks something of one family only."""
    chosen = [transport for transport in TRANSPORTS.values() if transport.family == family]
    return pytest.mark.parametrize("transport", chosen, ids=lambda transport: transport.name)


by_websocket, by_holding = of_family("push"), of_family("held")


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
        for seat in swarm.swarm._seats:
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
    else:
        _, headers, ticks = get(server, "/ticks?after=0")
        told, first = int(headers["Ticks-Missed"]), ticks[0]["seq"]
    assert told == first - 1 >= 30


# Contracts


def test_contract_latest_gives_the_newest_only(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, rate_hz=200, contract="latest")
    wait_for_tick(server, 50)
    swarm = watch(server, transport, after=0, latest=True)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 100, "tick 100")
    client = swarm.clients[0]
    seqs = swarm.seqs(0)
    assert seqs[0] >= 50
    assert seqs == sorted(set(seqs))
    assert len(seqs) + client.superseded == seqs[-1]
    assert client.missed == 0


# Limits


BAD_QUERIES = [
    "after=",
    "after=x",
    "after=-1",
    "after=1.5",
    "after=٣",
    "after=99999999",
    "nonsense=1",
    "after=%00",
]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_bad_query_gets_a_sentence_and_the_server_goes_on(
    transport: Transport, standing_server: Server, query: str
) -> None:
    if is_websocket(transport):
        with (
            connect(f"{standing_server.url.replace('http:', 'ws:')}?{quote(query, safe='=%')}") as socket_,
            pytest.raises(ConnectionClosed) as closed,
        ):
            socket_.recv(timeout=20)
        assert closed.value.rcvd is not None
        code, sentence = closed.value.rcvd.code, closed.value.rcvd.reason
        assert code == 4400
    else:
        status, _, answer = get(standing_server, f"/ticks?{quote(query, safe='=%')}")
        assert status == 400
        sentence = answer["error"]
    assert query.partition("=")[0] in sentence
    assert standing_server.health()["transport"] == transport.name


@pytest.mark.parametrize(
    ("target", "method", "body", "status"),
    [("/", "GET", None, 404), ("/tick", "GET", None, 404), ("/ticks", "POST", b"x" * 100_000, (405, 413)),
     ("/ticks", "DELETE", None, 405), ("/ticks?after=" + "9" * 70_000, "GET", None, (400, 414))],
    ids=["root", "typo", "post", "delete", "long"],
)  # fmt: skip
def test_wrong_requests_are_refused(
    transport: Transport,
    standing_server: Server,
    target: str,
    method: str,
    body: bytes | None,
    status: int | tuple[int, int],
) -> None:
    expected = status if isinstance(status, tuple) else (status,)
    if transport.library == "picows" and method != "GET":
        expected = (400,)  # its parser knows GET only, and answers by itself
    with contextlib.suppress(ConnectionError, http.client.RemoteDisconnected):  # it may hang up while we talk
        answered, _, answer = get(standing_server, target, method, body)
        assert answered in expected
        assert "Traceback" not in str(answer)
        assert answer
    assert standing_server.health()["newest_seq"] >= 0


@by_websocket
def test_oversized_message_closes_with_its_code(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport)
    with connect(server.url.replace("http:", "ws:")) as socket_:
        socket_.send("x" * 10_000)
        with pytest.raises(ConnectionClosed) as closed:
            list(socket_)  # ends at a normal close only
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_too_many_clients_are_told_so(transport: Transport, start_server: StartServer, watch: Watch) -> None:
    server = start_server(transport, max_clients=3, rate_hz=20)
    swarm = watch(server, transport, count=3)
    swarm.connect()
    fourth = watch(server, transport)
    fourth.until(lambda: bool(fourth.swarm.errors), "a refusal")
    assert "3 clients are connected" in next(iter(fourth.swarm.errors))
    goal = server.health()["newest_seq"] + 3
    swarm.until(lambda: all((c.cursor or 0) >= goal for c in swarm.clients), "the others go on")


def test_a_client_that_never_reads_costs_the_others_nothing(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    """It asks for ticks again and again, and takes none; 30 MB would be waiting for it by the end."""
    server = start_server(transport, rate_hz=1_000, payload_bytes=10_000, history_ticks=1_000)
    stalled = socket.create_connection((server.host, server.port))
    with stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if is_websocket(transport):
            stalled.sendall(HANDSHAKE)
        else:
            stalled.sendall(b"GET /ticks?after=0 HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
        swarm = watch(server, transport)
        swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 1_000, "the history is full")
        full_bytes = server.health()["rss_bytes"]
        swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 4_000, "3,000 ticks more")
        grown_bytes = server.health()["rss_bytes"] - full_bytes
    seqs = swarm.seqs(0)
    assert seqs == list(range(seqs[0], seqs[-1] + 1))
    assert grown_bytes < 8_000_000


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
    elif transport.family == "held":
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/ticks?after=1&hold=60")
            while server.health()["clients"] < 2:
                time.sleep(0.02)
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


@by_websocket
def test_heartbeats_do_not_disturb(transport: Transport, start_server: StartServer, watch: Watch) -> None:
    server = start_server(transport, rate_hz=50, heartbeat_s=0.05)
    swarm = watch(server, transport, count=3)
    swarm.connect()
    swarm.until(lambda: all((c.cursor or 0) >= 60 for c in swarm.clients), "tick 60")
    assert not swarm.swarm.errors
    assert swarm.swarm.bytes_up > 3 * 200  # the handshakes, and pongs
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


@by_holding
def test_a_client_that_leaves_while_it_waits_is_forgotten(
    transport: Transport, start_server: StartServer
) -> None:
    server = start_server(transport, rate_hz=0.01, max_clients=1)
    wait_for_tick(server, 1)
    deadline_ns = now_ns() + 20_000_000_000
    for _ in range(3):  # each has the only place
        with socket.create_connection((server.host, server.port)) as client:
            client.sendall(b"GET /ticks?after=1&hold=60 HTTP/1.1\r\nHost: x\r\n\r\n")
            while server.health()["clients"] < 2:
                time.sleep(0.02)
        while server.health()["clients"] > 1:
            assert now_ns() < deadline_ns, "it is still counted"
            time.sleep(0.02)


@of_family("pull")
@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /ticks?after=0 HTTP/1.1\r\nHost: x\r\n\r\n" * 50],
        [b"GET /ti", b"cks HTT", b"P/1.1\r\nHost: x\r", b"\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"],
    ],
    ids=["pipelined", "in pieces"],
)  # fmt: skip
def test_requests_are_answered_in_order_however_they_come(
    transport: Transport, start_server: StartServer, pieces: list[bytes]
) -> None:
    server = start_server(transport, rate_hz=0.01)
    asked = b"".join(pieces).count(b"GET ")
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        client.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while more := client.recv(65_536):
            received += more
    assert received.count(b"HTTP/1.1 200 OK\r\n") == asked
    assert received.rindex(b"HTTP/1.1 404 ") > received.rindex(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "garbage",
    [
        b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET /ticks\r\n\r\n",
        b"GET /ticks HTTP/1.1\r\n" + b"X: " + b"x" * 500_000,
        b"GET /ticks HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /ticks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["words", "tls", "http/0.9", "endless", "length", "chunk"],
)  # fmt: skip
def test_malformed_requests_end_their_connection_only(
    transport: Transport, standing_server: Server, garbage: bytes
) -> None:
    received = b""
    with (
        socket.create_connection((standing_server.host, standing_server.port), timeout=20) as client,
        contextlib.suppress(OSError),  # it may hang up while we talk
    ):
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        while more := client.recv(65_536):
            received += more
    assert not received.startswith(b"HTTP/1.1 2")
    assert b"Traceback" not in received
    assert standing_server.health()["newest_seq"] >= 0


def test_clients_that_stall_and_go_are_forgotten(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport, rate_hz=200, payload_bytes=60_000, history_ticks=1_000)
    wait_for_tick(server, 100)
    stalled = []
    for _ in range(5):
        stalled.append(socket.create_connection((server.host, server.port)))
        stalled[-1].sendall(HANDSHAKE)
    own = 0 if is_websocket(transport) else 1  # an HTTP server counts the connection that asks
    deadline_ns = now_ns() + 20_000_000_000
    while server.health()["clients"] < 5 + own:
        assert now_ns() < deadline_ns
        time.sleep(0.02)
    for each in stalled:
        each.close()
    while server.health()["clients"] > own:
        assert now_ns() < deadline_ns, "they are still counted"
        time.sleep(0.02)


@pytest.mark.parametrize("seq", ["%C2%B2", "x", "-1", "9" * 50, ""])
def test_health_is_told_whatever_is_asked_beside(
    transport: Transport, standing_server: Server, seq: str
) -> None:
    status, _, answer = get(standing_server, f"/health?lags_after={seq}")
    assert status == 200
    assert "publish_lags_ns" not in answer
