"""Bytes and packets per tick by layer: payload, framing, TCP/IP.

Application bytes are exact. Segments that carry data are exact as long as each delivery is written in one go
and nothing is lost. Pure ACKs are up to the receiver (RFC 9293, section 3.8.6.3: at least one per second full
segment, none later than 0.5 s), so where more than one can be right the model gives bounds.

What Linux does with them (tcp_input.c, tcp_output.c): a receiver that only reads acknowledges each read at
once. One that also answers (a "ping-pong" connection) waits for its own next segment to carry the ACK, for
40 ms at first; only if none comes by then does a pure ACK go.
"""

import functools
import math
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import NamedTuple

from aiohttp.http import SERVER_SOFTWARE

from bench.theory.distribution import Link
from bench.theory.latency import Plan
from bench.theory.requests import (
    TicksPerAnswer,
    long_polling_ticks_per_answer,
    polling_ticks_per_answer,
)
from bench.transports import TRANSPORTS
from clients.base import Address
from servers.base import ANSWER_HEADERS

IPV4_HEADER_BYTES = 20
"""RFC 791, section 3.1, without options."""
TCP_HEADER_BYTES = 20
"""RFC 9293, section 3.1, without options."""
TIMESTAMP_BYTES = 12
"""RFC 7323, section 3.2: the option of 10 bytes, padded; Linux sends it in each segment."""
SEGMENT_HEADER_BYTES = IPV4_HEADER_BYTES + TCP_HEADER_BYTES + TIMESTAMP_BYTES
MSS_BYTES = 1460
"""Ethernet's 1,500 less IP's and TCP's 20 each (RFC 9293, section 3.7.1); options come out of it."""
DELAYED_ACK_S = 0.04
"""Linux's TCP_DELACK_MIN; it may grow to 0.2 s (TCP_DELACK_MAX)."""


class Bounds(NamedTuple):
    """At least so many, at most so many; the same where the model is exact."""

    low: float
    high: float


class Traffic(NamedTuple):
    """What one tick costs one client, on average; ``up`` is what the client sends."""

    app_bytes_up: float
    app_bytes_down: float
    packets_up: Bounds
    packets_down: Bounds

    @property
    def wire_bytes_up(self) -> Bounds:
        """Bytes up, with the TCP/IP headers of all segments."""
        return Bounds(*(self.app_bytes_up + SEGMENT_HEADER_BYTES * packets for packets in self.packets_up))

    @property
    def wire_bytes_down(self) -> Bounds:
        """Bytes down, with the TCP/IP headers of all segments."""
        return Bounds(
            *(self.app_bytes_down + SEGMENT_HEADER_BYTES * packets for packets in self.packets_down)
        )

    @property
    def wire_bytes_between(self) -> Bounds:
        """Bytes both ways, with the fewest and the most pure ACKs."""
        return Bounds(*(up + down for up, down in zip(self.wire_bytes_up, self.wire_bytes_down, strict=True)))

    @property
    def wire_bytes(self) -> float:
        """Bytes both ways: the middle of the bounds, for sums. Print both ends where they differ."""
        return sum(self.wire_bytes_between) / 2


def segments(message_bytes: float) -> int:
    """Return how many segments a message is cut into: 1,448 bytes go in each, beside 12 of time stamps."""
    return math.ceil(message_bytes / (MSS_BYTES - TIMESTAMP_BYTES))


def array_bytes(ticks: int, payload_bytes: int) -> int:
    """Return the size of a JSON array of ticks: brackets, and commas between; ``[]`` if there are none."""
    return ticks * payload_bytes + max(ticks - 1, 0) + 2


def websocket_header_bytes(message_bytes: int, *, masked: bool = False) -> int:
    """Return the size of a frame's header (RFC 6455, section 5.2).

    2 bytes; 2 more for a length over 125, or 8 more over 65,535; 4 of masking key for what a client sends.
    """
    length_bytes = 0 if message_bytes <= 125 else 2 if message_bytes <= 65_535 else 8
    return 2 + length_bytes + (4 if masked else 0)


