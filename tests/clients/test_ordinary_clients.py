"""The ordinary asyncio clients: they obey the swarm's orders, and each arrival is that of its own read."""

import socket
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.load import running_swarm
from bench.measure.processes import TrialFailed
from bench.measure.schedule import plan_run
from bench.measure.subject import running_server
from bench.measure.trial import Trial, run_trial
from bench.results.deliveries import ARRIVED_NS, CLIENT, DUE_NS, HANDLED_NS, SEQ
from bench.scenario import Scenario, ScenarioError
from bench.transports import TRANSPORTS, names_of
from clients.load import ordinary_clients
from clients.load.orders import Connected, Order, Window
from clients.load.ordinary_clients import ObservedSocket, OrdinaryWebSocketClient
from clients.sockets.stamped_socket import KERNEL_STAMPS, measure_clock_offset
from servers.options import ServerOptions
from servers.wire import now_ns
from tests.waiting import LIMIT_S, wait_until

CLIENTS = 5
SCENARIO: dict[str, Any] = {"generator": "asyncio", "clients": CLIENTS, "rate_hz": 20, "window_s": 1.0}


def assert_each_client_has_all(trial: Trial, *, ticks: int, clients: int) -> None:
    """Hold that a trial brought every tick to every client, once, in order, and by the right stamps."""
    row, deliveries = trial.row, trial.deliveries
    assert deliveries is not None
    assert row["expected"] == row["delivered"] == ticks * clients
    assert (row["missed"], row["duplicates"], row["out_of_order"]) == (0, 0, 0)
    assert row["drained"]
    assert row["connection_errors"] == ""
    assert row["stamped_by"] == ("kernel" if KERNEL_STAMPS else "user")
    assert (deliveries[:, ARRIVED_NS] >= deliveries[:, DUE_NS]).all()
    assert (deliveries[:, ARRIVED_NS] <= deliveries[:, HANDLED_NS]).all()
    for client in range(clients):
        assert (np.diff(deliveries[deliveries[:, CLIENT] == client][:, SEQ]) == 1).all()


@pytest.mark.parametrize(
    "fields",
    [
        {"transport": "websocket"},
        {"transport": "server_sent_events"},
        {"transport": "long_polling"},
        {"transport": "short_polling", "poll_interval_s": 0.2},
        {"transport": "short_polling", "poll_pause_s": 0.1, "keep_alive": False},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_a_whole_trial(fields: dict[str, Any]) -> None:
    trial = run_trial(Scenario(**fields, **SCENARIO), seed=1)
    row = trial.row
    assert_each_client_has_all(trial, ticks=20, clients=CLIENTS)
    assert (row["requests"] > 0) == TRANSPORTS[fields["transport"]].client_class.pulls
    if fields.get("keep_alive") is False:
        assert row["connections_opened"] >= row["requests"]
    else:
        assert row["connections_opened"] == CLIENTS


def test_the_newest_only_supersedes_and_misses_nothing() -> None:
    fields = {**SCENARIO, "contract": "latest", "poll_interval_s": 0.2}
    row = run_trial(Scenario("short_polling", **fields), seed=1).row
    assert row["missed"] == 0
    assert 0 < row["delivered"] < row["expected"] == row["delivered"] + row["superseded"]


def order(folder: Path, **fields: Any) -> Order:
    usual: dict[str, Any] = {
        "client": "websocket", "host": "127.0.0.1", "port": 1, "path": "/ticks", "clients": 2,
    }  # fmt: skip
    return Order(folder=str(folder), **{**usual, **fields})


def test_it_ends_with_its_standard_input(tmp_path: Path) -> None:
    with (
        running_server("long_polling", ServerOptions(rate_hz=20)) as server,
        running_swarm("asyncio") as early,
        running_swarm("asyncio") as late,
    ):
        late.send(order(tmp_path, client="long_polling", port=server.port, settings={"hold_s": 5}))
        assert isinstance(late.receive(LIMIT_S), Connected)
        assert early.stop() == late.stop() == 1  # by itself, not by a signal


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"client": "pigeon"}, "no ordinary client for pigeon"),
        ({"settings": {"wings": 2}}, "has no wings"),
        ({"settings": {"headers": "many"}}, "headers is 'many'"),
        ({"client": "short_polling"}, "either poll_interval_s or poll_pause_s"),
        ({"connect_timeout_s": 0.3}, "2 of 2 clients did not get through.*[Cc]onnect"),
        ({"client": "long_polling", "connect_timeout_s": 0.3}, "2 of 2 clients did not.*[Cc]onnect"),
    ],
)
def test_a_wrong_order_is_answered_with_a_sentence(
    tmp_path: Path, fields: dict[str, Any], sentence: str
) -> None:
    with running_swarm("asyncio") as swarm:
        swarm.send(order(tmp_path, **fields))
        with pytest.raises(TrialFailed, match=sentence):
            swarm.receive(LIMIT_S)


