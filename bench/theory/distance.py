"""What distance does to a transport: connections, turns of long polling, and the queue of a narrow link.

The link is all that is in it: what server, client and router work comes on top, 1 to 3 ms for each crossing
of 100 clients. What lost packets do is in loss.py.
"""

import math

from bench.theory.distribution import MS_PER_S
from bench.theory.latency import EQUAL_RATIO

TCP_ROUND_TRIPS, TLS_ROUND_TRIPS, REQUEST_ROUND_TRIPS = 1, 1, 1
"""SYN and its answer (RFC 9293, 3.5); a full handshake of TLS 1.3 (RFC 8446, 2); a request and its answer."""


def connection_round_trips(*, tls: bool, push: bool) -> int:
    """Return how many round trips pass from the SYN until a connection is of use.

    Of use to a poll it is when it stands; to a push when the server has answered the request that opens it.
    """
    return TCP_ROUND_TRIPS + TLS_ROUND_TRIPS * tls + REQUEST_ROUND_TRIPS * push


def turnaround_s(rtt_s: float, *, keeps: bool, tls: bool) -> float:
    """Return how long it takes from a server's answer until the client's next request is there.

    Down goes the answer, up the request: two transits, which with the tick's own way down make the three of
    RFC 6202, section 2.2. A connection of its own for each request takes its round trips in addition.
    """
    return rtt_s * (1 + (0 if keeps else connection_round_trips(tls=tls, push=False)))


def turns_into_polling(rate_hz: float, gap_s: float) -> bool:
    """Return whether long polling turns into polling: ticks come faster than it turns round (λ × gap > 1).

    See ``long_polling_latency``: from there on no request is held. Each waits for an answer, carries several
    ticks, and the mean latency jumps from one transit to two.
    """
    return 1 / rate_hz < gap_s * (1 - EQUAL_RATIO)


def least_mbit(payload_bytes: float, clients: int, rate_hz: float) -> float:
    """Return how many Mbit/s a link has to carry for sure: each tick for each client, without any header."""
    return payload_bytes * 8 * clients * rate_hz / 1e6


def queue_ms(tick_bytes: float, clients: int, rate_hz: float, rate_mbit: float, longest_ms: float) -> float:
    """Return how long a pushed tick waits and is sent where a link carries one packet after the other.

    All clients' ticks come to the link at once, so the i-th of N waits for those before it: (N + 1)/2 of the
    time that one takes, on average, its own included.

    Args:
        tick_bytes: IP packets of a tick for one client.
        clients: N.
        rate_hz: Ticks per second.
        rate_mbit: What the link carries.
        longest_ms: A packet that would have to wait longer is dropped.

    Returns:
        NaN where the link is too slow for it: ticks would pile up, or be dropped.
    """
    sending_s = tick_bytes * 8 / (rate_mbit * 1e6)
    if clients * sending_s * rate_hz > 1 or clients * sending_s * MS_PER_S > longest_ms:
        return math.nan
    return (clients + 1) / 2 * sending_s * MS_PER_S
