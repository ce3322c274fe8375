"""Bozdag, Mesbah and van Deursen 2007: what push costs a server against pull."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from bench.judge.literature.base import NOT_JUDGED, Judgement, Publication, middle, verdict_on
from bench.results.estimates import over_libraries
from bench.results.evidence import Evidence, NotMeasured
from bench.wording import number

CLAIMED_RATIO = 7.0
EQUAL_RATES = (0.5, 5.0)
"""Ticks per poll that count as about equal rates of asking and publishing."""
FEWEST_CLIENTS = 100
"""With fewer, what a server does anyway is no small part of its CPU: shown, and not judged."""
EXPERIMENTS = ("library", "rate", "freshness", "interval")
COLUMN = "server_cpu_us_per_client_s"


class Compared(NamedTuple):
    """The CPU of telling over that of answering polls, by pairs of servers, in one scenario.

    Attributes:
        held, pushed: Of long polling, which is what they had, and of WebSocket, which they had not.
        same: The pairs of ``held`` that are by the same library.
    """

    experiment: str
    clients: int
    rate_hz: float
    interval_s: float
    held: dict[tuple[str, str], float]
    same: list[tuple[str, str]]
    pushed: dict[tuple[str, str], float]

    @property
    def ticks_per_poll(self) -> float:
        """How many ticks come between two polls."""
        return self.rate_hz * self.interval_s


def judge_cpu(evidence: Evidence) -> Judgement:
    """Compare the CPU per client and second of held requests with that of polls, for the same ticks.

    Of libraries the same on both sides is judged, where the run has it: else they may be what differs.
    """
    shown = [each for experiment in EXPERIMENTS for each in _comparisons(evidence, experiment)]
    if not shown:
        raise NotMeasured("bench run library")
    rows = [_row(each) for each in shown]
    headings = (
        "experiment",
        "clients",
        "ticks\nper s",
        "poll\neach s",
        "ticks /\npoll",
        "CPU\nheld /\npolled",
        "same\nlibrary",
        "pushed /\npolled",
    )
    equal = [
        each
        for each in shown
        if EQUAL_RATES[0] <= each.ticks_per_poll <= EQUAL_RATES[1] and each.clients >= FEWEST_CLIENTS
    ]
    if not equal:
        return Judgement(
            NOT_JUDGED,
            f"Nowhere in this run do {FEWEST_CLIENTS} clients ask about as often as ticks come; measure it "
            "with: bench run library",
            headings,
            rows,
        )
    every = [ratio for each in equal for ratio in each.held.values()]
    same = [each.held[pair] for each in equal for pair in each.same]
    ours = (
        f"Where a poll brings {EQUAL_RATES[0]:g} to {EQUAL_RATES[1]:g} ticks and at least {FEWEST_CLIENTS} "
        f"clients ask, push as they had it, held requests, takes {_span(every)} the CPU of polls, by choice "
        "of library and rate"
        + (f"; by the same library {_span(same)}" if same else "")
        + f"; {number(middle(same or every))}× in the geometric mean."
        + _where_pull_is_cheaper(shown)
    )
    if pushed := [ratio for each in equal for ratio in each.pushed.values()]:
        ours += f" WebSocket, which they had not, takes {_span(pushed)}."
    ours += " At how many users a server saturates is the machine's of 2007, and not judged."
    return Judgement(verdict_on(middle(same or every), CLAIMED_RATIO), ours, headings, rows)


def _row(each: Compared) -> list[str]:
    return [
        each.experiment,
        str(each.clients),
        f"{each.rate_hz:g}",
        f"{each.interval_s:g}",
        number(each.ticks_per_poll),
        _span(each.held.values()),
        _span([each.held[pair] for pair in each.same]) if each.same else "–",
        _span(each.pushed.values()) if each.pushed else "–",
    ]


def _where_pull_is_cheaper(shown: Sequence[Compared]) -> str:
    """Say from how many ticks a poll on held requests took more CPU in every comparison."""
    from_ticks = None
    for ticks in sorted({each.ticks_per_poll for each in shown}, reverse=True):
        if min(ratio for each in shown if each.ticks_per_poll == ticks for ratio in each.held.values()) <= 1:
            break
        from_ticks = ticks
    if from_ticks is None:
        return ""
    return f" From {number(from_ticks)} ticks a poll on pull is the cheaper one, and its ticks are the older."


def _span(ratios: Iterable[float]) -> str:
    """Write ratios as a range, or one as itself."""
    each = list(ratios)
    return " to ".join(dict.fromkeys(f"{number(end)}×" for end in (min(each), max(each))))


def _comparisons(evidence: Evidence, experiment: str) -> list[Compared]:
    """Return what an experiment has, by rate and interval; the clients and ticks of a scenario are equal."""
    try:
        trials = evidence.trials(experiment)
    except NotMeasured:
        return []
    found = []
    polls = trials[trials["poll_interval_s"].notna() & (trials["rate_hz"] > 0)]
    headers = "minimal" if "minimal" in set(polls["headers"]) else "browser"
    fields = ["clients", "payload_bytes", "rate_hz"]
    for *scenario, interval_s in polls[[*fields, "poll_interval_s"]].drop_duplicates().to_numpy():
        alike = trials[(trials[fields] == scenario).all(axis="columns")]
        asked = (alike["poll_interval_s"] == interval_s) & (alike["headers"] == headers)
        alike = pd.DataFrame(alike[asked | alike["poll_interval_s"].isna()])
        held, same = over_libraries(alike, COLUMN, "long_polling", "short_polling")
        pushed, _ = over_libraries(alike, COLUMN, "websocket", "short_polling")
        if held:
            clients, _, rate_hz = scenario
            found.append(
                Compared(
                    experiment,
                    int(clients),
                    float(rate_hz),
                    float(interval_s),
                    {pair: each.estimate for pair, each in held.items()},
                    same,
                    {pair: each.estimate for pair, each in pushed.items()},
                )
            )
    return sorted(found, key=lambda each: (each.rate_hz, each.interval_s))


PUBLICATION = Publication(
    name="push-and-pull",
    authors="Engin Bozdag, Ali Mesbah and Arie van Deursen",
    year="2007",
    title="A Comparison of Push and Pull Techniques for AJAX",
    where="TUD-SERG-2007-016, arXiv:0706.3984",
    figure="Push keeps clients' data more coherent, but takes 7 times the server CPU of pull, and the "
    "server saturates at 350 to 500 users. Pull does well only if its interval equals the publish interval.",
    obtained="measured",
    trap="The servers differ too, and push of 2007 (Comet, by the Bayeux protocol) was HTTP requests that "
    "are held: long polling is what is compared. A ratio of two protocols from one pair of libraries is as "
    "much about the libraries.",
    judge=judge_cpu,
)
