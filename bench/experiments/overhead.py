"""What does one tick cost on the wire, layer by layer?

One client, fifty ticks, counted by the kernel: the tick's own bytes, what HTTP, a frame or an event puts
around them, and what TCP and IP add. Short polling asks once a tick here, so each tick pays for one question.
"""

import math
from typing import Any

import pandas as pd

from bench.experiments.base import Design, Experiment, Row, for_each_row, is_plain, poll_cycle_s
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.theory.break_even import heartbeat_bytes_per_s
from bench.theory.traffic import (
    PUSH_FRAMINGS,
    Bounds,
    Traffic,
    array_bytes,
    long_polling_traffic,
    polling_traffic,
    push_traffic,
    request_bytes,
    response_head_bytes,
)
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

FIXED = {
    "clients": 1,
    "rate_hz": 50.0,
    "poll_interval_s": 0.02,
    "hold_s": 10.0,
    "warmup_s": 0.1,
}

TYPICAL_CURSOR = 50
"""Most of the fifty numbers have two digits, and each digit is a byte of a request, or of an event."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: payloads × header sets; of a push transport only the handshake has headers."""
    payloads = {
        "quick": [96],
        "standard": [96, 1024, 16_384],
        "full": [96, 128, 256, 1024, 4096, 16_384],
    }[profile.name]
    headers = ["browser"] if profile.name == "quick" else ["minimal", "browser"]
    fixed = {**FIXED, "window_s": 1.0 if profile.name == "full" else 0.5}  # counts are exact
    largest = [] if profile.name == "quick" else [65_536]
    asking, told = main_names("pull", "held"), main_names("push")
    found = [
        Design(fixed, {"payload_bytes": payloads, "headers": headers}, asking, repeats=1),
        Design({**fixed, "headers": headers[-1]}, {"payload_bytes": [*payloads, *largest]}, told, repeats=1),
    ]
    if profile.name == "full":
        cookies = {"cookie_bytes": [200, 1000, 4000]}
        found.append(Design({**fixed, "headers": "browser"}, cookies, asking, repeats=1))
    return found


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the bytes on the wire: a frame, an event, or a request and an answer, in full segments.

    Only for servers that write aiohttp's heads; and for what neither TLS nor compression changes.
    """

    def wire_bytes(row: Row) -> float | Bounds:
        transport = TRANSPORTS[row["transport"]]
        if not is_plain(row, "keep_alive", "tls", "compression", "mss"):
            return math.nan
        if transport.framing in PUSH_FRAMINGS:
            beats = 0.0
            if pd.notna(row["heartbeat_s"]):
                beats = heartbeat_bytes_per_s(row["heartbeat_s"], transport.framing) / row["rate_hz"]
            pushed = push_traffic(int(row["payload_bytes"]), transport.framing, seq=_usual_seq(row))
            return _both_ways(pushed, beats)
        if transport.family == "push" or transport.library != "aiohttp":
            return math.nan
        return _both_ways(_asked(row))

    return for_each_row(summary, wire_bytes)


def _both_ways(traffic: Traffic, more: float = 0.0) -> float | Bounds:
    """Return the bytes both ways, and some more; both bounds where the ACKs are up to the receiver."""
    low, high = (
        more + up + down for up, down in zip(traffic.wire_bytes_up, traffic.wire_bytes_down, strict=True)
    )
    return low if low == high else Bounds(low, high)


def _usual_seq(row: Row) -> int:
    return max(TYPICAL_CURSOR, round(float(row["rate_hz"]) * float(row["window_s"])))


def _asked(row: Row) -> Traffic:
    """Return what a tick costs by polling, short or long, by the row's own fields."""
    rate_hz, payload = float(row["rate_hz"]), int(row["payload_bytes"])
    held = TRANSPORTS[row["transport"]].family == "held"
    settings = {"headers": row["headers"], "cookie_bytes": int(row["cookie_bytes"])}
    ticks = 1
    if held:
        settings["hold_s"] = row["hold_s"]
    else:
        ticks = max(round(rate_hz * poll_cycle_s(row)), 1)
    cursor = _usual_seq(row)
    sizes: dict[str, Any] = {
        "payload_bytes": payload,
        "request_bytes": request_bytes(row["transport"], cursor, **settings),
        "response_head_bytes": response_head_bytes(array_bytes(ticks, payload)),
        "plan": row["plan"],
    }
    if held:
        return long_polling_traffic(rate_hz, hold_s=row["hold_s"], **sizes)
    return polling_traffic(rate_hz, poll_cycle_s(row), **sizes)


def finding(trials: pd.DataFrame) -> str:
    """Say what a small tick costs beyond itself, with the headers that a browser sends."""
    own = single_trials(trials)
    payload = min(own["payload_bytes"])
    told = []
    asking = own[own["transport"].map(lambda name: TRANSPORTS[name].family != "push")]
    sets = list(asking["headers"].unique()) or list(own["headers"].unique())
    headers = "browser" if "browser" in sets else sets[0]
    cookie_bytes = min(own["cookie_bytes"])
    for name in [name for name in TRANSPORTS if name in set(own["transport"])]:
        where = {"transport": name, "payload_bytes": payload, "cookie_bytes": cookie_bytes}
        if name in set(asking["transport"]):
            where["headers"] = headers
        framing = estimate(own, "framing_bytes_per_delivery", **where).estimate
        wire = estimate(own, "wire_bytes_per_delivery", **where).estimate
        if wire > 0:
            column, what = (
                ("requests_per_delivery", "request")
                if "headers" in where
                else ("packets_per_delivery_up", "ACK")
            )
            count = number(estimate(own, column, **where).estimate)
            told.append(
                f"{TRANSPORTS[name].label} {number(framing)} B of framing, {number(wire)} B on the wire "
                f"({count} {what}{'s' * (count != '1')} a tick)"
            )
    if not told:
        return ""
    asked = "a browser's" if headers == "browser" else headers
    return f"A tick of {payload} B, asked for with {asked} headers: {'; '.join(told)}."


EXPERIMENT = Experiment(
    name="overhead",
    designs=designs,
    columns=(
        "framing_bytes_per_delivery_up",
        "framing_bytes_per_delivery_down",
        "tcp_ip_bytes_per_delivery_up",
        "tcp_ip_bytes_per_delivery_down",
        "wire_bytes_per_delivery",
    ),
    finding=finding,
    apart=("payload_bytes", "headers", "cookie_bytes"),
    named=("payload_bytes", "headers"),
    predict=predict,
    predicted="wire_bytes_per_delivery",
    note="Framing: HTTP head, frame header or lines of an event, and the two brackets of the JSON array. "
    "TCP/IP: 52 B for each packet (20 IPv4, 20 TCP, 12 of time stamps), pure ACKs included.",
)
