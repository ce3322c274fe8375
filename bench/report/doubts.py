"""What is doubtful in a run: trials, capacities and outliers, told by one function for terminal and page."""

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.columns.catalogue import WORD_COLUMNS
from bench.columns.cells import is_set
from bench.columns.words import field_words, heading_words
from bench.experiments.base import Row
from bench.experiments.catalogue import EXPERIMENTS
from bench.results.run import Run
from bench.results.trials import (
    averageable,
    belongs,
    is_step,
    is_suspect,
    search_steps,
    single_trials,
    stands,
    suspect_trials,
)
from bench.results.validity import INSTRUMENT_LATE, faults_of
from bench.scenario import FIELDS
from bench.transports import TRANSPORTS
from bench.wording import number, validity_sentence

MODIFIED_Z = 3.5
NORMAL_MAD = 0.6745
OUTLIER_FACTOR = 2.0
FEWEST_TRIALS = 5
"""Of four trials two may be slow and two quick: nobody knows which is the outlier."""


class Outlier(NamedTuple):
    """A figure of a trial that is far from those of the other trials of its scenario."""

    row: Row
    column: str
    figure: float
    median: float


def doubt_sentences(run: Run, experiments: Collection[str]) -> list[str]:
    """Say all that is doubtful in some experiments of a run: every ? of their tables is explained here.

    Trials that are suspect or invalid; capacities whose last passing step is suspect; trials that are suspect
    only of what their experiment asks for; and trials that are far from their scenario's others, whose
    verdict is ok.
    """
    told = [doubt_sentence(row) for row in doubts(run, experiments)]
    known = [name for name in experiments if name in EXPERIMENTS and len(run.trials_of(name))]
    told += [_capacity_sentence(row) for row in _doubtful_capacities(run, known)]
    told += _by_design_sentences(run, known)
    told += _outlier_sentences(outliers(run, known))
    return told


def doubts(run: Run, experiments: Collection[str]) -> list[dict[str, Any]]:
    """Return the trials whose figures are suspect or invalid: not measured again, and not so by design.

    The steps of a search are not among them: half of them are there to fail, and at thousands of clients the
    load generator itself is often late.
    """
    return [
        row
        for row in _counted(run, experiments)
        if row["verdict"] != "ok" and not is_step(row) and not (is_suspect(row) and _by_design(row))
    ]


def doubt_sentence(row: Mapping[str, Any]) -> str:
    """Say which trial is suspect or invalid, and why."""
    mark = "?" if is_suspect(row) else "✗"
    return f"{mark} {_trial_words(row)} is {row['verdict']}: {validity_sentence(row)}"


def outliers(run: Run, experiments: Collection[str]) -> Iterator[Outlier]:
    """Yield the figures of trials with verdict ok that are far from their scenario's other trials.

    Far is a modified z-score of the logarithms above 3.5 (Iglewicz and Hoaglin 1993, "How to detect and
    handle outliers", section 3.3), and more than twice or less than half the median. The second rule is
    needed because the median deviation of five trials is itself noisy: with the first alone, one of five
    normal trials is called an outlier in a fifth of all cases.
    """
    seen = set()
    for name in experiments:
        rows = EXPERIMENTS[name].rows(run.trials_of(name))
        valid = averageable(single_trials(rows))
        columns = [column for column in EXPERIMENTS[name].columns if column not in WORD_COLUMNS]
        for _, own in valid.groupby(["transport", *FIELDS], dropna=False, sort=False):
            if len(own) < FEWEST_TRIALS:
                continue
            for column in columns:
                figures = [float(figure) if is_set(figure) else np.nan for figure in own[column]]
                for place in far_from_others(figures):
                    (row,) = own.iloc[[place]].to_dict("records")
                    key = (row["trial_number"], column)
                    if row["verdict"] == "ok" and key not in seen:
                        seen.add(key)
                        median = statistics.median(figures)
                        yield Outlier(row, column, figures[place], median)


def far_from_others(figures: Sequence[float]) -> list[int]:
    """Return the places of the figures that are far from the others: see :func:`outliers`.

    Args:
        figures: Positive figures, one of each trial; of fewer than five none is far.
    """
    values = np.asarray(figures, dtype=float)
    if len(values) < FEWEST_TRIALS or not (values > 0).all():
        return []
    away = np.abs(np.log(values) - np.median(np.log(values)))
    typical = float(np.median(away))
    far = (NORMAL_MAD * away > MODIFIED_Z * typical) & (away > np.log(OUTLIER_FACTOR))
    return [int(place) for place in np.flatnonzero(far)]


def _outlier_sentences(found: Iterator[Outlier]) -> list[str]:
    """Say in one sentence per trial which of its figures are far from the others."""
    by_trial: dict[int, list[Outlier]] = {}
    for outlier in found:
        by_trial.setdefault(outlier.row["trial_number"], []).append(outlier)
    told = []
    for own in by_trial.values():
        figures = ", ".join(
            f"{heading_words(each.column)} {number(each.figure)} (median of all {number(each.median)})"
            for each in own
        )
        told.append(f"! {_trial_words(own[0].row)} is far from the others of its scenario: {figures}")
    return told


def _doubtful_capacities(run: Run, experiments: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the capacities that are marked ?: the last step that passed is suspect."""
    for name in experiments:
        rows = suspect_trials(search_steps(EXPERIMENTS[name].rows(run.trials_of(name))))
        for row in rows.to_dict("records"):
            yield {str(field): value for field, value in row.items()}


def _capacity_sentence(row: Mapping[str, Any]) -> str:
    asked = ", ".join(
        field_words(name, row[name], alone=True)
        for name in ("poll_interval_s", "latency_limit_ms")
        if is_set(row[name])
    )
    return (
        f"? the capacity of {TRANSPORTS[row['transport']].label} ({asked}), "
        f"{number(row['capacity_clients'])} clients, rests on a step that is suspect: "
        f"{validity_sentence(row)}"
    )


def _by_design_sentences(run: Run, experiments: Collection[str]) -> list[str]:
    """Say of which trials an experiment expects that they are suspect."""
    told = []
    for name in experiments:
        own = [row for row in _counted(run, [name]) if is_suspect(row) and not is_step(row)]
        count = sum(_by_design(row) for row in own)
        if count:
            which = ", ".join(
                field_words(field, value, alone=True)
                for field, values in EXPERIMENTS[name].doubtful.items()
                for value in values
                if any(row[field] == value for row in own)
            )
            trials = "1 trial" if count == 1 else f"{count} trials"
            told.append(
                f"? {name}: {trials} ({which}) {'is' if count == 1 else 'are'} suspect of what the "
                "experiment asks for: the load generator is late"
            )
    return told


def _counted(run: Run, experiments: Collection[str]) -> list[dict[str, Any]]:
    """Return the trials of some experiments that were not measured again."""
    return [row for row in run.rows if stands(row) and belongs(row, experiments)]


def _by_design(row: Mapping[str, Any]) -> bool:
    """Return whether a trial is suspect of nothing but what its experiments ask for: a late generator."""
    faults = faults_of(row)
    if not faults or not INSTRUMENT_LATE.issuperset(faults):
        return False
    names = row["experiments"].split()
    designs = [EXPERIMENTS[name].doubtful if name in EXPERIMENTS else {} for name in names]
    return all(fields and all(row[name] in fields[name] for name in fields) for fields in designs)


def _trial_words(row: Mapping[str, Any]) -> str:
    clients = "1 client" if row["clients"] == 1 else f"{row['clients']} clients"
    return f"trial {row['trial_number']} ({row['transport']}, {clients}, repeat {row['repeat']})"
