"""The theory of bytes, packets and break-evens: against what clients and codecs write, and at limits."""

import json
import math

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from bench.theory.break_even import (
    break_even_hz,
    crossover_latency_s,
    equal_bytes_interval_s,
    heartbeat_bytes_per_s,
    idle_polling_bytes_per_s,
    polling_clients_per_core,
    push_clients_per_core,
)
from bench.theory.distribution import Link
from bench.theory.http2 import (
    computed_header_blocks,
    computed_request_bytes,
    computed_response_bytes,
    http2_request_headers,
)
from bench.theory.latency import Plan, polling_latency
from bench.theory.requests import polling_ticks_per_answer
from bench.theory.traffic import (
    COMMENT_BYTES,
    PUSH_FRAMINGS,
    SEGMENT_HEADER_BYTES,
    array_bytes,
    event_framing_bytes,
    long_polling_traffic,
    polling_traffic,
    push_traffic,
    request_bytes,
    segments,
    websocket_header_bytes,
)
from bench.transports import TRANSPORTS
from clients.base import Address
from clients.headers import HEADER_SETS
from servers.event_stream import COMMENT, encode_event
from servers.feed import Delivery
from servers.wire import encode_array, encode_tick

ADDRESS = Address("127.0.0.1", 12345)
HEAD_BYTES = 170
ASKING = {"payload_bytes": 128, "request_bytes": 55, "response_head_bytes": HEAD_BYTES}


# Layers


@pytest.mark.parametrize("ticks", [0, 1, 2, 7])
def test_an_array_is_as_long_as_the_one_that_servers_send(ticks: int) -> None:
    body = encode_array([encode_tick(seq, 0, "ACME", 1.0, 128) for seq in range(1, ticks + 1)])
    assert len(json.loads(body)) == ticks
    assert array_bytes(ticks, 128) == len(body)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_header_is_as_long_as_the_one_that_websockets_writes(size: int, masked: bool) -> None:
    frame = Frame(Opcode.TEXT, bytes(size)).serialize(mask=masked)
    assert websocket_header_bytes(size, masked=masked) == len(frame) - size


@pytest.mark.parametrize("seq", [1, 99, 100, 12_345])
@pytest.mark.parametrize("payload_bytes", [96, 128, 229, 230, 4_000, 65_536])
def test_an_event_is_as_long_as_the_one_that_the_server_writes(payload_bytes: int, seq: int) -> None:
    body = encode_array([encode_tick(seq, 0, "ACME", 1.0, payload_bytes)])
    text = encode_event(seq - 1, Delivery(body, seq))
    chunk = b"%x\r\n%b\r\n" % (len(text), text)
    assert event_framing_bytes(len(body), seq) == len(chunk) - len(body)
    assert push_traffic(payload_bytes, "event stream", seq=seq).app_bytes_down == len(chunk)


def test_the_framings_are_those_that_the_registry_has() -> None:
    assert {each.framing for each in TRANSPORTS.values() if each.family == "push"} == set(PUSH_FRAMINGS)
    assert len(COMMENT) == COMMENT_BYTES
    assert heartbeat_bytes_per_s(20, "event stream") == (2 + 5 + 2 * SEGMENT_HEADER_BYTES) / 20


@pytest.mark.parametrize(("size", "count"), [(1, 1), (1448, 1), (1449, 2), (13_048, 10)])
def test_a_segment_takes_1448_bytes(size: int, count: int) -> None:
    assert segments(size) == count


def test_a_request_grows_by_its_headers_its_cookie_and_the_digits_of_its_cursor() -> None:
    plain = request_bytes("short_polling", 9)
    assert request_bytes("short_polling", 10) == plain + 1
    browser = request_bytes("short_polling", 9, headers="browser")
    assert browser > 5 * plain
    with_cookie = request_bytes("short_polling", 9, headers="browser", cookie_bytes=100)
    assert with_cookie == browser + 100 + len("Cookie: session=\r\n") - len("session=")
    assert request_bytes("long_polling", 9, hold_s=30.0) == plain + len("&hold=30")


# Per tick


@pytest.mark.parametrize(
    ("payload_bytes", "frame_bytes"), [(96, 100), (123, 127), (128, 134), (65_534, 65_546)]
)
def test_push_costs_a_frame(payload_bytes: int, frame_bytes: int) -> None:
    traffic = push_traffic(payload_bytes)
    assert (traffic.app_bytes_up, traffic.app_bytes_down) == (0, frame_bytes)
    down = frame_bytes + SEGMENT_HEADER_BYTES * segments(frame_bytes)
    assert traffic.wire_bytes_down == (down, down)
    assert traffic.wire_bytes_up.low == SEGMENT_HEADER_BYTES


