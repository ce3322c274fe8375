"""Lubbers and Greco 2010: polling's headers against two bytes. Their table rebuilt, then measured."""

from collections.abc import Callable

import pandas as pd

from bench.judge.literature.base import Judgement, Publication, verdict_on, worst
from bench.results.estimates import estimate
from bench.results.evidence import Evidence, NotMeasured, asked_once
from bench.theory.distribution import Link
from bench.theory.latency import paused_polling_latency
from bench.theory.traffic import DELAYED_ACK_S, SEGMENT_HEADER_BYTES, array_bytes, websocket_header_bytes
from bench.wording import number

CLIENTS = (1_000, 10_000, 100_000)
UPDATES_PER_S = 1
POLLING_HEADER_BYTES, FRAME_BYTES = 871, 2
PAYLOAD_BYTES = 20
"""What a quote of their example weighs beside its headers, as they count it."""
PRINTED_MBIT = {1_000: ("6.6", "0.015"), 10_000: ("66", "0.153"), 100_000: ("665", "1.526")}
"""Polling and WebSocket, as printed."""
MEBI = 2**20
HEADERS_RATIO = (500.0, 1000.0)
"""Their two ratios of header traffic."""
TABLE_RATIO = POLLING_HEADER_BYTES / FRAME_BYTES
"""That of their table of bandwidth."""
LATENCY_RATIO, TRANSIT_S = 3.0, 0.05
"""Their ratio of latencies, and the transit that their diagram assumes."""


def mebibit_per_s(clients: int, bytes_per_update: float) -> float:
    """Return the traffic of so many clients in 2^20 bit/s: the unit of the printed table."""
    return clients * UPDATES_PER_S * bytes_per_update * 8 / MEBI


def as_printed(rebuilt: float, printed: str) -> bool:
    """Tell whether a rebuilt figure is the printed one, rounded to as many decimals."""
    return round(rebuilt, len(printed.partition(".")[2])) == float(printed)


def judge_bandwidth(evidence: Evidence) -> Judgement:
    """Rebuild the table by their arithmetic, and with the bytes of this run; then judge the latency."""
    polls, pushes = _trials(evidence, "short_polling", headers="browser"), _trials(evidence, "websocket")
    polling, push = _layers(asked_once(polls)), _layers(pushes)
    message_bytes = array_bytes(1, PAYLOAD_BYTES)
    polling_app = polling("framing_bytes_per_delivery") + PAYLOAD_BYTES
    push_app = message_bytes + websocket_header_bytes(message_bytes)
    own_ack = 0 if polls["poll_interval_s"].min() > DELAYED_ACK_S else SEGMENT_HEADER_BYTES
    polling_wire = polling_app + polling("tcp_ip_bytes_per_delivery") + own_ack
    push_wire = push_app + push("tcp_ip_bytes_per_delivery")
    headers = polling("framing_bytes_per_delivery") - (message_bytes - PAYLOAD_BYTES)
    ratio, wire_ratio = headers / websocket_header_bytes(message_bytes), polling_wire / push_wire
    ways = ((POLLING_HEADER_BYTES, FRAME_BYTES), (polling_app, push_app), (polling_wire, push_wire))
    rows = [
        [f"{clients:,}", " / ".join(PRINTED_MBIT[clients])]
        + [" / ".join(number(mebibit_per_s(clients, size)) for size in way) for way in ways]
        for clients in CLIENTS
    ]
    rebuilt = all(
        as_printed(mebibit_per_s(clients, size), printed)
        for clients in CLIENTS
        for size, printed in zip(ways[0], PRINTED_MBIT[clients], strict=True)
    )
    verdicts = [verdict_on(ratio, HEADERS_RATIO), verdict_on(wire_ratio, TABLE_RATIO)]
    told = [
        f"Header traffic, {HEADERS_RATIO[0]:g}:1, {verdicts[0]}: today's browser headers and the answer's "
        f"are {number(headers)} B to a frame's {FRAME_BYTES}, {number(ratio)}:1.",
        f"Bandwidth, {TABLE_RATIO:.0f}:1, {verdicts[1]}: their table {'can' if rebuilt else 'cannot'} be "
        f"rebuilt; with {PAYLOAD_BYTES} B of payload it is {number(polling_app)} against {number(push_app)} "
        f"B, {number(polling_app / push_app)}:1, and on the wire, with TCP/IP and an ACK for each update, "
        f"{number(polling_wire)} against {number(push_wire)} B, {number(wire_ratio)}:1. (Framing and "
        f"packets are measured at a larger payload, and {PAYLOAD_BYTES} B put in its place.)",
    ]
    try:
        latency_ratio, waits = _latency(evidence)
        verdicts.append(verdict_on(latency_ratio, LATENCY_RATIO))
        told.append(f"Latency, {LATENCY_RATIO:g}:1, {verdicts[-1]}: {waits}")
    except NotMeasured:
        told.append(f"Latency, {LATENCY_RATIO:g}:1, is not in this run: bench run interval.")
    headings = (
        "clients",
        "printed Mbps\npolling / WebSocket",
        "their arithmetic\n871 B / 2 B",
        f"measured bytes\n{number(polling_app)} B / {number(push_app)} B",
        f"with TCP/IP, ACKs\n{number(polling_wire)} B / {number(push_wire)} B",
    )
    return Judgement(worst(verdicts, complete=len(verdicts) == 3), " ".join(told), headings, rows)


