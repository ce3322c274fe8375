"""What does polling more often buy, and cost?

Short polling at one interval after another, and the transports that push as the end of the line: freshness
bought with bytes.
"""

import pandas as pd

from bench.experiments import freshness
from bench.experiments.base import Design, Experiment, estimate
from bench.scenario import Profile


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: an axis of intervals, and those of freshness: push, and polling at 0.5 s."""
    window_s = {"quick": 2.0, "standard": 4.0, "full": 80.0}[profile.name]
    intervals_s = {
        "quick": [0.1, 1.0],
        "standard": [0.1, 0.25, 2.0],
        "full": [0.05, 0.1, 0.25, 1.0, 2.0, 5.0],
    }[profile.name]
    polls = Design(
        fixed={"clients": 100, "rate_hz": 50.0, "window_s": window_s},
        axes={"poll_interval_s": intervals_s},
        transports=["short_polling"],
    )
    return [polls, *freshness.designs(profile)]


def finding(trials: pd.DataFrame) -> str:
    """Say what halving the wait costs, and where push stands."""
    polls = trials[trials["transport"] == "short_polling"]
    intervals_s = sorted(interval for interval in polls["poll_interval_s"].unique() if interval)
    if len(intervals_s) < 2:
        return ""
    (fast, fast_bytes), (slow, slow_bytes) = (
        (
            estimate(polls, "latency_p50_ms", poll_interval_s=interval_s).estimate,
            estimate(polls, "wire_bytes_per_tick_down", poll_interval_s=interval_s).estimate
            + estimate(polls, "wire_bytes_per_tick_up", poll_interval_s=interval_s).estimate,
        )
        for interval_s in (intervals_s[0], intervals_s[-1])
    )
    sentence = (
        f"Polling every {intervals_s[0]:g} s instead of {intervals_s[-1]:g} s brings the median age from "
        f"{slow:.3g} to {fast:.3g} ms, at {fast_bytes:.0f} instead of {slow_bytes:.0f} wire bytes a tick"
    )
    push = trials[trials["transport"] == "websocket"]
    if len(push):
        push_bytes = (
            estimate(push, "wire_bytes_per_tick_down").estimate
            + estimate(push, "wire_bytes_per_tick_up").estimate
        )
        sentence += (
            f"; WebSocket takes {estimate(push, 'latency_p50_ms').estimate:.3g} ms and {push_bytes:.0f} bytes"
        )
    return sentence + "."


EXPERIMENT = Experiment(
    name="interval",
    question="What does polling more often buy, and cost?",
    designs=designs,
    columns=("latency_p50_ms", "requests_per_tick", "wire_bytes_per_tick_up", "wire_bytes_per_tick_down"),
    finding=finding,
    predict=freshness.predict,
)