def test_an_ack_for_each_tick_or_for_two() -> None:
    """RFC 9293, section 3.8.6.3: a receiver may wait for a second segment."""
    each, every_other = push_traffic(128), push_traffic(128, ticks_per_ack=2)
    assert (each.wire_bytes, every_other.wire_bytes) == (238, 212)

    def polling(interval_s: float) -> float:
        return polling_traffic(5.0, interval_s, **ASKING).wire_bytes

    one, two = (equal_bytes_interval_s(5.0, polling, t.wire_bytes) for t in (each, every_other))
    assert two > 1.2 * one


@pytest.mark.parametrize("payload_bytes", [96, 1024, 16_384, 65_536])
def test_large_messages_have_bounds_whose_middle_is_no_prediction(payload_bytes: int) -> None:
    traffic = push_traffic(payload_bytes)
    low, high = traffic.wire_bytes_between
    assert low == traffic.wire_bytes_up.low + traffic.wire_bytes_down.low
    assert high == traffic.wire_bytes_up.high + traffic.wire_bytes_down.high
    assert (low == high) == (payload_bytes < 1400)
    assert traffic.wire_bytes == (low + high) / 2


def test_five_ticks_share_an_answer() -> None:
    """10 Hz, asked for twice a second: a request of 55 bytes for 5 ticks, and its answer of 791."""
    traffic = polling_traffic(10, 0.5, **ASKING)
    assert traffic.app_bytes_up == pytest.approx(55 / 5)
    assert traffic.app_bytes_down == pytest.approx((HEAD_BYTES + 5 * 128 + 6) / 5)
    assert traffic.packets_up == pytest.approx((0.4, 0.4))
    assert traffic.packets_down == pytest.approx((0.2, 0.2))


def test_a_question_that_comes_soon_carries_the_acknowledgement() -> None:
    assert polling_traffic(10, 0.03, **ASKING).packets_up == pytest.approx((1 / 0.3, 1 / 0.3))
    assert long_polling_traffic(50, **ASKING).packets_down == (1, 1)
    assert long_polling_traffic(10, **ASKING).packets_down == (2, 2)


@given(st.floats(0.1, 100), st.floats(0.05, 10), st.sampled_from(["steady", "poisson"]))
def test_payload_is_never_lost_in_the_averages(rate_hz: float, cycle_s: float, plan: Plan) -> None:
    """An answer is a head, two brackets, and 129 bytes for each tick but the first, which has no comma."""
    answers = polling_ticks_per_answer(rate_hz, cycle_s, plan=plan)
    assert answers.probability.sum() == pytest.approx(1)
    assert answers.mean == pytest.approx(rate_hz * cycle_s)
    traffic = polling_traffic(rate_hz, cycle_s, plan=plan, **ASKING)
    frames = HEAD_BYTES + 2 - (1 - answers.empty_ratio)
    assert traffic.app_bytes_down == pytest.approx(129 + frames * answers.requests_per_delivery)
    assert traffic.packets_up.low <= traffic.packets_up.high * (1 + 1e-9)


def test_long_polling_over_a_long_way_batches() -> None:
    link = Link(up_s=0.1, down_s=0.1)
    assert long_polling_traffic(50, link=link, **ASKING).wire_bytes < (
        long_polling_traffic(50, **ASKING).wire_bytes / 2
    )


# Break-evens


@pytest.mark.parametrize("rate_hz", [0.5, 10.0, 50.0])
def test_at_the_interval_of_equal_bytes_they_are_equal(rate_hz: float) -> None:
    push = push_traffic(128).wire_bytes

    def polling(interval_s: float) -> float:
        return polling_traffic(rate_hz, interval_s, **ASKING).wire_bytes

    interval_s = equal_bytes_interval_s(rate_hz, polling, push)
    assert polling(interval_s) == pytest.approx(push, rel=0.02)
    assert polling(interval_s / 4) > push > polling(interval_s * 4)


def test_what_costs_less_than_the_payload_has_no_equal() -> None:
    with pytest.raises(ValueError, match="no poll interval"):
        equal_bytes_interval_s(10, lambda t: polling_traffic(10, t, **ASKING).wire_bytes, 100.0)


def push_bytes_per_s(rate_hz: float) -> float:
    return heartbeat_bytes_per_s(20) + rate_hz * push_traffic(128).wire_bytes