def _latency(evidence: Evidence) -> tuple[float, str]:
    """Return polling's latency over push's at their transit, and how that comes.

    A run on loopback has the wait for a poll, which is polling's latency less WebSocket's, but no distance:
    the transit of their diagram is added to both.
    """
    polls = evidence.trials("interval", "freshness", transport="short_polling")
    polls = polls[polls["poll_interval_s"] > 0]
    pushes = evidence.trials("interval", "freshness", transport="websocket")
    interval_s = min(polls["poll_interval_s"], key=lambda each: abs(each - 1 / UPDATES_PER_S), default=0)
    asked = estimate(polls, "latency_p50_ms", poll_interval_s=interval_s).estimate
    wait_s = (asked - estimate(pushes, "latency_p50_ms").estimate) / 1e3
    if not wait_s > 0:
        raise NotMeasured("bench run interval")
    found = (wait_s + TRANSIT_S) / TRANSIT_S
    at_once = paused_polling_latency(0.0, Link(up_s=TRANSIT_S, down_s=TRANSIT_S))
    mean, most = (each_ms / 1e3 / TRANSIT_S for each_ms in (at_once.mean_ms, at_once.max_ms))
    return found, (
        f"over their transit of {TRANSIT_S * 1e3:g} ms a client that asks each {interval_s:g} s has "
        f"{number(found)}:1 in the median, by the wait measured here; {number(most)}:1 is the worst case of "
        f"one that asks again at once after each answer, whose mean is {number(mean)}:1 (computed)."
    )


def _trials(evidence: Evidence, transport: str, **where: str) -> pd.DataFrame:
    """Return the trials of a transport at the smallest payload measured."""
    trials = evidence.trials("overhead", transport=transport, **where)
    return pd.DataFrame(trials[trials["payload_bytes"] == trials["payload_bytes"].min()])


def _layers(trials: pd.DataFrame) -> Callable[[str], float]:
    """Return a function that tells a layer's bytes per tick, both ways."""

    def layer(name: str) -> float:
        found = float(trials[name].astype(float).median())
        if not found >= 0:
            raise NotMeasured("bench run overhead", f"this run has no {name}")
        return found

    return layer


PUBLICATION = Publication(
    name="quantum-leap",
    authors="Peter Lubbers and Frank Greco",
    year="2010",
    title="HTML5 Web Sockets: A Quantum Leap in Scalability for the Web",
    where="websocket.org/quantum.html",
    figure="One update a second: 1,000 clients need 6.6 Mbps by polling and 0.015 by WebSocket, 100,000 "
    "need 665 and 1.526. 500:1 or even 1000:1 less header traffic, and 3:1 less latency.",
    obtained="computed: headers counted by hand and multiplied; the latency is a diagram; nothing was loaded",
    trap="The megabits are 2^20 bit, 871 B against 2 B is neither 500:1 nor 1000:1, payload and TCP/IP are "
    "left out on both sides, and a browser of 2010 asked with other headers. The diagram of the latency "
    "asks again at once, the table once a second.",
    judge=judge_bandwidth,
)
