"""What judges each claim of the ledger (claims.py): from a run's trials to a verdict and a sentence."""

import math
from typing import Any

import pandas as pd

from bench.experiments import idle
from bench.judge import claim_distance
from bench.judge.claim_distance import or_else
from bench.results.estimates import estimate, over_libraries, ratio
from bench.results.evidence import Evidence, NotMeasured, asked_once
from bench.results.validity import Bottleneck
from bench.theory.traffic import array_bytes
from bench.transports import TRANSPORTS, main_names, names_of
from bench.wording import bottleneck_words, number, ratio_sentence, times, with_interval

HOLDS = "holds"
WITHIN_LIMITS = "holds within limits"
FAILS = "does not hold"
OPEN = "open"

PER_THOUSAND_RARE, PER_THOUSAND_EACH = 20.0, 900.0
"""Connections per 1,000 ticks: a few are repairs of what broke; nearly a thousand is one for each."""
MARKED = 1.2
"""Ratios nearer to 1 than this are within what the choice of machine or minute does."""
PUSHED_REQUESTS = 0.001
"""Requests per tick of a transport that is not asked: none, but for rounding."""

FULL_MEMORY_MB = 4_000.0
"""Memory that machines to rent have for a core: connections that need more run out of it first."""

ClaimFinding = tuple[str, str]
"""A verdict, or an empty text where the specification's is not contradicted; and a sentence."""


def persistent_websocket(evidence: Evidence) -> ClaimFinding:
    """Count the connections that WebSocket clients had to open anew while ticks flow."""
    opened = _opened(evidence, "websocket")
    sentence = (
        f"For 1,000 ticks a WebSocket opened {number(opened)} connections more: on loopback, with nothing on "
        "the way that ends it."
    ) + or_else(claim_distance.ends_without_a_close, evidence, " What ends it elsewhere: bench run recovery.")
    return (FAILS if opened > PER_THOUSAND_RARE else ""), sentence


def persistent_http(evidence: Evidence) -> ClaimFinding:
    """Count the connections that HTTP opens while ticks flow, kept and not."""
    kept, single = _opened_by_polls(evidence)
    sentence = (
        f"For 1,000 ticks short polling opened {number(kept)} connections more with keep-alive, HTTP/1.1's "
        f"default, and {number(single)} without."
    )
    return (WITHIN_LIMITS if kept > PER_THOUSAND_RARE else ""), sentence


def handshake(evidence: Evidence) -> ClaimFinding:
    """Count the connections per request, and what one costs."""
    kept, single = _opened_by_polls(evidence)
    costs = request_bytes(evidence, True), request_bytes(evidence, False)
    sentence = (
        f"With keep-alive 1,000 ticks took {number(kept)} connections, without it {number(single)}; then "
        f"each request cost {number(costs[1] - costs[0])} B more on the wire."
    )
    if kept >= PER_THOUSAND_EACH:
        return HOLDS, sentence
    return (FAILS if kept <= PER_THOUSAND_RARE else WITHIN_LIMITS), sentence


def _opened(evidence: Evidence, transport: str, **where: Any) -> float:
    return evidence.figure(
        "handshake", "connections_per_1000_deliveries", transport=transport, **where
    ).estimate


def _opened_by_polls(evidence: Evidence) -> tuple[float, float]:
    """Return the connections per 1,000 ticks of short polling, kept between requests and not."""
    kept, single = (_opened(evidence, "short_polling", keep_alive=keep) for keep in (True, False))
    return kept, single


def request_bytes(evidence: Evidence, keep_alive: bool) -> float:
    """Return the wire bytes both ways of a request of short polling in the experiment handshake."""
    asked = {"transport": "short_polling", "keep_alive": keep_alive}
    per_tick = evidence.figure("handshake", "wire_bytes_per_delivery", **asked).estimate
    return per_tick / evidence.figure("handshake", "requests_per_delivery", **asked).estimate


