"""Arrival times against a packet capture, and against a sender that looks at the clock."""

import contextlib
import functools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from bench.measure.subject import Server, running_server
from bench.network.capture import Packets, PacketsLost, available, capture
from bench.transports import TRANSPORTS, Transport
from clients.base import Address, TickClient
from clients.load.generator import DELIVERY_FIELDS
from clients.load.swarm import Swarm
from clients.short_polling import stratified_phases
from clients.sockets.stamped_socket import (
    KERNEL_STAMPS,
    ClockOffset,
    StampedSocket,
    measure_clock_offset,
)
from clients.websocket import frame_length
from servers.options import ServerOptions
from servers.wire import encode_array, encode_tick, now_ns
from tests.bench.measure.test_late_swarm import STALL_S, StallingPoller
from tests.waiting import LIMIT_S

WHY_NOT = available()
needs_capture = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
needs_stamps = pytest.mark.skipif(not KERNEL_STAMPS, reason="the kernel stamps no arrivals here")

pytestmark = pytest.mark.alone

ATTEMPTS = 3
AGREEMENT_NS = 100_000
CLOCK_STEP_NS = 50_000
TOLD_BY_SENDER_RATIO = 0.95
Result = TypeVar("Result")


class ClockWasSet(Exception):
    """CLOCK_REALTIME was stepped while stamps were taken, so nothing can be said."""


def once_more(attempt: Callable[[], Result]) -> Result:
    """Return what an attempt gives; try again once if it was spoilt from outside."""
    try:
        return attempt()
    except (PacketsLost, ClockWasSet):
        return attempt()


class Read(NamedTuple):
    """One read of a socket: the bytes of the connection so far, and their arrival."""

    port: int
    stream_offset: int
    arrived_ns: int


class LoggedSocket(StampedSocket):
    """A stamped socket that writes down its reads, and the bytes if wanted."""

    def __init__(self, *arguments: Any, reads: list[Read], stream: bytearray | None = None, **options: Any):
        super().__init__(*arguments, **options)
        self.port = self._offset = 0
        self._reads, self._stream = reads, stream

    def receive(self) -> tuple[bytes, int]:
        data, arrived_ns = super().receive()
        self.port = self.port or self._sock.getsockname()[1]
        self._offset += len(data)
        self._reads.append(Read(self.port, self._offset, arrived_ns))
        if self._stream is not None:
            self._stream += data
        return data, arrived_ns


def step_until(swarm: Swarm, cursor: int) -> None:
    """Step until every client has this tick."""
    deadline_ns = now_ns() + round(LIMIT_S * 1e9)
    while any((client.cursor or 0) < cursor for client in swarm.clients):
        assert now_ns() < deadline_ns, f"not in time: tick {cursor}"
        swarm.step(wait_until_ns=now_ns() + 10_000_000)


def newest(swarm: Swarm) -> int:
    return max(client.cursor or 0 for client in swarm.clients)


def deliveries_of(swarm: Swarm) -> list[dict[str, int]]:
    """Return the deliveries as dictionaries by DELIVERY_FIELDS."""
    rows = np.array(swarm.deliveries, dtype=np.int64).reshape(-1, len(DELIVERY_FIELDS)).tolist()
    return [dict(zip(DELIVERY_FIELDS, row, strict=True)) for row in rows]


def build_clients(server: Server, transport: Transport, count: int) -> list[TickClient]:
    address, client_class = Address(server.host, server.port, server.path), transport.client_class
    if "poll_interval_s" not in client_class.settings:
        return [client_class(address) for _ in range(count)]
    epoch_ns = now_ns()
    return [
        client_class(address, poll_interval_s=0.2, epoch_ns=epoch_ns, phase=phase)
        for phase in stratified_phases(count, seed=1)
    ]


def assert_clock_was_left_alone(packets: Packets) -> None:
    if abs(packets.clock_shift_ns()) > CLOCK_STEP_NS:
        raise ClockWasSet


# Two cores, and one of them busy


