"""How far does a load generator distort what it measures?

The same server and the same ticks, once to the swarm and once to ordinary asyncio clients on as many sockets.
The kernel stamps both, so the table holds apart what came late and what was only handled late. A client that
asks late is also answered late: with long polling the stamps themselves suffer.
"""

import pandas as pd

from bench.experiments import library
from bench.experiments.base import Design, Experiment
from bench.results.estimates import estimate, ratio
from bench.scenario import Profile
from bench.transports import TRANSPORTS, main_names
from bench.wording import number, times


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: both generators; those of the swarm are also in the experiment library."""
    clients, window_s = {"quick": (300, 1.0), "standard": (1000, 1.0), "full": (1000, 10.0)}[profile.name]
    families = ("push", "held", "pull") if profile.name == "full" else ("push", "held")
    transports = [name for name in main_names(*families) if TRANSPORTS[name].client_class.ordinary]
    return [
        Design(
            fixed={**library.FIXED, "clients": clients, "window_s": window_s},
            axes={"generator": ["swarm", "asyncio"]},
            transports=transports,
        )
    ]


def finding(trials: pd.DataFrame) -> str:
    """Say, for each transport, what ordinary clients report, what the kernel says, and what they cost."""
    sentences = []
    for transport in reversed(TRANSPORTS):  # push first: the plainest case
        figures = {
            (generator, column): estimate(trials, column, transport=transport, generator=generator).estimate
            for generator in ("swarm", "asyncio")
            for column in ("latency_p50_ms", "client_reported_p50_ms")
        }
        if not all(figure > 0 for figure in figures.values()):
            continue
        own = trials[trials["transport"] == transport].iloc[0]
        ways = ({"transport": transport, "generator": generator} for generator in ("asyncio", "swarm"))
        cost = times(ratio(trials, "generator_cpu_us_per_delivery", *ways))
        sentences.append(
            f"With {own['clients']} {TRANSPORTS[transport].label} clients × {own['rate_hz']:g} Hz ordinary "
            f"asyncio clients report a median of {number(figures['asyncio', 'client_reported_p50_ms'])} ms "
            f"where the kernel of the same sockets says {number(figures['asyncio', 'latency_p50_ms'])} ms, "
            f"and the swarm's run says {number(figures['swarm', 'latency_p50_ms'])} ms; their CPU over the "
            f"swarm's: {cost}."
        )
    return " ".join(sentences)


EXPERIMENT = Experiment(
    name="instrument",
    designs=designs,
    columns=(
        "latency_p50_ms",
        "client_reported_p50_ms",
        "generator_cpu_us_per_delivery",
        "generator_lag_p99_ms",
        "request_lag_p99_ms",
    ),
    finding=finding,
    apart=("generator",),
    named=("clients", "rate_hz"),
    doubtful={"generator": "asyncio"},
    note="Ordinary clients are marked ? because they were late or out of time: that is the finding.",
)
