"""Two runs side by side: which figures differ, by how much, and whether that is more than chance."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from bench.columns.catalogue import WORD_COLUMNS
from bench.columns.fields import OF_THE_TRANSPORT, RANKS
from bench.experiments.catalogue import EXPERIMENTS
from bench.judge.significance import Figures, across_runs, counts_by_chance, holm
from bench.results.capacity import ratio_of
from bench.results.estimates import estimate
from bench.results.files import ResultsError
from bench.results.run import FinishedRun, Run
from bench.results.statistics import (
    CONFIDENCE,
    NO_INTERVAL,
    SAME_LOG,
    Interval,
    interval,
    ratio_interval,
)
from bench.results.trials import is_averageable, is_step, is_suspect
from bench.scenario import FIELDS
from bench.transports import TRANSPORTS

SMALLEST_RELEVANT = 1.05
"""A figure that changed by less than this factor is told as slight, however sure the change is: nobody would
choose otherwise for it, and another minute of the same machine moves times by more."""

Key = tuple[tuple[str, Any], ...]
Rows = list[Mapping[str, Any]]
Scenarios = Mapping[Key, Rows]
Blocks = dict[int, float]


class Comparison(NamedTuple):
    """One figure of one scenario in two runs.

    Attributes:
        scenario: The scenario's fields.
        experiments: The experiments whose tables show the figure.
        figure: Its column.
        against: The transport by whose figure of the same run it is divided; None: by none.
        a, b: The figure (or that ratio) in each run, with its 95 % interval.
        ratio: B/A with its 95 % interval (of this comparison alone); no bounds where a run has one trial.
        p: Probability of such a ratio, or one further from 1, if the runs were alike; NaN where not tested.
        verdict: equal (identical in all trials), differs (the interval excludes 1, still does when all
            comparisons are allowed for, and the ratio is at least ``SMALLEST_RELEVANT``), perhaps (it does,
            but one in twenty does by chance), slight (it does, but the ratio is smaller than that), alike (no
            difference seen, which is no proof that there is none) or unknown (no interval).
        suspect: Whether a trial of it was suspect.
    """

    scenario: dict[str, Any]
    experiments: tuple[str, ...]
    figure: str
    against: str | None
    a: Interval
    b: Interval
    ratio: Interval
    p: float
    verdict: str
    suspect: bool


class Chance(NamedTuple):
    """How many intervals exclude 1, and how many do if it is chance which block is of which run.

    Attributes:
        tested: How many figures have an interval, and vary.
        excluding: Of how many it excludes 1.
        mean, sd: Of that number by chance.
        as_many: In what share of the ways to deal the blocks out there are as many; the real one is among
            them.
    """

    tested: int
    excluding: int
    mean: float
    sd: float
    as_many: float


def compare(run_a: Run, run_b: Run) -> tuple[list[Comparison], Chance | None]:
    """Compare every figure of the experiments' tables for every scenario that both runs have.

    Each figure is compared across the runs. What the speed of a machine moves (CPU time, and latencies that
    do not wait for a poll) is also compared as a ratio to a push transport's figure of the same run: so far
    as another machine is faster in everything alike, that cancels.

    Returns:
        The comparisons, and what chance gives; None where nothing could be tested.

    Raises:
        ResultsError: If they have no scenario in common.
    """
    scenarios_a, scenarios_b = _scenarios(run_a), _scenarios(run_b)
    common = [key for key in scenarios_a if key in scenarios_b]
    if not common:
        raise ResultsError(_nothing_in_common(run_a, run_b, scenarios_a, scenarios_b))
    asked = _asked(scenarios_a, scenarios_b, common)
    judged = [index for index, each in enumerate(asked) if each.may_be_tested]
    ratios, p = [NO_INTERVAL] * len(asked), [math.nan] * len(asked)
    chance = None
    if judged:
        figures = _figures([asked[index] for index in judged])
        for index, ratio, value in zip(judged, *across_runs(figures), strict=True):
            ratios[index], p[index] = ratio, float(value)
        if not all(map(math.isnan, p)):
            chance = _chance(p, counts_by_chance(figures))
    searched = _compared_capacities(scenarios_a, scenarios_b)
    stands = holm([*p, *(each.p for each in searched)])
    comparisons = [
        each if each.verdict else each._replace(verdict=_verdict(each.ratio, each.p, stand))
        for each, stand in zip(searched, stands[len(p) :], strict=True)
    ]
    for place, each in enumerate(asked):
        ratio = Interval(1.0, 1.0, 1.0) if each.equal else ratios[place]
        verdict = "equal" if each.equal else _verdict(ratio, p[place], stands[place])
        told = dict(each.key), each.experiments, each.figure, each.against
        comparisons.append(Comparison(*told, *each.estimates, ratio, p[place], verdict, each.suspect))
    return comparisons, chance


def _verdict(ratio: Interval, p: float, stands: bool) -> str:
    if math.isnan(p):
        return "unknown"
    if p >= 1 - CONFIDENCE:
        return "alike"
    if max(ratio.estimate, 1 / ratio.estimate) < SMALLEST_RELEVANT:
        return "slight"
    return "differs" if stands else "perhaps"


def _chance(p: Sequence[float], counts: "np.ndarray[Any, np.dtype[np.int64]]") -> Chance:
    excluding = sum(value < 1 - CONFIDENCE for value in p)
    known = sum(not math.isnan(value) for value in p)
    return Chance(
        known, excluding, float(counts.mean()), float(counts.std()), float((counts >= excluding).mean())
    )


class _Asked(NamedTuple):
    """A comparison before it is tested; ``own`` and ``by`` are the figures of each run by block."""

    key: Key
    experiments: tuple[str, ...]
    figure: str
    against: str | None
    own: tuple[Blocks, Blocks]
    by: tuple[Blocks, Blocks] | None
    reference: Key | None
    suspect: bool

    @property
    def estimates(self) -> tuple[Interval, Interval]:
        """The figure, or its ratio to the reference, in each run."""
        a, b = (list(each.values()) for each in self.own)
        if self.by is None:
            return interval(a), interval(b)
        below = [list(each.values()) for each in self.by]
        return ratio_interval(below[0], a), ratio_interval(below[1], b)

    @property
    def _parts(self) -> list[list[float]]:
        """The figures of both runs: its own, and those that it is divided by."""
        return [[*a.values(), *b.values()] for a, b in (self.own, self.by or ({}, {}))]

    @property
    def equal(self) -> bool:
        """Whether all trials of both runs say the same."""
        return all(np.allclose(each, each[0], rtol=SAME_LOG, atol=0) for each in self._parts if each)

    @property
    def may_be_tested(self) -> bool:
        """Whether there is a ratio that can vary."""
        return not self.equal and min(min(each) for each in self._parts if each) > 0


def _asked(scenarios_a: Scenarios, scenarios_b: Scenarios, common: Sequence[Key]) -> list[_Asked]:
    """Return what is to be compared."""
    asked = []
    for key in common:
        own = scenarios_a[key], scenarios_b[key]
        if _is_searched(own):
            continue
        reference = _reference(key, common)
        found = {name for rows in own for row in rows for name in str(row["experiments"]).split()}
        names = [name for name in EXPERIMENTS if name in found]
        columns = dict.fromkeys(column for name in names for column in EXPERIMENTS[name].columns)
        for figure in (column for column in columns if column not in WORD_COLUMNS):
            blocks = _blocks(own[0], figure), _blocks(own[1], figure)
            if not all(blocks):
                continue
            shown = tuple(name for name in names if figure in EXPERIMENTS[name].columns)
            asked.append(_Asked(key, shown, figure, None, blocks, None, None, _doubted(*own)))
            if reference is None or not _moved_by_speed(figure, dict(key)["transport"]):
                continue
            pushed = scenarios_a[reference], scenarios_b[reference]
            by = _blocks(pushed[0], figure), _blocks(pushed[1], figure)
            if all(by):
                against, doubted = dict(reference)["transport"], _doubted(*own, *pushed)
                asked.append(_Asked(key, shown, figure, against, blocks, by, reference, doubted))
    return asked


def _is_searched(own: tuple[Rows, Rows]) -> bool:
    return any(is_step(row) for rows in own for row in rows)


def _compared_capacities(scenarios_a: Scenarios, scenarios_b: Scenarios) -> list[Comparison]:
    """Compare what searches found, by their own intervals; the rest is of other numbers of clients.

    A capacity that is only a bound cannot be judged; a verdict that is still empty is for Holm to give.
    """
    figure = "capacity_clients"
    shown = tuple(name for name, each in EXPERIMENTS.items() if figure in each.columns)
    comparisons = []
    for key in scenarios_a:
        own = scenarios_a[key], scenarios_b.get(key, [])
        if not all(own) or not _is_searched(own):
            continue
        a, b = (estimate(pd.DataFrame(rows), figure) for rows in own)
        ratio, p, verdict = NO_INTERVAL, math.nan, "unknown"
        if a == b:
            ratio, verdict = Interval(1.0, 1.0, 1.0), "equal"
        elif min(a.low, b.low) > 0 and max(a.high, b.high) < math.inf:
            ratio, verdict = ratio_of(b, a), ""
            error = math.log(ratio.high / ratio.low) / 2 / float(ndtri((1 + CONFIDENCE) / 2))
            p = 2 * float(ndtr(-abs(math.log(ratio.estimate)) / error))
        comparisons.append(
            Comparison(dict(key), shown, figure, None, a, b, ratio, p, verdict, _doubted(*own))
        )
    return comparisons


def _figures(asked: Sequence[_Asked]) -> Figures:
    """Return the figures of comparisons as scenarios × blocks.

    The spread of a figure is shared by scenarios of which a machine's speed decides alike: a poll's wait
    varies by far less than a push.
    """
    cells: dict[tuple[Key, str], tuple[Blocks, Blocks]] = {}
    for each in asked:
        cells[each.key, each.figure] = each.own
        if each.reference is not None and each.by is not None:
            cells[each.reference, each.figure] = each.by
    places = {name: place for place, name in enumerate(cells)}
    runs = []
    for side in (0, 1):
        repeats = sorted({repeat for blocks in cells.values() for repeat in blocks[side]})
        runs.append(
            np.array(
                [[blocks[side].get(repeat, math.nan) for repeat in repeats] for blocks in cells.values()]
            )
        )
    groups = [(figure, _moved_by_speed(figure, dict(key)["transport"])) for key, figure in cells]
    pairs = [
        (
            places[each.key, each.figure],
            None if each.reference is None else places[each.reference, each.figure],
        )
        for each in asked
    ]
    return Figures(runs[0], runs[1], groups, pairs)


def _scenarios(run: Run) -> Scenarios:
    """Return the valid trials of each scenario; one that was measured again counts once."""
    found: dict[Key, Rows] = {}
    for row in _rows(run):
        if is_averageable(row) and row["transport"] in TRANSPORTS:
            key = tuple((name, none_if_nan(row[name])) for name in ("transport", *FIELDS))
            found.setdefault(key, []).append(row)
    order = list(TRANSPORTS)

    def place(key: Key) -> tuple[float, ...]:
        fields = dict(key)
        return order.index(fields["transport"]), *(float(fields[axis] or 0) for axis in RANKS)

    return {key: found[key] for key in sorted(found, key=place)}


def _rows(run: Run) -> list[dict[str, Any]]:
    """Return the rows of the experiments' tables; a trial that several share has the figures of each."""
    run = FinishedRun(run)
    merged: dict[tuple[int, int], dict[str, Any]] = {}
    for name in run.facts["experiments"]:
        if name in EXPERIMENTS:
            for row in EXPERIMENTS[name].rows(run.trials_of(name)).to_dict("records"):
                own = {str(column): value for column, value in row.items()}
                merged.setdefault((own["trial_number"], own["search_step"]), {}).update(own)
    return list(merged.values())


