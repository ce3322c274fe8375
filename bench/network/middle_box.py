"""A middle box at the clients' end of the link: it may be cut, change its address, forget, or lose a packet.

Whatever happens on the way to a client happens here, in one place::

    clients (near end) ↔ middle box ↔ link, both ways ↔ server (far end)

A packet that a client sends passes it before the link, and one of the server's after the link. So when the
box is cut, what is on its way up arrives all the same, and what comes down while it is cut does not.

It knows no devices and no clock, only packets and instants. All but a cut concerns TCP over IPv4 alone: ping
goes on as before, with its old address.
"""

import json
import math
import socket
from collections import Counter
from enum import StrEnum

from bench.network.namespaces import NEAR_HOST
from bench.network.way import ACK, TCP

SYN = 0x02  # RFC 9293, 3.1
SOURCE, DESTINATION, IP_CHECKSUM, TCP_CHECKSUM = 12, 16, 10, 16  # where they begin: RFC 791, RFC 9293, 3.1
NS_PER_S = 1_000_000_000
CLIENTS = socket.inet_aton(NEAR_HOST)


class Stopped(StrEnum):
    """Why a packet went no further."""

    CUT = "cut"
    OLD_ADDRESS = "old_address"
    FORGOTTEN = "forgotten"
    DATA = "data"


class OrderError(ValueError):
    """No such order; the text is a sentence that says what there is."""


class MiddleBox:
    """What stands between the clients and the link; nothing is changed or stopped until it is asked for.

    Attributes:
        stopped: How many packets it has stopped, by why: the link has not lost them.
    """

    def __init__(self) -> None:
        self.stopped: Counter[Stopped] = Counter()
        self._is_cut = False
        self._public = CLIENTS
        self._remembered_ns: int | None = None
        self._armed_ns = 0
        self._seen_ns: dict[bytes, int] = {}
        self._spared: set[bytes] | None = None

    # What it is told

    def obey(self, words: bytes, now_ns: int) -> None:
        """Obey an order: ``{"do": "cut"}``, or another method's name, with what it takes.

        Raises:
            OrderError: If there is no such order.
        """
        try:
            order = json.loads(words)
        except ValueError:
            order = None
        match order:
            case {"do": "cut", **more} if not more:
                self.cut()
            case {"do": "mend", **more} if not more:
                self.mend()
            case {"do": "change_address", **more} if not more:
                self.change_address()
            case {"do": "forget_idle", "seconds": float() | int() as seconds, **more} if not more:
                self.forget_idle(seconds, now_ns)
            case {"do": "lose_next_data", **more} if not more:
                self.lose_next_data()
            case _:
                raise OrderError(
                    f"the router cannot do {words.decode(errors='replace')}; say "
                    '{"do": "cut"}, or mend, change_address, lose_next_data, forget_idle with its "seconds"'
                )

    def cut(self) -> None:
        """Stop all packets, both ways."""
        self._is_cut = True

    def mend(self) -> None:
        """Let packets pass again; those that were stopped are gone."""
        self._is_cut = False

    def change_address(self) -> None:
        """Give the clients, all together, the next address that the server sees.

        So does a NAT with a new public address (RFC 3022, section 2.2), or a phone that leaves the Wi-Fi: the
        server knows no connection with that address, and resets (RFC 9293, 3.5.2) what speaks on an old one.
        What it sends to the address before goes to nobody.
        """
        self._public = (int.from_bytes(self._public, "big") + 1).to_bytes(4, "big")

    def forget_idle(self, seconds: float, now_ns: int) -> None:
        """From now on, forget each connection on which nothing came for so long, and stop what comes on it.

        So do NATs and firewalls, which keep a state for each connection; it should last for 2 hours and 4
        minutes at least (RFC 5382, REQ-5). A connection that is there already counts as seen now. One that is
        opened anew, even from the same port, is remembered again.

        Raises:
            OrderError: If it is no time.
        """
        if not 0 < seconds < math.inf:
            raise OrderError(f"connections cannot be forgotten after {seconds} s; give a time above 0")
        self._remembered_ns, self._armed_ns = round(seconds * NS_PER_S), now_ns
        self._seen_ns = {}

    def lose_next_data(self) -> None:
        """Stop, once on each connection that is there now, the next packet with data to the client."""
        self._spared = set()

    # What it does with packets

    def going_up(self, packet: bytes, now_ns: int) -> bytes | None:
        """Return a packet of a client's as it goes on to the server; None: it is stopped."""
        if self._is_cut:
            return self._stop(Stopped.CUT)
        tcp = tcp_begin(packet)
        if not tcp:
            return packet
        connection = packet[SOURCE : SOURCE + 8] + packet[tcp : tcp + 4]
        opens = packet[tcp + 13] & (SYN | ACK) == SYN
        if self._is_forgotten(connection, now_ns, opens=opens):
            return self._stop(Stopped.FORGOTTEN)
        if opens and self._spared is not None:
            self._spared.add(connection)
        return with_address(packet, SOURCE, self._public, tcp)

    def coming_down(self, packet: bytes, now_ns: int) -> bytes | None:
        """Return a packet of the server's as it goes on to a client; None: it is stopped."""
        if self._is_cut:
            return self._stop(Stopped.CUT)
        tcp = tcp_begin(packet)
        if not tcp:
            return packet
        if packet[DESTINATION : DESTINATION + 4] != self._public:
            return self._stop(Stopped.OLD_ADDRESS)
        packet = with_address(packet, DESTINATION, CLIENTS, tcp)
        connection = CLIENTS + packet[SOURCE : SOURCE + 4] + packet[tcp + 2 : tcp + 4] + packet[tcp : tcp + 2]
        if self._is_forgotten(connection, now_ns, opens=False):
            return self._stop(Stopped.FORGOTTEN)
        if self._spared is not None and connection not in self._spared and has_data(packet, tcp):
            self._spared.add(connection)
            return self._stop(Stopped.DATA)
        return packet

    def _is_forgotten(self, connection: bytes, now_ns: int, *, opens: bool) -> bool:
        """Return whether a connection, by both ends' addresses and ports, is; if not, it was seen now."""
        if self._remembered_ns is None:
            return False
        idle_ns = now_ns - self._seen_ns.get(connection, self._armed_ns)
        if idle_ns > self._remembered_ns and not opens:
            return True
        self._seen_ns[connection] = now_ns
        return False

    def _stop(self, why: Stopped) -> bytes | None:
        """Count a packet that goes no further, and return what is left of it."""
        self.stopped[why] += 1
        return None


