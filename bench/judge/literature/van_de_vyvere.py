"""Van de Vyvere, Colpaert and Verborgh 2020: from which acceptable latency on polling serves more clients."""

import math
from collections.abc import Mapping

import pandas as pd

from bench.judge.costs import PollCost, busy_trials, delivery_costs, poll_costs
from bench.judge.literature.base import Judgement, Publication, middle, verdict_on
from bench.results.evidence import Evidence, NotMeasured
from bench.theory.break_even import crossover_latency_s, polling_clients_per_core, push_clients_per_core
from bench.theory.cheapest import QUANTILE
from bench.transports import TRANSPORTS
from bench.wording import library_span, number

PUBLISHED_S = 10.0
PUBLISHED_RATE_HZ = 0.2
"""Their feed had an update each 5 s."""
LATENCIES_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


def judge_crossover(evidence: Evidence) -> Judgement:
    """Compute the crossover at their rate from measured CPU, and set the searched capacities beside it.

    It is theirs, of server-sent events, if the run has them; else of all that push.
    """
    busy = busy_trials(evidence)
    pushes, polls = delivery_costs(busy), poll_costs(busy)
    if not pushes or not polls:
        raise NotMeasured(
            "bench run clients library",
            "no server of this run was busy with push, or with three intervals",
        )
    streams = {name: c for name, c in pushes.items() if TRANSPORTS[name].framing == "event stream"}
    judged = streams or pushes
    rate_hz = _rate_hz(evidence, busy)
    crossovers = {
        (push, poll): crossover_latency_s(
            rate_hz,
            cpu_s_per_delivery=c,
            cpu_s_per_request=cost.request_s,
            cpu_s_per_tick=cost.tick_s,
            quantile=QUANTILE,
        )
        for push, c in judged.items()
        for poll, cost in polls.items()
    }
    finite = {pair: latency_s for pair, latency_s in crossovers.items() if math.isfinite(latency_s)}
    same = [pair for pair in finite if TRANSPORTS[pair[0]].library == TRANSPORTS[pair[1]].library]
    theirs = {pair: latency_s * rate_hz / PUBLISHED_RATE_HZ for pair, latency_s in finite.items()}
    ours = "Computed from the CPU of busy servers: "
    if finite:
        ours += (
            f"at {rate_hz:g} ticks a second polling serves more clients per core than "
            f"{' and '.join(dict.fromkeys(TRANSPORTS[name].protocol_label for name in judged))} once they "
            f"accept {library_span(finite, same, 's')}. It is inverse to the rate: at theirs, a tick each "
            f"{1 / PUBLISHED_RATE_HZ:g} s, {library_span(theirs, same, 's')}, where they have "
            f"{PUBLISHED_S:g} s."
        )
        most_ticks = max(cost.most_ticks for cost in polls.values())
        if max(finite.values()) * rate_hz > most_ticks:
            ours += f" Beyond {most_ticks:g} ticks an answer it is extrapolated."
    else:
        ours += "a tick in an answer costs as much as a push, so polling never serves more clients."
    if len(finite) not in (0, len(crossovers)):
        ours += f" By {len(crossovers) - len(finite)} of {len(crossovers)} pairs of libraries it never does."
    low, high = (
        end(each for cost in polls.values() for each in (cost.lowest_ratio, cost.highest_ratio))
        for end in (min, max)
    )
    ours += f" What a poll costs is a line through what was measured, {_share(low)} to {_share(high)} off it."
    ours += f" The table is clients per core at {rate_hz:g} ticks a second." + _searched(evidence)
    headings = ("latency\naccepted s", *(_heading(name) for name in (*pushes, *polls)))
    found_s = middle(theirs[pair] for pair in same or theirs) if theirs else math.inf
    return Judgement(verdict_on(found_s, PUBLISHED_S), ours, headings, _rows(pushes, polls, rate_hz))


def _rate_hz(evidence: Evidence, busy: pd.DataFrame) -> float:
    """Return the rate of the table: that of the run's searches, or else the lowest at which it polled."""
    try:
        return float(evidence.searched()["rate_hz"].min())
    except NotMeasured:
        return float(busy.loc[busy["poll_interval_s"].notna(), "rate_hz"].min())


def _rows(pushes: Mapping[str, float], polls: Mapping[str, PollCost], rate_hz: float) -> list[list[str]]:
    """Return the clients that a core can serve by latency, where 99 % of the ticks must be in time."""
    return [
        [
            f"{latency_s:g}",
            *(number(push_clients(cost_s, rate_hz, latency_s)) for cost_s in pushes.values()),
            *(number(poll_clients(cost, rate_hz, latency_s)) for cost in polls.values()),
        ]
        for latency_s in LATENCIES_S
    ]


def push_clients(cost_s: float, rate_hz: float, latency_s: float) -> float:
    """Return how many clients a core can push to.

    It tells all of a tick one after the other, so at latencies below a tick's period not only the core's time
    limits it, but also how many it can tell in the latency.
    """
    return min(push_clients_per_core(rate_hz, cost_s), latency_s / QUANTILE / cost_s)


def poll_clients(cost: PollCost, rate_hz: float, latency_s: float) -> float:
    """Return how many clients a core can answer that ask once per latency/0.99."""
    return polling_clients_per_core(
        rate_hz, latency_s / QUANTILE, cpu_s_per_request=cost.request_s, cpu_s_per_tick=cost.tick_s
    )


def _share(ratio: float) -> str:
    """Write by what share a ratio is above or below 1."""
    return f"{round(ratio - 1, 2) + 0.0:+.0%}"


def _heading(name: str) -> str:
    """Return a transport's name with its library below."""
    return f"{TRANSPORTS[name].protocol_label}\n{TRANSPORTS[name].library}"


def _searched(evidence: Evidence) -> str:
    """Say which capacities were searched for, where some were."""
    try:
        found = evidence.searched()
    except NotMeasured:
        return " None was searched for in this run: bench run clients."
    told = []
    for _, row in found.iterrows():
        if TRANSPORTS[row["transport"]].family != "held":
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
    "Beyond a maximum acceptable latency of about 10 s polling serves more, at an update each 5 s; requests "
    "per second must be at least clients / latency.",
    obtained="measured, with up to 25,000 clients",
    trap="The crossover is no constant of the two techniques: it is inverse to the rate of the updates, and "
    "in proportion to what a request costs beside a push. Their events had 5.2 kB, of another server.",
    judge=judge_crossover,
)
