"""Estimates: trials reduced to a figure with its 95 % interval, over repeats, or within one trial."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.columns.catalogue import WORD_COLUMNS, check_column
from bench.columns.cells import is_set, place
from bench.results.deliveries import WindowTicks
from bench.results.run import Run
from bench.results.statistics import (
    TRIAL_FIGURES,
    Interval,
    interval,
    ratio_interval,
    resampled_interval,
)
from bench.results.trials import are_averageable, averageable, single_trials
from bench.scenario import FIELDS
from bench.transports import TRANSPORTS, main_names
from clients.short_polling import stratified_phases


def _matching(trials: pd.DataFrame, where: Mapping[str, Any]) -> "pd.Series[bool]":
    """Return of each trial whether it may be averaged and matches."""
    chosen = are_averageable(trials)
    for name, value in where.items():
        check_column(name, trials)
        chosen = chosen & (trials[name] == value)
    return chosen


def estimate(trials: pd.DataFrame, column: str, **where: Any) -> Interval:
    """Estimate a figure over the valid trials that match, with its 95 % interval.

    Rows may bring intervals of their own, as columns ``NAME_low`` and ``NAME_high`` (capacities do). That of
    a single row is taken. If one of several is a bound, infinite above, so is the estimate: their median.

    Args:
        trials: Trials of an experiment.
        column: The figure.
        where: Values of scenario columns to match.

    Raises:
        UnknownColumn: If there is no such column.
    """
    check_column(column, trials)
    own = [name for name in (column, f"{column}_low", f"{column}_high") if name in trials]
    return _over_all(trials.loc[_matching(trials, where), own], column)


def _over_all(chosen: pd.DataFrame, column: str) -> Interval:
    """Estimate a figure over trials that have been chosen already: see :func:`estimate`."""
    if f"{column}_high" in chosen and len(chosen):
        own = chosen[[column, f"{column}_low", f"{column}_high"]].astype(float)
        highs = own[f"{column}_high"]
        if len(own) == 1 or (highs == math.inf).any():
            return Interval(*own.median())._replace(high=float(highs.max()))
    return interval([float(figure) for figure in chosen[column] if figure is not None])


def ratio(trials: pd.DataFrame, column: str, above: Mapping[str, Any], below: Mapping[str, Any]) -> Interval:
    """Estimate the ratio of a figure between two scenarios over their valid trials, with its 95 % interval.

    Args:
        trials: Trials of an experiment.
        column: The figure.
        above, below: Values of scenario columns that choose the scenario above and below the line.

    Raises:
        UnknownColumn: If there is no such column.
    """
    check_column(column, trials)
    a, b = (
        [float(figure) for figure in trials[column][_matching(trials, where)] if figure is not None]
        for where in (below, above)
    )
    return ratio_interval(a, b)


def over_libraries(
    trials: pd.DataFrame, column: str, above: str, below: str, **where: Any
) -> tuple[dict[tuple[str, str], Interval], list[tuple[str, str]]]:
    """Return the ratio of a figure between two protocols for every pair of servers that speak them.

    Returns:
        The ratio by names of transports (above, below the line), and those of the pairs that are written with
        the same library.
    """
    names = list(trials["transport"].unique())
    pairs = {
        (a, b): ratio(trials, column, {"transport": a, **where}, {"transport": b, **where})
        for a in names
        for b in names
        if TRANSPORTS[a].protocol == above and TRANSPORTS[b].protocol == below
    }
    known = {pair: found for pair, found in pairs.items() if not math.isnan(found.estimate)}
    return known, [(a, b) for a, b in known if TRANSPORTS[a].library == TRANSPORTS[b].library]


def summarise(trials: pd.DataFrame, columns: Iterable[str], run: Run | None = None) -> list[dict[str, Any]]:
    """Return one dictionary per distinct scenario: its fields, its figures as intervals, its verdicts.

    With ``run``, the latencies of a scenario that has one valid trial get the interval within it; ``within``
    names these figures, and ``trials`` is how many valid ones there are.
    """
    summary = []
    order = {name: place for place, name in enumerate(TRANSPORTS)}
    for key, group in trials.groupby(["transport", *FIELDS], dropna=False, sort=False):
        row: dict[str, Any] = dict(zip(["transport", *FIELDS], key, strict=True))
        valid = averageable(group)
        row |= {
            column: _codes(group, column) if column in WORD_COLUMNS else _over_all(valid, column)
            for column in columns
        }
        row["within"] = []
        if run is not None and len(valid) == 1:
            found = {
                column: within_trial(run, valid.iloc[0], column)
                for column in columns
                if column in TRIAL_FIGURES
            }
            row |= found
            row["within"] = [column for column, figure in found.items() if figure.low > 0]
        row["trials"] = len(valid)
        row["verdicts"] = group["verdict"].tolist()
        summary.append(row)
    return sorted(
        summary,
        key=lambda row: (order.get(row["transport"], 99), *(place(row[axis]) for axis in FIELDS)),
    )


def _codes(trials: pd.DataFrame, column: str) -> list[str]:
    """Return the distinct codes of a column of words."""
    return list(dict.fromkeys(str(code) for code in trials[column] if is_set(code)))


def within_trial(run: Run, trial: Any, column: str) -> Interval:
    """Return a latency of one trial with its interval over ticks and clients (see ``resampled_interval``)."""
    if not is_set(trial[column]):
        return Interval(math.nan, math.nan, math.nan)
    deliveries = run.deliveries(trial)
    if deliveries is None or not len(deliveries):
        return Interval(float(trial[column] if trial[column] is not None else math.nan), math.nan, math.nan)
    window = WindowTicks(int(deliveries["seq"].min()), int(deliveries["seq"].max()), 0, 0)
    drawn = is_set(trial["poll_interval_s"]) and trial["generator"] == "swarm"
    phases = stratified_phases(int(trial["clients"]), int(trial["seed"])) if drawn else None
    return resampled_interval(deliveries.to_numpy(), window, column, phases=phases)


def valid_trials(run: Run, experiment: str) -> pd.DataFrame:
    """Return the trials that figures are drawn from: not invalid, not replaced, no steps of a search."""
    return averageable(single_trials(run.trials_of(experiment)))


def main_trials(run: Run, experiment: str) -> pd.DataFrame:
    """Return the valid trials without variants by other libraries, unless there are no others."""
    trials = valid_trials(run, experiment)
    main = trials[trials["transport"].isin(main_names())]
    return main if len(main) else trials


def estimates(trials: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return a figure per group with its 95 % interval: the columns ``by``, estimate, low and high.

    Raises:
        UnknownColumn: If there is no such column.
    """
    for name in (*by, column):
        check_column(name, trials)
    rows = []
    for key, group in trials.groupby(list(by), dropna=False, sort=False):
        found = estimate(group, column)
        if np.isfinite(found.estimate):
            rows.append({**dict(zip(by, key, strict=True)), **found._asdict()})
    return pd.DataFrame(rows, columns=[*by, "estimate", "low", "high"])


def kept_quantiles(run: Run, row: Any) -> pd.Series | None:
    """Return a trial's latency quantiles in ms, or None if neither they nor its deliveries were kept."""
    try:
        return run.latency_quantiles(row)
    except KeyError:
        return None


def wire_bytes_per_client_s(trials: pd.DataFrame) -> pd.Series:
    """Return wire bytes per client and second, both ways: measured, or by those per tick and the rate."""
    by_ticks = (trials["wire_bytes_per_delivery"] * trials["rate_hz"]).astype(float)
    return trials["wire_bytes_per_client_s"].fillna(by_ticks)
