"""What does polling more often buy, and cost?

Short polling at one interval after another, and the transports that push as the end of the line: freshness
bought with bytes.
"""

import pandas as pd

from bench.experiments import freshness
from bench.experiments.base import Design, Experiment, each, for_each_row, poll_cycle_s
from bench.results.estimates import estimate
from bench.scenario import Profile
from bench.theory.traffic import SEGMENT_HEADER_BYTES
from bench.transports import TRANSPORTS, main_names
from bench.wording import number


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: an axis of intervals, and those of freshness: push, and polling at 0.5 s.

    Polling at another interval than that of freshness is measured once: how long a tick waits for a poll
    varies little from trial to trial. Only the full profile repeats it.
    """
    window_s = {"quick": 1.0, "standard": 1.0, "full": 80.0}[profile.name]
    intervals_s = {
        "quick": [0.1],
        "standard": [0.1, 0.25, 1.0, 2.0],
        "full": [0.05, 0.1, 0.25, 1.0, 2.0, 5.0],
    }[profile.name]
    fixed = {**freshness.FIXED, "window_s": window_s}
    polls = Design(
        fixed,
        {"poll_interval_s": intervals_s},
        main_names("pull"),
        repeats=None if profile.name == "full" else 1,
        unless=["poll_interval_s"],
    )
    return [polls, *freshness.designs(profile)]


def wire_bytes(trials: pd.DataFrame) -> float:
    """Estimate the wire bytes per tick, both ways together."""
    return estimate(trials, "wire_bytes_per_delivery").estimate


def finding(trials: pd.DataFrame) -> str:
    """Say what polling more often buys and costs, and where push stands."""
    asking, pushing = (
        {name: own for name in main_names(family) if len(own := trials[trials["transport"] == name])}
        for family in ("pull", "push")
    )
    told = [
        _polling_words(polls, "polling" if len(asking) == 1 else f"polling by {TRANSPORTS[name].label}")
        for name, polls in asking.items()
    ]
    told += [_push_words(pushes, TRANSPORTS[name].label) for name, pushes in pushing.items()] if told else []
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}." if told else ""


def _polling_words(polls: pd.DataFrame, polling: str) -> str:
    """Say what a transport that polls takes at its shortest and its longest interval."""
    intervals = {poll_cycle_s(row): each(row) for row in polls.to_dict("records")}
    often, seldom = (polls[for_each_row(polls, poll_cycle_s) == end(intervals)] for end in (min, max))
    fresh_ms, stale_ms = (estimate(ends, "latency_p50_ms").estimate for ends in (often, seldom))
    told = [intervals[end(intervals)] for end in (min, max)]
    if len(intervals) == 1:
        return (
            f"{polling} {told[0]}, the median latency is {number(fresh_ms)} ms, at "
            f"{number(wire_bytes(often))} wire bytes a tick"
        )
    return (
        f"{polling} {told[0]} instead of {told[1]} brings the median latency from "
        f"{number(stale_ms)} to {number(fresh_ms)} ms, at {number(wire_bytes(often))} instead of "
        f"{number(wire_bytes(seldom))} wire bytes a tick"
    )


def _push_words(pushes: pd.DataFrame, label: str) -> str:
    """Say what a transport that pushes takes."""
    push_ms = estimate(pushes, "latency_p50_ms").estimate
    acks = estimate(pushes, "packets_per_delivery_up").estimate
    return (
        f"by {label} it is {number(push_ms)} ms and {number(wire_bytes(pushes))} bytes, of which "
        f"{SEGMENT_HEADER_BYTES} for each ACK, {number(acks)} a tick"
    )


EXPERIMENT = Experiment(
    name="interval",
    designs=designs,
    columns=(
        "latency_p50_ms",
        "requests_per_delivery",
        "wire_bytes_per_delivery_up",
        "wire_bytes_per_delivery_down",
    ),
    finding=finding,
    apart=("poll_interval_s", "poll_pause_s"),
    named=("poll_interval_s", "poll_pause_s"),
    predict=freshness.predict,
)
