"""Tsaqief and Sutopo 2025: WebSocket beside MQTT on a sensor. A delayed ACK is as long as its 40 ms."""

from typing import Any

from bench.judge.literature.base import Judgement, Publication, verdict_on, worst
from bench.results.evidence import Evidence, NotMeasured
from bench.results.run import TWO_WRITES
from bench.wording import number

WEBSOCKET_MS = 41.544
DELAYED_ACK_MS = 40.0
"""How long Linux waits with an ACK at first (TCP_DELACK_MIN); RFC 1122, 4.2.3.2, allows up to 500 ms."""
COMMAND = "bench run wind_sensor"


def judge_sensor(evidence: Evidence) -> Judgement:
    """Rebuild their figure without WebSocket, and see what is left of it without the delayed ACK."""
    apart, at_once, no_delay, one_way = (
        _median_ms(evidence, **way)
        for way in (
            {"apart": True, "no_delay": False, "answered": True},
            {"apart": False, "no_delay": False, "answered": True},
            {"apart": True, "no_delay": True, "answered": True},
            {"apart": True, "no_delay": False, "answered": False},
        )
    )
    rebuilt, left = verdict_on(apart, WEBSOCKET_MS), verdict_on(max(at_once, no_delay), WEBSOCKET_MS)
    ours = (
        f"Two ends that answer each other over TCP alone, and write a header and its message apart, take "
        f"{number(apart)} ms a message here: their {number(WEBSOCKET_MS)} ms {rebuilt}. "
    )
    if apart - at_once >= DELAYED_ACK_MS / 2:
        ours += (
            f"About {number(DELAYED_ACK_MS)} ms of that are a delayed ACK that the second write waits for. "
        )
    ours += (
        f"Written at once the same message takes {number(at_once)} ms, written apart with TCP_NODELAY "
        f"{number(no_delay)} ms, and where nobody answers {number(one_way)} ms. As a property of WebSocket "
        f"it {left}. Whether their sensor writes apart, their abstract does not say."
    )
    rows = [
        [
            "apart" if each["apart"] else "at once",
            "yes" if each["no_delay"] else "no",
            "yes" if each["answered"] else "no",
            number(each["median_ms"]),
            number(each["sd_ms"]),
        ]
        for each in evidence.facts[TWO_WRITES]
    ]
    headings = ("written", "TCP_NODELAY", "answered", "median\nms", "jitter\n(sd) ms")
    return Judgement(worst([rebuilt, left]), ours, headings, rows)


def _median_ms(evidence: Evidence, **way: bool) -> float:
    """Return how long a message took that was written in this way.

    Raises:
        NotMeasured: If the run does not have it.
    """
    measured: list[dict[str, Any]] = evidence.facts.get(TWO_WRITES, [])
    for each in measured:
        if way.items() <= each.items():
            return float(each["median_ms"])
    raise NotMeasured(COMMAND)


PUBLICATION = Publication(
    name="sensor-mqtt",
    authors="Muhammad Faishal Tsaqief and Joko Sutopo",
    year="2025",
    title="Comparative Performance Analysis Between the MQTT and WebSocket Protocols",
    where="bit-Tech 8(2), doi:10.32877/bt.v8i2.3223",
    figure="From a microcontroller to a local server, 1,000 samples each: MQTT 11.04 ms (jitter 0.201), "
    "WebSocket 41.544 ms (jitter 18.824). So MQTT is said to be the better protocol for data in real time.",
    obtained="measured, with an ESP32-S3 over a local network (the figures are from its abstract)",
    trap="About 40 ms is how long Linux delays an ACK. Who writes a header and its message apart, and gets "
    "answers, waits so long for each message, by any protocol: Nagle (RFC 896) meets the delayed ACK (RFC "
    "1122, 4.2.3.2).",
    judge=judge_sensor,
)
