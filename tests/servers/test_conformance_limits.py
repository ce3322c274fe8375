"""The same suite, where clients are wrong, slow, too many or gone: what every server must bear."""

import contextlib
import functools
import http.client
import select
import socket
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.measure.subject import Server, running_server
from bench.transports import Transport
from servers.options import ServerOptions
from tests.asking import (
    HANDSHAKE,
    StartServer,
    Watch,
    by_holding,
    by_websocket,
    get,
    is_websocket,
    of,
    wait_for_tick,
)
from tests.waiting import wait_until


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
    [("/no", "GET", None, 404), ("/tick", "GET", None, 404), ("/ticks", "POST", b"x" * 100_000, (405, 413)),
     ("/ticks", "DELETE", None, 405), ("/ticks?after=" + "9" * 70_000, "GET", None, (400, 414))],
    ids=["nowhere", "typo", "post", "delete", "long"],
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
    """It asks for ticks again and again, and takes none; 30 MB would be waiting for it by the end.

    The history is a second long, so that the others lose nothing on a machine that is busy for a moment.
    """
    server = start_server(transport, rate_hz=250, payload_bytes=40_000, history_ticks=250)
    stalled = socket.create_connection((server.host, server.port))
    with stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if is_websocket(transport):
            stalled.sendall(HANDSHAKE)
        else:
            stalled.sendall(b"GET /ticks?after=0 HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
        swarm = watch(server, transport)
        swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 250, "the history is full")
        full_bytes = server.health()["rss_bytes"]
        swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 1_000, "750 ticks more")
        grown_bytes = server.health()["rss_bytes"] - full_bytes
    seqs = swarm.seqs(0)
    assert seqs == list(range(seqs[0], seqs[-1] + 1))
    assert grown_bytes < 8_000_000


@by_holding
def test_a_client_that_leaves_while_it_waits_is_forgotten(
    transport: Transport, start_server: StartServer
) -> None:
    server = start_server(transport, rate_hz=0.01, max_clients=1)
    wait_for_tick(server, 1)
    for _ in range(3):  # each has the only place
        client = ask_and_wait(server)

        def is_held() -> bool:
            nonlocal client
            if select.select([client], [], [], 0)[0]:  # refused: the server has not yet seen the last one go
                client.close()
                client = ask_and_wait(server)
            return bool(server.health()["clients"] >= 2)

        try:
            wait_until(is_held, "the client is held")
        finally:
            client.close()
        wait_until(lambda: server.health()["clients"] <= 1, "it is not counted any more")


def ask_and_wait(server: Server) -> socket.socket:
    """Return the connection of a client that has asked for what is not there yet."""
    client = socket.create_connection((server.host, server.port), timeout=20)
    client.sendall(b"GET /ticks?after=1&hold=60 HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


@of("pull")
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
    server = start_server(transport, rate_hz=500, payload_bytes=60_000, history_ticks=1_000)
    wait_for_tick(server, 100)
    stalled = []
    for _ in range(5):
        stalled.append(socket.create_connection((server.host, server.port), timeout=20))
        stalled[-1].sendall(HANDSHAKE)
    own = 0 if is_websocket(transport) else 1  # an HTTP server counts the connection that asks
    wait_until(lambda: server.health()["clients"] >= 5 + own, "all five are there")
    for each in stalled:
        each.close()
    wait_until(lambda: server.health()["clients"] <= own, "they are not counted any more")


@pytest.mark.parametrize("seq", ["%C2%B2", "x", "-1", "9" * 50, ""])
def test_health_is_told_whatever_is_asked_beside(
    transport: Transport, standing_server: Server, seq: str
) -> None:
    status, _, answer = get(standing_server, f"/health?after={seq}")
    assert status == 200
    assert answer["transport"] == transport.name
