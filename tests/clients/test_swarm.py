"""The swarm against a tiny scripted server: nothing is lost or doubled, whatever the connections do."""

import contextlib
import gc
import re
import socket
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.server import ServerProtocol

from clients import long_polling, short_polling, websocket
from clients.base import Address
from clients.load.generator import DELIVERY_FIELDS
from clients.load.swarm import Swarm
from clients.short_polling import stratified_phases
from clients.sockets.poller import SelectorsPoller, new_poller
from clients.sockets.stamped_socket import StampedSocket, measure_clock_offset
from servers.wire import encode_array, encode_tick, now_ns
from tests.clients.scripted_server import Server
from tests.waiting import LIMIT_S

S = 1_000_000_000
PATIENCE_S = LIMIT_S
"""Only reached if something hangs."""
LAST = 12
"""The scripted feed ends with this tick."""


def array(*seqs: int) -> bytes:
    return encode_array([encode_tick(seq, seq, "ACME", 1.0, 96) for seq in seqs])


# What the server says


def read_request(connection: socket.socket) -> bytes:
    """Return the next request, b"" if the client has gone."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = connection.recv(65_536)
        if not piece:
            return b""
        data += piece
    return data


def cursor_of(request: bytes) -> int:
    return int(re.search(rb"after=(\d+)", request)[1])


def http_answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def http_script(connection: socket.socket, number: int, *, cuts: int = 0) -> None:
    """Give two ticks per answer; the first connections are cut within their second answer."""
    answers = 0
    while request := read_request(connection):
        cursor, answers = cursor_of(request), answers + 1
        if cursor < LAST:
            data = http_answer(array(cursor + 1, cursor + 2))
            connection.sendall(data[: len(data) // 2] if number < cuts and answers == 2 else data)
            if number < cuts and answers == 2:
                return
        else:
            connection.recv(1)  # hold the request until the client goes


def websocket_script(connection: socket.socket, number: int, *, cuts: int = 0) -> None:
    """Give two ticks per message; the first connections are cut within their second message."""
    server = ServerProtocol()
    request = read_request(connection)
    server.receive_data(request)
    server.send_response(server.accept(server.events_received()[0]))
    connection.sendall(b"".join(server.data_to_send()))
    for seq in range(cursor_of(request) + 1, LAST + 1, 2):
        data = Frame(Opcode.TEXT, array(seq, seq + 1)).serialize(mask=False)
        cut = number < cuts and seq > cursor_of(request) + 1
        connection.sendall(data[: len(data) // 2] if cut else data)
        if cut:
            return
    connection.recv(1)


def closing_script(connection: socket.socket, number: int) -> None:
    """Say the first tick and goodbye in one write; go on with the next connection as usual."""
    if number:
        websocket_script(connection, number)
        return
    server = ServerProtocol()
    server.receive_data(read_request(connection))
    server.send_response(server.accept(server.events_received()[0]))
    goodbye = Frame(Opcode.CLOSE, Close(1001, "going").serialize()).serialize(mask=False)
    tick = Frame(Opcode.TEXT, array(1, 2)).serialize(mask=False)
    connection.sendall(b"".join(server.data_to_send()) + tick + goodbye)
    connection.recv(1)


TRANSPORTS = {
    "short_polling": (short_polling.Client, {"poll_pause_s": 0.001}, http_script),
    "long_polling": (long_polling.Client, {}, http_script),
    "websocket": (websocket.Client, {}, websocket_script),
}


# The swarm under test


@pytest.fixture
def swarm_of():
    """Return a function that makes a swarm of a transport's clients; all is closed at the end."""
    with contextlib.ExitStack() as stack:
        stack.callback(gc.unfreeze)

        def make(transport: str, count: int, script=None, *, options=None, port=None, **more) -> Swarm:
            client, its_options, its_script = TRANSPORTS[transport]
            if port is None:
                server = Server(script or its_script)
                stack.callback(server.stop)
                port = server.port
            address = Address("127.0.0.1", port)
            clients = [client(address, after=0, **(options or its_options)) for _ in range(count)]
            offset_ns = measure_clock_offset().offset_ns
            swarm = Swarm(clients, "127.0.0.1", port, offset_ns=offset_ns, **more)
            stack.callback(swarm.close)
            return swarm

        yield make


