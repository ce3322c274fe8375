"""Which trials count: the one place that chooses them.

A run has more trials than may be averaged. Of two attempts at one, the worse does not stand; what is invalid
is never averaged; and the steps of a search for capacity are there to fail, so they stand for no scenario.

The first functions choose rows of a table (``Run.trials``), the others look at one row (``Run.rows``).
Choosing from so many columns takes a millisecond: who asks often joins what trials are to be by ``&``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bench.results.validity import INVALID, SUSPECT


def standing_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials in whose place no other attempt stands."""
    return trials[~trials["retried"].astype(bool)]


def trials_of(trials: pd.DataFrame, experiments: Iterable[str]) -> pd.DataFrame:
    """Return the trials of any of some experiments; a trial that several share belongs to each."""
    return trials[are_of(trials, experiments)]


def are_of(trials: pd.DataFrame, experiments: Iterable[str]) -> "pd.Series[bool]":
    """Return of each trial whether it is of any of some experiments."""
    wanted = set(experiments)
    return trials["experiments"].map(lambda names: not wanted.isdisjoint(names.split())).astype(bool)


def single_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that are no steps of a search."""
    return trials[~are_steps(trials)]


def search_steps(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that are steps of a search."""
    return trials[are_steps(trials)]


def are_steps(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Return of each trial whether it is a step of a search."""
    return trials["search_step"] > 0


def averageable(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials whose figures may be averaged: those that are not invalid."""
    return trials[are_averageable(trials)]


def are_averageable(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Return of each trial whether its figures may be averaged."""
    return trials["verdict"] != INVALID


def telling(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that a sentence may speak of: averageable ones, and all steps of searches.

    A step whose clients were not let in is invalid, and says that they were too many.
    """
    return trials[are_averageable(trials) | are_steps(trials)]


def suspect_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that are shown with a mark."""
    return trials[trials["verdict"] == SUSPECT]


def stands(row: Mapping[Any, Any]) -> bool:
    """Return whether no other attempt stands in the place of a trial."""
    return not row["retried"]


def belongs(row: Mapping[Any, Any], experiments: Iterable[str]) -> bool:
    """Return whether a trial is of one of some experiments."""
    return not set(row["experiments"].split()).isdisjoint(experiments)


def is_step(row: Mapping[Any, Any]) -> bool:
    """Return whether a trial is a step of a search."""
    return bool(row["search_step"])


def is_averageable(row: Mapping[Any, Any]) -> bool:
    """Return whether the figures of a trial may be averaged."""
    return bool(row["verdict"] != INVALID)


def is_suspect(row: Mapping[Any, Any]) -> bool:
    """Return whether a trial is shown with a mark."""
    return bool(row["verdict"] == SUSPECT)
