"""Bytes and packets against a packet capture: a figure that it contradicts is a bug."""

import ctypes
import functools
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.measure.certificate import Certificate, make_certificate
from bench.measure.subject import Server, running_server
from bench.network.capture import ACK, SYN, CaptureUnavailable, Packets, Totals, available, capture
from bench.transports import TRANSPORTS, Transport, main_names
from clients.base import Address
from clients.load.swarm import Swarm
from clients.sockets.stamped_socket import (
    SocketFactory,
    StampedSocket,
    WireCounts,
    measure_clock_offset,
)
from clients.sockets.tls_socket import TlsSocket, client_context
from servers.options import ServerOptions
from servers.wire import now_ns
from tests.waiting import LIMIT_S

WHY_NOT = available()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

RATE_HZ = 16
"""Slow enough for a delayed ACK (40 ms) to come before the next tick."""
TICKS = 5
WIRE_TOLERANCE = 0.01
MSS = 1460
CLONE_NEWNET = 0x40000000
TIMESTAMPS = Path("/proc/sys/net/ipv4/tcp_timestamps")


class Instant(NamedTuple):
    """What the swarm and the capture had counted by one moment at which nothing was under way."""

    at_ns: int
    messages: int
    requests: int
    cursor: int
    bytes_up: int
    bytes_down: int
    wire: WireCounts
    stream_up: int
    stream_down: int
    up: Totals
    down: Totals


def build_swarm(
    server: Server, transport: Transport, certificate: Certificate | None = None, **settings: Any
) -> Swarm:
    """Return a swarm of one client, as a trial makes it."""
    make_socket: SocketFactory = StampedSocket
    if certificate is not None:
        context = client_context(certificate.ca)
        make_socket = functools.partial(TlsSocket, context=context, server_name=server.host)
    if "poll_interval_s" in transport.client_class.settings:
        settings["poll_interval_s"] = 1 / RATE_HZ
    client = transport.client_class(Address(server.host, server.port, server.path), **settings)
    offset_ns = measure_clock_offset().offset_ns
    return Swarm(
        [client],
        server.host,
        server.port,
        offset_ns=offset_ns,
        mss=MSS,
        congestion="cubic",
        make_socket=make_socket,
    )


def step_until(swarm: Swarm, condition: Callable[[], bool], what: str) -> None:
    deadline_ns = now_ns() + round(LIMIT_S * 1e9)
    while not condition():
        assert now_ns() < deadline_ns, f"not in time: {what}"
        swarm.step(wait_until_ns=now_ns() + 2_000_000)


def quiet_instant(swarm: Swarm, packets: Packets) -> Instant:
    """Step until all that was sent is read and acknowledged, and count; count again if something moved."""
    deadline_ns = now_ns() + round(LIMIT_S * 1e9)
    while True:
        assert now_ns() < deadline_ns, "not in time: a wire that is quiet twice"
        step_until(
            swarm,
            lambda: swarm.step(wait_until_ns=0) == 0 and not packets.unacknowledged(),
            "a quiet wire",
        )
        client, wire = swarm.clients[0], swarm.wire_counts()
        assert wire is not None
        instant = Instant(
            now_ns(),
            client.messages,
            client.requests,
            client.cursor or 0,
            swarm.bytes_up,
            swarm.bytes_down,
            wire,
            packets.stream_bytes("up"),
            packets.stream_bytes("down"),
            packets.totals("up"),
            packets.totals("down"),
        )
        if (packets.totals("up"), packets.totals("down"), swarm.wire_counts()) == (*instant[-2:], wire):
            return instant


