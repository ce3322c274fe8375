"""What does a silent client cost?

A market without ticks, and clients that wait: memory, and what it takes to stay in touch. A short poll each
quarter of a second; or a request that is held for as long; or a heartbeat: a WebSocket's ping and
its pong, a line in a stream of events. Real systems do so each 15 to 60 s: the cost of one is the same.
"""

import itertools
import math

import numpy as np
import pandas as pd

from bench.experiments.base import Design, Experiment, Row, for_each_row
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.theory.break_even import heartbeat_bytes_per_s, idle_polling_bytes_per_s
from bench.theory.durations import FEWEST_PERIODS
from bench.theory.traffic import PUSH_FRAMINGS, request_bytes, response_head_bytes
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

FIXED = {"rate_hz": 0.0, "window_s": 1.0, "warmup_s": 0.3}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: clients that stay in touch, and few and many that do nothing."""
    few, many = {"quick": (100, 300), "standard": (100, 1000), "full": (1000, 10_000)}[profile.name]
    each_s = {"quick": 0.2, "standard": 0.25, "full": 1.0}[profile.name]
    touch = {"heartbeat_s": each_s, "hold_s": each_s, "poll_interval_s": each_s}
    found = [Design({**FIXED, **touch, "clients": many, "window_s": FEWEST_PERIODS * each_s}, repeats=1)]
    if profile.name != "quick":
        axes = {"clients": [few, many]}
        found += [
            Design(FIXED, axes, main_names("held", "push"), repeats=1),
            Design({**FIXED, "compression": True}, axes, main_names("push", compresses=True), repeats=1),
        ]
    return found


def period_s(row: Row) -> float:
    """Return each how many seconds a silent client stays in touch, by poll, hold or heartbeat; or NaN.

    It does not if none of them is asked for, or if the period is longer than the trial.
    """
    asked = [row[name] for name in ("poll_interval_s", "poll_pause_s", "hold_s", "heartbeat_s")]
    periods_s = [float(seconds) for seconds in asked if pd.notna(seconds)]
    if not periods_s or periods_s[0] > row["window_s"]:
        return math.nan
    return periods_s[0]


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the bytes: an empty answer per poll or hold, a heartbeat and its answer, or nothing."""

    def wire_bytes(row: Row) -> float:
        transport, every_s = TRANSPORTS[row["transport"]], period_s(row)
        disturbed = bool(pd.notna(row["rtt_ms"]) or pd.notna(row["incident"]))
        if row["rate_hz"] > 0 or row["tls"] or row["keep_alive"] is False or disturbed:
            return math.nan
        if math.isnan(every_s):
            return 0.0
        if transport.framing in PUSH_FRAMINGS:
            return heartbeat_bytes_per_s(every_s, transport.framing)
        if transport.family == "push" or transport.library != "aiohttp":
            return math.nan
        settings = {"headers": row["headers"], "cookie_bytes": int(row["cookie_bytes"])}
        if pd.notna(row["hold_s"]):
            settings["hold_s"] = row["hold_s"]
        return idle_polling_bytes_per_s(
            every_s,
            request_bytes=request_bytes(row["transport"], 1, **settings),
            response_head_bytes=response_head_bytes(len("[]")),
        )

    return for_each_row(summary, wire_bytes)


def memory_kb(trials: pd.DataFrame, transport: str, *, compression: bool = False) -> float:
    """Return by how many kB the server's process grows for each silent client that does nothing, or NaN."""
    own = single_trials(trials)
    own = own[(own["transport"] == transport) & (own["compression"] == compression)]
    if len(own) and TRANSPORTS[transport].family != "pull":  # a poll has no longest period
        own = own[for_each_row(own, period_s).isna()]
    points = own.groupby("clients")["server_rss_mb"].mean() * 1e3
    if len(points) < 2:
        return float("nan")
    return float(np.polyfit(points.index.to_numpy(dtype=float), points.to_numpy(dtype=float), 1)[0])


def once_bytes(trials: pd.DataFrame, transport: str) -> float:
    """Return the wire bytes that staying in touch once takes, of most clients, or NaN.

    Requests are counted: a busy server answers late, and then there are fewer of them than periods. Pings
    are not, and go by their period. Where a run has several, it is the mean over them.
    """
    own = single_trials(trials)
    own = own[(own["transport"] == transport) & ~own["compression"].astype(bool)]
    if not len(own):
        return math.nan
    own = own.assign(period_s=for_each_row(own, period_s)).dropna(subset=["period_s"])
    own = own[own["clients"] == own["clients"].max()]
    times_a_second = own["requests_per_client_s"].where(own["requests_per_client_s"] > 0, 1 / own["period_s"])
    return estimate(
        own.assign(once_bytes=own["wire_bytes_per_client_s"] / times_a_second), "once_bytes"
    ).estimate


def finding(trials: pd.DataFrame) -> str:
    """Say what a silent client takes of memory, and what staying in touch costs."""
    own = single_trials(trials)
    if (own["rate_hz"] > 0).any():
        return ""
    grown = {name: memory_kb(trials, name) for name in TRANSPORTS if name in set(own["transport"])}
    told = ", ".join(f"{TRANSPORTS[name].label} {number(kb)} kB" for name, kb in grown.items() if kb > 0)
    sentences = [f"A silent client adds to the server's process: {told}."] if told else []
    asked = {name: once_bytes(trials, name) for name in main_names()}
    asked = {name: cost for name, cost in asked.items() if cost > 0}
    if asked:
        touch = ", ".join(f"{TRANSPORTS[name].label} {number(cost)} B" for name, cost in asked.items())
        sentences.append(f"To stay in touch once takes on the wire: {touch}.")
    pairs = itertools.product(main_names("push", heartbeats=True), main_names("pull"))
    for push, poll in (pair for pair in pairs if set(pair) <= asked.keys()):
        label, ratio = TRANSPORTS[poll].label, asked[poll] / asked[push]
        sentences.append(
            f"So a heartbeat each 20 s by {TRANSPORTS[push].label} costs fewer bytes than {label} more "
            f"often than every {20 * ratio:.0f} s, and more than {label} less often."
        )
    return " ".join(sentences)


EXPERIMENT = Experiment(
    name="idle",
    designs=designs,
    columns=(
        "wire_bytes_per_client_s",
        "server_cpu_us_per_client_s",
        "server_rss_kb_per_client",
    ),
    finding=finding,
    apart=("clients", "poll_interval_s", "poll_pause_s", "hold_s", "heartbeat_s", "compression"),
    named=("heartbeat_s", "hold_s", "poll_interval_s", "poll_pause_s"),
    predict=predict,
    predicted="wire_bytes_per_client_s",
    note="Memory is of the server's process (resident set); the kernel's socket buffers are not in it. "
    "Theory lets a pong carry its ping's ACK; a young connection acknowledges at once, for 52 B more.",
)
