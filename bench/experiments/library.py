"""Is it the protocol or the library?

The same protocol by several servers: WebSocket by websockets, aiohttp and picows, server-sent events by
aiohttp and Starlette, both pollings by aiohttp and by a server on asyncio and httptools alone. A ratio of two
protocols, taken from one pair of libraries, is as much about the libraries; so it is a range here, with the
value for the same library on both sides named.
"""

import itertools

import pandas as pd

from bench.experiments import clients
from bench.experiments.base import Design, Experiment
from bench.results.capacity import capacities
from bench.results.estimates import estimate, over_libraries
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.transports import TRANSPORTS, main_names, names_of
from bench.wording import number, ratio_sentence

FIXED = {"rate_hz": 10.0, "poll_interval_s": 0.5, "warmup_s": 0.3}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: every server at the same load, and the searches of ``clients``."""
    load = {"quick": (300, 1.0), "standard": (1000, 1.0), "full": (1000, 10.0)}[profile.name]
    fixed = {**FIXED, "clients": load[0], "window_s": load[1]}
    names = _two_libraries_each() if profile.name == "quick" else names_of()
    return [Design(fixed, transports=names), *clients.designs(profile)]


def _two_libraries_each() -> list[str]:
    """Return held requests, and each push by two libraries, of which one is that of held requests."""
    names = main_names("held")
    libraries = {TRANSPORTS[name].library for name in names}
    for push in main_names("push"):
        others = names_of("push", variant_of=push)
        same = [name for name in others if TRANSPORTS[name].library in libraries]
        names += [push, *(same or others)[:1]]
    return names


def finding(trials: pd.DataFrame) -> str:
    """Say what a delivery costs by each server, and what is left between the protocols."""
    loaded = single_trials(trials)
    costs = {
        name: estimate(loaded, "server_cpu_us_per_delivery", transport=name).estimate
        for name in loaded["transport"].unique()
    }
    costs = {name: cost for name, cost in costs.items() if cost > 0}
    if len(costs) < 2:
        return ""
    told = ", ".join(
        f"{TRANSPORTS[name].protocol_label} by {TRANSPORTS[name].library} {number(cost)} µs"
        for name, cost in sorted(costs.items(), key=lambda item: item[1])
    )
    load = loaded.iloc[0]
    to = f"one of {load['clients']:,} clients at {load['rate_hz']:g} Hz"
    sentence = f"A delivery to {to} costs the server: {told}."
    for held, push in itertools.product(main_names("held"), main_names("push")):
        pairs, same = over_libraries(loaded, "server_cpu_us_per_delivery", held, push)
        if pairs:
            labels = TRANSPORTS[held].label, TRANSPORTS[push].label
            said = f"a delivery by {labels[0]} takes {{}} the server CPU of one by {labels[1]}"
            sentence += f" {ratio_sentence(pairs, same, said)}."
    return sentence + clients.ratio_sentences(capacities(trials))


EXPERIMENT = Experiment(
    name="library",
    designs=designs,
    columns=("server_cpu_us_per_delivery", "server_cpu_ratio", "latency_p50_ms", "server_rss_kb_per_client"),
    finding=finding,
    named=("clients", "rate_hz"),
    note="Server CPU includes delivery over loopback: the kernel does the receiver's TCP work within the "
    "sender's system call and charges it to the sender. Ratios travel to other machines "
    "better than times do, but not unchanged (README).",
)