def two_instants(
    transport: Transport, host: str, payload_bytes: int, *, rate_hz: float = RATE_HZ, ticks: int = TICKS,
    certificate: Certificate | None = None, **settings: Any,
) -> tuple[Instant, Instant, Packets]:  # fmt: skip
    """Run a server and a client past so many ticks; return the quiet instants before and after."""
    options = ServerOptions(
        host=host,
        payload_bytes=payload_bytes,
        rate_hz=rate_hz,
        mss=MSS,
        compression=settings.get("compression", False),
        certificate=certificate and certificate.server,
    )
    with running_server(transport.server, options) as server, capture(server.port, mss=MSS) as packets:
        with closing(build_swarm(server, transport, certificate, **settings)) as swarm:
            client = swarm.clients[0]
            swarm.connect(now_ns() + round(LIMIT_S * 1e9))
            step_until(swarm, lambda: (client.cursor or 0) >= 3, "tick 3")
            before = quiet_instant(swarm, packets)
            step_until(swarm, lambda: (client.cursor or 0) >= before.cursor + ticks, f"{ticks} more ticks")
            after = quiet_instant(swarm, packets)
            assert not swarm.errors
        return before, after, packets


def difference(before: Totals, after: Totals) -> Totals:
    return Totals(*(b - a for a, b in zip(before, after, strict=True)))


def assert_counts_are_true(before: Instant, after: Instant) -> None:
    """Hold application bytes exactly, wire bytes and packets to within 1 %, against the capture."""
    assert after.bytes_up - before.bytes_up == after.stream_up - before.stream_up
    assert after.bytes_down - before.bytes_down == after.stream_down - before.stream_down
    assert_kernel_counts_are_true(before, after)


def assert_kernel_counts_are_true(before: Instant, after: Instant) -> None:
    wire = WireCounts(*(b - a for a, b in zip(before.wire, after.wire, strict=True)))
    up, down = difference(before.up, after.up), difference(before.down, after.down)
    for told, captured in (
        (wire.payload_bytes_up + wire.header_bytes_up, up.payload_bytes + up.header_bytes),
        (wire.payload_bytes_down + wire.header_bytes_down, down.payload_bytes + down.header_bytes),
        (wire.header_bytes_up, up.header_bytes),
        (wire.header_bytes_down, down.header_bytes),
        (wire.segments_up, up.segments),
        (wire.segments_down, down.segments),
    ):
        assert told == pytest.approx(captured, rel=WIRE_TOLERANCE)


