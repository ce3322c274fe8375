"""Does a sensor's reader notice the distance?

Pimentel and Nickerson (2012) read a wind sensor, four times a second, from four places of the world: by
WebSocket, by long polling, and by polling 150 ms after each answer. Here the places are links that are
nothing but distance. A round trip of 80 ms is their Edmonton; over one of 300 ms a question and its answer
take longer than the 250 ms between two readings.

The window of those who poll is longer: where in their cycle a reading falls moves from reading to reading,
and the mean wait is known only when it has been everywhere.
"""

import math

import pandas as pd

from bench.experiments.base import Design, Experiment, Row, each, for_each_row
from bench.results.estimates import estimate
from bench.scenario import Profile
from bench.theory.distribution import Link
from bench.theory.latency import (
    long_polling_latency,
    paused_polling_latency,
    push_latency,
    short_polling_latency,
)
from bench.transports import TRANSPORTS, main_names, names_of
from bench.wording import listed

RATE_HZ, PAUSE_S = 4.0, 0.15
FIXED = {"clients": 50, "rate_hz": RATE_HZ, "poll_pause_s": PAUSE_S, "warmup_s": 0.1}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: distances, for those who poll and for the others; a quick run has none.

    At 250 ms a round trip is as long as the time between two readings, so that it is left to chance which of
    both is longer: only the full profile has it.
    """
    if profile.name == "quick":
        return []
    full = profile.name == "full"
    distances = {"rtt_ms": [40.0, 80.0, 250.0, 300.0] if full else [40.0, 80.0, 300.0]}
    repeats = None if full else 1
    pulls = Design({**FIXED, "window_s": 4.5 if full else 2.25}, distances, main_names("pull"), repeats)
    others = [*main_names("held"), *main_names("push", framing="WebSocket")]
    return [pulls, Design({**FIXED, "window_s": 3.0 if full else 1.5}, distances, others, repeats)]


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the mean latency over a link that is nothing but distance."""
    return for_each_row(summary, _mean_ms)


def _mean_ms(row: Row) -> float:
    if not _is_distance_alone(row):
        return math.nan
    way = Link(up_s=row["rtt_ms"] / 2e3, down_s=row["rtt_ms"] / 2e3)
    match TRANSPORTS[row["transport"]].family:
        case "push":
            return push_latency(way).mean_ms
        case "held":
            try:
                return long_polling_latency(
                    row["rate_hz"], way, plan=row["plan"], hold_s=row["hold_s"]
                ).mean_ms
            except ValueError:  # holds that end between two ticks: it would depend on the digits of both
                return math.nan
        case _ if pd.notna(row["poll_pause_s"]):
            return paused_polling_latency(row["poll_pause_s"], way).mean_ms
        case _:
            return short_polling_latency(row["poll_interval_s"], way).mean_ms


def _is_distance_alone(row: Row) -> bool:
    """Return whether all ticks come at a steady or Poisson pace, over connections that are kept, and a way
    that holds nothing up but for its length.
    """
    return bool(
        pd.notna(row["rtt_ms"])
        and not any(row[name] for name in ("jitter_ms", "loss", "rate_mbit"))
        and row["plan"] in ("steady", "poisson")
        and row["contract"] == "every"
        and row["rate_hz"] > 0
        and row["keep_alive"] is not False
    )


def finding(trials: pd.DataFrame) -> str:
    """Say how late push is by distance, and how many times as late the others are."""
    measured = set(trials["transport"])
    pushes = [name for name in names_of("push") if name in measured]
    distances_ms = sorted(trials["rtt_ms"].dropna().unique())
    others = [name for name in names_of("pull", "held") if name in measured]
    if not pushes or not distances_ms or not others:
        return ""
    means = {
        name: [
            estimate(trials, "latency_mean_ms", transport=name, rtt_ms=rtt_ms).estimate
            for rtt_ms in distances_ms
        ]
        for name in (*pushes, *others)
    }
    asked = {str(row["transport"]): each(row) for row in trials.to_dict("records")}
    ratios = {
        name: [own_ms / push_ms for own_ms, push_ms in zip(means[name], means[pushes[0]], strict=True)]
        for name in others
    }
    told = "; ".join(
        f"{TRANSPORTS[name].label} {asked[name]}".rstrip() + f" takes {listed(found)} times as long"
        for name, found in ratios.items()
    )
    pushed = ", ".join(f"{listed(means[name])} ms by {TRANSPORTS[name].label}" for name in pushes)
    return (
        f"At {trials['rate_hz'].iloc[0]:g} readings a second the mean latency over a round trip of "
        f"{listed(distances_ms)} ms is {pushed}; {told}."
    )


EXPERIMENT = Experiment(
    name="wind_sensor",
    designs=designs,
    columns=("latency_mean_ms", "latency_max_ms", "requests_per_delivery"),
    finding=finding,
    apart=("rtt_ms",),
    named=("rate_hz", "poll_interval_s", "poll_pause_s", "rtt_ms"),
    predict=predict,
    predicted="latency_mean_ms",
    two_writes=True,
)
