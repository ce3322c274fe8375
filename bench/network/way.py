"""One way of a link, without any device: packets go in, and out again when their time has come, or never.

A packet takes its turn at the rate of the link, behind those that wait, or is dropped if that would take too
long; on the way it may be lost; and it arrives after the delay, never before the one in front of it.
"""

import random
from collections import deque
from typing import NamedTuple

from bench.network.link import Link

NS_PER_MS = 1_000_000
ACK, TCP = 0x10, 6  # RFC 9293, 3.1; RFC 791, 3.1


class Counts(NamedTuple):
    """What has become of the packets of one way.

    Attributes:
        packets, packet_bytes: What came, IP headers included.
        lost_data, lost_acks: What was lost on the way: pure ACKs, which nobody sends again, and all else.
        overflowed_data, overflowed_acks: The same for what was dropped because the queue was full.
        sending_ns: How long the link was busy with sending, at its rate.
    """

    packets: int = 0
    packet_bytes: int = 0
    lost_data: int = 0
    lost_acks: int = 0
    overflowed_data: int = 0
    overflowed_acks: int = 0
    sending_ns: int = 0


class Held(NamedTuple):
    """A packet on its way: when it is to arrive, and how late it may have been taken up already."""

    due_ns: int
    taken_late_ns: int
    packet: bytes


class Way:
    """Packets that go one way.

    Args:
        link: What the link is like.
        seed: Which packets are lost, by their number, and how long each is held, follows from it alone.

    Attributes:
        held: Those on their way, in the order of their arrival.
    """

    def __init__(self, link: Link, seed: int) -> None:
        self.held: deque[Held] = deque()
        self._delay_ns = round(link.rtt_ms * NS_PER_MS / 2)
        self._jitter_ns = round(link.jitter_ms * NS_PER_MS)
        self._queue_ns = round(link.queue_ms * NS_PER_MS)
        self._ns_per_byte = 8_000 / link.rate_mbit if link.rate_mbit else 0.0
        self._free_ns = self._last_due_ns = 0
        self._is_lost = Losses(link, seed).next_is_lost if link.loss else None
        self._random = random.Random(f"jitter {seed}").random
        self._packets = self._packet_bytes = 0
        self._lost, self._overflowed = [0, 0], [0, 0]  # data, pure ACKs
        self._sending_ns = 0.0

    def take(self, packet: bytes, now_ns: int, taken_late_ns: int = 0) -> None:
        """Take a packet that has come to this end."""
        self._packets += 1
        self._packet_bytes += len(packet)
        due_ns = now_ns
        if self._ns_per_byte:
            turn_ns = max(now_ns, self._free_ns)
            if turn_ns - now_ns > self._queue_ns:
                self._overflowed[is_pure_ack(packet)] += 1
                return
            sending_ns = len(packet) * self._ns_per_byte
            self._sending_ns += sending_ns
            self._free_ns = due_ns = turn_ns + round(sending_ns)
        if self._is_lost and self._is_lost():
            self._lost[is_pure_ack(packet)] += 1
            return
        due_ns += self._delay_ns
        if self._jitter_ns:
            due_ns = max(due_ns + round(self._random() * self._jitter_ns), self._last_due_ns)
            self._last_due_ns = due_ns
        self.held.append(Held(due_ns, taken_late_ns, packet))

    def counts(self) -> Counts:
        """Return what has become of all packets so far."""
        return Counts(
            self._packets,
            self._packet_bytes,
            self._lost[0],
            self._lost[1],
            self._overflowed[0],
            self._overflowed[1],
            round(self._sending_ns),
        )


class Losses:
    """Which packets are lost: each by itself, or several in a row, at the same mean.

    In a row it is the model of Gilbert (1960), the simpler case of Elliott's (1963): a good state that loses
    nothing, and a bad one that loses everything, which lasts ``burst_packets`` on average.
    """

    def __init__(self, link: Link, seed: int) -> None:
        self._random = random.Random(f"losses {seed}").random
        self._bad = False
        if link.burst_packets:
            self._stays_bad = 1 - 1 / link.burst_packets
            self._turns_bad = link.loss / (1 - link.loss) / link.burst_packets
        else:
            self._stays_bad = self._turns_bad = link.loss

    def next_is_lost(self) -> bool:
        """Return whether the next packet is lost; each takes one number of the generator."""
        self._bad = self._random() < (self._stays_bad if self._bad else self._turns_bad)
        return self._bad


def is_pure_ack(packet: bytes) -> bool:
    """Return whether an IPv4 packet is a TCP segment without data that only acknowledges."""
    header_bytes = (packet[0] & 0x0F) * 4
    if len(packet) < header_bytes + 20 or packet[0] >> 4 != 4 or packet[9] != TCP:
        return False
    tcp_header_bytes = (packet[header_bytes + 12] >> 4) * 4
    return packet[header_bytes + 13] == ACK and len(packet) == header_bytes + tcp_header_bytes