def header_bytes_of(packets: Packets) -> set[int]:
    """Return the sizes of the headers of single segments that are no part of TCP's handshake."""
    return {p.header_bytes // p.segments for p in packets.packets() if not p.flags & SYN}


# Every transport, payload, header set, and address family


@pytest.mark.parametrize("headers", ["minimal", "browser"])
@pytest.mark.parametrize("payload_bytes", [96, 128, 16_384])
def test_bytes_and_packets_are_those_of_the_wire(
    transport: Transport, payload_bytes: int, headers: str
) -> None:
    before, after, packets = two_instants(transport, "127.0.0.1", payload_bytes, headers=headers)
    assert_counts_are_true(before, after)
    if payload_bytes > MSS:
        assert difference(before.down, after.down).segments > TICKS * (payload_bytes // MSS)
    assert TIMESTAMPS.read_text(encoding="utf-8").strip() == "0" or header_bytes_of(packets) == {52}


def test_counts_are_exact_from_the_first_segment(transport: Transport) -> None:
    """TCP's handshake counts too, and its segments have more options than others."""
    _, after, packets = two_instants(transport, "127.0.0.1", 128, ticks=1)
    handshake = [packet for packet in packets.packets() if packet.flags & SYN]
    assert [bool(packet.flags & ACK) for packet in handshake] == [False, True]
    assert (after.bytes_up, after.bytes_down) == (after.stream_up, after.stream_down)
    if not after.wire.retransmits:
        assert (after.wire.segments_up, after.wire.segments_down) == (after.up.segments, after.down.segments)
        told = after.wire.header_bytes_up, after.wire.header_bytes_down
        assert told == (after.up.header_bytes, after.down.header_bytes)


@pytest.mark.parametrize("name", main_names())
def test_compressed_bytes_are_those_of_the_wire(name: str) -> None:
    before, after, _ = two_instants(TRANSPORTS[name], "127.0.0.1", 2048, compression=True)
    assert_counts_are_true(before, after)
    assert after.stream_down - before.stream_down < 2048 * (after.cursor - before.cursor)


@pytest.mark.parametrize("name", main_names())
def test_encrypted_bytes_are_those_of_the_wire(name: str, tmp_path: Path) -> None:
    """What the capture has more than the client is a record's 22 bytes for each message, both ways."""
    certificate = make_certificate(tmp_path, "127.0.0.1")
    before, after, _ = two_instants(TRANSPORTS[name], "127.0.0.1", 128, certificate=certificate)
    assert_kernel_counts_are_true(before, after)
    requests = after.requests - before.requests
    added_up = after.stream_up - before.stream_up - (after.bytes_up - before.bytes_up)
    added_down = after.stream_down - before.stream_down - (after.bytes_down - before.bytes_down)
    assert (added_up, added_down) == (22 * requests, 22 * (after.messages - before.messages))


@pytest.mark.alone
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_push_over_tls_takes_fewer_acknowledgements_as_linux_delays_them(tls: bool, tmp_path: Path) -> None:
    """After TLS's handshake, a conversation, Linux takes the connection for an interactive one.

    It then delays ACKs by 40 ms, which is two ticks here; a client that has only read acknowledges each at
    once (quick ACK). The proof: with that mode set the other way round (TCP_QUICKACK), so are the counts.
    """
    certificate = make_certificate(tmp_path, "127.0.0.1") if tls else None
    options = ServerOptions(rate_hz=50, mss=MSS, certificate=certificate and certificate.server)
    with (
        running_server("websocket", options) as server,
        capture(server.port, mss=MSS) as packets,
        closing(build_swarm(server, TRANSPORTS["websocket"], certificate)) as swarm,
    ):
        sockets: list[StampedSocket] = []
        make_socket = swarm._make_socket
        swarm._make_socket = lambda *given, **more: (
            sockets.append(make_socket(*given, **more)) or sockets[-1]  # type: ignore[func-returns-value]
        )
        swarm.connect(now_ns() + round(LIMIT_S * 1e9))
        by_itself = acks_per_tick(swarm, packets)
        with socket.socket(fileno=os.dup(sockets[0].fileno())) as same:
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, int(tls))
        the_other_way = acks_per_tick(swarm, packets)
    delayed, at_once = (by_itself, the_other_way) if tls else (the_other_way, by_itself)
    assert delayed == pytest.approx(1 / 2, abs=0.15)
    assert at_once == pytest.approx(1, abs=0.15)


def acks_per_tick(swarm: Swarm, packets: Packets, ticks: int = 30) -> float:
    """Return the segments per tick that a client sends which has nothing to say."""
    client = swarm.clients[0]
    step_until(swarm, lambda: (client.cursor or 0) >= 8, "tick 8")
    sent, cursor = packets.totals("up").segments, client.cursor or 0
    step_until(swarm, lambda: (client.cursor or 0) >= cursor + ticks, f"{ticks} more ticks")
    return (packets.totals("up").segments - sent) / ((client.cursor or 0) - cursor)


def test_connections_of_one_request_are_counted_whole(transport: Transport) -> None:
    """Without keep-alive, opening and closing is most of the packets."""
    if "keep_alive" not in transport.client_class.settings:
        pytest.skip("its connection is kept by nature")
    before, after, packets = two_instants(transport, "127.0.0.1", 128, keep_alive=False)
    assert len({packet.client_port for packet in packets.packets()}) > TICKS
    assert_counts_are_true(before, after)


def test_ipv6_headers_are_counted_as_such(transport: Transport) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    before, after, packets = two_instants(transport, "::1", 128)
    assert_counts_are_true(before, after)
    assert TIMESTAMPS.read_text(encoding="utf-8").strip() == "0" or header_bytes_of(packets) == {72}


@pytest.fixture
def without_timestamps() -> Iterator[Callable[..., Any]]:
    """Call a function in a network of its own, whose TCP has no time stamps; it ends with its thread."""
    with ThreadPoolExecutor(1) as thread:
        try:
            thread.submit(_enter_fresh_network).result()
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"a network namespace cannot be made here: {error}")
        yield lambda function, *arguments: thread.submit(function, *arguments).result()


