"""The link is what was asked for, by tools not ours: ping, iperf3, timed connections, TCP's counters."""

import json
import math
import re
import subprocess
from typing import Any

import numpy as np
import pytest

from bench.measure.box import Box, running_box
from bench.measure.place import choose_places
from bench.measure.trial import Trial, run_trial
from bench.network.link import Link
from bench.network.namespaces import FAR, NEAR
from bench.results.deliveries import ARRIVED_NS, DUE_NS, NS_PER_MS
from bench.results.link_figures import end_since, way_since
from bench.scenario import Scenario
from tests.bench.network.boxes import need_box, python_at
from tests.tools import tool
from tests.waiting import LIMIT_S

pytestmark = pytest.mark.alone

RTT_TOLERANCE_MS, RTT_TOLERANCE = 0.3, 0.02
RATE_TOLERANCE = 0.05
PACKETS = 10_000
SEND_NUMBERED = f"""
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("{Box.host}", 5000))
for number in range({PACKETS}):
    sock.send(number.to_bytes(4, "big"))
    if number % 20 == 0:
        __import__("time").sleep(0.0005)
"""
RECEIVE_NUMBERED = f"""
import json, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
sock.bind(("{Box.host}", 5000))
print("ready", flush=True)
got = []
sock.settimeout(20)
try:
    while not got or got[-1] < {PACKETS} - 20:
        got.append(int.from_bytes(sock.recv(100), "big"))
        sock.settimeout(1)
except TimeoutError:
    pass
print(json.dumps(got))
"""
SENDS_BYTES = 20_000_000
SERVE_BYTES = f"""
import socket
with socket.create_server(("{Box.host}", 5000)) as listener:
    print("ready", flush=True)
    sock, _ = listener.accept()
    sock.sendall(bytes({SENDS_BYTES}))
    sock.shutdown(socket.SHUT_WR)
    sock.recv(1)
"""
FETCH_BYTES = f"""
import socket
sock, got = socket.create_connection(("{Box.host}", 5000)), 0
while data := sock.recv(65536):
    got += len(data)
print(got)
"""


def said_by(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=LIMIT_S * 3)
    assert process.returncode == 0
    return said


def run_at(box: Box, end: str, *command: str) -> str:
    done = subprocess.run(
        [*box.prefix(end), *command], capture_output=True, encoding="utf-8", timeout=LIMIT_S * 3, check=True
    )
    return done.stdout


@pytest.mark.parametrize("rtt_ms", [10.0, 80.0])
def test_round_trips_are_as_long_as_asked_by_ping_and_by_connections(rtt_ms: float) -> None:
    need_box()
    ping = tool("ping")
    with running_box(Link(rtt_ms=rtt_ms)) as box:
        said = run_at(box, NEAR, ping, "-q", "-c", "20", "-i", "0.05", box.host)
        found = re.search(r"= ([\d.]+)/([\d.]+)/", said)
        assert found is not None
        pinged_ms = float(found[1])
        connected_ms = box.measured_rtt_ms()
    for told_ms in (pinged_ms, connected_ms):
        assert rtt_ms <= told_ms <= rtt_ms + max(RTT_TOLERANCE_MS, RTT_TOLERANCE * rtt_ms)


def numbers_that_came(loss: float, burst_packets: float, seed: int) -> list[int]:
    with running_box(Link(rtt_ms=4, loss=loss, burst_packets=burst_packets), seed=seed) as box:
        receiver = python_at(box, FAR, RECEIVE_NUMBERED)
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        said_by(python_at(box, NEAR, SEND_NUMBERED))
        got: list[int] = json.loads(said_by(receiver))
        assert box.reading().near.device_drops == 0
    return got


def test_as_many_packets_are_lost_as_asked_and_the_same_by_the_same_seed() -> None:
    need_box()
    for loss, burst_packets in ((0.01, 0.0), (0.05, 5.0)):
        once, again = (numbers_that_came(loss, burst_packets, seed=3) for _ in range(2))
        assert once == again == sorted(once)
        lost = PACKETS - len(once)
        spread = math.sqrt(PACKETS * loss * (1 - loss) * (2 * max(burst_packets, 1) - 1))
        assert abs(lost - PACKETS * loss) < 3 * spread
    assert numbers_that_came(0.05, 5.0, seed=4) != once


