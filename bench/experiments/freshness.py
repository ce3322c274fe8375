"""How old is a tick when it arrives?

Every transport serves the same ticks to the same number of clients; short polling asks twice a second. 50
ticks a second for 7.5 s, because a 99th percentile needs 368 ticks.
"""

import math

import pandas as pd

from bench.columns.fields import OF_THE_TRANSPORT
from bench.experiments.base import Design, Experiment, Row, each, for_each_row, poll_cycle_s
from bench.results.estimates import estimate, ratio
from bench.scenario import FIELDS, Profile
from bench.theory.distribution import Link
from bench.theory.latency import polling_latency
from bench.transports import TRANSPORTS, main_names
from bench.wording import number, times

FIXED = {"clients": 100, "rate_hz": 50.0, "poll_interval_s": 0.5, "warmup_s": 0.3}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: one per transport."""
    window_s = {"quick": 1.0, "standard": 7.5, "full": 80.0}[profile.name]
    return [Design(fixed={**FIXED, "window_s": window_s})]


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the median: short polling waits half its interval longer than push with the same fields."""
    same = [name for name in FIELDS if name not in OF_THE_TRANSPORT]
    pushes = {
        tuple(str(row[name]) for name in same): float(row["latency_p50_ms"])
        for name in reversed(main_names("push"))  # of several the first, as they come in the registry
        for row in summary[summary["transport"] == name].to_dict("records")
    }

    def median_ms(row: Row) -> float:
        cycle_s = poll_cycle_s(row)
        if math.isnan(cycle_s) or row["contract"] != "every":
            return math.nan
        waited_ms = polling_latency(cycle_s, Link()).quantile_ms(0.5)
        return waited_ms + pushes.get(tuple(str(row[name]) for name in same), math.nan)

    return for_each_row(summary, median_ms)


def finding(trials: pd.DataFrame) -> str:
    """Say how much later each transport delivers than the fastest one."""
    medians = {
        name: estimate(trials, "latency_p50_ms", transport=name).estimate
        for name in trials["transport"].unique()
    }
    medians = {name: median for name, median in medians.items() if median > 0}
    if len(medians) < 2:
        return ""
    told = {
        str(row["transport"]): f"{TRANSPORTS[row['transport']].label} {each(row)}".rstrip()
        for row in trials.drop_duplicates("transport").to_dict("records")
    }
    fastest = min(medians, key=lambda name: medians[name])
    *others, slowest = (
        f"{number(median)} ms by {told[name]} ("
        + times(ratio(trials, "latency_p50_ms", {"transport": name}, {"transport": fastest}))
        + ")"
        for name, median in sorted(medians.items(), key=lambda item: item[1])
        if name != fastest
    )
    first = f"{number(medians[fastest])} ms by {told[fastest]}"
    return f"Half of the ticks arrive within {', '.join([first, *others])} and {slowest}."


EXPERIMENT = Experiment(
    name="freshness",
    designs=designs,
    columns=("latency_p50_ms", "latency_p99_ms", "age_mean_ms", "requests_per_delivery"),
    finding=finding,
    named=("poll_interval_s", "poll_pause_s"),
    predict=predict,
)
