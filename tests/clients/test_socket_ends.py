"""Real connections are brought to every end that a test can bring about, and the swarm says which it was."""

import contextlib
import functools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.measure.certificate import Certificate, make_certificate
from bench.measure.load import running_swarm
from bench.measure.processes import TrialFailed
from bench.transports import TRANSPORTS
from clients import websocket
from clients.base import Address
from clients.load.orders import Connected, Order, Report, Window
from clients.load.stream import stream
from clients.load.swarm import Swarm
from clients.sockets.events import SOCKET_FIELDS, SocketEvent
from clients.sockets.stamped_socket import StampedSocket
from clients.sockets.tls_socket import TlsSocket, client_context
from servers.base import listen
from servers.options import STALL_TIMEOUT_S, ServerOptions
from servers.wire import now_ns
from tests.clients.scripted_server import Server
from tests.clients.simulated_network import events_of
from tests.waiting import LIMIT_S, wait_until

HOST = "127.0.0.1"
RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: close() sends RST (socket(7))."""
needs_user_timeout = pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="TCP_USER_TIMEOUT is Linux's"
)
Script = Callable[[socket.socket, int], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"), HOST)


def tls_sockets(certificate: Certificate) -> Callable[..., StampedSocket]:
    return functools.partial(TlsSocket, context=client_context(certificate.ca), server_name=HOST)


@contextlib.contextmanager
def swarm_at(port: int, **options: object) -> Iterator[Swarm]:
    """Run a swarm of one WebSocket client against a port."""
    with contextlib.closing(
        Swarm([websocket.Client(Address(HOST, port), after=0)], HOST, port, offset_ns=0, **options)
    ) as swarm:
        yield swarm


def first_end(swarm: Swarm) -> SocketEvent:
    """Step until the first connection has ended; return how."""
    deadline_ns = now_ns() + round(LIMIT_S * 1e9)
    while not (ends := [what for _, what in events_of(swarm) if what.is_end]):
        assert now_ns() < deadline_ns, f"not in time: the end; so far {events_of(swarm)}"
        swarm.step(wait_until_ns=now_ns() + 10_000_000)
    return ends[0]


def end_by_script(script: Script, **options: object) -> SocketEvent:
    server = Server(script)
    try:
        with swarm_at(server.port, **options) as swarm:
            return first_end(swarm)
    finally:
        server.stop()


def close(connection: socket.socket, number: int) -> None:
    """Read what was asked, and end the connection."""
    connection.recv(65_536)


def reset(connection: socket.socket, number: int) -> None:
    """Read what was asked, and break the connection."""
    connection.recv(65_536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)


def refuse(connection: socket.socket, number: int) -> None:
    """Read what was asked, and say no."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    connection.recv(65_536)


def say_nothing(connection: socket.socket, number: int) -> None:
    """Read all that comes, and say nothing."""
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize(
    ("script", "end"),
    [(close, SocketEvent.ENDED), (reset, SocketEvent.RESET), (refuse, SocketEvent.REFUSAL)],
)
def test_the_end_that_a_server_makes_is_told(script: Script, end: SocketEvent) -> None:
    assert end_by_script(script) is end


@pytest.mark.parametrize(
    ("script", "end"),
    [(close, SocketEvent.ENDED), (reset, SocketEvent.RESET), (refuse, SocketEvent.REFUSAL)],
)
def test_so_is_that_within_the_handshake_of_tls(
    script: Script, end: SocketEvent, certificate: Certificate
) -> None:
    assert end_by_script(script, make_socket=tls_sockets(certificate)) is end


@pytest.mark.parametrize("tls", [False, True])
def test_the_end_of_a_server_that_is_killed_is_told(
    tls: bool, certificate: Certificate, start_server
) -> None:
    """Its kernel closes the connection (FIN), or breaks it (RST) if anything was unread."""
    server = start_server(TRANSPORTS["websocket"], certificate=certificate.server if tls else None)
    with swarm_at(server.port, **({"make_socket": tls_sockets(certificate)} if tls else {})) as swarm:
        swarm.connect(now_ns() + round(LIMIT_S * 1e9))
        server.kill()
        assert first_end(swarm) in (SocketEvent.ENDED, SocketEvent.RESET)
        assert [what for _, what in events_of(swarm)][:2] == [SocketEvent.ASKED, SocketEvent.OPENED]