def event_framing_bytes(message_bytes: int, seq: int) -> int:
    """Return what stands around the data of an event: its lines, and the chunk that it is alone in.

    ``id: SEQ``, ``data: `` and an empty line (WHATWG HTML, section 9.2.6); the chunk's size in hexadecimal,
    and two line ends (RFC 9112, section 7.1).
    """
    lines_bytes = len(f"id: {seq}\ndata: \n\n")
    return lines_bytes + chunk_framing_bytes(lines_bytes + message_bytes)


def chunk_framing_bytes(chunk_bytes: int) -> int:
    """Return what stands around a chunk (RFC 9112, section 7.1)."""
    return len(f"{chunk_bytes:x}\r\n\r\n")


class Framing(NamedTuple):
    """What a transport that pushes puts around what it sends. The heads of its handshake come once, beside.

    Attributes:
        around_bytes: Bytes around a message, by its size and the seq of its newest tick.
        heartbeat_bytes: A heartbeat and its answer, if it has one.
        heartbeat_packets: Those that carry them, and an ACK for what no packet back carries.
    """

    around_bytes: Callable[[int, int], int]
    heartbeat_bytes: int
    heartbeat_packets: int


PING_BYTES, COMMENT_BYTES = 4, len(":\n")
"""What ``websockets`` puts in a ping, at random; and the shortest line of a stream that says nothing."""
PUSH_FRAMINGS = {
    "WebSocket": Framing(
        around_bytes=lambda message_bytes, seq: websocket_header_bytes(message_bytes),
        # a ping, and a pong with the same payload (RFC 6455, section 5.5.3) that carries the ping's ACK
        heartbeat_bytes=2 * PING_BYTES
        + websocket_header_bytes(PING_BYTES)
        + websocket_header_bytes(PING_BYTES, masked=True),
        heartbeat_packets=3,
    ),
    "event stream": Framing(
        around_bytes=event_framing_bytes,
        heartbeat_bytes=COMMENT_BYTES + chunk_framing_bytes(COMMENT_BYTES),
        heartbeat_packets=2,
    ),
}
"""By the word of the registry. Of a transport that pushes in another framing, theory tells no bytes."""
USUAL_SEQ = 1000
"""A usual number of a tick: its digits are in an event's id, and in a request's ``after``."""


def request_bytes(transport: str, cursor: int | None = 0, **settings: object) -> int:
    """Return the exact size of a request, by making it.

    Args:
        transport: A transport that asks, of the registry.
        cursor: The newest tick that the client has: its digits are in the request.
        settings: Fields of a scenario that the client knows, such as ``headers`` or ``hold_s``.
    """
    client_class = TRANSPORTS[transport].client_class
    if "poll_interval_s" in client_class.settings:
        settings.setdefault("poll_pause_s", 1.0)
    client = client_class(Address("127.0.0.1", 12345), after=cursor, **settings)  # type: ignore[arg-type]
    client.connected(0)
    return len(client.outbox)


def response_head_bytes(body_bytes: int) -> int:
    """Return the exact size of the head that aiohttp's server (as installed) puts before a body."""
    return _head_but_length_bytes() + len(str(body_bytes))


@functools.cache
def _head_but_length_bytes() -> int:
    lines = (
        "HTTP/1.1 200 OK",
        *(f"{name}: {value}" for name, value in ANSWER_HEADERS.items()),
        "Content-Type: application/json",
        "Content-Length: ",
        f"Date: {formatdate(0, usegmt=True)}",
        f"Server: {SERVER_SOFTWARE}",
    )
    return sum(len(line) + len("\r\n") for line in (*lines, ""))


def push_traffic(
    payload_bytes: int, framing: str = "WebSocket", *, seq: int = USUAL_SEQ, ticks_per_ack: int = 1
) -> Traffic:
    """Return what a tick costs by push, in a message of its own: a frame or an event down, its ACKs up.

    One ACK per read: exactly one for a delivery of one segment, up to s for one of s segments. It is less
    only if a client is so late that it reads several deliveries at once; or if its kernel waits with the ACK,
    as RFC 9293, section 3.8.6.3 allows: for a second segment, but for no longer than 0.5 s.

    Args:
        payload_bytes: Exact size of a tick.
        framing: One of ``PUSH_FRAMINGS``.
        seq: The number of a tick, where its digits are sent.
        ticks_per_ack: How many deliveries of one segment an ACK is for: 1 on Linux, 2 by that rule.
    """
    message_bytes = array_bytes(1, payload_bytes)
    sent_bytes = message_bytes + PUSH_FRAMINGS[framing].around_bytes(message_bytes, seq)
    packets = segments(sent_bytes)
    return Traffic(
        0, sent_bytes, Bounds(1 / ticks_per_ack, packets / ticks_per_ack), Bounds(packets, packets)
    )


