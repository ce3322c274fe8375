"""How many clients does one process serve?

The capacity: the most clients of whose deliveries at most 1 % are later than a limit, found by a search whose
every step is a short trial (bench/capacity.py). Five ticks a second; the limit is 100 ms. Short polling is
searched twice: at equal freshness, asking so often that the limit can be kept, and at about equal bytes with
WebSocket, asking twice a second, with a limit of 100 ms more than the interval that a tick may wait anyway.
"""

import math

import pandas as pd

from bench.capacity import Search, capacities
from bench.experiments.base import Design, Experiment, number, tell_range
from bench.scenario import Profile
from bench.transports import TRANSPORTS

FIXED = {"rate_hz": 5.0, "window_s": 1.4, "warmup_s": 0.3, "hold_s": 2.0}
AT_EQUAL_FRESHNESS = {**FIXED, "poll_interval_s": 0.09, "latency_limit_ms": 100.0}
AT_EQUAL_BYTES = {**FIXED, "poll_interval_s": 0.5, "latency_limit_ms": 600.0}


def designs(profile: Profile) -> list[Design]:
    """Return the searches: every transport by every library, and short polling at equal bytes."""
    search = {
        "quick": Search(start=500, most=1_000, tolerance=2.0, usual=700, steps=2),
        "standard": Search(tolerance=1.25),
        "full": Search(tolerance=1.08),
    }[profile.name]
    served = [name for name, each in TRANSPORTS.items() if profile.name != "quick" or not each.variant_of]
    polls = [name for name in served if TRANSPORTS[name].family == "pull"]
    full = profile.name == "full"  # searched for in every block
    found = [Design(AT_EQUAL_FRESHNESS, transports=served, once=not full, search=search)]
    if profile.name != "quick":
        found.append(Design(AT_EQUAL_BYTES, transports=polls[:1], once=not full, search=search))
    return found


def capacity_ratio(found: pd.DataFrame, above: str, below: str) -> str:
    """Say how many times the clients of one protocol another serves, over all pairs of libraries."""
    fresh = found[(found["latency_limit_ms"] == AT_EQUAL_FRESHNESS["latency_limit_ms"])]
    served = fresh.groupby("transport")["capacity_clients"].median()
    pairs = {
        (a, b): float(served[a] / served[b])
        for a in served.index
        for b in served.index
        if TRANSPORTS[a].protocol == above and TRANSPORTS[b].protocol == below and served[b] > 0
    }
    same = [(a, b) for a, b in pairs if TRANSPORTS[a].library == TRANSPORTS[b].library]
    return tell_range(pairs, same)


def finding(trials: pd.DataFrame) -> str:
    """Say how many clients each protocol serves in time, and the ratio of push to pull."""
    found = capacities(trials)
    told = []
    for name, own in found.groupby("transport", sort=False):
        for limit_ms, each in own.groupby("latency_limit_ms"):
            served = each["capacity_clients"].median()
            interval_s = each["poll_interval_s"].iloc[0]
            asking = f", asking every {interval_s:g} s," if interval_s and not math.isnan(interval_s) else ""
            more = "at least " if each["too_many_clients"].isna().all() else ""
            told.append(
                f"{TRANSPORTS[str(name)].label}{asking} {more}{number(served)} clients within {limit_ms:g} ms"
            )
    if not told:
        return ""
    sentence = f"One process serves: {'; '.join(told)}."
    if ratio := capacity_ratio(found, "websocket", "long_polling"):
        sentence += f" WebSocket serves {ratio} the clients of long polling."
    return sentence


EXPERIMENT = Experiment(
    name="clients",
    question="How many clients does one process serve?",
    designs=designs,
    columns=("capacity_clients", "too_many_clients", "server_cpu_ratio", "latency_p50_ms", "ran_out"),
    finding=finding,
    rows=capacities,
    note="Served: at most 1 % of the deliveries later than the limit. The other columns are of that trial. "
    "All clients are told of a tick at once, so a server can be late while its core rests between ticks.",
)
