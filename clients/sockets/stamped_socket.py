"""A non-blocking TCP socket that tells when its bytes reached the kernel, and what they cost on the wire."""

import contextlib
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from servers.wire import now_ns

SO_TIMESTAMPNS = 35
"""Linux, asm-generic/socket.h: each read tells the arrival time of its newest byte, on CLOCK_REALTIME.

Documentation/networking/timestamping.rst, section 1.2; on TCP sockets since Linux 4.14.
"""
KERNEL_STAMPS = sys.platform == "linux"
READ_BYTES = 256 * 1024
ANCILLARY_BYTES = 64
unpack_stamp = struct.Struct("@qq").unpack
"""Read the ancillary data of a stamp: seconds and nanoseconds."""
_TCP_INFO_OPTION = getattr(socket, "TCP_INFO", None) if KERNEL_STAMPS else None


class ClockOffset(NamedTuple):
    """Bench clock − CLOCK_REALTIME, in ns, and how long the best reading of it took (its uncertainty)."""

    offset_ns: int
    bracket_ns: int


def measure_clock_offset(readings: int = 100) -> ClockOffset:
    """Read the offset of the two clocks, as the middle of the tightest of so many brackets."""
    best = ClockOffset(0, sys.maxsize)
    for _ in range(readings):
        before_ns = now_ns()
        realtime_ns = time.time_ns()
        after_ns = now_ns()
        if after_ns - before_ns < best.bracket_ns:
            best = ClockOffset((before_ns + after_ns) // 2 - realtime_ns, after_ns - before_ns)
    return best


class WireCounts(NamedTuple):
    """What the kernel counted on connections, seen from the client; sums of them are of the same type.

    ``header_bytes`` counts 20 B of TCP header and, with time stamps, 12 B of options, and 20 B (IPv4) or 40 B
    (IPv6) of IP header for each segment (RFC 9293, 3.1; RFC 7323, 3.2; RFC 791, 3.1; RFC 8200, 3), and what
    the options of the first segment each way have more.
    """

    payload_bytes_up: int = 0
    payload_bytes_down: int = 0
    header_bytes_up: int = 0
    header_bytes_down: int = 0
    segments_up: int = 0
    segments_down: int = 0
    retransmits: int = 0

    def plus(self, other: "WireCounts") -> "WireCounts":
        """Return the sum."""
        return WireCounts(*(a + b for a, b in zip(self, other, strict=True)))


# struct tcp_info (linux/tcp.h): options at byte 5, total_retrans at 100, then from byte 120
# bytes_acked, bytes_received (64 bits), segs_out, segs_in (32 bits); bytes_sent at 200.
_tcp_info = struct.Struct("@5xB94xI16xQQII56xQ").unpack_from
_TCP_INFO_BYTES = 208
_out_of_order = struct.Struct("@224xI").unpack_from  # tcpi_rcv_ooopack, since Linux 5.4
_OUT_OF_ORDER_BYTES = 228
GAP_NS = 1_000_000
"""What was read so soon after its stamp did not wait behind a gap for longer."""
_TIMESTAMPS_IN_USE, _SACK_IN_USE, _WINDOW_SCALE_IN_USE = 1, 2, 4  # TCPI_OPT_…


def prepare(
    sock: socket.socket, *, mss: int | None, congestion: str | None, user_timeout_s: float | None
) -> None:
    """Make a new socket non-blocking, stamped, and equal to all others in what TCP does.

    Args:
        sock: A TCP socket, not yet connected.
        mss: TCP maximum segment size in bytes, or None.
        congestion: Congestion control, or None.
        user_timeout_s: For how long what is sent may stay without acknowledgement until TCP gives up (RFC
            5482; TCP_USER_TIMEOUT in tcp(7)), or None. It holds for the attempt to connect, too.
    """
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if KERNEL_STAMPS:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if mss:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    if congestion and hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError):  # the kernel lacks it: the server records what is in force
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    if user_timeout_s is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(user_timeout_s * 1_000))


class NothingWhole(BlockingIOError):
    """Something has come, but nothing of it can be read yet: part of a TLS record; ``arrived_ns`` is when."""

    def __init__(self, arrived_ns: int) -> None:
        super().__init__()
        self.arrived_ns = arrived_ns