def _enter_fresh_network() -> None:
    """Move the calling thread, and what it starts, to a new network namespace (unshare(2))."""
    outside = os.readlink("/proc/thread-self/ns/net")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    assert os.readlink("/proc/thread-self/ns/net") != outside
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    TIMESTAMPS.write_text("0", encoding="utf-8")


@pytest.mark.parametrize(("host", "header_bytes"), [("127.0.0.1", 40), ("::1", 60)])
def test_headers_without_time_stamps_are_shorter(
    transport: Transport, host: str, header_bytes: int, without_timestamps: Callable[..., Any]
) -> None:
    outside = TIMESTAMPS.read_text(encoding="utf-8")
    before, after, packets = without_timestamps(two_instants, transport, host, 128)
    assert_counts_are_true(before, after)
    segments = difference(before.up, after.up)
    assert segments.header_bytes == segments.segments * header_bytes
    assert header_bytes in header_bytes_of(packets)
    assert TIMESTAMPS.read_text(encoding="utf-8") == outside


def test_an_interval_of_time_holds_what_the_counts_around_it_say() -> None:
    before, after, packets = two_instants(TRANSPORTS["websocket"], "127.0.0.1", 128)
    stamps = [packet.at_ns for packet in packets.packets()]
    if stamps != sorted(stamps):
        pytest.skip("the clock was set meanwhile")
    assert packets.totals("down", before.at_ns, after.at_ns) == difference(before.down, after.down)
    assert packets.totals("up", before.at_ns, after.at_ns) == difference(before.up, after.up)
    assert packets.totals("down", until_ns=before.at_ns) == before.down


# Frames (RFC 6455, section 5.2)


@pytest.mark.parametrize(
    ("array_bytes", "frame_header_bytes"), [(98, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)]
)
def test_a_tick_is_framed_in_2_4_or_10_bytes(array_bytes: int, frame_header_bytes: int) -> None:
    """The clients send nothing: what goes up are pure ACKs."""
    before, after, _ = two_instants(
        TRANSPORTS["websocket"], "127.0.0.1", array_bytes - 2, rate_hz=12, ticks=3
    )
    ticks = after.cursor - before.cursor
    assert after.messages - before.messages == ticks >= 3
    assert after.stream_down - before.stream_down == ticks * (frame_header_bytes + array_bytes)
    assert difference(before.up, after.up).payload_bytes == 0


def test_what_clients_send_is_masked() -> None:
    """A pong repeats the ping's payload, and has a mask of 4 bytes beyond the header of 2."""
    websocket = TRANSPORTS["websocket"]
    options = ServerOptions(rate_hz=0.01, heartbeat_s=0.1)
    with (
        running_server(websocket.server, options) as server,
        capture(server.port) as packets,
        closing(build_swarm(server, websocket)) as swarm,
    ):
        swarm.connect(now_ns() + round(LIMIT_S * 1e9))
        before = quiet_instant(swarm, packets)
        step_until(swarm, lambda: swarm.bytes_up >= before.bytes_up + 30, "three pongs")
        after = quiet_instant(swarm, packets)
    sent = packets.packets()[before.up.segments + before.down.segments :]
    pings = [packet.payload_bytes for packet in sent if packet.down and packet.payload_bytes]
    pongs = [packet.payload_bytes for packet in sent if not packet.down and packet.payload_bytes]
    assert len(pongs) >= 3
    assert pongs == [ping + 4 for ping in pings[: len(pongs)]]
    assert after.bytes_up - before.bytes_up == after.stream_up - before.stream_up


# Where there is no capture


def test_a_capture_that_is_not_permitted_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    assert "CAP_NET_RAW" in available()
    with pytest.raises(CaptureUnavailable, match="CAP_NET_RAW"), capture(1):
        pass
