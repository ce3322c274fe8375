"""When do ticks come too fast to poll for, and when too slowly to stay connected for?

The same fifty clients from one tick in two seconds to 500 a second. The slow end stands for a tick a minute,
every time divided by 30: a poll each 0.1 s for one each 3 s, a hold of 0.8 s for one of 24 s, a heartbeat
each 0.5 s for one each 15 s. Ratios of counts are the same.
"""

from typing import Any

import pandas as pd

from bench.experiments.base import Design, Experiment, both_ways, estimate, number, single_trials
from bench.models import long_polling_ticks_per_answer, polling_ticks_per_answer
from bench.scenario import Profile
from bench.transports import TRANSPORTS

FIXED = {"clients": 50, "poll_interval_s": 0.1, "hold_s": 0.8, "heartbeat_s": 0.5, "warmup_s": 0.3}

TURNED = 0.9
"""Fewer requests a tick than this, and ticks have to wait for the next question and share its answer."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: an axis of tick rates; the slowest needs a longer window."""
    fast_hz = {"quick": [50.0], "standard": [5.0, 50.0, 500.0], "full": [2.0, 5.0, 20.0, 50.0, 200.0, 500.0]}
    slow_window_s, window_s = {"quick": (2.0, 1.0), "standard": (4.0, 1.0), "full": (60.0, 5.0)}[profile.name]
    return [
        Design({**FIXED, "window_s": slow_window_s}, {"rate_hz": [0.5]}, once=True),
        Design({**FIXED, "window_s": window_s}, {"rate_hz": fast_hz[profile.name]}, once=True),
    ]


def rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Add the wire bytes both ways together."""
    return both_ways(single_trials(trials), "wire_bytes_per_client_s")


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the requests per tick, of long polling as if its next request were there in no time."""

    def requests(row: "pd.Series[Any]") -> float:
        family = TRANSPORTS[row["transport"]].family
        if family == "pull":
            return polling_ticks_per_answer(row["rate_hz"], row["poll_interval_s"]).requests_per_tick
        if family == "held":
            return long_polling_ticks_per_answer(
                row["rate_hz"], 0.0, hold_s=FIXED["hold_s"]
            ).requests_per_tick
        return 0.0

    return summary.apply(requests, axis="columns")


def finding(trials: pd.DataFrame) -> str:
    """Say what asking costs at the slowest rate, and what becomes of long polling at the fastest."""
    slowest, fastest = min(trials["rate_hz"]), max(trials["rate_hz"])
    costs = {
        name: estimate(rows(trials), "wire_bytes_per_client_s", transport=name, rate_hz=slowest).estimate
        for name in trials["transport"].unique()
    }
    told = ", ".join(
        f"{TRANSPORTS[name].label}{_pace(trials[trials['transport'] == name])} {number(cost)}"
        for name, cost in sorted(costs.items(), key=lambda item: item[1])
        if cost > 0
    )
    sentence = f"At {slowest:g} ticks a second a client costs, in wire bytes a second: {told}."
    held = estimate(trials, "requests_per_tick", transport="long_polling", rate_hz=fastest).estimate
    if held > 0 and fastest > slowest:
        sentence += f" At {fastest:g} a second long polling makes {number(held)} requests a tick"
        sentence += (
            f": it has turned into polling, {number(1 / held)} ticks an answer."
            if held < TURNED
            else ": it still is told of each."
        )
    return sentence


PACES = {
    "poll_interval_s": "a poll each",
    "poll_pause_s": "polls with a pause of",
    "hold_s": "held for up to",
    "heartbeat_s": "a ping each",
}


def _pace(own: pd.DataFrame) -> str:
    """Say how often a transport stays in touch: its bytes at a slow rate are mostly those."""
    told = [
        f"{words} {' or '.join(f'{value:g}' for value in sorted(values))} s"
        for name, words in PACES.items()
        if name in own and (values := {float(value) for value in own[name].dropna() if value})
    ]
    return f" ({', '.join(told)})" if told else ""


EXPERIMENT = Experiment(
    name="rate",
    question="When do ticks come too fast to poll for, and when too slowly to stay connected for?",
    designs=designs,
    columns=("latency_mean_ms", "requests_per_tick", "wire_bytes_per_client_s", "server_cpu_us_per_client_s"),
    finding=finding,
    rows=rows,
    predict=predict,
    predicted="requests_per_tick",
    note="Times at the slow end are those of a tick a minute divided by 30: poll, hold and heartbeat too. "
    "Theory takes long polling's next request to be there at once: fewer mean that ticks waited for it.",
)
