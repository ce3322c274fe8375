"""How does it go on with more clients?

The same ticks to ever more clients: what each delivery costs the server's core, and how late it comes when
that core has no time left.
"""

import math

import pandas as pd

from bench.experiments.base import Design, Experiment, estimate, number
from bench.scenario import Profile
from bench.statistics import slope_interval
from bench.transports import TRANSPORTS


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: an axis of client counts."""
    clients = {
        "quick": [100, 1000],
        "standard": [10, 100, 1000],
        "full": [10, 30, 100, 300, 1000, 3000],
    }[profile.name]
    window_s = {"quick": 1.0, "standard": 2.0, "full": 10.0}[profile.name]
    fixed = {"rate_hz": 10.0, "window_s": window_s, "poll_interval_s": 0.5}
    return [Design(fixed=fixed, axes={"clients": clients})]


def finding(trials: pd.DataFrame) -> str:
    """Say what a delivered tick costs the server on each transport at the largest number of clients."""
    most = max(trials["clients"])
    costs = {
        name: estimate(trials, "server_cpu_us_per_tick", transport=name, clients=most).estimate
        for name in trials["transport"].unique()
    }
    costs = {name: cost for name, cost in sorted(costs.items(), key=lambda item: item[1]) if cost > 0}
    if not costs:
        return ""
    told = ", ".join(f"{TRANSPORTS[name].label} {number(cost)} µs" for name, cost in costs.items())
    saturated = trials[(trials["clients"] == most) & (trials["limit"] == "server_cpu")]["transport"].unique()
    sentence = f"With {most} clients a delivered tick costs the server's core: {told} (with these libraries)"
    if len(saturated):
        names = " and ".join(TRANSPORTS[name].label for name in saturated)
        sentence += f"; the server's core is full with {names}"
    return f"{sentence}. {memory(trials)}".rstrip()


def memory(trials: pd.DataFrame) -> str:
    """Say by how much a client makes the server's process grow: the slope over the numbers of clients."""
    told = []
    for name, own in trials.groupby("transport", sort=False):
        growth = slope_interval(own["clients"].tolist(), (own["server_rss_mb"] * 1e3).tolist())
        if not math.isnan(growth.low):
            told.append(
                f"{number(growth.estimate)} kB ({number(growth.low)} to {number(growth.high)}) by "
                f"{TRANSPORTS[str(name)].label}"
            )
    if not told:
        return ""
    grown = ", ".join(told)
    return f"Each client adds to the server's process, the kernel's socket buffers not counted: {grown}."


EXPERIMENT = Experiment(
    name="clients",
    question="How does it go on with more clients?",
    designs=designs,
    columns=("latency_p50_ms", "server_cpu_ratio", "server_cpu_us_per_tick", "server_rss_mb"),
    finding=finding,
    note="Server CPU includes delivery over loopback: the kernel does the receiver's TCP work within the "
    "sender's system call and charges it to the sender. Only ratios travel to other machines.",
)
