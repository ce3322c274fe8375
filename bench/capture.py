"""What was on the wire: a packet capture of one TCP port on loopback, against which every figure can be held.

It is independent of the instrument: a raw packet socket sees each segment as it enters the receiver's side,
where the kernel also takes the time stamp that :mod:`clients.stamped_socket` reads. Linux, with CAP_NET_RAW::

    with capture(port) as packets:
        …                                                # traffic
        down = packets.totals("down", since_ns, until_ns)
        arrived_ns = packets.arrival_of(client_port, 1_000)
"""

import contextlib
import ctypes
import math
import socket
import struct
import sys
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.stamped_socket import SO_TIMESTAMPNS, measure_clock_offset

BUFFER_BYTES = 256 * 1024 * 1024
"""The kernel's queue of the capture: some 200,000 small packets. It takes memory only for those that wait."""
READ_EVERY_S = 0.1
KEPT_BYTES = 192
"""Of each packet: Ethernet, the longest IPv4 or plain IPv6 header, the longest TCP header."""

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33  # linux: asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS, PACKET_VNET_HDR = 263, 6, 15  # linux: if_packet.h
PACKET_OUTGOING = 4
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # RFC 9293, 3.1

Direction = Literal["up", "down"]
_VNET_BYTES, _ETHERNET_BYTES = 10, 14
_vnet_gso_size = struct.Struct("@4xH").unpack_from  # struct virtio_net_hdr
_ethernet_type = struct.Struct("!12xH").unpack_from
_tcp = struct.Struct("!HHIIBB").unpack_from  # ports, sequence and acknowledgment numbers, offset, flags
_timespec = struct.Struct("@qq").unpack


class CaptureUnavailable(Exception):
    """Packets cannot be captured here; the text is a sentence that says why."""


class PacketsLost(Exception):
    """The capture lost packets, so that nothing it says holds; the text says how many."""


class Packet(NamedTuple):
    """One packet as the kernel handed it over; a super-packet of several segments (GSO) is one.

    ``at_ns`` is the kernel's stamp on the bench clock; ``down`` is 1 from the server, 0 to it;
    ``payload_bytes`` is TCP's; ``header_bytes`` counts IP and TCP headers with their options, of all segments.
    """

    at_ns: int
    client_port: int
    down: int
    flags: int
    seq: int
    ack: int
    payload_bytes: int
    header_bytes: int
    segments: int


class Totals(NamedTuple):
    """Sums over packets, retransmitted ones included."""

    payload_bytes: int
    header_bytes: int
    segments: int


