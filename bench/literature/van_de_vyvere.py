"""Van de Vyvere, Colpaert and Verborgh 2020: from which acceptable latency on polling serves more clients."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.evidence import Evidence, NotMeasured, tell_span
from bench.experiments import clients as capacity_experiment
from bench.experiments.base import estimate, number
from bench.literature.base import FALLS, WITHIN_LIMITS, Judgement, Publication
from bench.models import QUANTILE, crossover_latency_s, polling_clients_per_core, push_clients_per_core
from bench.transports import TRANSPORTS

PUBLISHED_S = 10.0
RATE_HZ = float(capacity_experiment.FIXED["rate_hz"])
"""The ticks per second for which clients are computed: those of the searched capacities."""
LATENCIES_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
ENOUGH_CLIENTS = 100
"""With fewer clients, what the server does once per tick is no small part of its CPU per delivery."""
FEWEST_POINTS, WIDEST_RATIO = 3, 10.0
"""A line through fewer points, or over less than a decade of ticks per answer, is not followed to 30 s."""
EXPERIMENTS = ("library", "interval", "freshness", "compression")


class PollCost(NamedTuple):
    """Processor time of a poll, in s: for the request, and for each tick in its answer.

    ``most_ticks`` is up to how many ticks in an answer it was measured.
    """

    request_s: float
    tick_s: float
    most_ticks: float


def judge(evidence: Evidence) -> Judgement:
    """Compute the crossover from measured CPU, and set the searched capacities beside it.

    The best verdict is that it stands within limits: there is a crossover, but none of 10 s for all rates.
    """
    loaded = loaded_trials(evidence)
    pushes = delivery_costs(loaded)
    polls = poll_costs(loaded)
    if not pushes or not polls:
        raise NotMeasured(
            "bench run interval", "this run lacks WebSocket, or polling at three intervals or more"
        )
    crossovers = {
        (push, poll): crossover_latency_s(
            RATE_HZ,
            cpu_s_per_delivery=c,
            cpu_s_per_request=cost.request_s,
            cpu_s_per_tick=cost.tick_s,
            quantile=QUANTILE,
        )
        for push, c in pushes.items()
        for poll, cost in polls.items()
    }
    same = [pair for pair in crossovers if TRANSPORTS[pair[0]].library == TRANSPORTS[pair[1]].library]
    finite = {pair: latency_s for pair, latency_s in crossovers.items() if math.isfinite(latency_s)}
    ours = "Computed from measured CPU: "
    if finite:
        low, high = min(finite.values()), max(finite.values())
        ours += (
            f"at {RATE_HZ:g} ticks a second polling serves more clients per core once they accept "
            f"{tell_span(finite, [pair for pair in same if pair in finite], 's')}. It is inverse to the "
            f"rate: {PUBLISHED_S:g} s belong to a tick in {number(PUBLISHED_S / high / RATE_HZ)}"
            + (f" to {number(PUBLISHED_S / low / RATE_HZ)} s." if number(low) != number(high) else " s.")
        )
        most_ticks = max(cost.most_ticks for cost in polls.values())
        if high * RATE_HZ > most_ticks:
            ours += (
                f" Beyond {most_ticks / RATE_HZ:g} s, or {most_ticks:g} ticks an answer, it is extrapolated."
            )
        verdict = WITHIN_LIMITS
    else:
        ours += "a tick in an answer costs as much as a push, so polling never serves more clients."
        verdict = FALLS
    if len(finite) not in (0, len(crossovers)):
        ours += f" By {len(crossovers) - len(finite)} of {len(crossovers)} pairs of libraries it never does."
    ours += " The table is clients per core."
    ours += _searched(evidence)
    headings = ("latency\naccepted s", *(_heading(name) for name in (*pushes, *polls)))
    return Judgement(verdict, ours, headings, _rows(pushes, polls))


def _rows(pushes: Mapping[str, float], polls: Mapping[str, PollCost]) -> list[list[str]]:
    """Return the clients that a core can serve by latency, where 99 % of the ticks must be in time."""
    return [
        [
            f"{latency_s:g}",
            *(number(push_clients(cost_s, latency_s)) for cost_s in pushes.values()),
            *(number(poll_clients(cost, latency_s)) for cost in polls.values()),
        ]
        for latency_s in LATENCIES_S
    ]


def push_clients(cost_s: float, latency_s: float) -> float:
    """Return how many clients a core can push to.

    It tells all of a tick one after the other, so at latencies below a tick's period not only the core's time
    limits it, but also how many it can tell in the latency.
    """
    return min(push_clients_per_core(RATE_HZ, cost_s), latency_s / QUANTILE / cost_s)


def poll_clients(cost: PollCost, latency_s: float) -> float:
    """Return how many clients a core can answer that ask once per latency/0.99."""
    return polling_clients_per_core(
        RATE_HZ, latency_s / QUANTILE, cpu_s_per_request=cost.request_s, cpu_s_per_tick=cost.tick_s
    )


def _heading(name: str) -> str:
    """Return a transport's name with its library below."""
    return f"{TRANSPORTS[name].label.partition(' (')[0]}\n{TRANSPORTS[name].library}"