def _reference(key: Key, common: Sequence[Key]) -> Key | None:
    """Return the push scenario that otherwise is the same; None if it is this one, or there is none.

    Of several that both runs have, that of the same library, or else the protocol's first server.
    """
    own = TRANSPORTS[dict(key)["transport"]]
    shared = {field for field in key if field[0] not in ("transport", *OF_THE_TRANSPORT)}
    pushed = [
        (TRANSPORTS[dict(other)["transport"]], other)
        for other in common
        if shared <= set(other) and TRANSPORTS[dict(other)["transport"]].family == "push"
    ]
    if not pushed:
        return None
    alike = own.family != "push"
    _, chosen = min(
        pushed, key=lambda each: (alike and each[0].library != own.library, each[0].variant_of is not None)
    )
    return None if chosen == key else chosen


def _moved_by_speed(figure: str, transport: str) -> bool:
    """Return whether a faster machine changes a figure in proportion; a poll's wait is set by its clock."""
    if figure.startswith("latency_"):
        return TRANSPORTS[transport].family != "pull"
    return figure.startswith("server_cpu_")


def _nothing_in_common(run_a: Run, run_b: Run, a: Scenarios, b: Scenarios) -> str:
    """Say that there is nothing to compare, and in which fields the nearest scenarios differ."""
    names = f"the runs {run_a.folder.name} and {run_b.folder.name} have no valid scenario in common"
    if not a or not b:
        return f"{names}: one of them has no valid trial"
    one, two = min(itertools.product(a, b), key=lambda pair: -len(set(pair[0]) & set(pair[1])))
    nearest = ", ".join(name for (name, mine), (_, other) in zip(one, two, strict=True) if mine != other)
    return f"{names} (the nearest differ in {nearest}); measure both with the same profile and --set"


def _blocks(rows: Rows, figure: str) -> Blocks:
    values = {row["repeat"]: none_if_nan(row.get(figure)) for row in rows}
    return {repeat: float(value) for repeat, value in values.items() if value is not None}


def _doubted(*runs: Rows) -> bool:
    return any(is_suspect(row) for rows in runs for row in rows)


def none_if_nan(value: Any) -> Any:
    """Return a value, None for NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
