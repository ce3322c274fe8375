"""A table per experiment: trials reduced to one row per scenario, and what must be known to read it."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from bench.columns.catalogue import WORD_COLUMNS
from bench.columns.cells import is_set, place, sortable
from bench.columns.fields import DECISIVE, OF_THE_TRANSPORT, is_ordinary
from bench.columns.words import field_words, heading
from bench.experiments.base import Experiment
from bench.report.terminal import GroupedTable
from bench.results.estimates import summarise
from bench.results.run import Run
from bench.results.scenarios import varied_axes
from bench.results.statistics import Interval
from bench.scenario import FIELDS
from bench.theory.traffic import Bounds
from bench.transports import TRANSPORTS
from bench.wording import bottleneck_words, number

ONCE = "n = 1: each figure is of one trial; what varies between trials is not seen."
REPEATED = "n = {}: ± is over so many trials; a figure without it was the same in all, to the digits shown."
PARTLY_REPEATED = (
    "n: how many trials. With n = 1 a figure was measured once, and what varies between trials is not seen; "
    "with more, a figure without ± was the same in all, to the digits shown."
)
WITHIN = (
    "* ± within the one trial, over its ticks and clients: rare stalls, and what varies between trials, are "
    "not in it."
)
TYPICAL_P99 = (
    "p99: the typical p99 of a trial (geometric mean over trials), not the p99 of all deliveries together."
)

MOST_AXES = 3
"""If more fields vary, a table tells them in words, not in a column each."""
FOLDED, OWN = "scenario", "with"
"""The columns of words: what transports share, told once for those below it; what each does by itself."""


SummaryRow = dict[str, Any]
"""A scenario's fields and figures, as ``summarise`` returns them."""


class FigureTable(NamedTuple):
    """A table, and the lines below it: the fields that it fixes, and how its figures are to be read."""

    table: Table
    notes: list[str]


def experiment_table(experiment: Experiment, trials: pd.DataFrame, run: Run | None = None) -> FigureTable:
    """Build the table of an experiment: what varies, then each figure with its 95 % interval, then theory."""
    rows = experiment.rows(trials)
    summary = summarise(rows, [*experiment.columns, *experiment.predicted_from], run)
    varied = varied_axes(rows)
    counts = sorted({row["trials"] for row in summary if row["trials"]})
    counted = ["trials"] * (len(counts) > 1)
    folded = len(varied) > MOST_AXES
    if folded:
        summary = _by_scenario(summary, varied)
    told_apart = _words_apart(summary, varied) if folded else _cells_apart(summary, varied)
    table = (GroupedTable if folded else Table)(box=box.SIMPLE_HEAD, collapse_padding=True)
    for name in [*told_apart, *counted, *experiment.columns]:
        is_words = name in WORD_COLUMNS or (name in told_apart and (folded or name == "transport"))
        table.add_column(
            Text(heading(name)),
            justify="left" if is_words else "right",
            no_wrap=name not in (*WORD_COLUMNS, FOLDED, OWN),
        )
    predicted = predictions(experiment, summary)
    if predicted:
        told = heading(experiment.predicted).replace("latency\n", "")
        table.add_column(Text(f"{experiment.predicted_by}\n{told}"), justify="right", style="dim")
    for index, row in enumerate(summary):
        cells = [column[index] for column in told_apart.values()]
        cells += [Text(_plain(row[name])) for name in counted]
        mark = "?" if "suspect" in row["verdicts"] else ""
        cells += [
            Text(", ".join(map(bottleneck_words, row[column])))
            if column in WORD_COLUMNS
            else Text(_figure(column, row[column], "*" * (column in row["within"]) + mark))
            for column in experiment.columns
        ]
        if predicted:
            cells.append(Text(_prediction(predicted[index])))
        table.add_row(*cells)
    notes = [fixed_fields_note(rows, varied)]
    if counts:
        often = PARTLY_REPEATED if counted else ONCE if counts == [1] else REPEATED.format(counts[0])
        notes.append(often)
    if any(row["within"] for row in summary):
        notes.append(WITHIN)
    if "latency_p99_ms" in experiment.columns and max(counts, default=0) > 1:
        notes.append(TYPICAL_P99)
    notes += [experiment.note, *replayed_rows_notes(trials)]
    return FigureTable(table, [note for note in notes if note])


def predictions(experiment: Experiment, summary: list[SummaryRow]) -> list[float | Bounds]:
    """Return what theory says of each row of a summary; nothing where the experiment has none."""
    if experiment.predict is None:
        return []
    figures = [
        {name: value.estimate if isinstance(value, Interval) else value for name, value in row.items()}
        for row in summary
    ]
    return list(experiment.predict(pd.DataFrame(figures)))


def spread(run: Run, experiment: Experiment) -> float:
    """Return the median relative half-width of the intervals of an experiment's first figure, or NaN."""
    widths = [
        (row[experiment.columns[0]].high / row[experiment.columns[0]].low) ** 0.5 - 1
        for row in summarise(experiment.rows(run.trials_of(experiment.name)), experiment.columns[:1])
        if row[experiment.columns[0]].low > 0
    ]
    return float(pd.Series(widths, dtype=float).median()) if widths else math.nan