def polling_traffic(
    rate_hz: float,
    cycle_s: float,
    *,
    payload_bytes: int,
    request_bytes: int,
    response_head_bytes: int,
    link: Link = Link(),
    plan: Plan = "steady",
    delayed_ack_s: float = DELAYED_ACK_S,
) -> Traffic:
    """Return what a tick costs by short polling once per ``cycle_s``, on a connection that is kept.

    The answer carries the ACK of the request. The next request carries that of the answer only if it comes
    before the delayed ACK; an answer of s > 1 segments may have up to ⌈s/2⌉ + 1 ACKs.

    Args:
        rate_hz: Mean ticks per second.
        cycle_s: Time between requests: see ``open_loop_cycle_s`` and ``closed_loop_cycle_s``.
        payload_bytes: Exact size of a tick.
        request_bytes: Size of a request: see :func:`request_bytes`.
        response_head_bytes: Size of a response without its body.
        link: The way.
        plan: When ticks are due.
        delayed_ack_s: How long the client's ACK waits for its next request.
    """
    answers = polling_ticks_per_answer(rate_hz, cycle_s, plan=plan)
    pause_s = cycle_s - link.up_s - link.delivery_s
    return _asking_traffic(
        answers,
        payload_bytes,
        request_bytes,
        response_head_bytes,
        pure_acks_up=float(pause_s > delayed_ack_s),
        pure_acks_down=0.0,
    )


def long_polling_traffic(
    rate_hz: float,
    *,
    payload_bytes: int,
    request_bytes: int,
    response_head_bytes: int,
    link: Link = Link(),
    hold_s: float = math.inf,
    plan: Plan = "steady",
    delayed_ack_s: float = DELAYED_ACK_S,
) -> Traffic:
    """Return what a tick costs by long polling, on a connection that is kept.

    The next request comes at once and carries the ACK of the answer. The answer carries that of the request
    only if it is sent before the delayed ACK: a request that is held for longer has a pure ACK. Arguments as
    for :func:`polling_traffic`.
    """
    gap_s = link.turnaround_s
    answers = long_polling_ticks_per_answer(rate_hz, gap_s, hold_s=hold_s, plan=plan)
    if hold_s <= delayed_ack_s:
        held_longer = 0.0
    elif plan == "poisson":
        held_longer = math.exp(-rate_hz * (gap_s + delayed_ack_s))
    else:
        held_longer = float(1 / rate_hz - gap_s > delayed_ack_s)
    return _asking_traffic(
        answers,
        payload_bytes,
        request_bytes,
        response_head_bytes,
        pure_acks_up=0.0,
        pure_acks_down=held_longer,
    )


def _asking_traffic(
    answers: TicksPerAnswer,
    payload_bytes: int,
    request_bytes: int,
    response_head_bytes: int,
    *,
    pure_acks_up: float,
    pure_acks_down: float,
) -> Traffic:
    """Return the traffic per tick of requests and answers; pure ACKs are given per answer of one segment."""
    per_tick = answers.requests_per_delivery

    def average(values: Sequence[float]) -> float:
        return per_tick * sum(value * share for value, share in zip(values, shares, strict=True))

    shares: list[float] = (
        answers.probability.tolist()
    )  # plain lists: most have two entries, and maps ask 10,000 times
    answer_bytes = [response_head_bytes + array_bytes(n, payload_bytes) for n in answers.ticks.tolist()]
    packets = [segments(size) for size in answer_bytes]
    most_acks = [math.ceil(count / 2) + 1 if count > 1 else pure_acks_up for count in packets]
    packets_up = per_tick * segments(request_bytes)
    packets_down = average(packets) + per_tick * pure_acks_down
    return Traffic(
        per_tick * request_bytes,
        average(answer_bytes),
        Bounds(packets_up + per_tick * pure_acks_up, packets_up + average(most_acks)),
        Bounds(packets_down, packets_down),
    )