def cores() -> tuple[int | None, int | None]:
    """Return a core for the server and one for the swarm."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep this thread, and those that it starts, on a core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def kept_busy(core: int | None) -> Iterator[None]:
    """Compute on a core, in another process, for a minute at most."""
    program = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    with pinned(core):
        burner = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


# Against the capture


def deviations_ns(transport: Transport, count: int, rate_hz: float, ticks: int, busy: bool) -> list[int]:
    """Return swarm's − captured arrival of each delivery whose stamp is its own."""
    server_core, swarm_core = cores()
    reads: list[Read] = []
    make_socket = functools.partial(LoggedSocket, reads=reads)
    options = ServerOptions(rate_hz=rate_hz, core=server_core, open_after_s=0.2)
    with (
        running_server(transport.server, options) as server,
        pinned(swarm_core),
        kept_busy(swarm_core) if busy else contextlib.nullcontext(),
        capture(server.port) as packets,
        closing(
            Swarm(
                build_clients(server, transport, count),
                server.host,
                server.port,
                offset_ns=measure_clock_offset().offset_ns,
                make_socket=make_socket,
                mss=1460,
            )
        ) as swarm,
    ):
        swarm.connect(now_ns() + round(LIMIT_S * 1e9))
        step_until(swarm, newest(swarm) + ticks)
        ports = [seat.sock.port for seat in swarm._seats.values()]
        packets.read()
        assert_clock_was_left_alone(packets)
    assert not swarm.errors
    offsets = {(read.port, read.arrived_ns): read.stream_offset for read in reads}
    found = []
    for delivery in deliveries_of(swarm):
        if not delivery["stamp_shared"]:
            port, arrived_ns = ports[delivery["client"]], delivery["arrived_ns"]
            captured_ns = packets.arrival_of(port, offsets[port, arrived_ns])
            assert captured_ns is not None, "the swarm has read what was not on the wire"
            found.append(arrived_ns - captured_ns)
    return found


@needs_capture
@needs_stamps
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize(
    ("name", "count", "rate_hz", "ticks"),
    [
        ("websocket", 1, 100, 80),
        ("websocket", 100, 20, 12),
        ("websocket", 1_000, 5, 4),
        ("short_polling", 100, 10, 6),
        ("long_polling", 100, 10, 6),
    ],
)
def test_own_stamps_are_those_of_the_wire(
    name: str, count: int, rate_hz: float, ticks: int, busy: bool
) -> None:
    """The kernel may be held up between its two stamps; a stamp that is wrong is so each time."""
    apart_ns = []
    for _ in range(ATTEMPTS):
        found = once_more(lambda: deviations_ns(TRANSPORTS[name], count, rate_hz, ticks, busy))
        assert len(found) >= count
        apart_ns.append(np.quantile(np.abs(found), 0.99))
        if apart_ns[-1] <= AGREEMENT_NS:
            return
    pytest.fail(f"the stamps are apart by so many ns (p99), each time: {apart_ns}")


def message_ends(stream: bytes) -> list[int]:
    """Return where in the stream each frame behind the handshake ends."""
    ends, start = [], stream.index(b"\r\n\r\n") + 4
    while (length := frame_length(stream, start)) and start + length <= len(stream):
        start += length
        ends.append(start)
    return ends


def shared_reads() -> tuple[list[Read], bytes, list[dict[str, int]], Packets]:
    """Let a late swarm read several messages at once, by the capture's own offset of the clocks."""
    reads: list[Read] = []
    stream, poller = bytearray(), StallingPoller()
    websocket = TRANSPORTS["websocket"]
    with (
        running_server(websocket.server, ServerOptions(rate_hz=100)) as server,
        capture(server.port) as packets,
    ):
        swarm = Swarm(
            build_clients(server, websocket, 1),
            server.host,
            server.port,
            offset_ns=packets.offset_ns,
            make_socket=functools.partial(LoggedSocket, reads=reads, stream=stream),
            poller=poller,
        )
        with closing(swarm):
            swarm.connect(now_ns() + round(LIMIT_S * 1e9))
            poller.stall_s = STALL_S
            step_until(swarm, newest(swarm) + 60)
            packets.read()
            assert_clock_was_left_alone(packets)
    return reads, bytes(stream), deliveries_of(swarm), packets