def latency(evidence: Evidence) -> ClaimFinding:
    """Compare median latencies: in freshness, and over libraries where the run has them."""
    trials = evidence.trials("freshness")
    measured = set(trials["transport"]) | {"long_polling", "short_polling"}
    others = [name for name in main_names("push", "held", "pull") if name in measured - {"websocket"}]
    medians = {
        name: evidence.figure("freshness", "latency_p50_ms", transport=name)
        for name in ("websocket", *others)
    }
    ratios = {
        name: ratio(trials, "latency_p50_ms", {"transport": name}, {"transport": "websocket"})
        for name in others
    }
    interval_s = evidence.values("freshness", "poll_interval_s", transport="short_polling")[0]
    rate_hz = evidence.values("freshness", "rate_hz", transport="websocket")[0]
    told = "; ".join(
        f"{TRANSPORTS[name].label}{f' each {interval_s:g} s' if TRANSPORTS[name].family == 'pull' else ''} "
        f"{times(found)}"
        for name, found in ratios.items()
    )
    sentence = (
        f"At {rate_hz:g} ticks a second half of them arrive within "
        f"{with_interval(medians['websocket'], 'ms')} by WebSocket. As multiples of that: {told}."
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
        said = "half of the ticks come within {} the time by long polling that they take by WebSocket"
        sentence += f" In the experiment library: {ratio_sentence(pairs, same, said)}."
    if not ratios["short_polling"].estimate > 1:
        return FAILS, sentence
    try:
        distant, told = claim_distance.latencies_over_distances(evidence)
    except NotMeasured:
        distant, told = math.nan, " All on loopback; at a distance: bench run network."
    least = min(figure for figure in (*held, distant) if not math.isnan(figure))
    return (HOLDS if least > MARKED else WITHIN_LIMITS), sentence + told


def overhead_(evidence: Evidence) -> ClaimFinding:
    """Compare wire bytes per tick when each tick is asked for, and where many share an answer."""
    trials = evidence.trials("overhead")
    asking = trials["transport"].isin(names_of("pull", "held"))
    own = pd.concat([asked_once(trials[asking]), trials[~asking]])
    size = min(own["payload_bytes"])
    asked = {
        name: estimate(
            own, "wire_bytes_per_delivery", transport=name, payload_bytes=size, headers="browser"
        ).estimate
        for name in ("short_polling", "long_polling", "websocket")
    }
    if not all(cost > 0 for cost in asked.values()):
        raise NotMeasured("bench run overhead", "this run lacks a transport, or a browser's headers")
    sentence = (
        f"A tick of {size} B costs {number(asked['websocket'])} B on the wire by WebSocket, "
        f"{number(asked['long_polling'])} by long polling and {number(asked['short_polling'])} by short "
        "polling, if each is asked for with a browser's headers; an ACK for each push is in it."
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
    """Return wire bytes per tick of the cheapest interval, that interval, the rate, and WebSocket's bytes.

    Of several rates it is the one at which polling saves the most.
    """
    trials = evidence.trials("interval")
    found = []
    for rate_hz in trials["rate_hz"].unique():
        alike = trials[trials["rate_hz"] == rate_hz]
        polls = alike[alike["transport"] == "short_polling"]
        polled = (
            polls["wire_bytes_per_delivery"].groupby(polls["poll_interval_s"].astype(float)).median().dropna()
        )
        pushed = alike.loc[alike["transport"] == "websocket", "wire_bytes_per_delivery"].median()
        if len(polled) and not math.isnan(pushed):
            found.append((float(polled.min()), float(polled.idxmin()), float(rate_hz), float(pushed)))
    if not found:
        raise NotMeasured("bench run interval")
    return min(found, key=lambda each: each[0] / each[3])


def polling_imitation(evidence: Evidence) -> ClaimFinding:
    """Compare at how many requests a second long polling asks, by tick rate: an interval would be one of "
    "them."""
    paces_hz = {
        rate_hz: rate_hz
        * evidence.figure("rate", "requests_per_delivery", transport="long_polling", rate_hz=rate_hz).estimate
        for rate_hz in evidence.values("rate", "rate_hz", transport="long_polling")
    }
    if len(paces_hz) < 2:
        raise NotMeasured("bench run rate", "this run has long polling at one rate only")
    told = ", ".join(f"{number(pace_hz)} at {rate_hz:g} ticks" for rate_hz, pace_hz in paces_hz.items())
    holds = _seconds(evidence.values("rate", "hold_s", transport="long_polling"))
    sentence = f"A long polling client, with holds of {holds}, asked so often a second: {told}."
    if max(paces_hz.values()) <= MARKED * min(paces_hz.values()):
        return WITHIN_LIMITS, f"{sentence} That is one interval."
    return "", f"{sentence} That follows the ticks, and no interval."


def polling(evidence: Evidence) -> ClaimFinding:
    """Compare CPU per delivery over libraries, and what seldom polling costs."""
    trials = evidence.trials("library")
    pairs, same = over_libraries(trials, "server_cpu_us_per_delivery", "long_polling", "websocket")
    if not pairs:
        raise NotMeasured("bench run library", "this run lacks long polling or WebSocket there")
    found = {pair: each.estimate for pair, each in pairs.items()}
    said = "a delivery by long polling takes {} the server CPU of one by WebSocket"
    sentence = f"{ratio_sentence(pairs, same, said)}."
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
    polled = evidence.figure("interval", "server_cpu_us_per_delivery", **seldom)
    pushed = evidence.figure("interval", "server_cpu_us_per_delivery", transport="websocket")
    age_ms = evidence.figure("interval", "latency_p50_ms", **seldom)
    libraries = [TRANSPORTS[name].library for name in ("short_polling", "websocket")]
    told = (
        f" Short polling each {interval_s:g} s (by {libraries[0]}) takes {with_interval(polled, 'µs')} a "
        f"tick against {with_interval(pushed, 'µs')} by WebSocket (by {libraries[1]}), with a median latency "
        f"of {with_interval(age_ms, 'ms')} (one pair of libraries, as they come): cheap is what is not real "
        "time."
    )
    if polled.estimate >= pushed.estimate:
        told = told.partition(":")[0] + "."
    return polled.estimate < pushed.estimate, told


def push(evidence: Evidence) -> ClaimFinding:
    """Count requests per tick, by all that push and by those that ask."""
    measured = set(evidence.trials("rate")["transport"])
    names = [name for name in main_names("push", "held", "pull") if name in measured]
    asked = {
        name: [
            evidence.figure("rate", "requests_per_delivery", transport=name, rate_hz=rate_hz).estimate
            for rate_hz in evidence.values("rate", "rate_hz", transport=name)
        ]
        for name in names
    }
    pushed = [figures for name, figures in asked.items() if TRANSPORTS[name].family == "push"]
    if not pushed or len(pushed) == len(asked):
        raise NotMeasured("bench run rate", "this run lacks a transport that pushes, or one that asks")
    slowest, fastest = (f"{end:g}" for end in _ends(evidence.values("rate", "rate_hz")))
    between = f"From {slowest} to {fastest}" if slowest != fastest else f"At {slowest}"
    told = ", ".join(
        f"{TRANSPORTS[name].label}{_how_it_asks(evidence, name)} "
        + " to ".join(dict.fromkeys(map(number, _ends(figures))))
        for name, figures in asked.items()
    )
    sentence = f"{between} ticks a second, requests per tick: {told}."
    return (HOLDS if max(map(max, pushed)) <= PUSHED_REQUESTS else FAILS), sentence


def _how_it_asks(evidence: Evidence, name: str) -> str:
    """Say at which interval, or with which holds, a transport asked in the experiment rate."""
    asks = {"pull": (" each ", "poll_interval_s"), "held": (" with holds of ", "hold_s")}
    if TRANSPORTS[name].family not in asks:
        return ""
    words, field = asks[TRANSPORTS[name].family]
    return words + _seconds(evidence.values("rate", field, transport=name))


def server_events(evidence: Evidence) -> ClaimFinding:
    """Say how ticks came in a stream of events, by a server that speaks HTTP alone."""
    trials = evidence.trials("overhead", headers="browser", cookie_bytes=0)
    streams, sockets = (
        trials[trials["transport"].isin(main_names("push", framing=framing))].sort_values("payload_bytes")
        for framing in ("event stream", "WebSocket")
    )
    if not len(streams) or not len(sockets):
        raise NotMeasured("bench run overhead", "this run lacks server-sent events, or WebSocket, there")
    stream, frame = (
        own["framing_bytes_per_delivery_down"].iloc[0] - array_bytes(1, 0) for own in (streams, sockets)
    )
    own = streams.iloc[0]
    return "", (
        f"Here a server of HTTP alone sent {number(own['delivered'])} of {number(own['expected'])} ticks in "
        f"one answer, with {number(own['requests_per_delivery'])} requests a tick. Around each stood "
        f"{number(stream)} B, of a chunk and an event; of a WebSocket's frame it was {number(frame)} B."
    )


def _seconds(values_s: list[float]) -> str:
    """Write all values of a field: ``0.8 and 24 s``."""
    return f"{' and '.join(f'{value_s:g}' for value_s in values_s)} s"


def _ends(figures: list[float]) -> tuple[float, float]:
    return min(figures), max(figures)


def vertical(evidence: Evidence) -> ClaimFinding:
    """Compare what runs out: memory, a core, or nothing that a bigger machine has more of."""
    found = evidence.searched()
    best = found[found["transport"] == "websocket"]
    best = best[best["rate_hz"] == best["rate_hz"].min()]
    if not len(best) or not best["capacity_clients"].max() > 0:
        raise NotMeasured("bench run clients", "no capacity of WebSocket was found in this run")
    served, bottleneck = float(best["capacity_clients"].median()), best["bottleneck"].mode().iloc[0]
    told = bottleneck_words(bottleneck)
    # What no bigger machine would change is no reason to look for one.
    others = bottleneck == Bottleneck.CONNECTING
    if best["at_least"].all() and not others:
        raise NotMeasured("bench run clients", f"what ended the search of this run was no server: {told}")
    sentence = (
        f"One process, which uses one core, serves {number(served)} WebSocket clients at "
        f"{best['rate_hz'].iloc[0]:g} ticks a second within {best['latency_limit_ms'].iloc[0]:g} ms; what "
        f"ends it: {told}."
    )
    try:
        memory_kb = idle.memory_kb(evidence.trials("idle", transport="websocket"), "websocket")
    except NotMeasured:
        memory_kb = math.nan
    if memory_kb > 0:
        sentence += (
            f" Their connections take {number(memory_kb * served / 1e3)} MB of the process, "
            f"{number(memory_kb)} kB each, so a GB would hold {number(round(1e6 / memory_kb, -3))} silent "
            "ones."
        )
    sentence += " More cores help only with more processes, which waits for workers."
    if others:
        return FAILS, sentence
    return (HOLDS if memory_kb * served / 1e3 > FULL_MEMORY_MB else WITHIN_LIMITS), sentence


def tcp(evidence: Evidence) -> ClaimFinding:
    """Count the segments of WebSocket, as the kernel's TCP does."""
    pushed = evidence.trials("overhead", transport="websocket").sort_values("payload_bytes")
    segments = float(pushed["packets_per_delivery_down"].iloc[0])
    if math.isnan(segments):
        raise NotMeasured("bench run overhead", "this run has no packets of WebSocket")
    sentence = f"Here TCP counted {number(segments)} of its segments for each small tick that was pushed."
    sentence += or_else(
        claim_distance.behind_a_lost_packet, evidence, " What is behind a lost one: bench run network."
    )
    return ("" if segments > 0 else FAILS), sentence


def _by_single_connections(evidence: Evidence) -> tuple[float, float]:
    """Return how many ticks were due to polls that keep no connection, and how many they missed."""
    if _opened(evidence, "short_polling", keep_alive=False) < PER_THOUSAND_EACH:
        raise NotMeasured("bench run handshake", "in this run polls shared connections")
    trials = evidence.trials("handshake", transport="short_polling", keep_alive=False)
    return float(trials["expected"].sum()), float(trials["missed"].sum())


def stateless(evidence: Evidence) -> ClaimFinding:
    """Count what is missed by clients whose every request comes on a connection of its own."""
    due, missed = _by_single_connections(evidence)
    sentence = (
        "Where each request came on a connection of its own and said by its cursor what it had, "
        f"{number(missed)} of {number(due)} ticks were missed."
    )
    try:
        missed_then, told = claim_distance.after_a_kill(evidence)
    except NotMeasured:
        missed_then, told = 0.0, " By another server, if one is killed: bench run recovery."
    return ("" if not missed and not missed_then else WITHIN_LIMITS), sentence + told


def offline(evidence: Evidence) -> ClaimFinding:
    """Count what is missed by clients that have no connection between two polls."""
    due, missed = _by_single_connections(evidence)
    sentence = (
        "Short polling's clients had no connection between two polls, and the server kept nothing of them: "
        f"they came back with a cursor, and of {number(due)} ticks they missed {number(missed)}."
    )
    if missed:
        return WITHIN_LIMITS, sentence
    return FAILS, f"{sentence} So it is possible without a stateful connection."


def server_created(evidence: Evidence) -> ClaimFinding:
    """Count the clients of one server process, which listened before any of them came."""
    trials = evidence.trials("freshness", "library", "interval", "clients", transport="websocket")
    most = int(trials["clients"].max())
    if most < 2:
        raise NotMeasured("bench run freshness", "this run has a client for each server")
    return "", (
        f"Here one server process, started before any of its clients, had {most:,} WebSocket connections at "
        "once: a connection is created, and no server."
    )