def test_a_port_at_which_nobody_listens_refuses() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with swarm_at(port) as swarm:
        assert first_end(swarm) is SocketEvent.REFUSED
        assert SocketEvent.OPENED not in [what for _, what in events_of(swarm)]


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_says_nothing_is_given_up(tls: bool, certificate: Certificate) -> None:
    options = {"make_socket": tls_sockets(certificate)} if tls else {}
    assert end_by_script(say_nothing, silence_s=0.05, **options) is SocketEvent.SILENT


def test_a_silent_connection_is_closed_for_the_server_too() -> None:
    closed = threading.Event()

    def script(connection: socket.socket, number: int) -> None:
        say_nothing(connection, number)
        closed.set()

    server = Server(script)
    try:
        with swarm_at(server.port, silence_s=0.05) as swarm:
            assert first_end(swarm) is SocketEvent.SILENT
            wait_until(closed.is_set, "the server has heard of the end")
    finally:
        server.stop()


def test_one_client_that_listens_gives_up_too_and_goes_on(start_server) -> None:
    """Ticks are half a second apart: between any two, the client has given a connection up."""
    server = start_server(TRANSPORTS["websocket"], rate_hz=2)
    arrivals = stream("websocket", server.url, silence_s=0.2, after=0)
    with contextlib.closing(arrivals):
        assert [next(arrivals).tick.seq for _ in range(3)] == [1, 2, 3]
    assert server.health()


# TCP's own patience


@needs_user_timeout
@pytest.mark.parametrize(("user_timeout_s", "expected_ms"), [(None, 0), (0.25, 250), (90.0, 90_000)])
def test_clients_sockets_have_the_user_timeout_that_was_ordered(
    user_timeout_s: float | None, expected_ms: int, certificate: Certificate
) -> None:
    for make_socket in (StampedSocket, tls_sockets(certificate)):
        sock = make_socket(socket.AF_INET, offset_ns=0, user_timeout_s=user_timeout_s)
        assert sock._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == expected_ms
        sock.close()


@needs_user_timeout
@pytest.mark.parametrize(("user_timeout_s", "expected_s"), [(None, STALL_TIMEOUT_S), (0.25, 0.25)])
def test_accepted_sockets_inherit_it_from_the_listener(user_timeout_s, expected_s) -> None:
    with (
        listen(ServerOptions(user_timeout_s=user_timeout_s)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            timeout_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert timeout_ms == expected_s * 1_000


# By order


def order(folder: Path, port: int, **fields: object) -> Order:
    return Order("websocket", HOST, port, "/ticks", 3, str(folder), **fields)


def test_a_process_writes_down_what_happened(tmp_path, start_server) -> None:
    server = start_server(TRANSPORTS["websocket"], rate_hz=50)
    with running_swarm("swarm") as swarm:
        swarm.send(order(tmp_path, server.port, silence_s=5.0, user_timeout_s=5.0, backoff="none", herd=True))
        assert isinstance(swarm.receive(LIMIT_S), Connected)
        now = now_ns()
        swarm.send(Window(now, now + 10**8, 1, now + 10**8, now + 10**10))
        assert isinstance(report := swarm.receive(LIMIT_S), Report)
        assert report.drained
    flat = memoryview((tmp_path / "sockets.int64").read_bytes()).cast("q").tolist()
    width = len(SOCKET_FIELDS)
    assert sorted((client, what) for client, what in zip(flat[::width], flat[2::width], strict=True)) == [
        (client, what) for client in range(3) for what in (SocketEvent.ASKED, SocketEvent.OPENED)
    ]
    assert all(at_ns < now for at_ns in flat[1::width])


def test_a_way_to_wait_that_is_none_is_answered_with_a_sentence(tmp_path) -> None:
    with running_swarm("swarm") as swarm:
        swarm.send(order(tmp_path, 1, backoff="soon"))
        with pytest.raises(TrialFailed, match="backoff is 'soon'; choose one of"):
            swarm.receive(LIMIT_S)


def test_ordinary_clients_refuse_to_watch_for_silence(tmp_path) -> None:
    with running_swarm("asyncio") as crowd:
        crowd.send(order(tmp_path, 1, silence_s=1.0))
        with pytest.raises(TrialFailed, match="use the swarm"):
            crowd.receive(LIMIT_S)