@needs_capture
@needs_stamps
def test_a_shared_stamp_is_the_newest_bytes_and_a_bound_for_the_others() -> None:
    reads, stream, deliveries, packets = once_more(shared_reads)
    ends = message_ends(stream)
    several, start, late = 0, 0, []
    for port, stop, arrived_ns in reads:
        captured_ns = packets.arrival_of(port, stop)
        assert captured_ns is not None
        late.append(arrived_ns - captured_ns)
        within = [packets.arrival_of(port, end) for end in ends if start < end <= stop]
        assert all(true_ns is not None and true_ns <= arrived_ns for true_ns in within)
        told = {row["stamp_shared"] for row in deliveries if row["arrived_ns"] == arrived_ns}
        if len(within) > 1:
            several += 1
            assert told == {1}
            assert within == sorted(within)
        start = stop
    assert several >= 3
    assert sorted(late)[-2] <= AGREEMENT_NS  # the ticks are 10 ms apart; one read may have been interrupted


# Against a sender that looks at the clock


class Witness(threading.Thread):
    """A WebSocket server for one client that notes the bench clock before and after each send()."""

    def __init__(self, ticks: int, gap_s: float) -> None:
        super().__init__(name="witness", daemon=True)
        self._ticks, self._gap_s = ticks, gap_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT_S)
        self.port = self._listener.getsockname()[1]
        self.sent: dict[int, tuple[int, int]] = {}
        self.stopped = threading.Event()

    def run(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            protocol = ServerProtocol()
            protocol.receive_data(connection.recv(65_536))
            protocol.send_response(protocol.accept(protocol.events_received()[0]))
            connection.sendall(b"".join(protocol.data_to_send()))
            for seq in range(1, self._ticks + 1):
                array = encode_array([encode_tick(seq, seq, "ACME", 1.0, 128)])
                frame = Frame(Opcode.TEXT, array).serialize(mask=False)
                if self.stopped.wait(self._gap_s):
                    return
                before_ns = now_ns()
                sent = connection.send(frame)
                after_ns = now_ns()
                assert sent == len(frame)
                self.sent[seq] = before_ns, after_ns
            self.stopped.wait(LIMIT_S)


def witnessed(ticks: int) -> tuple[dict[int, tuple[int, int]], list[dict[str, int]], ClockOffset]:
    """Return what the sender saw of each tick, what the swarm did, and the offset of its clock."""
    witness, offset = Witness(ticks, gap_s=0.003), measure_clock_offset()
    witness.start()
    try:
        client = TRANSPORTS["websocket"].client_class(Address("127.0.0.1", witness.port), after=0)
        with closing(Swarm([client], "127.0.0.1", witness.port, offset_ns=offset.offset_ns)) as swarm:
            swarm.connect(now_ns() + round(LIMIT_S * 1e9))
            step_until(swarm, ticks)
    finally:
        witness.stopped.set()
        witness.join(LIMIT_S)
    if abs(measure_clock_offset().offset_ns - offset.offset_ns) > CLOCK_STEP_NS:
        raise ClockWasSet
    return witness.sent, deliveries_of(swarm), offset


@needs_stamps
def test_arrivals_lie_between_the_senders_looks_at_the_clock() -> None:
    sent, deliveries, offset = once_more(lambda: witnessed(400))
    assert [row["seq"] for row in deliveries] == list(sent)
    own = [row for row in deliveries if not row["stamp_shared"]]
    assert len(own) >= len(deliveries) / 2
    assert all(row["arrived_ns"] >= sent[row["seq"]][0] - offset.bracket_ns for row in deliveries)
    in_time = [row["arrived_ns"] <= sent[row["seq"]][1] + AGREEMENT_NS for row in own]
    assert sum(in_time) >= TOLD_BY_SENDER_RATIO * len(own)
