"""RFC 6202: how late long polling is, in network transits."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from bench.judge.literature.base import Judgement, Publication, middle, verdict_on, worst
from bench.results.estimates import estimate, over_libraries
from bench.results.evidence import OVER_DISTANCE, Evidence, NotMeasured
from bench.results.statistics import FEWEST_TICKS_PER_TRIAL
from bench.transports import TRANSPORTS
from bench.wording import number

MEAN_TRANSITS = 1.0
"""The average, as they have it: close to one transit."""
ONE_TICK = 1.1
"""Up to so many ticks per answer, ticks have answers of their own: they do not come faster than answers."""
MOST_TRANSITS = 3.0
"""The maximum, as they have it: over three."""
EXPERIMENTS = ("freshness", "interval", "library", "rate")
DISTANT_EXPERIMENTS = ("network", "wind_sensor")
DISTANT_COMMAND = "bench run wind_sensor"
"""Those with links. There a transit is half of the link's round trip."""


class Compared(NamedTuple):
    """Long polling beside WebSocket in one scenario.

    Attributes:
        transits: Mean latency of long polling over WebSocket's, by pairs of servers.
        same: The pairs that are by the same library.
        trials, ticks: How many trials of long polling, and how many ticks in all of them.
        ticks_per_answer, max_ms: Of long polling.
    """

    experiment: str
    clients: int
    rate_hz: float
    transits: dict[tuple[str, str], float]
    same: list[tuple[str, str]]
    trials: int
    ticks: float
    ticks_per_answer: float
    max_ms: float

    @property
    def crowded(self) -> bool:
        """Whether ticks come faster than answers, so that they share them."""
        return self.ticks_per_answer > ONE_TICK


class Distant(NamedTuple):
    """Long polling over a link that is nothing but distance, in transits of that link.

    Attributes:
        rtt_ms, rate_hz: The link's round trip, and the ticks.
        ticks: How many ticks in all trials.
        mean_transits, max_transits: Mean and longest latency.
    """

    rtt_ms: float
    rate_hz: float
    ticks: float
    mean_transits: float
    max_transits: float

    @property
    def crowded(self) -> bool:
        """Whether steady ticks come faster than answers can, so that some have just missed one."""
        return self.rtt_ms / 1e3 * self.rate_hz >= 1


def judge_latency(evidence: Evidence) -> Judgement:
    """Judge the mean on loopback, and mean and maximum over distances: each where the run has it."""
    distant = [each for each in _distant(evidence) if each.ticks >= FEWEST_TICKS_PER_TRIAL]
    verdicts, told = _over_distances(distant)
    try:
        near = _on_loopback(evidence)
    except NotMeasured:
        if not verdicts:
            raise
        return Judgement(worst(verdicts), told)
    return dataclasses.replace(near, verdict=worst([near.verdict, *verdicts]), ours=near.ours + f" {told}")


def _over_distances(distant: list[Distant]) -> tuple[list[str], str]:
    """Return verdicts on mean and maximum in transits of a link, and what is said of them."""
    calm, crowded = ([each for each in distant if each.crowded == wanted] for wanted in (False, True))
    verdicts, told = [], ""
    if calm:
        means = [each.mean_transits for each in calm]
        verdicts.append(verdict_on(middle(means), MEAN_TRANSITS))
        told = (
            f"Over links with round trips of {_span(each.rtt_ms for each in calm)} ms, where a transit is "
            f"half of that, the mean is {_span(means)} transits."
        )
    if crowded:
        longest = [each.max_transits for each in crowded]
        verdicts.append(verdict_on(max(longest), MOST_TRANSITS))
        told += (
            " Where ticks come faster than answers can (round trips of "
            f"{_span(each.rtt_ms for each in crowded)} ms), it is "
            f"{_span(each.mean_transits for each in crowded)}, and the longest {_span(longest)}: a tick that "
            "has just missed an answer waits for that, for the next request, and for its own answer."
        )
    return verdicts, told.strip() or f"Distances, with which the maximum is judged: {DISTANT_COMMAND}."


def _distant(evidence: Evidence) -> Iterator[Distant]:
    """Yield long polling by distance, rate and number of clients; a trial of several experiments once."""
    try:
        trials = evidence.trials(*DISTANT_EXPERIMENTS, **OVER_DISTANCE)
    except NotMeasured:
        return
    held = trials["transport"].map(lambda name: TRANSPORTS[name].protocol == "long_polling")
    asks_at_once = held & (trials["keep_alive"] != False)  # noqa: E712
    trials = trials[asks_at_once & (trials["rtt_ms"] > 0) & (trials["rate_hz"] > 0)]
    for _, alike in trials.groupby(["rtt_ms", "rate_hz", "clients"]):
        rtt_ms, rate_hz = (float(alike[name].iloc[0]) for name in ("rtt_ms", "rate_hz"))
        mean_ms = estimate(alike, "latency_mean_ms").estimate
        if mean_ms > 0:
            transit_ms = rtt_ms / 2
            yield Distant(
                rtt_ms,
                rate_hz,
                float((alike["expected"].astype(float) / alike["clients"].astype(float)).sum()),
                mean_ms / transit_ms,
                float(alike["latency_max_ms"].astype(float).max()) / transit_ms,
            )