def loaded_trials(evidence: Evidence) -> pd.DataFrame:
    """Return the trials that tell of CPU: many clients and plain small ticks, and good steps of searches."""
    where = {"payload_bytes": 128, "headers": "minimal"}
    parts = [evidence.passed_steps(**where)]
    try:
        parts.append(evidence.trials(*EXPERIMENTS, **where))
    except NotMeasured as missing:
        if not len(parts[0]):
            raise NotMeasured("bench run interval") from missing
    loaded = pd.concat([part for part in parts if len(part)])
    return loaded[loaded["clients"].astype(int) >= ENOUGH_CLIENTS]


def delivery_costs(loaded: pd.DataFrame, protocol: str = "websocket") -> dict[str, float]:
    """Return the processor time of a delivery in s, by the transports that speak a protocol."""
    return {
        name: estimate(loaded, "server_cpu_us_per_tick", transport=name).estimate / 1e6
        for name in TRANSPORTS
        if TRANSPORTS[name].protocol == protocol and name in set(loaded["transport"])
    }


def poll_costs(loaded: pd.DataFrame) -> dict[str, PollCost]:
    """Fit the processor time of a poll as a + b × ticks in its answer, by transport of short polling.

    Least squares over the medians at each number of ticks per answer, relative to the cost itself, which
    spans decades. A transport that was asked at too few or too similar intervals is left out, and so is one
    whose fit makes no sense (a ≤ 0: noise); b is at least 0.
    """
    costs = {}
    polls = loaded[loaded["requests_per_tick"].astype(float) > 0]
    for name in TRANSPORTS:
        own = polls[polls["transport"] == name]
        if TRANSPORTS[name].protocol != "short_polling" or not len(own):
            continue
        ticks = (own["rate_hz"].astype(float) * own["poll_interval_s"].astype(float)).round(6)
        cost_s = own["server_cpu_us_per_tick"].astype(float) / own["requests_per_tick"].astype(float) / 1e6
        medians = cost_s.groupby(ticks).median().dropna()
        if len(medians) < FEWEST_POINTS or medians.index.max() < WIDEST_RATIO * medians.index.min():
            continue
        b, a = np.polyfit(medians.index.to_numpy(), medians.to_numpy(), 1, w=1 / medians.to_numpy())
        if a > 0:
            costs[name] = PollCost(float(a), max(float(b), 0.0), float(medians.index.max()))
    return costs


def _searched(evidence: Evidence) -> str:
    """Say which capacities were searched for, where some were."""
    try:
        found = evidence.searched()
    except NotMeasured:
        return " None was searched for in this run: bench run clients."
    told = []
    for _, row in found.iterrows():
        if TRANSPORTS[row["transport"]].protocol != "long_polling":
            least = "at least " if row["at_least"] else ""
            limit_s = row["latency_limit_ms"] / 1e3
            told.append(
                f"{TRANSPORTS[row['transport']].label} {least}{number(row['capacity_clients'])} within "
                f"{limit_s:g} s"
            )
    return f" Searched for, one process serves in time: {'; '.join(dict.fromkeys(told))}." if told else ""


PUBLICATION = Publication(
    name="live-open-data",
    authors="Brecht Van de Vyvere, Pieter Colpaert and Ruben Verborgh",
    year="2020",
    title="Comparing a Polling and Push-Based Approach for Live Open Data Interfaces",
    where="ICWE 2020; brechtvdv.github.io/Article-Live-Open-Data-Interfaces",
    figure="Push (server-sent events) serves over twice the clients if every update is to come at once. "
    "Beyond a maximum "
    "acceptable latency of about 10 s polling serves more; requests per second must be at least clients / "
    "latency.",
    obtained="measured, with up to 25,000 clients",
    trap="The crossover is no constant of the two techniques: it is inverse to the rate of the updates, and "
    "in "
    "proportion to what a request costs beside a push. Theirs is server-sent events, ours is WebSocket.",
    judge=judge,
)
