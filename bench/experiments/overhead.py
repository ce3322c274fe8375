"""What does one tick cost on the wire, layer by layer?

One client, fifty ticks, counted by the kernel: the tick's own bytes, what HTTP or the WebSocket frame puts
around them, and what TCP and IP add. Short polling asks once a tick here, so each tick pays for one question.
"""

from typing import Any

import pandas as pd

from bench.experiments.base import Design, Experiment, both_ways, estimate, number, single_trials
from bench.models import array_bytes, polling_traffic, push_traffic, request_bytes, response_head_bytes
from bench.scenario import Profile
from bench.transports import MAIN, TRANSPORTS

FIXED = {
    "clients": 1,
    "rate_hz": 50.0,
    "poll_interval_s": 0.02,
    "hold_s": 10.0,
    "window_s": 1.0,
    "warmup_s": 0.1,
}

TYPICAL_CURSOR = 50
"""Most of the fifty cursors have two digits, and each digit is a byte of the request."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: payloads × header sets; of a push transport only the handshake has headers."""
    payloads = {
        "quick": [96],
        "standard": [96, 1024, 16_384],
        "full": [96, 128, 256, 1024, 4096, 16_384],
    }[profile.name]
    headers = ["browser"] if profile.name == "quick" else ["minimal", "browser"]
    asking = [name for name in MAIN if TRANSPORTS[name].family != "push"]
    told = [name for name in MAIN if TRANSPORTS[name].family == "push"]
    found = [
        Design(FIXED, {"payload_bytes": payloads, "headers": headers}, asking, once=True),
        Design({**FIXED, "headers": headers[-1]}, {"payload_bytes": [*payloads, 65_536]}, told, once=True),
    ]
    if profile.name == "full":
        cookies = {"cookie_bytes": [200, 1000, 4000]}
        found.append(Design({**FIXED, "headers": "browser"}, cookies, asking, once=True))
    return found


def rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Add the layers, as differences of what was counted at each."""
    own = single_trials(trials).copy()
    for way, payload in (("up", 0.0), ("down", own["payload_bytes_per_tick"])):
        app, tls = own[f"app_bytes_per_tick_{way}"], own[f"tls_bytes_per_tick_{way}"]
        own[f"framing_bytes_per_tick_{way}"] = app - payload
        own[f"tcp_ip_bytes_per_tick_{way}"] = own[f"wire_bytes_per_tick_{way}"] - app - tls
    return both_ways(own, "wire_bytes_per_tick")


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the bytes on the wire: a frame, or a request and an answer, in full segments."""

    def wire_bytes(row: "pd.Series[Any]") -> float:
        payload = int(row["payload_bytes"])
        if TRANSPORTS[row["transport"]].family == "push":
            return push_traffic(payload).wire_bytes
        settings = {"headers": row["headers"], "cookie_bytes": int(row["cookie_bytes"])}
        if TRANSPORTS[row["transport"]].family == "held":
            settings["hold_s"] = FIXED["hold_s"]
        return polling_traffic(
            row["rate_hz"],
            1 / row["rate_hz"],
            payload_bytes=payload,
            request_bytes=request_bytes(row["transport"], TYPICAL_CURSOR, **settings),
            response_head_bytes=response_head_bytes(array_bytes(1, payload)),
        ).wire_bytes

    return summary.apply(wire_bytes, axis="columns")


def finding(trials: pd.DataFrame) -> str:
    """Say what a small tick costs beyond itself, with the headers that a browser sends."""
    own = rows(trials)
    payload = min(own["payload_bytes"])
    told = []
    for name in [name for name in TRANSPORTS if name in set(own["transport"])]:
        where = {"transport": name, "payload_bytes": payload, "headers": "browser", "cookie_bytes": 0}
        framing = sum(
            estimate(own, f"framing_bytes_per_tick_{way}", **where).estimate for way in ("up", "down")
        )
        wire = estimate(own, "wire_bytes_per_tick", **where).estimate
        if wire > 0:
            told.append(
                f"{TRANSPORTS[name].label} {number(framing)} B of framing, {number(wire)} B on the wire"
            )
    if not told:
        return ""
    return f"A tick of {payload} B, asked for with a browser's headers: {'; '.join(told)}."


EXPERIMENT = Experiment(
    name="overhead",
    question="What does one tick cost on the wire, layer by layer?",
    designs=designs,
    columns=(
        "framing_bytes_per_tick_up",
        "framing_bytes_per_tick_down",
        "tcp_ip_bytes_per_tick_up",
        "tcp_ip_bytes_per_tick_down",
        "wire_bytes_per_tick",
    ),
    finding=finding,
    rows=rows,
    predict=predict,
    predicted="wire_bytes_per_tick",
    note="Framing: HTTP head or frame header, and the two brackets of the JSON array. TCP/IP: 52 B for each "
    "packet (20 IPv4, 20 TCP, 12 of time stamps), pure ACKs included.",
)
