"""What judges each claim of the ledger (claims.py): from a run's trials to a verdict and a sentence."""

import math
from typing import Any

from bench.evidence import Evidence, NotMeasured, tell
from bench.experiments import idle, overhead
from bench.experiments.base import estimate, number, over_libraries, ratio, tell_range, times
from bench.experiments.clients import FIXED as CAPACITY
from bench.transports import TRANSPORTS

HOLDS = "holds"
WITHIN_LIMITS = "holds within limits"
FAILS = "does not hold"
OPEN = "open"

PER_THOUSAND_RARE, PER_THOUSAND_EACH = 20.0, 900.0
"""Connections per 1,000 ticks: a few are repairs of what broke; nearly a thousand is one for each."""
MARKED = 1.2
"""Ratios nearer to 1 than this are within what the choice of machine or minute does."""
WEBSOCKET_IS_PUSH = 0.001
"""Requests per tick of a transport that is not asked: none, but for rounding."""

Verdict = tuple[str, str]


def persistent(evidence: Evidence) -> Verdict:
    """Count the connections that WebSocket and HTTP open while ticks flow."""
    pushed = _opened(evidence, "websocket")
    kept, single = (_opened(evidence, "short_polling", keep_alive=keep) for keep in (True, False))
    sentence = (
        f"For 1,000 ticks WebSocket opened {number(pushed)} connections more; short polling {number(kept)} "
        f"with keep-alive, HTTP/1.1's default, and {number(single)} without."
    )
    if pushed > PER_THOUSAND_RARE:
        return FAILS, sentence
    return (HOLDS if kept > PER_THOUSAND_RARE else WITHIN_LIMITS), sentence


def handshake(evidence: Evidence) -> Verdict:
    """Count the connections per request, and what one costs."""
    kept, single = (_opened(evidence, "short_polling", keep_alive=keep) for keep in (True, False))
    polled = overhead_bytes(evidence, True), overhead_bytes(evidence, False)
    sentence = (
        f"With keep-alive 1,000 requests opened {number(kept)} connections, without it {number(single)}; "
        "then each "
        f"request cost {number(polled[1] - polled[0])} B more on the wire."
    )
    if kept >= PER_THOUSAND_EACH:
        return HOLDS, sentence
    return (FAILS if kept <= PER_THOUSAND_RARE else WITHIN_LIMITS), sentence


def _opened(evidence: Evidence, transport: str, **where: Any) -> float:
    return evidence.figure("handshake", "connections_per_1000_ticks", transport=transport, **where).estimate


def overhead_bytes(evidence: Evidence, keep_alive: bool) -> float:
    """Return the wire bytes per tick of short polling in the experiment handshake, both ways."""
    return sum(
        evidence.figure(
            "handshake", f"wire_bytes_per_tick_{way}", transport="short_polling", keep_alive=keep_alive
        ).estimate
        for way in ("up", "down")
    )


def latency(evidence: Evidence) -> Verdict:
    """Compare median latencies: in freshness, and over libraries where the run has them."""
    medians = {
        name: evidence.figure("freshness", "latency_p50_ms", transport=name)
        for name in ("websocket", "long_polling", "short_polling")
    }
    trials = evidence.trials("freshness")
    ratios = {
        name: ratio(trials, "latency_p50_ms", {"transport": name}, {"transport": "websocket"})
        for name in ("long_polling", "short_polling")
    }
    interval_s = evidence.values("freshness", "poll_interval_s", transport="short_polling")[0]
    sentence = (
        f"Half of the ticks arrive within {tell(medians['websocket'], 'ms')} by WebSocket. As "
        f"multiples of that: long polling {times(ratios['long_polling'])}; short polling each {interval_s:g} "
        f"s {times(ratios['short_polling'])}."
    )
    held = [ratios["long_polling"].low, ratios["long_polling"].estimate]
    try:
        pairs, same = over_libraries(
            evidence.trials("library"), "latency_p50_ms", "long_polling", "websocket"
        )
    except NotMeasured:
        pairs, same = {}, []
    if pairs:
        found = {pair: each.estimate for pair, each in pairs.items()}
        held += list(found.values())
        sentence += f" In the experiment library: long polling {tell_range(pairs, same)}."
    if not ratios["short_polling"].estimate > 1:
        return FAILS, sentence
    least = min(figure for figure in held if not math.isnan(figure))
    return (HOLDS if least > MARKED else WITHIN_LIMITS), sentence + " All on loopback: distance is not in it."


def overhead_(evidence: Evidence) -> Verdict:
    """Compare wire bytes per tick when each tick is asked for, and where many share an answer."""
    own = overhead.rows(evidence.trials("overhead"))
    size = min(own["payload_bytes"])
    asked = {
        name: estimate(
            own, "wire_bytes_per_tick", transport=name, payload_bytes=size, headers="browser"
        ).estimate
        for name in ("short_polling", "long_polling", "websocket")
    }
    if not all(cost > 0 for cost in asked.values()):
        raise NotMeasured("bench run overhead", "this run lacks a transport, or a browser's headers")
    sentence = (
        f"A tick of {size} B costs {number(asked['websocket'])} B on the wire by WebSocket, "
        f"{number(asked['long_polling'])} by long polling and {number(asked['short_polling'])} by short "
        "polling, if "
        "each is asked for with a browser's headers."
    )
    if asked["websocket"] >= min(asked["short_polling"], asked["long_polling"]):
        return FAILS, sentence
    try:
        cheapest, interval_s, rate_hz, pushed = _seldom_polling(evidence)
    except NotMeasured:
        return HOLDS, sentence + " Where many ticks share an answer: bench run interval."
    sentence += (
        f" Asked for each {interval_s:g} s at {rate_hz:g} ticks a second, it is {number(cheapest)} by short "
        f"polling and {number(pushed)} by WebSocket."
    )
    return (WITHIN_LIMITS if cheapest < pushed else HOLDS), sentence


