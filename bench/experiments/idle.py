"""What does a silent client cost?

A market without ticks, and clients that wait: memory, and what it takes to stay in touch. Twice a second a
short poll; or a request that is held for half a second; or a WebSocket ping and its pong. Real systems do so
each 15 to 60 s: the cost of one is the same.
"""

from typing import Any

import numpy as np
import pandas as pd

from bench.experiments.base import Design, Experiment, both_ways, estimate, number, single_trials
from bench.models import (
    heartbeat_bytes_per_s,
    idle_polling_bytes_per_s,
    request_bytes,
    response_head_bytes,
)
from bench.scenario import FEWEST_PERIODS, Profile
from bench.transports import TRANSPORTS

FIXED = {"rate_hz": 0.0, "window_s": 1.0, "warmup_s": 0.3}
EACH_S = 0.5


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: clients that stay in touch, and few and many that do nothing."""
    few, many = {"quick": (100, 300), "standard": (100, 1000), "full": (1000, 10_000)}[profile.name]
    each = {"heartbeat_s": EACH_S, "hold_s": EACH_S, "poll_interval_s": EACH_S}
    found = [Design({**FIXED, **each, "clients": many, "window_s": FEWEST_PERIODS * EACH_S}, once=True)]
    if profile.name != "quick":
        axes = {"clients": [few, many]}
        found += [
            Design(FIXED, axes, ["long_polling", "websocket"], once=True),
            Design({**FIXED, "compression": True}, axes, ["websocket"], once=True),
        ]
    return found


def rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Add the wire bytes both ways together."""
    return both_ways(single_trials(trials), "wire_bytes_per_client_s")


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the bytes: an empty answer per poll or hold, a ping and a pong per heartbeat, or nothing."""

    def wire_bytes(row: "pd.Series[Any]") -> float:
        if TRANSPORTS[row["transport"]].family == "push":
            return heartbeat_bytes_per_s(row["heartbeat_s"]) if row["heartbeat_s"] > 0 else 0.0
        period_s = row["poll_interval_s"] if row["poll_interval_s"] > 0 else row["hold_s"]
        if period_s > EACH_S:  # no hold ends within the window
            return 0.0
        settings = {"hold_s": row["hold_s"]} if row["hold_s"] > 0 else {}
        return idle_polling_bytes_per_s(
            period_s,
            request_bytes=request_bytes(row["transport"], 1, **settings),
            response_head_bytes=response_head_bytes(len("[]")),
        )

    return summary.apply(wire_bytes, axis="columns")


def memory_kb(trials: pd.DataFrame, transport: str, *, compression: bool = False) -> float:
    """Return by how many kB the server's process grows for each silent client that does nothing, or NaN."""
    own = single_trials(trials)
    own = own[(own["transport"] == transport) & (own["compression"] == compression)]
    if transport != "short_polling":
        own = own[own["heartbeat_s"].isna() & ((own["hold_s"] != EACH_S) | own["hold_s"].isna())]
    points = own.groupby("clients")["server_rss_mb"].mean() * 1e3
    if len(points) < 2:
        return float("nan")
    return float(np.polyfit(points.index.to_numpy(dtype=float), points.to_numpy(dtype=float), 1)[0])


def finding(trials: pd.DataFrame) -> str:
    """Say what a silent client takes of memory, and what staying in touch costs."""
    own = rows(trials)
    grown = {name: memory_kb(trials, name) for name in TRANSPORTS if name in set(own["transport"])}
    told = ", ".join(f"{TRANSPORTS[name].label} {number(kb)} kB" for name, kb in grown.items() if kb > 0)
    sentences = [f"A silent client adds to the server's process: {told}."] if told else []
    many = max(own["clients"])
    asked = {
        name: estimate(own, "wire_bytes_per_client_s", transport=name, clients=many, **touch).estimate
        for name, touch in (
            ("short_polling", {"poll_interval_s": EACH_S}),
            ("long_polling", {"hold_s": EACH_S}),
            ("websocket", {"heartbeat_s": EACH_S}),
        )
    }
    if all(cost > 0 for cost in asked.values()):
        touch = ", ".join(f"{TRANSPORTS[name].label} {number(cost)} B" for name, cost in asked.items())
        ratio = asked["short_polling"] / asked["websocket"]
        sentences.append(
            f"To stay in touch once takes on the wire: {touch}. So a WebSocket with a heartbeat each 20 s "
            f"costs fewer bytes than short polling more often than every {20 * ratio:.0f} s, "
            "and more than short polling less often."
        )
    return " ".join(sentences)


EXPERIMENT = Experiment(
    name="idle",
    question="What does a silent client cost?",
    designs=designs,
    columns=(
        "wire_bytes_per_client_s",
        "server_cpu_us_per_client_s",
        "server_rss_kb_per_client",
    ),
    finding=finding,
    rows=rows,
    predict=predict,
    predicted="wire_bytes_per_client_s",
    note="Memory is of the server's process (resident set); the kernel's socket buffers are not in it. "
    "Theory lets a pong carry its ping's ACK; a young connection acknowledges at once, for 52 B more.",
)
