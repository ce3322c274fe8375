"""What was on the wire: a packet capture of one TCP port on loopback, against which every figure can be held.

It is independent of the instrument: a packet socket (Linux, with CAP_NET_RAW) sees and stamps each segment as
it enters the receiver's side, about 1 µs before TCP stamps it for :mod:`clients.sockets.stamped_socket`::

    with capture(port) as packets: …
    packets.totals("down", since_ns, until_ns), packets.arrival_of(client_port, stream_offset_bytes)
"""

import contextlib
import ctypes
import socket
import struct
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal, NamedTuple

from clients.sockets.stamped_socket import SO_TIMESTAMPNS, measure_clock_offset

BUFFER_BYTES = 256 * 1024 * 1024  # some 200,000 small packets; it takes memory only for those that wait
KEPT_BYTES = 192  # of each packet: Ethernet, the longest headers of IPv4 (or plain IPv6) and TCP
READ_EVERY_S, STAMPS_TIMEOUT_MS = 0.1, 5_000
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33  # linux: asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS, PACKET_VNET_HDR = 263, 6, 15  # linux: if_packet.h
PACKET_OUTGOING = 4
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # RFC 9293, 3.1
Direction = Literal["up", "down"]
_VNET_BYTES, _ETHERNET_BYTES = 10, 14
_vnet_gso_size = struct.Struct("@4xH").unpack_from  # struct virtio_net_hdr
_tcp = struct.Struct("!HHIIBB").unpack_from  # ports, sequence and acknowledgment numbers, offset, flags
_timespec = struct.Struct("@qq").unpack


class CaptureUnavailable(Exception):
    """Packets cannot be captured here; the text is a sentence that says why."""


class PacketsLost(Exception):
    """The capture lost packets, so that nothing it says holds; the text says how many."""


