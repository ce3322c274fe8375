"""The middle box, packet by packet: what passes, what is stopped, and that checksums stay right."""

import json
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network.middle_box import MiddleBox, OrderError, Stopped, updated_checksum
from bench.network.namespaces import FAR_HOST, NEAR_HOST

S = 1_000_000_000
OTHER_HOST = "198.18.0.2"
ACK, SYN, SYN_ACK, RST = 0x10, 0x02, 0x12, 0x04  # RFC 9293, 3.1


def ones_complement_sum(data: bytes) -> int:
    """Return the sum that checksums are made of, as RFC 1071 defines it; an odd byte is padded."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packet(
    source: tuple[str, int],
    destination: tuple[str, int],
    payload: bytes = b"",
    flags: int = ACK,
    *,
    protocol: int = 6,
    options: bytes = b"",
    ip_options: bytes = b"",
    fragment: int = 0,
) -> bytes:
    """Return an IPv4 packet that holds a TCP segment, with its checksums."""
    tcp_header_bytes, ip_header_bytes = 20 + len(options), 20 + len(ip_options)
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    ports = struct.pack("!HH", source[1], destination[1])
    tcp_bytes = tcp_header_bytes + len(payload)
    tcp = (
        ports + struct.pack("!IIBBHHH", 3, 4, tcp_header_bytes // 4 << 4, flags, 5, 0, 0) + options + payload
    )
    pseudo = addresses + struct.pack("!HH", protocol, tcp_bytes)
    tcp = tcp[:16] + struct.pack("!H", 0xFFFF - ones_complement_sum(pseudo + tcp)) + tcp[18:]
    ip_words = (0x40 | ip_header_bytes // 4, 0, ip_header_bytes + tcp_bytes, 7, fragment, 64, protocol, 0)
    ip = struct.pack("!BBHHHBBH", *ip_words) + addresses + ip_options
    ip = ip[:10] + struct.pack("!H", 0xFFFF - ones_complement_sum(ip)) + ip[12:]
    return ip + tcp


def up(payload: bytes = b"", flags: int = ACK, port: int = 40_000, **more: bytes | int) -> bytes:
    return packet((NEAR_HOST, port), (FAR_HOST, 80), payload, flags, **more)  # type: ignore[arg-type]


def down(payload: bytes = b"", flags: int = ACK, port: int = 40_000, host: str = NEAR_HOST) -> bytes:
    return packet((FAR_HOST, 80), (host, port), payload, flags)


def is_intact(found: bytes) -> bool:
    """Return whether both checksums hold, recomputed over all of it."""
    header_bytes = (found[0] & 0x0F) * 4
    pseudo = found[12:20] + struct.pack("!HH", found[9], len(found) - header_bytes)
    sums = (found[:header_bytes], pseudo + found[header_bytes:])
    return all(ones_complement_sum(each) == 0xFFFF for each in sums)


PING = packet((NEAR_HOST, 1), (FAR_HOST, 1), b"x", protocol=1)


def test_nothing_is_changed_until_it_is_asked_for() -> None:
    box = MiddleBox()
    for each in (up(), up(b"x", flags=SYN), PING, b"\x45 short", b"\x60" + bytes(60)):
        assert box.going_up(each, 0) == each
    for each in (PING, b"\x45 short", down(), down(b"odd", flags=SYN_ACK)):
        assert box.coming_down(each, 0) == each
    assert not box.stopped


def test_a_cut_stops_all_both_ways_until_it_is_mended() -> None:
    box = MiddleBox()
    box.cut()
    assert [box.going_up(each, 0) for each in (up(b"x"), PING)] == [None, None]
    assert box.coming_down(down(b"x"), 0) is None
    box.mend()
    assert box.going_up(up(b"x"), 0) == up(b"x")
    assert box.coming_down(down(b"x"), 0) == down(b"x")
    assert box.stopped == {Stopped.CUT: 3}


# Another address


def test_after_a_change_the_server_sees_another_address_and_the_old_one_is_nobodys() -> None:
    box = MiddleBox()
    box.change_address()
    sent = packet((OTHER_HOST, 40_000), (FAR_HOST, 80), b"x")
    assert box.going_up(up(b"x"), 0) == sent
    assert box.coming_down(down(b"y", host=OTHER_HOST), 0) == down(b"y")
    assert box.coming_down(down(b"RST", flags=RST, host=OTHER_HOST), 0) == down(b"RST", flags=RST)
    assert box.coming_down(down(b"y"), 0) is None
    assert box.stopped == {Stopped.OLD_ADDRESS: 1}
    assert box.going_up(PING, 0) == box.coming_down(PING, 0) == PING
    box.change_address()
    assert box.coming_down(down(b"y", host=OTHER_HOST), 0) is None
    assert box.coming_down(down(b"y", host="198.18.0.3"), 0) == down(b"y")


def test_a_later_fragment_has_no_ports_and_no_checksum_of_tcp() -> None:
    box = MiddleBox()
    box.change_address()
    for fragment in (1, 0x100, 0x1FFF):
        assert box.going_up(up(bytes(40), fragment=fragment), 0) == up(bytes(40), fragment=fragment)
    not_to_be_cut = 0x4000
    assert box.going_up(up(fragment=not_to_be_cut), 0) != up(fragment=not_to_be_cut)


words_of_four = st.integers(0, 10).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))


@given(
    payload=st.one_of(st.binary(max_size=70), st.binary(max_size=9).map(lambda end: b"\xff" * 40 + end)),
    options=words_of_four,
    ip_options=words_of_four,
    port=st.integers(0, 0xFFFF),
    changes=st.integers(1, 3),
)
def test_checksums_are_right_whatever_the_segment_holds(
    payload: bytes, options: bytes, ip_options: bytes, port: int, changes: int
) -> None:
    box = MiddleBox()
    for _ in range(changes):
        box.change_address()
    segment = up(payload, port=port, options=options, ip_options=ip_options)
    sent = box.going_up(segment, 0)
    host = f"198.18.0.{1 + changes}"
    assert sent is not None
    assert is_intact(segment)
    assert is_intact(sent)
    assert sent == packet(
        (host, port), (FAR_HOST, 80), payload, options=options, ip_options=ip_options
    )  # to the bit
    answer = packet((FAR_HOST, 80), (host, port), payload, options=options, ip_options=ip_options)
    came = box.coming_down(answer, 0)
    assert came is not None
    assert is_intact(came)


@given(st.binary(min_size=2, max_size=40).filter(any), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_a_checksum_brought_up_to_date_is_the_one_computed_anew(
    data: bytes, after: bytes, place: int
) -> None:
    data = data + bytes(24)
    at = 2 * place
    changed = data[:at] + after + data[at + 4 :]
    if not any(changed):
        return  # no packet is all zeros
    before_sum, after_sum = (0xFFFF - ones_complement_sum(each) for each in (data, changed))
    found = updated_checksum(before_sum.to_bytes(2, "big"), data[at : at + 4], after)
    assert int.from_bytes(found, "big") == after_sum


def test_the_example_of_rfc_1624_section_4() -> None:
    assert updated_checksum(b"\xdd\x2f", b"\x55\x55", b"\x32\x85") == b"\x00\x00"


# Connections that are forgotten


def test_what_is_idle_for_too_long_is_forgotten_and_what_speaks_or_listens_is_not() -> None:
    box = MiddleBox()
    box.forget_idle(1.0, 0)
    for at_ns in range(0, 5 * S, S // 2):
        assert box.going_up(up(port=1), at_ns) is not None
        assert box.coming_down(down(port=2), at_ns + 1) is not None
    assert box.going_up(up(port=2), 5 * S) is not None
    assert box.going_up(up(port=3), 5 * S) is None
    assert box.coming_down(down(b"x", port=3), 5 * S) is None
    assert box.stopped == {Stopped.FORGOTTEN: 2}


def test_what_is_there_when_it_begins_counts_as_seen_then() -> None:
    box = MiddleBox()
    assert box.going_up(up(), 0) is not None
    box.forget_idle(1.0, 10 * S)
    assert box.going_up(up(), 11 * S) is not None
    assert box.coming_down(down(), 12 * S) is not None  # a second is not longer than a second
    assert box.coming_down(down(), 13 * S + 1) is None


def test_a_forgotten_connection_stays_so_until_it_is_opened_anew() -> None:
    box = MiddleBox()
    box.forget_idle(1.0, 0)
    for at_ns in range(2 * S, 4 * S, S // 10):
        assert box.going_up(up(b"x"), at_ns) is None
        assert box.coming_down(down(b"x"), at_ns) is None
        assert box.coming_down(down(flags=SYN_ACK), at_ns) is None
    assert box.going_up(up(flags=SYN), 4 * S) is not None
    assert box.coming_down(down(flags=SYN_ACK), 4 * S) is not None
    assert box.coming_down(down(b"x"), 6 * S) is None


def test_one_that_opens_later_is_seen_from_then_on_also_at_another_address() -> None:
    box = MiddleBox()
    box.forget_idle(1.0, 0)
    box.change_address()
    assert box.going_up(up(flags=SYN), 9 * S) is not None
    assert box.coming_down(down(host=OTHER_HOST), 10 * S) is not None
    assert box.going_up(up(), 11 * S) is not None
    assert box.coming_down(down(host=OTHER_HOST), 13 * S) is None


# One packet of each


def test_of_each_connection_one_packet_with_data_is_lost_on_its_way_down() -> None:
    box = MiddleBox()
    box.lose_next_data()
    for port in (1, 2):
        assert box.coming_down(down(port=port), 0) is not None
        assert box.going_up(up(b"data of a client", port=port), 0) is not None
        assert [box.coming_down(down(b"x", port=port), 0) is None for _ in range(3)] == [True, False, False]
    assert box.stopped == {Stopped.DATA: 2}
    box.lose_next_data()
    assert box.coming_down(down(b"x", port=1), 0) is None


def test_a_connection_that_opens_later_loses_nothing() -> None:
    box = MiddleBox()
    box.going_up(up(flags=SYN, port=1), 0)
    box.lose_next_data()
    box.going_up(up(flags=SYN, port=2), 0)
    assert box.coming_down(down(b"x", port=2), 0) is not None
    assert box.coming_down(down(b"x", port=1), 0) is None


# Orders


def test_each_order_does_what_the_method_does() -> None:
    box = MiddleBox()
    box.obey(b'{"do": "cut"}', 0)
    assert box.going_up(up(), 0) is None
    box.obey(b'{"do": "mend"}', 0)
    box.obey(b'{"do": "forget_idle", "seconds": 1}', S)
    assert box.going_up(up(), 2 * S) is not None
    assert box.going_up(up(), 4 * S) is None
    box.obey(b'{"do": "forget_idle", "seconds": 0.5}', 4 * S)
    box.obey(b'{"do": "lose_next_data"}', 4 * S)
    assert box.coming_down(down(b"x"), 4 * S) is None
    box.obey(b'{"do": "change_address"}', 4 * S)
    assert box.coming_down(down(b"x"), 4 * S) is None
    assert box.stopped == dict.fromkeys(Stopped, 1)


@pytest.mark.parametrize(
    "words",
    [
        '{"do": "burn"}', '{"do": "cut", "seconds": 1}', '{"do": "forget_idle"}', '"cut"', "cut", "[]", "{}",
        '{"do": "forget_idle", "seconds": "1"}', '{"do": "forget_idle", "seconds": NaN}', "\xff",
        '{"do": "forget_idle", "seconds": 0}', '{"do": "forget_idle", "seconds": Infinity}',
        json.dumps({"do": ["cut"]}),
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused_with_a_sentence_and_changes_nothing(words: str) -> None:
    box = MiddleBox()
    with pytest.raises(OrderError, match=r"the router cannot do|give a time above 0"):
        box.obey(words.encode("latin-1"), 0)
    assert vars(box) == vars(MiddleBox())
