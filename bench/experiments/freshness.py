"""How old is a tick when it arrives?

Every transport serves the same ticks to the same number of clients; short polling asks twice a second. 50
ticks a second for 7.5 s, because a 99th percentile needs 368 ticks.
"""

import pandas as pd

from bench.experiments.base import Design, Experiment, estimate, number, ratio, times
from bench.models import Link, short_polling_latency
from bench.scenario import Profile
from bench.transports import TRANSPORTS

FIXED = {"clients": 100, "rate_hz": 50.0, "poll_interval_s": 0.5, "warmup_s": 0.3}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: one per transport."""
    window_s = {"quick": 1.0, "standard": 7.5, "full": 80.0}[profile.name]
    return [Design(fixed={**FIXED, "window_s": window_s})]


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the median: short polling waits half its interval longer than push."""
    push = summary.loc[summary["transport"] == "websocket", "latency_p50_ms"]
    push_ms = float(push.iloc[0]) if len(push) else float("nan")
    return summary["poll_interval_s"].map(
        lambda interval_s: short_polling_latency(interval_s, Link()).quantile_ms(0.5) + push_ms,
        na_action="ignore",
    )


def finding(trials: pd.DataFrame) -> str:
    """Say how much later each transport delivers than the fastest one."""
    medians = {
        name: estimate(trials, "latency_p50_ms", transport=name).estimate
        for name in trials["transport"].unique()
    }
    medians = {name: median for name, median in medians.items() if median > 0}
    if len(medians) < 2:
        return ""
    fastest = min(medians, key=lambda name: medians[name])
    others = " and ".join(
        f"{number(median)} ms by {TRANSPORTS[name].label} ("
        + times(ratio(trials, "latency_p50_ms", {"transport": name}, {"transport": fastest}))
        + ")"
        for name, median in sorted(medians.items(), key=lambda item: item[1])
        if name != fastest
    )
    first = f"{number(medians[fastest])} ms by {TRANSPORTS[fastest].label}"
    return f"Half of the ticks arrive within {first}, {others}."


EXPERIMENT = Experiment(
    name="freshness",
    question="How old is a tick when it arrives?",
    designs=designs,
    columns=("latency_p50_ms", "latency_p99_ms", "aoi_mean_ms", "requests_per_tick"),
    finding=finding,
    predict=predict,
)