class Packet(NamedTuple):
    """A packet as the kernel handed it over; a super-packet of several segments (GSO) is one.

    ``at_ns`` is the kernel's stamp on the bench clock; ``down`` is 1 from the server, 0 to it;
    ``payload_bytes`` is TCP's; ``header_bytes`` those of IP and TCP with their options, of all segments.
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
    """Sums over packets, those retransmitted included."""

    payload_bytes: int
    header_bytes: int
    segments: int


class _Stream:
    """One direction of a connection; ``ends[i]`` bytes had come at ``stamps[i]``."""

    def __init__(self, seq: int, *, whole: bool) -> None:
        self.first_seq, self.next_seq, self.acked_seq = seq, seq, seq
        self.whole = whole  # seen from its beginning
        self.ends, self.stamps = [0], [0]

    def take(self, seq: int, payload_bytes: int, next_seq: int, at_ns: int) -> None:
        """Take a packet; an old segment that comes again changes nothing. Loopback keeps the order."""
        if _ahead(next_seq, self.next_seq) > 0:
            self.next_seq = next_seq
        had = self.ends[-1]
        start = had + _ahead(seq, self.first_seq + had)
        if start <= had < start + payload_bytes:
            self.ends.append(start + payload_bytes)
            self.stamps.append(at_ns)


def _ahead(one: int, other: int) -> int:
    """Return how far a sequence number is ahead of another, modulo 2^32 (RFC 9293, 3.4)."""
    return (one - other + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Packets:
    """The packets of one TCP port.

    Every question is answered from all packets that had been sent when it was asked, and raises
    :class:`PacketsLost` if any was lost. Clients are told apart by their port: they must share one address.
    ``offset_ns``, bench clock − CLOCK_REALTIME, translates the stamps; ``lost`` of ``seen`` packets were.
    """

    def __init__(self, sock: socket.socket, port: int, mss: int | None) -> None:
        self.offset_ns = measure_clock_offset().offset_ns
        self.seen = self.lost = 0
        self._sock, self._port, self._mss = sock, port, mss
        with contextlib.suppress(OSError):  # an old kernel does not tell the size of segments
            sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self._told_segment_size = bool(sock.getsockopt(SOL_PACKET, PACKET_VNET_HDR))
        self._packets: list[Packet] = []
        self._streams: dict[tuple[int, int], _Stream] = {}  # by client port and down
        self._buffer = bytearray(_VNET_BYTES + KEPT_BYTES)
        self._lock = threading.Lock()

    def read(self) -> None:
        """Take in all packets that there are now; nothing more when the capture has ended."""
        with self._lock:
            if self._sock.fileno() >= 0:
                self._drain()
        if self.lost:
            raise PacketsLost(f"{self.lost} of {self.seen} packets were lost to the capture")

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                _, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], 64, socket.MSG_DONTWAIT)
                packet = self._parse(_nanoseconds(ancillary[0][2]) + self.offset_ns)
                self._packets.append(packet)
                self._follow(packet)
        seen, lost = struct.unpack("@II", self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.seen, self.lost = self.seen + seen, self.lost + lost  # the kernel counts from the last reading

    def _parse(self, at_ns: int) -> Packet:
        data, at, segment_bytes = self._buffer, 0, 0
        if self._told_segment_size:
            (segment_bytes,) = _vnet_gso_size(data)
            at = _VNET_BYTES
        at += _ETHERNET_BYTES
        if data[at - 2] << 8 | data[at - 1] == ETH_P_IP:  # RFC 791, 3.1
            ip_header_bytes = (data[at] & 0x0F) * 4
            ip_bytes = data[at + 2] << 8 | data[at + 3]
        else:  # RFC 8200, 3; the filter lets none with extension headers through
            ip_header_bytes = 40
            ip_bytes = 40 + (data[at + 4] << 8 | data[at + 5])
        source, destination, seq, ack, offset, flags = _tcp(data, at + ip_header_bytes)
        tcp_header_bytes = (offset >> 4) * 4
        payload_bytes = ip_bytes - ip_header_bytes - tcp_header_bytes
        if not self._told_segment_size and self._mss:
            segment_bytes = self._mss + 20 - tcp_header_bytes
        segments = max(-(-payload_bytes // segment_bytes), 1) if segment_bytes else 1
        header_bytes = (ip_header_bytes + tcp_header_bytes) * segments
        down, port = (1, destination) if source == self._port else (0, source)
        return Packet(at_ns, port, down, flags, seq, ack, payload_bytes, header_bytes, segments)

    def _follow(self, packet: Packet) -> None:
        own, other = (packet.client_port, packet.down), (packet.client_port, 1 - packet.down)
        if packet.flags & RST:  # nothing more will be acknowledged
            for stream in (self._streams[key] for key in (own, other) if key in self._streams):
                stream.acked_seq = stream.next_seq
            return
        first_seq = packet.seq + bool(packet.flags & SYN)
        if packet.flags & SYN or own not in self._streams:
            self._streams[own] = _Stream(first_seq, whole=bool(packet.flags & SYN))
        next_seq = first_seq + packet.payload_bytes + bool(packet.flags & FIN)
        self._streams[own].take(first_seq, packet.payload_bytes, next_seq, packet.at_ns)
        if packet.flags & ACK and other in self._streams:
            self._streams[other].acked_seq = packet.ack

    def clock_shift_ns(self) -> int:
        """Return how far CLOCK_REALTIME was set since the capture began; stamps are off by that."""
        return measure_clock_offset().offset_ns - self.offset_ns

    def packets(self) -> list[Packet]:
        """Return all packets, in the order of their coming."""
        self.read()
        return self._packets.copy()

    def totals(self, direction: Direction, since_ns: int = 0, until_ns: int = sys.maxsize) -> Totals:
        """Sum up the packets to (up) or from the server, stamped in [since, until) on the bench clock."""
        chosen = [
            packet[-3:]
            for packet in self.packets()
            if packet.down == (direction == "down") and since_ns <= packet.at_ns < until_ns
        ]
        return Totals(*map(sum, zip(*chosen, strict=True))) if chosen else Totals(0, 0, 0)

    def stream_bytes(self, direction: Direction) -> int:
        """Return the payload bytes of one direction, those retransmitted counted once."""
        self.read()
        return sum(s.ends[-1] for (_, down), s in self._streams.items() if down == (direction == "down"))

    def unacknowledged(self) -> int:
        """Return how many bytes have been sent but not yet acknowledged, both ways; 0 is a quiet wire."""
        self.read()
        with self._lock:
            return sum(max(_ahead(s.next_seq, s.acked_seq), 0) for s in self._streams.values())

    def arrival_of(self, client_port: int, stream_offset: int) -> int | None:
        """Return when so many bytes had come to a client, on the bench clock; None if that was not seen."""
        self.read()
        stream = self._streams.get((client_port, 1))
        if stream is None or not stream.whole or stream_offset > stream.ends[-1]:
            return None
        return stream.stamps[bisect_left(stream.ends, stream_offset)]


# The packet socket


@contextlib.contextmanager
def capture(port: int, *, mss: int | None = None) -> Iterator[Packets]:
    """Capture the TCP packets of a server's port on loopback while the context is open.

    ``mss``, in bytes, cuts super-packets if the kernel does not tell how. Raises CaptureUnavailable.
    """
    with _packet_socket() as sock:
        _attach_filter(sock, port)
        _wait_for_stamps()
        packets = Packets(sock, port, mss)
        sock.bind(("lo", ETH_P_ALL))  # from here on packets come
        stopped = threading.Event()
        reader = threading.Thread(target=_keep_reading, args=(packets, stopped), name="capture", daemon=True)
        reader.start()
        try:
            yield packets
        finally:
            stopped.set()
            reader.join()  # it reads once more


def _keep_reading(packets: Packets, stopped: threading.Event) -> None:
    ended = False
    while not ended:
        ended = stopped.wait(READ_EVERY_S)
        with contextlib.suppress(PacketsLost):  # whoever asks is told
            packets.read()


def _nanoseconds(stamp: bytes) -> int:
    seconds, nanoseconds = _timespec(stamp)
    return int(seconds * 1_000_000_000 + nanoseconds)


def _wait_for_stamps() -> None:
    """Wait until the kernel stamps packets as they come, and not (it needs a while) as they are read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        probe.bind(("127.0.0.1", 0))
        for _ in range(STAMPS_TIMEOUT_MS):
            probe.sendto(b"", probe.getsockname())
            time.sleep(0.001)
            before_ns = time.time_ns()
            if _nanoseconds(probe.recvmsg(1, 64)[1][0][2]) < before_ns:
                return
    raise CaptureUnavailable(f"the kernel did not begin to stamp packets within {STAMPS_TIMEOUT_MS} ms")


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
        raise CaptureUnavailable("capturing packets needs root or CAP_NET_RAW; run it with sudo") from None
    except OSError as error:
        raise CaptureUnavailable(f"this system has no packet sockets: {error.strerror}") from None
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)  # as much of it as is allowed
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    return sock


