"""Where one transport becomes cheaper than another: in bytes, and in processor time."""

import math
from collections.abc import Callable

from bench.theory.traffic import PUSH_FRAMINGS, SEGMENT_HEADER_BYTES

SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 1e-3, 3600.0
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1e-6, 100.0


def equal_bytes_interval_s(
    rate_hz: float, polling_bytes_per_tick: Callable[[float], float], bytes_per_tick: float
) -> float:
    """Return the poll interval at which short polling costs as many wire bytes as another transport.

    Polled more often it costs more, less often less, because more ticks share a request. The interval is
    found by bisection; where steps of whole segments make several right, it is one of them.

    Args:
        rate_hz: Mean ticks per second, only to say what cannot be solved.
        polling_bytes_per_tick: Wire bytes per tick by the interval in s, such as
            ``lambda t: polling_traffic(rate_hz, t, …).wire_bytes``.
        bytes_per_tick: Wire bytes per tick of the other, such as ``push_traffic(128).wire_bytes``.

    Raises:
        ValueError: If no interval from 1 ms to an hour will do.
    """

    def excess(interval_s: float) -> float:
        return polling_bytes_per_tick(interval_s) - bytes_per_tick

    if excess(SHORTEST_INTERVAL_S) * excess(LONGEST_INTERVAL_S) > 0:
        raise ValueError(
            f"at {rate_hz:g} Hz no poll interval from {SHORTEST_INTERVAL_S:g} to {LONGEST_INTERVAL_S:g} s "
            f"costs {bytes_per_tick:g} bytes per tick"
        )
    return _root(excess, SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S, tolerance=1e-6)


def heartbeat_bytes_per_s(heartbeat_s: float, framing: str = "WebSocket") -> float:
    """Return the wire bytes per second of an idle client of push with a heartbeat each ``heartbeat_s``.

    Of a WebSocket: a ping, a pong that also carries the ping's ACK, and the ACK of the pong. Of a stream of
    events: a comment and its ACK.
    """
    beat = PUSH_FRAMINGS[framing]
    return (beat.heartbeat_bytes + beat.heartbeat_packets * SEGMENT_HEADER_BYTES) / heartbeat_s


def idle_polling_bytes_per_s(period_s: float, *, request_bytes: int, response_head_bytes: int) -> float:
    """Return the wire bytes per second of asking in vain once per ``period_s``, with ``[]`` as the answer.

    Three segments each: request, answer and one pure ACK. That is the answer's for short polling; for long
    polling, whose period is the hold, it is the request's.
    """
    return (request_bytes + response_head_bytes + len("[]") + 3 * SEGMENT_HEADER_BYTES) / period_s


def break_even_hz(
    one_bytes_per_s: Callable[[float], float], other_bytes_per_s: Callable[[float], float]
) -> float:
    """Return the tick rate at which two transports cost a client equally many bytes per second.

    What is cheaper when nothing happens may be dearer per tick, and the rate decides. A quiet WebSocket costs
    its heartbeats, short polling a request per interval, long polling one per hold; per tick, WebSocket is
    the cheapest but for polling that finds many ticks in each answer. So

    * long polling is cheaper than WebSocket *below* the rate, if heartbeats cost more than time-outs;
    * short polling is cheaper than WebSocket *above* the rate, if it asks for several ticks at once, and
      everywhere if its interval is so long that even heartbeats cost more.

    Args:
        one_bytes_per_s: Wire bytes per second by the rate in Hz, such as
            ``lambda hz: heartbeat_bytes_per_s(20) + hz * push_traffic(128).wire_bytes``.
        other_bytes_per_s: The same of the other, such as
            ``lambda hz: hz * long_polling_traffic(hz, hold_s=30, plan="poisson", …).wire_bytes``.

    Raises:
        ValueError: If one of them costs less at any rate that is tried.
    """

    def excess(rate_hz: float) -> float:
        return one_bytes_per_s(rate_hz) - other_bytes_per_s(rate_hz)

    if excess(LOWEST_RATE_HZ) * excess(HIGHEST_RATE_HZ) > 0:
        raise ValueError(
            f"from {LOWEST_RATE_HZ:g} to {HIGHEST_RATE_HZ:g} Hz the same transport is cheaper; "
            "change its interval, hold or heartbeats"
        )
    return _root(excess, LOWEST_RATE_HZ, HIGHEST_RATE_HZ, tolerance=1e-9)


def push_clients_per_core(rate_hz: float, cpu_s_per_delivery: float) -> float:
    """Return how many clients one core can push to: each takes λ deliveries a second."""
    return 1 / (rate_hz * cpu_s_per_delivery)


def polling_clients_per_core(
    rate_hz: float, cycle_s: float, *, cpu_s_per_request: float, cpu_s_per_tick: float
) -> float:
    """Return how many clients one core can answer, at a request per ``cycle_s``.

    A request costs a, and b more for each tick in its answer; there are λT of them: (a + bλT)/T = a/T + bλ
    per second. With a history that is encoded once for all, b is small: ticks are only copied.
    """
    return 1 / (cpu_s_per_request / cycle_s + cpu_s_per_tick * rate_hz)


def crossover_latency_s(
    rate_hz: float,
    *,
    cpu_s_per_delivery: float,
    cpu_s_per_request: float,
    cpu_s_per_tick: float,
    quantile: float = 0.99,
    delivery_s: float = 0.0,
) -> float:
    """Return the acceptable latency beyond which polling serves more clients per core than push.

    If a share q of ticks must come within L, clients may poll each T = (L − delivery)/q, because the wait is
    uniform on [0, T]. Polling serves more once a/T + bλ < λc, with c of processor time per delivery by push:
    L = delivery + q·a/(λ(c − b)). (Van de Vyvere et al. 2020 measured about 10 s against server-sent events.)

    Returns:
        The latency; infinite if a tick in an answer costs as much as a delivery by push, or more.
    """
    saved_s = cpu_s_per_delivery - cpu_s_per_tick
    if saved_s <= 0:
        return math.inf
    return delivery_s + quantile * cpu_s_per_request / (rate_hz * saved_s)


def _root(function: Callable[[float], float], low: float, high: float, *, tolerance: float) -> float:
    """Return where a function is zero, between two places where it has different signs, by halving."""
    sign = math.copysign(1, function(low))
    while high - low > tolerance:
        middle = (low + high) / 2
        if not low < middle < high:
            break  # no number lies between them
        if sign * function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