def test_one_that_failed_says_why_also_when_its_usage_is_read(tmp_path: Path) -> None:
    with running_swarm("asyncio") as swarm:
        swarm.send(order(tmp_path, client="pigeon"))
        wait_until(lambda: not swarm.is_running(), "it has ended")
        with pytest.raises(TrialFailed, match="no ordinary client for pigeon"):
            swarm.usage()


def test_something_other_than_an_order_is_answered_with_a_sentence() -> None:
    with running_swarm("asyncio") as swarm:
        swarm.send(Window(0, 0, 0, 0, 0))
        with pytest.raises(TrialFailed, match="expected an order"):
            swarm.receive(LIMIT_S)


def test_an_ordinary_client_that_is_named_is_there() -> None:
    named = {transport.client_class.ordinary for transport in TRANSPORTS.values()} - {""}
    assert named
    assert all(hasattr(ordinary_clients, name) for name in named)


def test_a_client_without_an_ordinary_one_is_refused_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.websocket.Client.ordinary", "")
    with pytest.raises(ScenarioError, match="generator asyncio has no clients for websocket; use the swarm"):
        Scenario("websocket", generator="asyncio")
    planned = [row.scenario for row in plan_run(["instrument"], names_of(), "standard", 1, {})]
    asked = {each.transport for each in planned if each.generator == "asyncio"}
    assert asked == {"long_polling", "server_sent_events"}


# Which read a message came with


def frame(payload_bytes: int, *, first: int = 0x81) -> bytes:
    length = bytes([payload_bytes]) if payload_bytes < 126 else b"\x7e" + payload_bytes.to_bytes(2)
    return bytes([first]) + length + b"x" * payload_bytes


WHOLE, PING, FIRST, LAST = 0x81, 0x89, 0x01, 0x80
frames = st.lists(
    st.one_of(
        st.tuples(st.just(WHOLE), st.integers(0, 300)),
        st.tuples(st.just(PING), st.integers(0, 125)),
        st.tuples(st.sampled_from([FIRST, LAST]), st.integers(0, 10)),
    ),
    max_size=8,
)


@given(frames=frames, data=st.data())
def test_a_message_arrives_with_the_read_that_completed_it(frames: list[tuple[int, int]], data: Any) -> None:
    client = OrdinaryWebSocketClient(0, order(Path()), {}, generator=None)  # type: ignore[arg-type]
    stream, message_ends = b"HTTP/1.1 101 Switching Protocols\r\n\r\n", []
    for first, payload_bytes in frames:
        stream += frame(payload_bytes, first=first)
        if first in (WHOLE, LAST):
            message_ends.append(len(stream))
    cuts = data.draw(st.sets(st.integers(1, len(stream) - 1)))
    reads = list(pairwise([0, *sorted(cuts), len(stream)]))
    for number, (start, end) in enumerate(reads):
        client.arrived(stream[start:end], number)
    expected = []
    for message_end in message_ends:
        number, (start, end) = next(each for each in enumerate(reads) if each[1][1] >= message_end)
        alone = [other for other in message_ends if start < other <= end] == [end]
        expected.append((number, not alone))
    assert list(client._arrivals) == expected


@pytest.mark.parametrize("into", [False, True])
def test_a_socket_tells_what_it_read_and_when_the_kernel_had_it(tmp_path: Path, into: bool) -> None:
    told: list[tuple[bytes, Any]] = []
    client: Any = SimpleNamespace(reads=lambda data, ancillary: told.append((data, ancillary)))
    with socket.create_server(("127.0.0.1", 0)) as listener, ObservedSocket(client, order(tmp_path)) as sock:
        sock.setblocking(True)
        sock.connect(listener.getsockname())
        server, _ = listener.accept()
        with server:
            for _ in range(10_000):  # the kernel begins to stamp a while after the first socket asked for it
                sent_ns = now_ns()
                server.sendall(b"tick")
                if into:
                    buffer = bytearray(100)
                    assert sock.recv_into(buffer) == 4
                    assert buffer.startswith(b"tick")
                else:
                    assert sock.recv(100) == b"tick"
                if told[-1][1] or not KERNEL_STAMPS:
                    break
    assert {data for data, _ in told} == {b"tick"}
    assert bool(told[-1][1]) == KERNEL_STAMPS
    if KERNEL_STAMPS:
        seconds, nanoseconds = np.frombuffer(told[-1][1][0][2], dtype=np.int64)
        offset = measure_clock_offset()
        arrived_ns = seconds * 10**9 + nanoseconds + offset.offset_ns
        assert sent_ns - offset.bracket_ns <= arrived_ns <= now_ns() + offset.bracket_ns