def test_the_rate_is_as_asked_by_iperf3() -> None:
    need_box()
    iperf3, rate_mbit = tool("iperf3"), 20.0
    payload_ratio = 1448 / 1500  # TCP with time stamps, RFC 9293 and RFC 7323
    with running_box(Link(rtt_ms=10, rate_mbit=rate_mbit, queue_ms=100)) as box:
        for more in ([], ["--reverse"]):
            server = subprocess.Popen(
                [*box.prefix(FAR), iperf3, "--server", "--one-off", "--forceflush"],
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
            assert server.stdout is not None
            while "listening" not in server.stdout.readline():
                assert server.poll() is None
            said = run_at(
                box, NEAR, iperf3, "--client", box.host, "--time", "2", "--omit", "1", "--json", *more
            )
            server.communicate(timeout=LIMIT_S)
            received_mbit = json.loads(said)["end"]["sum_received"]["bits_per_second"] / 1e6
            assert received_mbit == pytest.approx(rate_mbit * payload_ratio, rel=RATE_TOLERANCE)


@pytest.mark.parametrize("loss", [0.002, 0.01])
def test_what_the_link_drops_the_kernel_sends_again(loss: float) -> None:
    need_box()
    with running_box(Link(rtt_ms=10, loss=loss), seed=1) as box:
        server = python_at(box, FAR, SERVE_BYTES)
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        before = box.reading()
        assert int(said_by(python_at(box, NEAR, FETCH_BYTES))) == SENDS_BYTES
        said_by(server)
        after = box.reading()
    ways = [way_since(before.up, after.up), way_since(before.down, after.down)]
    ends = [end_since(before.near, after.near), end_since(before.far, after.far)]
    dropped = sum(way.lost_data for way in ways)
    assert dropped > 0
    assert dropped <= sum(each.retransmitted for each in ends) <= 1.5 * dropped + 2
    assert ways[0].lost_acks > 0
    assert sum(each.device_drops for each in ends) == 0


def trial_of(**fields: Any) -> Trial:
    scenario = Scenario(
        "websocket", **{"clients": 5, "rate_hz": 50, "window_s": 1.5, "warmup_s": 0.2, **fields}
    )
    return run_trial(scenario, seed=1, places=choose_places())


def undisturbed_ms(trial: Trial) -> float:
    """Return the latency of deliveries that hardly anything else held up: of ten, one is faster."""
    assert trial.deliveries is not None
    return float(np.quantile(trial.deliveries[:, ARRIVED_NS] - trial.deliveries[:, DUE_NS], 0.1) / NS_PER_MS)


def test_a_delivery_takes_the_way_longer_than_without_a_delay() -> None:
    need_box()
    rtt_ms = 60.0
    box, delayed = (trial_of(rtt_ms=each) for each in (0.0, rtt_ms))
    longer_ms = undisturbed_ms(delayed) - undisturbed_ms(box)
    assert longer_ms == pytest.approx(rtt_ms / 2, abs=max(RTT_TOLERANCE_MS, RTT_TOLERANCE * rtt_ms))
    for row, asked_ms in ((box.row, 0.0), (delayed.row, rtt_ms)):
        assert asked_ms <= row["link_rtt_ms"] <= asked_ms + 2
        assert row["delivered"] == row["expected"]
        assert row["link_lost_data"] == row["link_overflows"] == row["router_drops"] == 0
        assert row["link_packets"] == pytest.approx(
            row["delivered"] * (row["packets_per_delivery_up"] + row["packets_per_delivery_down"]), rel=0.05
        )


def test_what_waits_behind_a_lost_packet_arrives_when_the_gap_is_filled() -> None:
    """Its own stamp is earlier by a round trip, and would say that it could be read then."""
    need_box()
    row = trial_of(rtt_ms=60.0, loss=0.04, rate_hz=200, window_s=3.0).row
    assert row["link_lost_data"] > 20
    assert row["delivered"] == row["expected"]
    assert row["generator_lag_p99_ms"] < 20  # it was up to a round trip and more
    assert row["latency_p99_ms"] > 60 / 2 + 60  # lost, missed, sent again
    assert row["latency_p50_ms"] < 60
