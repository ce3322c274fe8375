"""Which transport is the cheapest that keeps a promise: of so many ticks a second, 99 % within so long.

A cost is what one client takes in a second, in wire bytes or in processor time. Push pays for each tick and
each heartbeat; a held request for each tick, and for each hold that ends in vain; polling for each interval,
and a little for each tick. Polling keeps a promise by its interval. Push and held requests keep any, where
the way takes no time. Where it takes some, who cannot keep a promise costs infinitely much: push, if the way
alone is too long; a held request, if a tick that comes while the next question is on its way waits too long;
a poll, if it would have to be sent before the answer to the last one is back.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from bench.theory.break_even import heartbeat_bytes_per_s
from bench.theory.distribution import MS_PER_S, Link
from bench.theory.latency import long_polling_latency
from bench.theory.requests import long_polling_ticks_per_answer
from bench.theory.traffic import (
    PUSH_FRAMINGS,
    USUAL_SEQ,
    array_bytes,
    long_polling_traffic,
    polling_traffic,
    push_traffic,
    request_bytes,
    response_head_bytes,
)
from bench.transports import TRANSPORTS, main_names

QUANTILE = 0.99
"""The share of the ticks that must come within the acceptable latency."""
LONGEST_ACK_DELAY_S = 0.5
"""RFC 9293, section 3.8.6.3: no ACK may wait for longer."""
FINE_RATIO = 1.002

Cost = Callable[[float, float], float]
"""What a client takes in a second, by the tick rate in Hz and the acceptable latency in s."""


class Work(NamedTuple):
    """Processor time of a server, in s: measured, and then put together by :func:`cpu_costs`.

    Attributes:
        delivery_s: A tick by push.
        heartbeat_s: A heartbeat, and its answer if it has one.
        answer_s: A tick in answer to a held request, with the next request.
        vain_hold_s: A held request that times out, and the next.
        poll_s: A poll and its answer.
        poll_tick_s: Each tick in that answer.
    """

    delivery_s: float
    heartbeat_s: float
    answer_s: float
    vain_hold_s: float
    poll_s: float
    poll_tick_s: float


def longest_interval_s(latency_s: float) -> float:
    """Return how seldom a client may ask if 99 % of the ticks are to come in time.

    The wait is uniform on [0, T] (``polling_latency``), so the share q of it lies below qT = L.
    """
    return latency_s / QUANTILE


def wire_costs(
    payload_bytes: int,
    headers: str,
    *,
    hold_s: float,
    heartbeat_s: float,
    ticks_per_ack: int = 1,
    way_s: float = 0.0,
) -> dict[str, Cost]:
    """Return the wire bytes per client-second of each main transport, by bench/theory/traffic.py.

    Of those that push, only in the framings that it knows.

    Args:
        payload_bytes: Exact size of a tick.
        headers: ``minimal``, or those of a ``browser``.
        hold_s: After how long a held request times out.
        heartbeat_s: Time between heartbeats: a WebSocket's pings, a stream's comments.
        ticks_per_ack: See ``push_traffic``; ticks farther apart than the longest delay have an ACK each.
        way_s: How long the way to the server is, and the way back.

    Returns:
        For each transport a cost, which is infinite where it cannot keep the promise.
    """
    link = Link(up_s=way_s, down_s=way_s)
    pushed = [name for name in main_names("push") if TRANSPORTS[name].framing in PUSH_FRAMINGS]
    known = [*main_names("pull", "held"), *pushed]
    asked = {"pull": {}, "held": {"hold_s": hold_s}}
    requests_bytes = {
        name: request_bytes(name, USUAL_SEQ, headers=headers, **asked[TRANSPORTS[name].family])
        for name in main_names(*asked)
    }

    @functools.cache  # a map asks for each rate with many latencies, which cost it nothing
    def push_by_rate(name: str, rate_hz: float) -> float:
        sharing = ticks_per_ack if rate_hz * LONGEST_ACK_DELAY_S >= 1 else 1
        framing = TRANSPORTS[name].framing
        traffic = push_traffic(payload_bytes, framing, ticks_per_ack=sharing)
        return rate_hz * traffic.wire_bytes + heartbeat_bytes_per_s(heartbeat_s, framing)

    def push(name: str, rate_hz: float, latency_s: float) -> float:
        return push_by_rate(name, rate_hz) if latency_s >= way_s else math.inf

    @functools.cache
    def held_by_rate(name: str, rate_hz: float) -> float:
        traffic = long_polling_traffic(
            rate_hz,
            payload_bytes=payload_bytes,
            request_bytes=requests_bytes[name],
            response_head_bytes=response_head_bytes(array_bytes(1, payload_bytes)),
            link=link,
            hold_s=hold_s,
            plan="poisson",
        )
        return rate_hz * traffic.wire_bytes

    @functools.cache
    def held_within_s(rate_hz: float) -> float:
        latency = long_polling_latency(rate_hz, link, plan="poisson", hold_s=hold_s)
        return latency.quantile_ms(QUANTILE) / MS_PER_S

    def held(name: str, rate_hz: float, latency_s: float) -> float:
        return held_by_rate(name, rate_hz) if held_within_s(rate_hz) <= latency_s else math.inf

    def pull(name: str, rate_hz: float, latency_s: float) -> float:
        interval_s = longest_interval_s(latency_s - way_s)
        if interval_s <= 0 or interval_s < 2 * way_s:
            return math.inf
        body_bytes = array_bytes(max(round(rate_hz * interval_s), 1), payload_bytes)
        traffic = polling_traffic(
            rate_hz,
            interval_s,
            payload_bytes=payload_bytes,
            request_bytes=requests_bytes[name],
            response_head_bytes=response_head_bytes(body_bytes),
        )
        return rate_hz * traffic.wire_bytes

    families = {"pull": pull, "held": held, "push": push}
    return {name: functools.partial(families[TRANSPORTS[name].family], name) for name in known}


def cpu_costs(work: Work, *, hold_s: float, heartbeat_s: float) -> dict[str, Cost]:
    """Return the processor time in µs per client-second of each main transport.

    Args:
        work: What each step takes.
        hold_s: After how long a held request times out.
        heartbeat_s: Time between heartbeats.
    """

    def push(rate_hz: float, latency_s: float) -> float:
        return 1e6 * (rate_hz * work.delivery_s + work.heartbeat_s / heartbeat_s)

    @functools.cache  # a map asks for each rate with many latencies, which cost it nothing
    def held_by_rate(rate_hz: float) -> float:
        asked = long_polling_ticks_per_answer(
            rate_hz, 0.0, hold_s=hold_s, plan="poisson"
        ).requests_per_delivery
        return 1e6 * rate_hz * (work.answer_s + (asked - 1) * work.vain_hold_s)

    def held(rate_hz: float, latency_s: float) -> float:
        return held_by_rate(rate_hz)

    def pull(rate_hz: float, latency_s: float) -> float:
        return 1e6 * (work.poll_s / longest_interval_s(latency_s) + rate_hz * work.poll_tick_s)

    families = {"pull": pull, "held": held, "push": push}
    return {name: families[TRANSPORTS[name].family] for name in main_names()}


def ranked(costs: Mapping[str, Cost], rate_hz: float, latency_s: float) -> list[tuple[str, float]]:
    """Return the transports with their costs, the cheapest first."""
    told = {name: cost(rate_hz, latency_s) for name, cost in costs.items()}
    return sorted(told.items(), key=lambda item: item[1])


def decision_map(
    costs: Mapping[str, Cost], rates_hz: Sequence[float], latencies_s: Sequence[float]
) -> pd.DataFrame:
    """Return the costs of every pair: columns rate_hz, latency_s, and one of each transport."""
    pairs = [(rate_hz, latency_s) for rate_hz in rates_hz for latency_s in latencies_s]
    table = pd.DataFrame(pairs, columns=["rate_hz", "latency_s"])
    return table.assign(**{name: [cost(*pair) for pair in pairs] for name, cost in costs.items()})


def polling_from_s(costs: Mapping[str, Cost], rate_hz: float, latencies_s: Sequence[float]) -> float:
    """Return the acceptable latency from which on one that polls is the cheapest; infinite if from none.

    Args:
        costs: Of all transports.
        rate_hz: Ticks per second.
        latencies_s: What to try, ascending; the answer is then refined by halving, or is the first of them.
    """

    def polled(latency_s: float) -> bool:
        cheapest, cost = ranked(costs, rate_hz, latency_s)[0]
        return TRANSPORTS[cheapest].family == "pull" and math.isfinite(cost)

    dearest = next(
        (place for place in reversed(range(len(latencies_s))) if not polled(latencies_s[place])), -1
    )
    if dearest in (-1, len(latencies_s) - 1):
        return latencies_s[0] if dearest == -1 else math.inf
    below_s, above_s = latencies_s[dearest], latencies_s[dearest + 1]
    while above_s > below_s * FINE_RATIO:
        middle_s = math.sqrt(below_s * above_s)
        below_s, above_s = (below_s, middle_s) if polled(middle_s) else (middle_s, above_s)
    return above_s