class StampedSocket:
    """A client's end of a TCP connection.

    Args:
        family: ``AF_INET`` or ``AF_INET6``.
        offset_ns: Bench clock − CLOCK_REALTIME, see :func:`measure_clock_offset`.
        clock: The bench clock, used where the kernel gives no stamp.
        mss: TCP maximum segment size in bytes, or None.
        congestion: Congestion control, or None.
        lossy: Whether packets may be lost on the way. What comes behind a gap can be read only when that is
            filled, but keeps its earlier stamp; so for what waited behind one the moment of reading counts.
        user_timeout_s: See :func:`prepare`.

    Attributes:
        kernel_stamped: Whether the last read was stamped by the kernel.
        ends_within: The last read ended with a part of something (a TLS record) that is kept until it is
            whole: the read's arrival time is that of this part.
    """

    __slots__ = (
        "_clock",
        "_ended",
        "_family",
        "_gaps",
        "_lossy",
        "_offset_ns",
        "_sock",
        "ends_within",
        "kernel_stamped",
    )

    _shared_buffer = memoryview(bytearray(READ_BYTES))

    def __init__(
        self,
        family: int,
        *,
        offset_ns: int,
        clock: Callable[[], int] = now_ns,
        mss: int | None = None,
        congestion: str | None = None,
        lossy: bool = False,
        user_timeout_s: float | None = None,
    ) -> None:
        self._family = family
        self._lossy = lossy and _TCP_INFO_OPTION is not None
        self._gaps = (0, 0)
        self._offset_ns = offset_ns
        self._clock = clock
        self._ended = False
        self.kernel_stamped = False
        self.ends_within = False
        self._sock = sock = socket.socket(family, socket.SOCK_STREAM)
        prepare(sock, mss=mss, congestion=congestion, user_timeout_s=user_timeout_s)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._sock.fileno()

    def connect(self, host: str, port: int, source_host: str | None = None) -> None:
        """Start to connect, from a given local address if one is named; completion shows as writability.

        Raises:
            OSError: If it fails at once.
        """
        if source_host is not None:
            if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            self._sock.bind((source_host, 0))
        with contextlib.suppress(BlockingIOError):
            self._sock.connect((host, port))

    def connect_error(self) -> int:
        """Return the errno of a connection attempt that has ended, 0 if it succeeded."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def secure(self) -> bool:
        """Go on with what a connection that stands needs before it can be used; return whether it is done.

        Called when the connection stands, and then at each read, until it is. TCP alone needs nothing.

        Raises:
            OSError: If it cannot be done, with a sentence.
        """
        return True

    def receive(self) -> tuple[bytes, int]:
        """Read what is there; return the bytes (none: the peer has closed) and their arrival in ns.

        The arrival, on the bench clock, is that of the newest byte read: TCP keeps only the last stamp of
        merged segments.

        Raises:
            BlockingIOError: If nothing is there.
            OSError: If the connection broke.
        """
        buffer = self._shared_buffer
        length, ancillary, _, _ = self._sock.recvmsg_into([buffer], ANCILLARY_BYTES)
        if not length:
            self._ended = True
        if ancillary:
            seconds, nanoseconds = unpack_stamp(ancillary[0][2])
            self.kernel_stamped = True
            arrived_ns = seconds * 1_000_000_000 + nanoseconds + self._offset_ns
            return bytes(buffer[:length]), self._after_gap(arrived_ns) if self._lossy else arrived_ns
        self.kernel_stamped = False
        return bytes(buffer[:length]), self._clock()

    def _after_gap(self, stamp_ns: int) -> int:
        """Return when what was read could be read: at its stamp, or now if packets overtook a lost one."""
        now_ns = self._clock()
        if now_ns - stamp_ns < GAP_NS:
            return stamp_ns
        info = self._sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO_OPTION or 0, _OUT_OF_ORDER_BYTES)
        if len(info) < _OUT_OF_ORDER_BYTES:
            return stamp_ns
        (overtaken,) = _out_of_order(info)
        before, self._gaps = self._gaps[0], (self._gaps[1], overtaken)  # the gap may not be in this read yet
        return stamp_ns if overtaken == before else now_ns

    def send(self, data: bytes) -> int:
        """Send as much as fits now and return how many bytes that was.

        Raises:
            OSError: If the connection broke.
        """
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    def finish(self) -> bool:
        """Say that nothing more will be sent; return whether the peer is still to be heard of."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return True

    def wire_counts(self) -> WireCounts | None:
        """Return what the kernel counted so far (TCP_INFO), or None where it does not tell."""
        if _TCP_INFO_OPTION is None:
            return None
        info = self._sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO_OPTION, _TCP_INFO_BYTES)
        options, retransmits, _acked, received, segments_up, segments_down, sent = _tcp_info(info)
        ip_bytes = 40 if self._family == socket.AF_INET6 else 20
        timestamps = options & _TIMESTAMPS_IN_USE
        header_bytes = ip_bytes + 20 + (12 if timestamps else 0)
        # A SYN also has its MSS, the window's scale, and "SACK permitted", which fits in beside time stamps.
        syn_bytes = 4 + (4 if options & _WINDOW_SCALE_IN_USE else 0)
        syn_bytes += 4 if options & _SACK_IN_USE and not timestamps else 0
        return WireCounts(
            payload_bytes_up=sent,
            payload_bytes_down=received - self._ended,  # the kernel counts the end as a byte
            header_bytes_up=segments_up * header_bytes + syn_bytes,
            header_bytes_down=segments_down * header_bytes + syn_bytes,
            segments_up=segments_up,
            segments_down=segments_down,
            retransmits=retransmits,
        )

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class SocketFactory(Protocol):
    """Makes the swarm's sockets: StampedSocket, TlsSocket, or a stand-in for tests or another runtime."""

    def __call__(
        self, family: int, *, offset_ns: int, mss: int | None = None, congestion: str | None = None
    ) -> StampedSocket:
        """Return a new unconnected socket."""
        ...
