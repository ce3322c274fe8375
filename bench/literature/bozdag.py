"""Bozdag, Mesbah and van Deursen 2007: what push costs a server against pull."""

from collections.abc import Sequence

import pandas as pd

from bench.evidence import Evidence, NotMeasured
from bench.experiments.base import number, over_libraries
from bench.literature.base import FALLS, NOT_JUDGED, STANDS, WITHIN_LIMITS, Judgement, Publication

CLAIMED_RATIO = 7.0
NEARLY = 0.5
"""Half of the published ratio, on other machines and by other libraries, would still be the same finding."""
EQUAL_RATES = (0.5, 5.0)
"""Ticks per poll that count as about equal rates of asking and publishing."""
EXPERIMENTS = ("library", "rate", "overhead", "freshness", "interval")
COLUMN = "server_cpu_us_per_client_s"


def judge(evidence: Evidence) -> Judgement:
    """Compare the CPU per client and second of push with that of pull, for the same ticks."""
    rows = []
    equal: list[float] = []
    equal_same: list[float] = []
    ratios_by_ticks: dict[float, list[float]] = {}
    for experiment in EXPERIMENTS:
        for rate_hz, interval_s, pairs, same in _comparisons(evidence, experiment):
            own = _span([pairs[pair] for pair in same]) if same else "–"
            ticks = rate_hz * interval_s
            told = _span(list(pairs.values()))
            rows.append([experiment, f"{rate_hz:g}", f"{interval_s:g}", number(ticks), told, own])
            if EQUAL_RATES[0] <= ticks <= EQUAL_RATES[1]:
                equal += list(pairs.values())
                equal_same += [pairs[pair] for pair in same]
            ratios_by_ticks.setdefault(ticks, []).extend(pairs.values())
    if not rows:
        raise NotMeasured("bench run library")
    headings = (
        "experiment",
        "ticks\nper s",
        "poll each\ns",
        "ticks\nper poll",
        "CPU of push\n/ pull",
        "same\nlibrary",
    )
    if not equal:
        return Judgement(
            NOT_JUDGED,
            "Nowhere in this run are ticks asked for about as often as they come; measure it with: bench run "
            "library",
            headings,
            rows,
        )
    by_library = f"; by the same library {_span(equal_same)}" if equal_same else ""
    ours = (
        f"Where a poll brings {EQUAL_RATES[0]:g} to {EQUAL_RATES[1]:g} ticks, push takes {_span(equal)} the "
        f"CPU of pull, by choice of library and rate{by_library}.{_where_pull_is_cheaper(ratios_by_ticks)}"
    )
    highest = max(equal_same or equal)  # where the libraries differ, they may be what is compared
    verdict = STANDS if min(equal) >= NEARLY * CLAIMED_RATIO else WITHIN_LIMITS if highest > 1 else FALLS
    return Judgement(verdict, ours, headings, rows)


def _where_pull_is_cheaper(ratios_by_ticks: dict[float, list[float]]) -> str:
    """Say from how many ticks a poll on push took more CPU in every comparison."""
    from_ticks = None
    for ticks in sorted(ratios_by_ticks, reverse=True):
        if min(ratios_by_ticks[ticks]) <= 1:
            break
        from_ticks = ticks
    if from_ticks is None:
        return ""
    return f" From {number(from_ticks)} ticks a poll on pull is the cheaper one, and its ticks are the older."


def _span(ratios: Sequence[float]) -> str:
    """Write ratios as a range, or one as itself."""
    return " to ".join(dict.fromkeys(f"{number(end)}×" for end in (min(ratios), max(ratios))))


def _comparisons(
    evidence: Evidence, experiment: str
) -> list[tuple[float, float, dict[tuple[str, str], float], list[tuple[str, str]]]]:
    """Return rate, poll interval, and push's CPU over pull's by pairs of servers, as an experiment has them.

    The servers of a comparison have equally many clients and payload.
    """
    try:
        trials = evidence.trials(experiment, payload_bytes=128)
    except NotMeasured:
        return []
    found = []
    polls = trials[trials["poll_interval_s"].notna() & (trials["rate_hz"] > 0)]
    headers = "minimal" if "minimal" in set(polls["headers"]) else "browser"
    for clients, rate_hz, interval_s in (
        polls[["clients", "rate_hz", "poll_interval_s"]].drop_duplicates().to_numpy()
    ):
        alike = trials[(trials["clients"] == clients) & (trials["rate_hz"] == rate_hz)]
        asked = (alike["poll_interval_s"] == interval_s) & (alike["headers"] == headers)
        alike = alike[asked | alike["poll_interval_s"].isna()]
        pairs, same = over_libraries(pd.DataFrame(alike), COLUMN, "websocket", "short_polling")
        if pairs:
            ratios = {pair: each.estimate for pair, each in pairs.items()}
            found.append((float(rate_hz), float(interval_s), ratios, same))
    return sorted(found, key=lambda each: each[:2])


PUBLICATION = Publication(
    name="push-and-pull",
    authors="Engin Bozdag, Ali Mesbah and Arie van Deursen",
    year="2007",
    title="A Comparison of Push and Pull Techniques for AJAX",
    where="TUD-SERG-2007-016, arXiv:0706.3984",
    figure="Push keeps clients' data more coherent, but takes 7 times the server CPU of pull, and the server "
    "saturates at "
    "350 to 500 users. Pull does well only if its interval equals the publish interval.",
    obtained="measured",
    trap="The servers differ too, and push of 2007 (Comet, by the Bayeux protocol) was HTTP requests that "
    "are held: a "
    "ratio of two protocols from one pair of libraries is as much about the libraries.",
    judge=judge,
)