class Packets:
    """The packets of one TCP port, read from a packet socket.

    Every question is answered from all packets that had been sent when it was asked. Clients are told apart
    by their port, so they must share one address.

    Args:
        sock: The packet socket.
        port: The server's port.
        mss: Maximum segment size in bytes, by which super-packets are cut if the kernel does not tell the
            size of their segments.

    Attributes:
        offset_ns: Bench clock − CLOCK_REALTIME, by which stamps were translated.
        lost: How many packets the kernel dropped because they were not read in time.
        seen: How many packets there were.
    """

    def __init__(self, sock: socket.socket, port: int, *, mss: int | None = None) -> None:
        self.offset_ns = measure_clock_offset().offset_ns
        self.lost = self.seen = 0
        self._sock, self._port, self._mss = sock, port, mss
        self._told_segment_size = _try_option(sock, SOL_PACKET, PACKET_VNET_HDR)
        self._rows = array("q")
        self._sent: dict[tuple[int, int], int] = {}  # (client port, down) → the next sequence number
        self._acked: dict[tuple[int, int], int] = {}  # … → the one that the other side has asked for
        self._arrivals: dict[int, tuple[list[int], list[int]]] = {}
        self._arrivals_of_rows = 0
        self._buffer = bytearray(_VNET_BYTES + KEPT_BYTES)
        self._lock = threading.Lock()

    # Reading

    def read(self) -> None:
        """Take in all packets that there are now.

        Raises:
            PacketsLost: If the kernel has dropped any since the start.
        """
        with self._lock, contextlib.suppress(BlockingIOError):
            while True:
                _, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], 64, socket.MSG_DONTWAIT)
                self._take(ancillary[0][2])
        statistics = self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)  # reading resets them
        seen, lost = struct.unpack("@II", statistics)
        self.seen += seen
        self.lost += lost
        if self.lost:
            raise PacketsLost(f"{self.lost} of {self.seen} packets were lost to the capture")

    def _take(self, stamp: bytes) -> None:
        data, at = self._buffer, 0
        segment_bytes = 0
        if self._told_segment_size:
            (segment_bytes,) = _vnet_gso_size(data)
            at = _VNET_BYTES
        (ethernet_type,) = _ethernet_type(data, at)
        at += _ETHERNET_BYTES
        if ethernet_type == ETH_P_IP:  # RFC 791, 3.1
            ip_header_bytes = (data[at] & 0x0F) * 4
            ip_bytes = data[at + 2] << 8 | data[at + 3]
        else:  # RFC 8200, 3; the filter lets none with extension headers through
            ip_header_bytes = 40
            ip_bytes = 40 + (data[at + 4] << 8 | data[at + 5])
        source, destination, seq, ack, offset, flags = _tcp(data, at + ip_header_bytes)
        header_bytes = ip_header_bytes + (offset >> 4) * 4
        payload_bytes = ip_bytes - header_bytes
        if not self._told_segment_size and self._mss:
            segment_bytes = self._mss - (header_bytes - ip_header_bytes - 20)
        segments = max(math.ceil(payload_bytes / segment_bytes), 1) if segment_bytes else 1
        down = int(source == self._port)
        client_port = destination if down else source
        seconds, nanoseconds = _timespec(stamp)
        at_ns = seconds * 1_000_000_000 + nanoseconds + self.offset_ns
        self._rows.extend(
            (at_ns, client_port, down, flags, seq, ack, payload_bytes, header_bytes * segments, segments)
        )
        if flags & RST:
            for side in (0, 1):
                self._sent.pop((client_port, side), None)
            return
        end = (seq + payload_bytes + bool(flags & SYN) + bool(flags & FIN)) & 0xFFFFFFFF
        if _ahead(end, self._sent.get((client_port, down), end)) >= 0:  # not an old segment again
            self._sent[client_port, down] = end
        if flags & ACK:
            self._acked[client_port, 1 - down] = ack

    # Asking

    def table(self) -> NDArray[np.int64]:
        """Return all packets, a row each, in the order of their coming; the columns are those of Packet.

        Raises:
            PacketsLost: As all questions do.
        """
        self.read()
        with self._lock:
            return np.array(self._rows, dtype=np.int64).reshape(-1, len(Packet._fields))

    def packets(self) -> list[Packet]:
        """Return all packets, in the order of their coming."""
        return [Packet(*row) for row in self.table().tolist()]

    def totals(
        self, direction: Direction, since_ns: int | None = None, until_ns: int | None = None
    ) -> Totals:
        """Sum up one direction, of the packets stamped in [since, until) on the bench clock.

        Args:
            direction: ``up`` (to the server) or ``down``.
            since_ns, until_ns: None is the start, and now.
        """
        table = self.table()
        chosen = table[:, Packet._fields.index("down")] == (direction == "down")
        if since_ns is not None:
            chosen &= table[:, 0] >= since_ns
        if until_ns is not None:
            chosen &= table[:, 0] < until_ns
        first = Packet._fields.index("payload_bytes")
        return Totals(*(int(total) for total in table[chosen, first : first + 3].sum(axis=0)))

    def unacknowledged(self) -> int:
        """Return how many bytes have been sent but not yet acknowledged, both ways; 0 is a quiet wire."""
        self.read()
        with self._lock:
            return sum(max(_ahead(end, self._acked.get(key, end)), 0) for key, end in self._sent.items())

    def arrival_of(self, client_port: int, stream_offset: int) -> int | None:
        """Return when a client's kernel first had so many bytes of its stream, on the bench clock.

        Args:
            client_port: The client's port.
            stream_offset: Bytes from the server since the connection began.

        Returns:
            The stamp of the packet that completed them; None if the capture has not seen them all, or not
            the beginning of the connection.
        """
        self.read()
        with self._lock:
            if self._arrivals_of_rows != len(self._rows):
                self._arrivals_of_rows = len(self._rows)
                self._arrivals = _arrivals(np.array(self._rows, dtype=np.int64).reshape(-1, 9).tolist())
        ends, stamps = self._arrivals.get(client_port, ([], []))
        index = bisect_left(ends, stream_offset)
        return stamps[index] if index < len(ends) else None


