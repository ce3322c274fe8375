"""Grigorik 2013: what each layer adds to a message, and a sum for a polling application."""

import math

from bench.judge.literature.base import Judgement, Publication, verdict_on, worst
from bench.results.evidence import Evidence, NotMeasured, asked_once
from bench.theory.traffic import SEGMENT_HEADER_BYTES, array_bytes
from bench.wording import number

CLIENTS, INTERVAL_S, REQUEST_BYTES = 10_000, 60, 850
HTTP_BYTES = (500, 800)
FRAME_BYTES = (2, 14)
TCP_IP_TLS_BYTES = (60, 100)


def polling_mbit_per_s(request_bytes: float) -> float:
    """Return the traffic of his application in 10^6 bit/s."""
    return CLIENTS / INTERVAL_S * request_bytes * 8 / 1e6


def judge_layers(evidence: Evidence) -> Judgement:
    """Measure the same layers, and do the same sum with them."""
    polls = asked_once(evidence.trials("overhead", transport="short_polling", headers="browser"))
    pushes = evidence.trials("overhead", transport="websocket")
    size = min(polls["payload_bytes"])
    poll, push = (
        trials[trials["payload_bytes"] == size].mean(numeric_only=True) for trials in (polls, pushes)
    )
    brackets = array_bytes(1, 0)
    http = float(poll["framing_bytes_per_delivery"]) - brackets
    frame = float(push["framing_bytes_per_delivery_down"]) - brackets
    if math.isnan(http) or math.isnan(frame):
        raise NotMeasured("bench run overhead", "this run lacks the bytes of polling or WebSocket")
    below = _below_http(evidence)
    layers = [("HTTP, a request and its answer", http, HTTP_BYTES), ("WebSocket frame", frame, FRAME_BYTES)]
    if below is not None:
        layers.append(("IP, TCP and TLS, a message", below, TCP_IP_TLS_BYTES))
    verdicts = [verdict_on(figure, published) for _, figure, published in layers]
    rows = [
        [layer, number(figure), f"{low} to {high}", verdict]
        for (layer, figure, (low, high)), verdict in zip(layers, verdicts, strict=True)
    ]
    wire = http + brackets + 3 * SEGMENT_HEADER_BYTES
    ours = (
        f"{CLIENTS:,} clients that ask each {INTERVAL_S} s make {CLIENTS / INTERVAL_S:.0f} requests a "
        f"second, and at {REQUEST_BYTES} B {polling_mbit_per_s(REQUEST_BYTES):.2f} Mbit/s: his sum is right. "
        f"With the {number(http)} B measured here (browser's headers, no cookies) it is "
        f"{number(polling_mbit_per_s(http))} Mbit/s, on the wire with an empty answer, TCP/IP and an ACK of "
        f"its own {number(polling_mbit_per_s(wire))}."
    )
    if below is None:
        ours += " What TLS adds is not in this run: bench run handshake."
    verdict = worst(verdicts, complete=below is not None)
    return Judgement(verdict, ours, ("layer", "measured B", "published B", "verdict"), rows)


def _below_http(evidence: Evidence) -> float | None:
    """Return what IP, TCP and TLS add to a message on a connection that is kept; None if not measured."""
    try:
        own = evidence.trials("handshake", transport="short_polling", tls=True, keep_alive=True)
    except NotMeasured:
        return None
    ways = ("up", "down")
    per_tick = sum(
        (own[f"wire_bytes_per_delivery_{way}"] - own[f"app_bytes_per_delivery_{way}"]).mean() for way in ways
    )
    below = float(per_tick / (2 * own["requests_per_delivery"].mean()))
    return None if math.isnan(below) else below


PUBLICATION = Publication(
    name="layers",
    authors="Ilya Grigorik",
    year="2013",
    title="High Performance Browser Networking",
    where="O'Reilly; hpbn.co/websocket and hpbn.co/xmlhttprequest",
    figure="HTTP/1.x adds 500 to 800 B of metadata to a request, plus cookies; WebSocket 2 to 14 B to a "
    "message; IP, TCP and TLS 60 to 100 B, whatever the protocol. 10,000 clients that poll each 60 s at 850 "
    "B: 167 requests a second, 1.13 Mbit/s.",
    obtained="partly counted, partly computed",
    trap="The layer below is the same for all, so a ratio of HTTP's bytes to a frame's is not one of "
    "traffic.",
    judge=judge_layers,
)