def _attach_filter(sock: socket.socket, port: int) -> None:
    """Let through what arrives of this TCP port, but not the copy of it that goes out (linux: filter.rst)."""
    load_byte, load_half, load_half_x, ip_header_to_x, equal, give = 0x30, 0x28, 0x48, 0xB1, 0x15, 0x06
    packet_type = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE
    program = [  # code, jump if true, jump if false, operand
        (load_byte, 0, 0, packet_type), (equal, 16, 0, PACKET_OUTGOING),
        (load_half, 0, 0, 12), (equal, 7, 0, ETH_P_IP), (equal, 0, 13, ETH_P_IPV6),
        (load_byte, 0, 0, 20), (equal, 0, 11, socket.IPPROTO_TCP),  # IPv6
        (load_half, 0, 0, 54), (equal, 10, 0, port), (load_half, 0, 0, 56), (equal, 8, 7, port),
        (load_byte, 0, 0, 23), (equal, 0, 5, socket.IPPROTO_TCP), (ip_header_to_x, 0, 0, 14),  # IPv4
        (load_half_x, 0, 0, 14), (equal, 3, 0, port), (load_half_x, 0, 0, 16), (equal, 1, 0, port),
        (give, 0, 0, 0), (give, 0, 0, KEPT_BYTES),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *line) for line in program))
    fprog = struct.pack("@HP", len(program), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
