"""Two runs side by side: which figures differ, by how much, and whether that is more than chance."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.experiments import EXPERIMENTS
from bench.experiments.base import number
from bench.report import AXES, NAMES, WORDS
from bench.results import ResultsError, Run
from bench.scenario import Scenario
from bench.statistics import (
    CONFIDENCE,
    NO_INTERVAL,
    SAME_LOG,
    Interval,
    block_ratios,
    interval,
    unpaired_ratio,
)
from bench.transports import TRANSPORTS

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Scenario) if field.name != "transport"}
ALWAYS_TOLD = ("clients", "rate_hz", "poll_interval_s")
NUMBERS = ("clients", "rate_hz", "payload_bytes", "poll_interval_s", "poll_pause_s")
OF_THE_TRANSPORT = "transport poll_interval_s poll_pause_s hold_s heartbeat_s keep_alive window_s".split()
"""Scenarios that differ only in these belong together: some transports know them not; polls round windows."""
MARKS = {"differs": "[bold]≠[/]", "perhaps": "~", "equal": "=", "alike": "", "unknown": ""}

Key = tuple[tuple[str, Any], ...]
Rows = list[Mapping[str, Any]]


class Comparison(NamedTuple):
    """One figure of one scenario in two runs.

    Attributes:
        scenario: The scenario's fields.
        experiments: The experiments whose tables show the figure.
        figure: Its column.
        against: The transport by whose figure in the same block of the same run it is divided; None: by none.
        a, b: The figure (or the ratio within blocks) in each run, with its 95 % interval.
        ratio: B/A with its 95 % interval (of this comparison alone); no bounds where a run has one trial.
        p: Probability of such a ratio, or one further from 1, if the runs were alike; NaN where not tested.
        verdict: equal (identical in all trials), differs (the interval excludes 1, and still does when all
            comparisons are allowed for), perhaps (it does, but one in twenty does by chance), alike (no
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


def compare(run_a: Run, run_b: Run) -> list[Comparison]:
    """Compare every figure of the experiments' tables for every scenario that both runs have.

    Each figure is compared across the runs. What the speed of a machine moves (CPU time, and latencies that
    do not wait for a poll) is also compared as a ratio to the push transport's figure of the same block: then
    another machine's speed cancels.

    Raises:
        ResultsError: If they have no scenario in common.
    """
    scenarios_a, scenarios_b = _scenarios(run_a), _scenarios(run_b)
    common = [key for key in scenarios_a if key in scenarios_b]
    if not common:
        raise ResultsError(_nothing_in_common(run_a, run_b, scenarios_a, scenarios_b))
    comparisons = []
    for key in common:
        own = scenarios_a[key], scenarios_b[key]
        reference = _reference(key, common)
        found = {name for rows in own for row in rows for name in str(row["experiment"]).split()}
        names = [name for name in EXPERIMENTS if name in found]
        for figure in dict.fromkeys(column for name in names for column in EXPERIMENTS[name].columns):
            if figure in WORDS:
                continue
            shown = tuple(name for name in names if figure in EXPERIMENTS[name].columns)
            blocks = [_blocks(rows, figure) for rows in own]
            if all(blocks):
                compared = _compared([list(each.values()) for each in blocks])
                comparisons.append(Comparison(dict(key), shown, figure, None, *compared, _doubted(*own)))
            if reference is None or not _moved_by_speed(figure, dict(key)["transport"]):
                continue
            pushed = scenarios_a[reference], scenarios_b[reference]
            ratios = [
                block_ratios(_blocks(rows, figure), each) for rows, each in zip(pushed, blocks, strict=True)
            ]
            if all(ratios):
                against, doubted = dict(reference)["transport"], _doubted(*own, *pushed)
                comparisons.append(Comparison(dict(key), shown, figure, against, *_compared(ratios), doubted))
    return _holm(comparisons)


def _compared(figures: Sequence[Sequence[float]]) -> tuple[Interval, Interval, Interval, float, str]:
    """Return a, b, ratio, p and the verdict before Holm of the figures of the trials of two runs."""
    a, b = figures
    estimates = interval(a), interval(b)
    if np.allclose([*a, *b], a[0], rtol=SAME_LOG, atol=0):
        return *estimates, Interval(1.0, 1.0, 1.0), math.nan, "equal"
    if min(*a, *b) <= 0:
        return *estimates, NO_INTERVAL, math.nan, "unknown"
    return *estimates, *unpaired_ratio(a, b), "unknown"


def _holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Fill in the verdicts by Holm's procedure (1979), which holds however the figures hang together.

    The smallest p-value must be below 5 % over their number, the next below 5 % over one fewer, and so on;
    the first that is not ends it. So all verdicts "differs" are right together with 95 % confidence.
    """
    tested = sorted((c.p, index) for index, c in enumerate(comparisons) if not math.isnan(c.p))
    verdicts = [comparison.verdict for comparison in comparisons]
    survives = True
    for place, (p, index) in enumerate(tested):
        survives = survives and p <= (1 - CONFIDENCE) / (len(tested) - place)
        verdicts[index] = "differs" if survives else "perhaps" if p < 1 - CONFIDENCE else "alike"
    return [each._replace(verdict=verdict) for each, verdict in zip(comparisons, verdicts, strict=True)]


# Telling


def print_comparison(comparisons: Sequence[Comparison], console: Console, note: str = "") -> None:
    """Print a table of B/A per experiment, each difference in words, how many there are, and a note."""
    for name, against in itertools.product(EXPERIMENTS, dict.fromkeys(each.against for each in comparisons)):
        chosen = [each for each in comparisons if name in each.experiments and each.against == against]
        if chosen:
            divided = f", divided by {TRANSPORTS[against].label} of the same block" if against else ""
            console.print(Text.assemble((f"\n{name}", "bold"), f": B/A{divided}"))
            console.print(_table(name, chosen))
    console.print("≠ differs   ~ perhaps   = identical in all trials   ? a trial was suspect", style="dim")
    for each in comparisons:
        if each.verdict == "differs":
            console.print(f"≠ {describe(each)}", highlight=False)
    console.print(f"→ {summary(comparisons)}", highlight=False)
    if note:
        console.print(note, style="yellow", highlight=False)


def machines_note(run_a: Run, run_b: Run) -> str:
    """Return what to mind if the runs are of different machines; empty if they are of the same kind."""
    environments = [run.facts.get("environment", {}) for run in (run_a, run_b)]
    told = [f"{each.get('cpu', 'unknown')}, {each.get('cores', '?')} cores" for each in environments]
    if told[0] == told[1]:
        return ""
    return (
        f"The runs are of different machines (A: {told[0]}; B: {told[1]}): absolute times and CPU figures do "
        "not travel; read the counts, and what is divided by a transport of the same run."
    )


def describe(comparison: Comparison) -> str:
    """Return a comparison in words."""
    scenario, ratio = comparison.scenario, comparison.ratio
    where = TRANSPORTS[scenario["transport"]].label
    told = [
        f"{name} {scenario[name]}"
        for name, default in DEFAULTS.items()
        if scenario[name] is not None and (scenario[name] != default or name in ALWAYS_TOLD)
    ]
    where = ", ".join([where, *told])
    figure = NAMES.get(comparison.figure, comparison.figure).replace("\n", " ")
    over = f" over {TRANSPORTS[comparison.against].label}'s" if comparison.against else ""
    return (
        f"{where}: {figure}{over} {number(comparison.a.estimate)} → {number(comparison.b.estimate)} "
        f"({number(ratio.estimate)}×, from {number(ratio.low)} to {number(ratio.high)})"
    )


def summary(comparisons: Sequence[Comparison]) -> str:
    """Return how many figures differ, and how many would by chance."""
    count = {verdict: sum(each.verdict == verdict for each in comparisons) for verdict in MARKS}
    excluding = count["differs"] + count["perhaps"]
    tested = excluding + count["alike"]
    sentence = (
        f"Of {len(comparisons)} figures, {count['differs']} differ (identical: {count['equal']}): of the "
        f"{tested} that vary, {excluding} have a 95 % interval without 1, where chance alone gives about "
        f"{number(tested * (1 - CONFIDENCE))}, so only those count that stand when all are allowed for (Holm)"
    )
    if count["unknown"]:
        sentence += f"; {count['unknown']} cannot be judged, for want of a second trial or because of zeros"
    return sentence + "."


def as_records(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return comparisons for JSON: intervals as objects, NaN as null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Interval):
            return {name: plain(bound) for name, bound in value._asdict().items()}
        return _none_if_nan(value)

    return [{name: plain(value) for name, value in each._asdict().items()} for each in comparisons]


def _table(experiment: str, comparisons: Sequence[Comparison]) -> Table:
    rows: dict[Key, dict[str, Comparison]] = {}
    for each in comparisons:
        rows.setdefault(tuple(each.scenario.items()), {})[each.figure] = each
    axes = [axis for axis in AXES if len({dict(key).get(axis) for key in rows} - {None}) > 1]
    found = {each.figure for each in comparisons}
    figures = [name for name in EXPERIMENTS[experiment].columns if name in found]
    table = Table()
    for name in ["transport", *axes, *figures]:
        table.add_column(NAMES.get(name, name), justify="left" if name == "transport" else "right")
    for key, cells in rows.items():
        scenario, transport = dict(key), TRANSPORTS[dict(key)["transport"]]
        table.add_row(
            Text(transport.label, style=transport.colour),
            *("" if scenario[axis] is None else f"{scenario[axis]}" for axis in axes),
            *(_cell(cells[figure]) if figure in cells else "" for figure in figures),
        )
    return table


def _cell(comparison: Comparison) -> str:
    ratio, mark = comparison.ratio, "?" if comparison.suspect else ""
    if comparison.verdict == "equal":
        return f"={mark}"
    if math.isnan(ratio.estimate):
        return f"–{mark}"
    told = f"{ratio.estimate:.3f}" if 0.9 < ratio.estimate < 1.1 else number(ratio.estimate)
    if ratio.low > 0:
        factor = math.sqrt(ratio.high / ratio.low)
        told += f" ×{number(factor)}" if factor > 2 else f" ±{(factor - 1) * 100:.2g}%"
    return f"{told}{mark} {MARKS[comparison.verdict]}".rstrip()


# Finding


def _scenarios(run: Run) -> dict[Key, Rows]:
    """Return the valid trials of each scenario; one that was measured again counts once."""
    found: dict[Key, Rows] = {}
    for row in _rows(run):
        if row["verdict"] != "invalid" and row["transport"] in TRANSPORTS:
            key = tuple((name, _none_if_nan(row[name])) for name in ("transport", *DEFAULTS))
            found.setdefault(key, []).append(row)
    order = list(TRANSPORTS)

    def place(key: Key) -> tuple[float, ...]:
        fields = dict(key)
        return order.index(fields["transport"]), *(float(fields[axis] or 0) for axis in NUMBERS)

    return {key: found[key] for key in sorted(found, key=place)}


def _rows(run: Run) -> list[dict[str, Any]]:
    """Return the rows of the experiments' tables; a trial that several share has the figures of each."""
    merged: dict[tuple[int, int], dict[str, Any]] = {}
    for name in run.facts["experiments"]:
        if name in EXPERIMENTS:
            for row in EXPERIMENTS[name].rows(run.trials_of(name)).to_dict("records"):
                own = {str(column): value for column, value in row.items()}
                merged.setdefault((own["order"], own["step"]), {}).update(own)
    return list(merged.values())


def _reference(key: Key, common: Sequence[Key]) -> Key | None:
    """Return the scenario of the first push transport that otherwise is the same; None if it is this one."""
    shared = {field for field in key if field[0] not in OF_THE_TRANSPORT}
    for other in common:
        if TRANSPORTS[dict(other)["transport"]].family == "push" and shared <= set(other):
            return None if other == key else other
    return None


def _moved_by_speed(figure: str, transport: str) -> bool:
    """Return whether a faster machine changes a figure in proportion; a poll's wait is set by its clock."""
    if figure.startswith("latency_"):
        return TRANSPORTS[transport].family != "pull"
    return figure.startswith("server_cpu_")


def _nothing_in_common(run_a: Run, run_b: Run, a: Mapping[Key, Rows], b: Mapping[Key, Rows]) -> str:
    """Say that there is nothing to compare, and in which fields the nearest scenarios differ."""
    names = f"the runs {run_a.folder.name} and {run_b.folder.name} have no valid scenario in common"
    if not a or not b:
        return f"{names}: one of them has no valid trial"
    one, two = min(itertools.product(a, b), key=lambda pair: -len(set(pair[0]) & set(pair[1])))
    nearest = ", ".join(name for (name, mine), (_, other) in zip(one, two, strict=True) if mine != other)
    return f"{names} (the nearest differ in {nearest}); measure both with the same profile and --set"


def _blocks(rows: Rows, figure: str) -> dict[int, float]:
    values = {row["repeat"]: _none_if_nan(row.get(figure)) for row in rows}
    return {repeat: float(value) for repeat, value in values.items() if value is not None}


def _doubted(*runs: Rows) -> bool:
    return any(row["verdict"] == "suspect" for rows in runs for row in rows)


def _none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
