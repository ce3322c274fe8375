"""How does it go on with more clients?

The same ticks to ever more clients: what each delivery costs the server's core, and how late it comes when
that core has no time left.
"""

import pandas as pd

from bench.experiments.base import Design, Experiment, estimate, number
from bench.scenario import Profile
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
    return sentence + "."


EXPERIMENT = Experiment(
    name="clients",
    question="How does it go on with more clients?",
    designs=designs,
    columns=("latency_p50_ms", "server_cpu_ratio", "server_cpu_us_per_tick", "server_rss_mb"),
    finding=finding,
)