def test_long_polling_is_cheaper_than_heartbeats_until_ticks_come() -> None:
    def long_polling_bytes_per_s(rate_hz: float) -> float:
        traffic = long_polling_traffic(rate_hz, hold_s=120.0, plan="poisson", **ASKING)
        return rate_hz * traffic.wire_bytes

    rate_hz = break_even_hz(push_bytes_per_s, long_polling_bytes_per_s)
    assert long_polling_bytes_per_s(rate_hz) == pytest.approx(push_bytes_per_s(rate_hz), rel=1e-3)
    assert long_polling_bytes_per_s(rate_hz / 2) < push_bytes_per_s(rate_hz / 2)
    assert long_polling_bytes_per_s(rate_hz * 2) > push_bytes_per_s(rate_hz * 2)


def test_polling_is_cheaper_once_many_ticks_share_an_answer() -> None:
    def polling_bytes_per_s(rate_hz: float, interval_s: float = 2.0) -> float:
        return rate_hz * polling_traffic(rate_hz, interval_s, plan="poisson", **ASKING).wire_bytes

    idle = idle_polling_bytes_per_s(2.0, request_bytes=55, response_head_bytes=HEAD_BYTES)
    assert polling_bytes_per_s(1e-6) == pytest.approx(idle, rel=1e-3)
    rate_hz = break_even_hz(push_bytes_per_s, polling_bytes_per_s)
    assert polling_bytes_per_s(rate_hz / 2) > push_bytes_per_s(rate_hz / 2)
    assert polling_bytes_per_s(rate_hz * 2) < push_bytes_per_s(rate_hz * 2)
    with pytest.raises(ValueError, match="the same transport is cheaper"):
        break_even_hz(push_bytes_per_s, lambda hz: polling_bytes_per_s(hz, 100.0))


def test_a_heartbeat_is_cheaper_than_a_question() -> None:
    idle = idle_polling_bytes_per_s(20, request_bytes=55, response_head_bytes=HEAD_BYTES)
    assert heartbeat_bytes_per_s(20) == pytest.approx((6 + 10 + 156) / 20)
    assert heartbeat_bytes_per_s(20) < idle


def test_at_the_crossover_both_serve_as_many_clients() -> None:
    costs = {"cpu_s_per_request": 60e-6, "cpu_s_per_tick": 1e-6}
    latency_s = crossover_latency_s(10, cpu_s_per_delivery=12e-6, quantile=0.99, delivery_s=0.1, **costs)
    cycle_s = (latency_s - 0.1) / 0.99
    assert polling_clients_per_core(10, cycle_s, **costs) == pytest.approx(push_clients_per_core(10, 12e-6))
    assert polling_latency(cycle_s, Link(down_s=0.1)).quantile_ms(0.99) == pytest.approx(latency_s * 1e3)
    assert crossover_latency_s(10, cpu_s_per_delivery=1e-6, **costs) == math.inf


# HTTP/2


@pytest.mark.parametrize("headers", HEADER_SETS)
def test_headers_survive_hpack_and_shrink_when_they_repeat(headers: str) -> None:
    messages = [
        http2_request_headers(headers, ADDRESS, f"?after={seq}", cookie_bytes=40) for seq in range(7, 12)
    ]
    decoder = Decoder()
    for message, block in zip(messages, computed_header_blocks(messages), strict=True):
        assert decoder.decode(block) == message
    first, *others = computed_request_bytes(headers, range(7, 12), ADDRESS, cookie_bytes=40)
    assert all(later < first / 2 for later in others)
    assert first < request_bytes("short_polling", 7, headers=headers, cookie_bytes=40)


def test_requests_have_every_header_that_http2_allows() -> None:
    names = [name for name, _ in http2_request_headers("browser", ADDRESS, "")]
    assert names[:4] == [":method", ":scheme", ":authority", ":path"]
    assert not {"host", "connection"} & set(names)
    assert "user-agent" in names


def test_answers_shrink_until_the_second_changes() -> None:
    dates = ["Sun, 06 Nov 1994 08:49:37 GMT"] * 3 + ["Sun, 06 Nov 1994 08:49:38 GMT"]
    sizes = computed_response_bytes([130] * 4, dates=dates, server="Python/3.11 aiohttp/3.11")
    assert sizes[0] > sizes[1] == sizes[2] < sizes[3] < sizes[0]
    assert sizes[1] == 130 + 9 + 9 + 6  # six headers, one byte of index each
    long_answer = computed_response_bytes([16_385], dates=dates[:1], server="s")
    assert long_answer[0] - computed_response_bytes([16_384], dates=dates[:1], server="s")[0] == 10