def _ahead(one: int, other: int) -> int:
    """Return how far a sequence number is ahead of another, modulo 2^32 (RFC 9293, 3.4)."""
    return (one - other + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def _arrivals(rows: list[list[int]]) -> dict[int, tuple[list[int], list[int]]]:
    """Return for each client the ends of what its kernel had without a gap, and since when."""
    known: dict[int, tuple[list[int], list[int]]] = {}
    first: dict[int, int] = {}  # the sequence number of the stream's first byte
    early: dict[int, list[tuple[int, int]]] = {}  # behind a gap
    for packet in map(Packet._make, rows):
        port = packet.client_port
        if not packet.down:
            continue
        if packet.flags & SYN:
            first[port] = packet.seq + 1
            known[port], early[port] = ([0], [packet.at_ns]), []
        elif packet.payload_bytes and port in first:
            ends, stamps = known[port]
            end = had = ends[-1]
            start = had + _ahead(packet.seq, first[port] + had & 0xFFFFFFFF)
            early[port].append((start, start + packet.payload_bytes))
            for begin, finish in sorted(early[port]):
                if begin <= end:
                    end = max(end, finish)
            if end > had:
                ends.append(end)
                stamps.append(packet.at_ns)
            early[port] = [piece for piece in early[port] if piece[1] > end]
    return known


# The packet socket


@contextlib.contextmanager
def capture(port: int, *, mss: int | None = None) -> Iterator[Packets]:
    """Capture the TCP packets from and to a port on loopback while the context is open.

    Args:
        port: The server's port.
        mss: See :class:`Packets`.

    Raises:
        CaptureUnavailable: If that is not possible here.
    """
    with _packet_socket() as sock:
        _attach_filter(sock, port)
        packets = Packets(sock, port, mss=mss)
        sock.bind(("lo", ETH_P_ALL))  # from here on packets come
        stopped = threading.Event()

        def keep_reading() -> None:
            while not stopped.wait(READ_EVERY_S):
                with contextlib.suppress(PacketsLost):  # whoever asks is told
                    packets.read()

        reader = threading.Thread(target=keep_reading, name="capture", daemon=True)
        reader.start()
        try:
            yield packets
        finally:
            stopped.set()
            reader.join()


def available() -> str:
    """Return why packets cannot be captured here, or '' if they can."""
    try:
        _packet_socket().close()
    except CaptureUnavailable as unavailable:
        return str(unavailable)
    return ""


def _packet_socket() -> socket.socket:
    if sys.platform != "linux":
        raise CaptureUnavailable(f"packets are captured with Linux's AF_PACKET; this is {sys.platform}")
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: nothing comes before bind
    except PermissionError:
        raise CaptureUnavailable(
            "capturing packets needs root or CAP_NET_RAW; run it with sudo, or leave the capture out"
        ) from None
    except OSError as error:
        raise CaptureUnavailable(f"this system has no packet sockets: {error.strerror}") from None
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if not _try_option(sock, socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)  # as much as is allowed
    return sock


def _try_option(sock: socket.socket, level: int, option: int, value: int = 1) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def _attach_filter(sock: socket.socket, port: int) -> None:
    """Let through only what arrives of this TCP port: a classic BPF program (linux: filter.rst).

    Loopback shows each packet twice, on its way out and on its way in; only the latter has its stamp.
    """
    load_byte, load_half, load_half_x, ip_header_to_x = 0x30, 0x28, 0x48, 0xB1
    equal, any_bit, give = 0x15, 0x45, 0x06
    packet_type = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE
    program = [  # code, jump if true, jump if false, operand
        (load_byte, 0, 0, packet_type), (equal, 17, 0, PACKET_OUTGOING),
        (load_half, 0, 0, 12), (equal, 8, 0, ETH_P_IP), (equal, 0, 14, 0x86DD),
        (load_byte, 0, 0, 20), (equal, 0, 12, socket.IPPROTO_TCP),  # IPv6
        (load_half, 0, 0, 54), (equal, 11, 0, port), (load_half, 0, 0, 56), (equal, 9, 8, port), (give, 0, 0, 0),
        (load_byte, 0, 0, 23), (equal, 0, 5, socket.IPPROTO_TCP),  # IPv4
        (ip_header_to_x, 0, 0, 14), (load_half_x, 0, 0, 14), (equal, 3, 0, port),
        (load_half_x, 0, 0, 16), (equal, 1, 0, port),
        (give, 0, 0, 0), (give, 0, 0, KEPT_BYTES),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *line) for line in program))
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )
