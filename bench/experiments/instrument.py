"""How far does a load generator distort what it measures?

The same server and the same ticks: to the swarm, to ordinary asyncio clients, and to the users that one
writes first for Locust, on as many sockets. The kernel stamps all of them, so the table holds apart what came
late and what was only handled late. A client that asks late is also answered late: with long polling the
stamps themselves suffer.
"""

from collections.abc import Iterator

import pandas as pd

from bench.experiments import library
from bench.experiments.base import Design, Experiment
from bench.results.estimates import estimate, ratio
from bench.results.validity import SHARED_STAMPS_RATIO
from bench.scenario import Profile
from bench.transports import TRANSPORTS, main_names
from bench.wording import number, times
from clients.load.catalogue import GENERATORS

OTHERS = [name for name, generator in GENERATORS.items() if generator.clients]
"""The load generators that are held against the swarm."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: all generators; those of the swarm are mostly in the experiment library, too.

    The users of Locust that wait for messages are fewer: as many as a core bears. Those that poll slow
    themselves down.
    """
    clients, window_s = {"quick": (300, 1.0), "standard": (1000, 1.0), "full": (1000, 10.0)}[profile.name]
    waiting = {"quick": 300, "standard": 500, "full": 500}[profile.name]
    fixed = {**library.FIXED, "window_s": window_s}
    asking = ("held", "pull") if profile.name == "full" else ("held",)
    of_push = {"speaks_upwards": True} if profile.name == "quick" else {}
    beginners = [("push", waiting, 3), *([] if profile.name == "quick" else [("pull", clients, 2)])]
    return [
        Design(
            fixed={**fixed, "clients": clients},
            axes={"generator": ["swarm", "asyncio"]},
            transports=[*_driven("asyncio", *asking), *_driven("asyncio", "push", **of_push)],
            repeats=None if profile.name == "full" else 3,
        ),
        *(
            Design(
                fixed={**fixed, "clients": users},
                axes={"generator": ["swarm", "locust"]},
                transports=_driven("locust", family),
                repeats=repeats,
                unless=tuple(GENERATORS["locust"].only),
            )
            for family, users, repeats in beginners
        ),
    ]


def _driven(generator: str, *families: str, **facts: bool) -> list[str]:
    """Return the transports of some families, with some facts, that a load generator has clients for."""
    drives = GENERATORS[generator].drives
    return [name for name in main_names(*families, **facts) if drives(TRANSPORTS[name].client_class)]


def finding(trials: pd.DataFrame) -> str:
    """Say, for each transport, what other clients report, what the kernel says, and what they cost."""
    return " ".join(
        sentence
        for transport in reversed(TRANSPORTS)  # push first: the plainest case
        for generator in OTHERS
        for sentence in _sentences(trials, transport, generator)
    )


def _sentences(trials: pd.DataFrame, transport: str, generator: str) -> Iterator[str]:
    def told(column: str, by: str = generator) -> float:
        return estimate(trials, column, transport=transport, generator=by).estimate

    reported_ms, kernel_ms = told("client_reported_p50_ms"), told("latency_p50_ms")
    swarm_ms = told("latency_p50_ms", "swarm")
    if not all(figure > 0 for figure in (reported_ms, kernel_ms, swarm_ms)):
        return
    own = trials[trials["transport"] == transport].iloc[0]
    ways = ({"transport": transport, "generator": each} for each in (generator, "swarm"))
    cost = times(ratio(trials, "generator_cpu_us_per_delivery", *ways))
    most = "at most " if told("stamp_shared_ratio") > SHARED_STAMPS_RATIO else ""
    yield (
        f"With {own['clients']} {TRANSPORTS[transport].label} clients × {own['rate_hz']:g} Hz "
        f"{GENERATORS[generator].label} report a median of {number(reported_ms)} ms where the kernel of the "
        f"same sockets says {most}{number(kernel_ms)} ms, and the swarm's run says {number(swarm_ms)} ms; "
        f"their CPU over the swarm's: {cost}."
    )
    if pd.notna(own["poll_interval_s"]):
        yield (
            f"Their requests leave {number(told('request_lag_p99_ms'))} ms late (p99), "
            f"{number(told('requests_per_client_s'))} a second each; {number(1 / own['poll_interval_s'])} "
            f"were meant."
        )


EXPERIMENT = Experiment(
    name="instrument",
    designs=designs,
    columns=(
        "latency_p50_ms",
        "client_reported_p50_ms",
        "generator_cpu_us_per_delivery",
        "generator_lag_p99_ms",
        "request_lag_p99_ms",
        "requests_per_client_s",
    ),
    finding=finding,
    apart=("generator",),
    named=("clients", "rate_hz"),
    doubtful={"generator": OTHERS},
    note="Clients other than the swarm's are marked ? because they were late or out of time: "
    "that is the finding.",
)