def tcp_begin(packet: bytes) -> int:
    """Return where the TCP header of an IPv4 packet begins; 0 if it has none, as a later fragment."""
    begin = (packet[0] & 0x0F) * 4
    if len(packet) < begin + 20 or packet[0] >> 4 != 4 or packet[9] != TCP:
        return 0
    is_later_fragment = packet[6] & 0x1F or packet[7]  # its offset is not 0: RFC 791, 3.1
    return 0 if is_later_fragment else begin


def has_data(packet: bytes, tcp: int) -> bool:
    """Return whether the segment that begins there has a payload."""
    return len(packet) > tcp + (packet[tcp + 12] >> 4) * 4


def with_address(packet: bytes, at: int, address: bytes, tcp: int) -> bytes:
    """Return a packet with another address at ``SOURCE`` or ``DESTINATION``.

    The checksum of IP covers it, and that of TCP, too: by the pseudo-header (RFC 9293, 3.1).
    """
    before = packet[at : at + 4]
    if before == address:
        return packet
    changed = bytearray(packet)
    changed[at : at + 4] = address
    for place in (IP_CHECKSUM, tcp + TCP_CHECKSUM):
        checksum = updated_checksum(packet[place : place + 2], before, address)
        changed[place : place + 2] = checksum
    return bytes(changed)


def updated_checksum(checksum: bytes, before: bytes, after: bytes) -> bytes:
    """Return a checksum as it is when words that it covers have changed: ~(~C + ~m + m'), RFC 1624, (3)."""
    total = 0xFFFF - int.from_bytes(checksum, "big")
    for at in range(0, len(before), 2):
        total += 0xFFFF - int.from_bytes(before[at : at + 2], "big")
        total += int.from_bytes(after[at : at + 2], "big")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (0xFFFF - total).to_bytes(2, "big")