def step_until(swarm: Swarm, reached) -> None:
    deadline_ns = now_ns() + round(PATIENCE_S * S)
    while not reached():
        assert now_ns() < deadline_ns, f"not reached; errors: {swarm.errors}"
        swarm.step(wait_until_ns=now_ns() + S // 10)


def sockets_made():
    """Return a list, and a factory that writes the sockets it makes into it."""
    made: list[StampedSocket] = []

    def make_socket(*args, **options) -> StampedSocket:
        made.append(StampedSocket(*args, **options))
        return made[-1]

    return made, make_socket


def rows(swarm: Swarm) -> list[dict[str, int]]:
    flat, width = swarm.deliveries.tolist(), len(DELIVERY_FIELDS)
    lines = [flat[start : start + width] for start in range(0, len(flat), width)]
    return [dict(zip(DELIVERY_FIELDS, line, strict=True)) for line in lines]


def assert_each_tick_came_once(swarm: Swarm) -> None:
    got = Counter((row["client"], row["seq"]) for row in rows(swarm))
    assert got == Counter((client, seq) for client in range(len(swarm.clients)) for seq in range(1, LAST + 1))


def everybody_is_served(swarm: Swarm) -> bool:
    return all(client.cursor == LAST for client in swarm.clients)


pollers = pytest.mark.parametrize("make_poller", [new_poller, SelectorsPoller])
transports = pytest.mark.parametrize("transport", TRANSPORTS)


@pollers
@transports
def test_every_delivery_is_logged(swarm_of, transport, make_poller):
    swarm = swarm_of(transport, 5, poller=make_poller())
    swarm.connect(now_ns() + round(PATIENCE_S * S))
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert_each_tick_came_once(swarm)
    assert all(row["due_ns"] == row["seq"] and row["arrived_ns"] <= row["handled_ns"] for row in rows(swarm))
    assert (swarm.ready, len(swarm.connect_ns), swarm.errors) == (5, 5, Counter())


@pollers
@transports
def test_after_a_cut_the_clients_go_on_where_they_were(swarm_of, transport, make_poller):
    script = TRANSPORTS[transport][2]
    swarm = swarm_of(transport, 3, lambda *seat: script(*seat, cuts=5), poller=make_poller())
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert_each_tick_came_once(swarm)
    assert (swarm.errors.total(), len(swarm.connect_ns)) == (5, 8)


def test_ticks_that_come_together_with_a_goodbye_are_not_lost(swarm_of):
    swarm = swarm_of("websocket", 1, closing_script)
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert_each_tick_came_once(swarm)
    assert swarm.errors == {"closed with 1001: going": 1}


def test_a_connection_per_answer_is_no_error(swarm_of):
    def script(connection: socket.socket, number: int) -> None:
        cursor = cursor_of(read_request(connection))
        if cursor == LAST:
            connection.recv(1)
        answer = http_answer(array(cursor + 1, cursor + 2)).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        connection.sendall(answer)

    swarm = swarm_of("long_polling", 2, script, options={"keep_alive": False})
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert_each_tick_came_once(swarm)
    assert swarm.errors == Counter()
    assert len(swarm.connect_ns) >= 2 * LAST // 2


def test_each_request_has_a_lag_that_is_not_negative(swarm_of):
    swarm = swarm_of("short_polling", 3)
    step_until(swarm, lambda: everybody_is_served(swarm))
    lags = swarm.request_lags_ns[1::2]
    assert len(lags) == sum(client.requests for client in swarm.clients)
    assert min(lags) >= 0


# Connections


def test_a_refused_connection_is_counted_and_told(swarm_of):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    swarm = swarm_of("websocket", 2, port=port)
    with pytest.raises(
        TimeoutError, match=r"^2 of 2 clients did not .*: no connection: Connection refused \("
    ):
        swarm.connect(now_ns() + S // 5)
    assert swarm.errors["no connection: Connection refused"] >= 2
    assert swarm.next_deadline() is not None


def test_a_server_that_refuses_is_quoted(swarm_of):
    def script(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(http_answer(b'{"error": "we are full"}', "503 Service Unavailable"))

    swarm = swarm_of("long_polling", 1, script)
    with pytest.raises(TimeoutError, match=r"^1 of 1 clients .*: HTTP 503: we are full \(\d+×\)"):
        swarm.connect(now_ns() + S // 5)


@transports
def test_no_more_connections_are_unanswered_than_allowed(swarm_of, transport):
    gate, (made, make_socket) = threading.Event(), sockets_made()

    def script(connection: socket.socket, number: int) -> None:
        gate.wait(PATIENCE_S)
        TRANSPORTS[transport][2](connection, number)

    swarm = swarm_of(transport, 10, script, make_socket=make_socket, connecting_at_once=3)
    for _ in range(20):
        swarm.step(wait_until_ns=0)
    assert len(made) == 3
    gate.set()

    def all_ready() -> bool:
        assert len(made) - swarm.ready <= 3
        return swarm.ready == 10

    step_until(swarm, all_ready)


def test_everything_is_closed_at_the_end(swarm_of):
    made, make_socket = sockets_made()
    swarm = swarm_of("long_polling", 3, make_socket=make_socket)
    swarm.connect(now_ns() + round(PATIENCE_S * S))
    swarm.close()
    assert [sock.fileno() for sock in made] == [-1, -1, -1]
    with pytest.raises(ValueError, match="closed"):
        swarm.step()


# Coming and going


def test_one_who_comes_later_is_served_and_one_who_goes_is_closed(swarm_of):
    made, make_socket = sockets_made()
    swarm = swarm_of("long_polling", 2, make_socket=make_socket)
    swarm.connect(now_ns() + round(PATIENCE_S * S))
    address = Address("127.0.0.1", swarm._port)
    assert swarm.add(long_polling.Client(address, after=0)) == 2
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert_each_tick_came_once(swarm)
    gone = swarm.remove([0, 2])
    assert [client.cursor for client in gone] == [LAST, LAST]
    assert len(swarm.clients) == 1
    assert swarm.add(long_polling.Client(address, after=0)) == 3, "a number is not given again"
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert Counter(row["client"] for row in rows(swarm)) == dict.fromkeys(range(4), LAST)
    assert len(made) == 4
    with pytest.raises(KeyError):
        swarm.remove([0])


@transports
def test_one_may_go_before_its_turn_to_connect_or_while_it_connects(swarm_of, transport):
    swarm = swarm_of(transport, 3, connecting_at_once=1)
    swarm.step(wait_until_ns=0)  # the first is about to connect
    swarm.remove([0, 1])
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert {row["client"] for row in rows(swarm)} == {2}


def test_one_may_go_while_it_waits_to_try_again(swarm_of):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    swarm = swarm_of("websocket", 1, port=port)
    step_until(swarm, lambda: swarm.errors.total() == 1)
    swarm.remove([0])
    step_until(swarm, lambda: swarm.next_deadline() is None)
    assert swarm.errors.total() == 1


# When there is something to do


def test_clients_to_connect_are_work_at_once(swarm_of):
    assert swarm_of("long_polling", 1).next_deadline() == 0


def test_clients_that_only_wait_have_no_deadline(swarm_of):
    swarm = swarm_of("long_polling", 2)
    step_until(swarm, lambda: everybody_is_served(swarm))
    assert swarm.next_deadline() is None


def test_the_next_deadline_is_that_of_the_client_that_is_first(swarm_of):
    swarm = swarm_of("short_polling", 3, options={"poll_pause_s": 3_600, "phase": 0.5})
    step_until(swarm, lambda: all(client.messages for client in swarm.clients))
    assert swarm.next_deadline() == min(client.deadline_ns for client in swarm.clients)


@pytest.mark.parametrize(("timer_ns", "retry_ns"), [(3, 5), (5, 3)])
def test_a_connection_to_be_tried_again_counts_like_a_deadline(swarm_of, timer_ns, retry_ns):
    swarm = swarm_of("long_polling", 1, connecting_at_once=0)
    swarm._timers, swarm._line._retries = [(timer_ns, 0)], [(retry_ns, 0, swarm._seats[0])]
    assert swarm.next_deadline() == 3


@given(count=st.integers(1, 300), seed=st.integers())
def test_there_is_one_phase_in_each_stratum(count, seed):
    phases = stratified_phases(count, seed)
    assert sorted(int(phase * count) for phase in phases) == list(range(count))
    assert phases == stratified_phases(count, seed)


def test_phases_are_in_no_order():
    phases = stratified_phases(100, 1)
    assert phases != sorted(phases)
    assert phases != stratified_phases(100, 2)