def _figure(column: str, figure: Interval, mark: str) -> str:
    """Write an estimate and its 95 % interval: ± in percent, × where it reaches beyond double."""
    if math.isnan(figure.estimate):
        return "–"
    told = f"{number(figure.estimate * 100)}%" if column.endswith("_ratio") else number(figure.estimate)
    if figure.high == math.inf:
        return f"≥{told}{mark}"
    if figure.low <= 0 < figure.high:  # some trials have none of it, so that there is no factor
        told += f" ±{number(figure.high - figure.estimate)}"
    factor = math.sqrt(figure.high / figure.low) if figure.low > 0 else 1.0
    if factor >= 1.0005:
        told += f" ×{number(factor)}" if factor > 2 else f" ±{_percent(factor - 1)}%"
    return told + mark


def _prediction(found: float | Bounds) -> str:
    """Write what theory says: a figure, or two bounds that differ."""
    if not isinstance(found, Bounds):
        return number(found)
    ends = dict.fromkeys(number(bound) for bound in found)
    return " to ".join(ends)


def _percent(share: float) -> str:
    """Return a share in percent, with one digit after the point below ten."""
    return f"{share * 100:.0f}" if share >= 0.095 else f"{share * 100:.1f}"


def _cells_apart(summary: Sequence[SummaryRow], varied: Sequence[str]) -> dict[str, list[Text]]:
    """Return the columns that tell rows apart: the transport, and each field that varies."""
    fields = {name: [Text(_plain(row[name])) for row in summary] for name in varied}
    return {"transport": list(map(_transport, summary)), **fields}


def _words_apart(summary: Sequence[SummaryRow], varied: Sequence[str]) -> dict[str, list[Text]]:
    """Return the same in words: what transports share, at the first of them; the transport; what it does."""
    shared = [_unusual_words(row, _shared(varied)) for row in summary]
    first = [words if words != before else "" for before, words in zip(["", *shared], shared, strict=False)]
    own = [_unusual_words(row, _own(varied)) for row in summary]
    return {
        FOLDED: list(map(Text, first)),
        "transport": list(map(_transport, summary)),
        OWN: list(map(Text, own)),
    }


def _by_scenario(summary: Sequence[SummaryRow], varied: Sequence[str]) -> list[SummaryRow]:
    """Return the rows with those together that share a scenario; of each transport the usual one first."""
    transports = list(dict.fromkeys(row["transport"] for row in summary))

    def order(row: SummaryRow) -> tuple[list[Any], int, list[bool]]:
        shared = [place(row[name]) for name in _shared(varied)]
        unusual = [not is_ordinary(name, row[name]) for name in _own(varied)]
        return shared, transports.index(row["transport"]), unusual

    return sorted(summary, key=order)


def _shared(varied: Sequence[str]) -> list[str]:
    return [name for name in varied if name not in OF_THE_TRANSPORT]


def _own(varied: Sequence[str]) -> list[str]:
    return [name for name in varied if name in OF_THE_TRANSPORT]


def _transport(row: SummaryRow) -> Text:
    return Text(TRANSPORTS[row["transport"]].label, style=TRANSPORTS[row["transport"]].colour)


def _unusual_words(row: SummaryRow, names: Sequence[str]) -> str:
    """Tell fields in a few words: those that say how much, and what is not as usual."""
    return ", ".join(
        field_words(name, row[name])
        for name in names
        if is_set(row[name]) and (name in DECISIVE or not is_ordinary(name, row[name]))
    )


def _plain(value: Any) -> str:
    if not is_set(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def fixed_fields_note(rows: pd.DataFrame, varied: Sequence[str]) -> str:
    """Say which fields are the same in all rows of a table, as far as they matter or are unusual.

    Args:
        rows: The rows of an experiment's table, with all fields of their scenarios.
        varied: The fields that are columns of the table.
    """
    told = []
    for name in FIELDS:
        if name in varied:
            continue
        values = sorted({value for value in rows[name] if is_set(value)}, key=sortable)
        if name == "heartbeat_s" and not values and _may_beat(rows):
            told.append(FIELDS[name].unset)
        elif len(values) > 1 and name in DECISIVE:  # windows
            ends = [f"{values[end]:g}" for end in (0, -1)]
            told.append(FIELDS[name].phrase.format(" to ".join(ends)))
        elif values and (name in DECISIVE or not all(is_ordinary(name, value) for value in values)):
            told += [field_words(name, value, alone=True) for value in values]
    return f"Fixed: {', '.join(told)}." if told else ""


def _may_beat(rows: pd.DataFrame) -> bool:
    return any(TRANSPORTS[name].heartbeats for name in rows["transport"].unique())


def replayed_rows_notes(trials: pd.DataFrame) -> Iterator[str]:
    """Say, for each recording, which of its rows the windows of these trials played."""
    replayed = trials[trials["recording"].notna() & trials["recording_first_row"].notna()]
    for path, own in replayed.groupby("recording", sort=False):
        rows, first, last, ticks = (
            own[name].astype(int)
            for name in ("recording_rows", "recording_first_row", "recording_last_row", "expected")
        )
        played = f"rows {first.min():,} to {last.max():,}"
        if ((last < first) | (ticks // own["clients"].astype(int) > rows)).any():
            played = "from the last on to the first again, see recording_first_row in trials.csv"
        yield f"Replayed in these windows, of the {rows.max():,} rows of {path}: {played}."
