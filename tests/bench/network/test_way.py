"""One way of a link: every packet has its time or its end, in order, by the seed alone."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network.link import Link
from bench.network.way import Losses, Way, is_pure_ack

MS = 1_000_000
MANY = 20_000


def segment(payload: bytes = b"", flags: int = 0x10, *, protocol: int = 6, options: bytes = b"") -> bytes:
    """Return an IPv4 packet that holds a TCP segment."""
    tcp_bytes = 20 + len(options)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + tcp_bytes + len(payload), 0, 0, 64, protocol, 0, b"", b"")
    tcp = struct.pack("!HHIIBBHHH", 1, 2, 3, 4, tcp_bytes // 4 << 4, flags, 5, 6, 7)
    return ip + tcp + options + payload


def due_ms(way: Way) -> list[float]:
    return [each.due_ns / MS for each in way.held]


def test_each_packet_is_held_for_half_the_round_trip() -> None:
    way = Way(Link(rtt_ms=40), 1)
    for at_ms in (0, 3, 3, 10):
        way.take(b"E", at_ms * MS)
    assert due_ms(way) == [20, 23, 23, 30]


def test_at_a_rate_packets_take_turns() -> None:
    way = Way(Link(rate_mbit=8, queue_ms=1000), 1)  # a byte in a µs
    for _ in range(3):
        way.take(bytes(1000), 0)
    way.take(bytes(500), 10 * MS)
    assert due_ms(way) == [1, 2, 3, 10.5]
    assert way.counts().sending_ns == 3.5 * MS


def test_a_queue_is_bounded_in_time() -> None:
    way = Way(Link(rate_mbit=8, queue_ms=2), 1)
    for _ in range(4):
        way.take(segment(bytes(960)), 0)  # 1,000 bytes, 1 ms each
    way.take(segment(), 0)
    assert len(way.held) == 3  # one is sent, the last waits for 2 ms
    assert (way.counts().overflowed_data, way.counts().overflowed_acks) == (1, 1)


@pytest.mark.parametrize("burst_packets", [0.0, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("loss", [0.01, 0.1])
def test_as_many_are_lost_as_was_asked_for_however_many_in_a_row(loss: float, burst_packets: float) -> None:
    losses = Losses(Link(loss=loss, burst_packets=burst_packets), 3)
    lost = [losses.next_is_lost() for _ in range(MANY)]
    # of a run of losses, one is drawn: the spread is that much wider
    spread = math.sqrt(MANY * loss * (1 - loss) * (2 * max(burst_packets, 1) - 1))
    assert abs(sum(lost) - MANY * loss) < 4 * spread
    runs = sum(now and not before for now, before in zip(lost, [False, *lost], strict=False))
    expected = burst_packets or 1 / (1 - loss)
    assert sum(lost) / runs == pytest.approx(expected, rel=0.35)


def test_the_same_seed_loses_the_same_packets_whatever_they_are() -> None:
    def kept(seed: int, jitter_ms: float = 0.0, size: int = 1) -> list[int]:
        way = Way(Link(loss=0.1, jitter_ms=jitter_ms), seed)
        for number in range(500):
            way.take(struct.pack("@I", number) * size, number * MS)
        return [struct.unpack_from("@I", each.packet)[0] for each in way.held]

    assert kept(1) == kept(1, jitter_ms=5.0) == kept(1, size=9)
    assert kept(1) != kept(2)


def test_jitter_is_spread_evenly_and_nothing_overtakes() -> None:
    way = Way(Link(rtt_ms=10, jitter_ms=4), 1)
    for number in range(2000):
        way.take(b"E", number * 100 * MS)
    later = [due - number * 100 for number, due in enumerate(due_ms(way))]
    assert 5 <= min(later) < 5.1
    assert 8.9 < max(later) <= 9
    assert sum(later) / len(later) == pytest.approx(7, abs=0.2)


links = st.builds(
    Link,
    rtt_ms=st.floats(0, 500),
    jitter_ms=st.floats(0, 100),
    loss=st.floats(0, 0.5),
    burst_packets=st.sampled_from([0.0, 1.0, 3.0]),
    rate_mbit=st.sampled_from([0.0, 0.1, 10.0]),
    queue_ms=st.floats(0, 200),
)
comings = st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(20, 1500)), max_size=60)


@given(links, comings, st.integers(0, 99))
def test_every_packet_arrives_in_order_or_is_counted(
    link: Link, coming: list[tuple[int, int]], seed: int
) -> None:
    way, now_ns, came_ns = Way(link, seed), 0, []
    for gap_ns, size in coming:
        now_ns += gap_ns
        came_ns.append(now_ns)
        way.take(bytes(size), now_ns)
    counts = way.counts()
    dropped = counts.lost_data + counts.lost_acks + counts.overflowed_data + counts.overflowed_acks
    assert counts.packets == len(coming) == len(way.held) + dropped
    assert counts.packet_bytes == sum(size for _, size in coming)
    assert [each.due_ns for each in way.held] == sorted(each.due_ns for each in way.held)
    if not dropped:
        for at_ns, each in zip(came_ns, way.held, strict=True):
            assert each.due_ns >= at_ns + round(link.rtt_ms * MS / 2)


@pytest.mark.parametrize(
    ("packet", "pure"),
    [
        (segment(), True),
        (segment(options=bytes(12)), True),
        (segment(b"x"), False),
        (segment(b"x", options=bytes(12)), False),
        (segment(flags=0x12), False),  # SYN and ACK, RFC 9293, 3.1
        (segment(flags=0x11), False),  # FIN
        (segment(flags=0x14), False),  # RST
        (segment(protocol=17), False),  # UDP
        (segment()[:30], False),
        (b"\x60" + bytes(60), False),  # IPv6
    ],
)
def test_a_pure_ack_is_told_from_what_is_sent_again(packet: bytes, pure: bool) -> None:
    assert is_pure_ack(packet) == pure