def _on_loopback(evidence: Evidence) -> Judgement:
    """Compare long polling's mean latency with WebSocket's, which is one transit, over all trials."""
    shown = _compared(evidence)
    enough = [each for each in shown if each.ticks >= FEWEST_TICKS_PER_TRIAL]
    calm, crowded = ([each for each in enough if each.crowded == wanted] for wanted in (False, True))
    if not calm:
        raise NotMeasured(
            "bench run rate", f"no rate has {FEWEST_TICKS_PER_TRIAL} ticks that each have an answer"
        )
    typical = middle(middle(each.transits.values()) for each in calm)
    every = [transits for each in calm for transits in each.transits.values()]
    ours = (
        f"Over {sum(each.trials for each in calm)} trials of long polling in which ticks have answers of "
        f"their own its mean latency is {number(typical)} times WebSocket's, which is taken for one transit "
        f"({_span(every)} by scenario and library"
    )
    same = [each.transits[pair] for each in calm for pair in each.same]
    ours += f"; {_span(same)} by the same library)." if same else ")."
    if crowded:
        fast = " and ".join(f"{_span(each.transits.values())} at {each.rate_hz:g} Hz" for each in crowded)
        ours += f" Where ticks come faster than answers, so that they share them, it is {fast}."
    if len(enough) < len(shown):
        ours += f" Scenarios with fewer than {FEWEST_TICKS_PER_TRIAL} ticks are shown, and not judged."
    ours += (
        " The maximum is one tick, and on loopback a hiccup and no distance: it is shown and not judged. A "
        "transit here is the servers' and the kernel's work, so libraries are in it too."
    )
    headings = (
        "experiment",
        "clients",
        "ticks\nper s",
        "trials",
        "transits\nmean",
        "same\nlibrary",
        "max\nms",
        "ticks /\nanswer",
    )
    return Judgement(verdict_on(typical, MEAN_TRANSITS), ours, headings, [_row(each) for each in shown])


def _row(each: Compared) -> list[str]:
    return [
        each.experiment,
        str(each.clients),
        f"{each.rate_hz:g}",
        str(each.trials),
        _span(each.transits.values()),
        _span([each.transits[pair] for pair in each.same]) if each.same else "–",
        number(each.max_ms),
        number(each.ticks_per_answer),
    ]


def _span(figures: Iterable[float]) -> str:
    """Write figures as a range, or one as itself."""
    each = list(figures)
    return " to ".join(dict.fromkeys(number(end) for end in (min(each), max(each))))


def _compared(evidence: Evidence) -> list[Compared]:
    """Return all scenarios that have both transports; a trial of several experiments is in one of them."""
    found = []
    seen: set[object] = set()
    for experiment in EXPERIMENTS:
        try:
            trials = evidence.trials(experiment)
        except NotMeasured:
            continue
        trials = trials[~trials.index.isin(seen) & (trials["rate_hz"] > 0)]
        protocols = trials["transport"].map(lambda name: TRANSPORTS[name].protocol)
        trials = trials[protocols.isin(["long_polling", "websocket"])]
        seen |= set(trials.index)
        fields = ["rate_hz", "clients", "payload_bytes"]
        for scenario in trials[fields].drop_duplicates().sort_values(fields).to_numpy():
            alike = pd.DataFrame(trials[(trials[fields] == scenario).all(axis="columns")])
            pairs, same = over_libraries(alike, "latency_mean_ms", "long_polling", "websocket")
            held = alike[alike["transport"].map(lambda name: TRANSPORTS[name].protocol == "long_polling")]
            asked = estimate(held, "requests_per_delivery").estimate
            if not pairs or not asked > 0:
                continue
            ticks = float((held["expected"].astype(float) / held["clients"].astype(float)).sum())
            found.append(
                Compared(
                    experiment,
                    int(scenario[1]),
                    float(scenario[0]),
                    {pair: each.estimate for pair, each in pairs.items()},
                    same,
                    len(held),
                    ticks,
                    1 / asked,
                    float(held["latency_max_ms"].astype(float).max()),
                )
            )
    return found


PUBLICATION = Publication(
    name="long-polling",
    authors="S. Loreto, P. Saint-Andre, S. Salsano and G. Wilkins",
    year="2011",
    title="Known Issues and Best Practices for the Use of Long Polling and Streaming in Bidirectional HTTP",
    where="RFC 6202, sections 2.2 and 5.5",
    figure="Long polling's average latency is close to one network transit; the maximum is over three, as a "
    "message may have to wait for a response, the next request and its own response, and for "
    "retransmissions beside. Time-outs of 120 s have worked; 30 s is generally a safer value.",
    obtained="reasoned, neither computed nor measured; the time-outs from experience",
    trap="The worst case is that of a message that comes just after an answer has left: how many do depends "
    "on the rate. Ticks that wait share an answer.",
    judge=judge_latency,
)