def _seldom_polling(evidence: Evidence) -> tuple[float, float, float, float]:
    """Return wire bytes per tick of the cheapest interval, that interval, the rate, and WebSocket's bytes."""
    trials = evidence.trials("interval")
    total = trials["wire_bytes_per_tick_up"].astype(float) + trials["wire_bytes_per_tick_down"].astype(float)
    polled = (
        total[trials["transport"] == "short_polling"]
        .groupby(trials["poll_interval_s"].astype(float))
        .median()
    )
    pushed = total[trials["transport"] == "websocket"].median()
    if not len(polled) or math.isnan(pushed):
        raise NotMeasured("bench run interval")
    rate_hz = float(trials["rate_hz"].iloc[0])
    return float(polled.min()), float(polled.index[int(polled.argmin())]), rate_hz, float(pushed)


def polling(evidence: Evidence) -> Verdict:
    """Compare CPU per delivery over libraries, and what seldom polling costs."""
    trials = evidence.trials("library")
    pairs, same = over_libraries(trials, "server_cpu_us_per_tick", "long_polling", "websocket")
    if not pairs:
        raise NotMeasured("bench run library", "this run lacks long polling or WebSocket there")
    found = {pair: each.estimate for pair, each in pairs.items()}
    sentence = (
        f"The server CPU of a delivery, as a multiple of WebSocket's: long polling {tell_range(pairs, same)}."
    )
    if max(found.values()) <= 1:
        return FAILS, sentence
    cheaper = False
    try:
        cheaper, told = _seldom_cpu(evidence)
        sentence += told
    except NotMeasured:
        sentence += " What polling seldom saves: bench run interval."
    return (WITHIN_LIMITS if cheaper or min(found.values()) <= MARKED else HOLDS), sentence


def _seldom_cpu(evidence: Evidence) -> tuple[bool, str]:
    """Say what short polling at the longest interval costs a delivery, and how old its ticks are."""
    interval_s = evidence.values("interval", "poll_interval_s", transport="short_polling")[-1]
    seldom = {"transport": "short_polling", "poll_interval_s": interval_s}
    polled = evidence.figure("interval", "server_cpu_us_per_tick", **seldom)
    pushed = evidence.figure("interval", "server_cpu_us_per_tick", transport="websocket")
    age_ms = evidence.figure("interval", "latency_p50_ms", **seldom)
    libraries = [TRANSPORTS[name].library for name in ("short_polling", "websocket")]
    told = (
        f" Short polling each {interval_s:g} s (by {libraries[0]}) takes {tell(polled, 'µs')} a tick against "
        f"{tell(pushed, 'µs')} by WebSocket (by {libraries[1]}), with a median latency of "
        f"{tell(age_ms, 'ms')} (one pair of libraries, as they come): cheap is what is not real time."
    )
    if polled.estimate >= pushed.estimate:
        told = told.partition(":")[0] + "."
    return polled.estimate < pushed.estimate, told


def push(evidence: Evidence) -> Verdict:
    """Count requests per tick."""
    asked = {
        name: [
            evidence.figure("rate", "requests_per_tick", transport=name, rate_hz=rate_hz).estimate
            for rate_hz in evidence.values("rate", "rate_hz", transport=name)
        ]
        for name in ("websocket", "long_polling", "short_polling")
    }
    slowest, fastest = (f"{end:g}" for end in _ends(evidence.values("rate", "rate_hz")))
    between = f"From {slowest} to {fastest}" if slowest != fastest else f"At {slowest}"
    told = {name: " to ".join(dict.fromkeys(map(number, _ends(figures)))) for name, figures in asked.items()}
    sentence = (
        f"{between} ticks a second, requests per tick: WebSocket {told['websocket']}, long polling "
        f"{told['long_polling']}, short polling {told['short_polling']}."
    )
    return (HOLDS if max(asked["websocket"]) <= WEBSOCKET_IS_PUSH else FAILS), sentence


def _ends(figures: list[float]) -> tuple[float, float]:
    return min(figures), max(figures)


def vertical(evidence: Evidence) -> Verdict:
    """Compare what runs out: a core, or memory."""
    found = evidence.searched()
    best = found[found["transport"] == "websocket"]
    if not len(best) or not best["capacity_clients"].max() > 0:
        raise NotMeasured("bench run clients", "no capacity of WebSocket was found in this run")
    served = float(best["capacity_clients"].median())
    least = "at least " if best["at_least"].any() else ""
    sentence = (
        f"One process, which uses one core, serves {least}{number(served)} WebSocket clients at "
        f"{CAPACITY['rate_hz']:g} ticks a second; what ends it: {best['ran_out'].iloc[0]}."
    )
    try:
        memory_kb = idle.memory_kb(evidence.trials("idle", transport="websocket"), "websocket")
    except NotMeasured:
        memory_kb = math.nan
    if memory_kb > 0:
        sentence += (
            f" Their connections take {number(memory_kb * served / 1e3)} MB, {number(memory_kb)} kB each, so "
            "a GB "
            f"would hold {number(round(1e6 / memory_kb, -3))} silent ones."
        )
    sentence += " More cores help only with more processes, which waits for workers."
    return WITHIN_LIMITS, sentence
