"""What a run can say: its valid trials, asked for by experiment and scenario, and whether they are doubtful.

The ledger of claims (claims.py) and the published figures (literature/) are judged by it. Whoever asks for
what the run does not have gets :class:`NotMeasured`, which names the command that measures it.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.columns.catalogue import FIGURE_COLUMNS, check_column
from bench.columns.fields import OF_A_FIGURE, PLAIN
from bench.network.link_fields import OF_THE_LINK
from bench.results.capacity import ALLOWED_LATE_RATIO, capacities
from bench.results.estimates import estimate
from bench.results.statistics import Interval
from bench.results.trials import are_averageable, are_of, are_steps, standing_trials, suspect_trials

ANY = object()
"""Any value of a field will do, where a plain one is due otherwise."""
OVER_DISTANCE = {**dict.fromkeys(("link", *OF_THE_LINK), ANY), "jitter_ms": 0, "loss": 0, "rate_mbit": 0}
"""What to ask for, if trials over links are wanted that are nothing but distance."""


class NotMeasured(Exception):
    """The run does not have what is asked for; the text says what to run."""

    def __init__(self, command: str, why: str = "this run does not have it") -> None:
        super().__init__(f"{why}; measure it with: {command}")


class Evidence:
    """The trials of a run that may be averaged: neither invalid nor replaced by another attempt.

    Attributes:
        used: Index of every trial that was handed out, to tell how many of them are suspect.
        facts: What run.json says of the run.
    """

    def __init__(self, trials: pd.DataFrame, facts: Mapping[str, Any] | None = None) -> None:
        """Take the trials of a run (``Run.trials``), and its facts (``Run.facts``) if they are asked for."""
        self.facts = facts or {}
        kept = standing_trials(trials)
        numbers = kept.assign(**{name: _as_numbers(kept[name]) for name in FIGURE_COLUMNS})
        self._kept = numbers.copy()  # the new columns together in memory: rows are chosen in half the time
        self.used: set[Any] = set()
        self._known: dict[tuple[str, Any], NDArray[np.bool_]] = {}  # which trials have a value

    def trials(self, *experiments: str, **where: Any) -> pd.DataFrame:
        """Return the single trials of some experiments that match; steps of searches are not among them.

        Args:
            experiments: Their names; a trial of any of them will do.
            where: Values of scenario columns, a tuple for one of several, None for empty, ANY for whichever.

        Raises:
            NotMeasured: If there are none.
        """
        own = self._matching({**PLAIN, **where}) & are_of(self._kept, experiments)
        chosen = self._kept[own & are_averageable(self._kept) & ~are_steps(self._kept)]
        if not len(chosen):
            raise NotMeasured(f"bench run {experiments[0]}")
        self.used |= set(chosen.index)
        return chosen

    def figure(self, experiment: str, column: str, **where: Any) -> Interval:
        """Return the estimate of a figure of one scenario, with its 95 % interval if it was repeated.

        Raises:
            NotMeasured: If the run does not have it, or has several such scenarios.
            UnknownColumn: If there is no such column.
        """
        check_column(column, self._kept)
        chosen = self.trials(experiment, **where)
        varied = [name for name in OF_A_FIGURE if chosen[name].nunique(dropna=False) > 1]
        if varied:
            raise NotMeasured(
                f"bench run {experiment}",
                f"this run has several values of {', '.join(varied)} where one is due",
            )
        found = estimate(chosen, column)
        if pd.isna(found.estimate):
            raise NotMeasured(f"bench run {experiment}", f"this run has no {column} there")
        return found

    def values(self, experiment: str, field: str, **where: Any) -> list[Any]:
        """Return the distinct values of a scenario field in matching trials, in ascending order."""
        check_column(field, self._kept)
        return sorted(self.trials(experiment, **where)[field].dropna().unique())

    def searched(self) -> pd.DataFrame:
        """Return the capacities that were searched for, as ``bench.results.capacity.capacities`` tells them.

        Steps of a search are there to fail, so an invalid one ends it, and a suspect one is no doubt.

        Raises:
            NotMeasured: If nothing was searched for.
        """
        if not len(self._capacities):
            raise NotMeasured("bench run clients", "no capacity was searched for in this run")
        return self._capacities

    @functools.cached_property
    def _capacities(self) -> pd.DataFrame:
        return capacities(self._kept[self._matching(PLAIN)])

    def passed_steps(self, **where: Any) -> pd.DataFrame:
        """Return the steps of searches in which the server coped; perhaps none."""
        own = self._matching({**PLAIN, **where}) & are_averageable(self._kept) & are_steps(self._kept)
        chosen = self._kept[own & (self._kept["late_ratio"].astype(float) <= ALLOWED_LATE_RATIO)]
        self.used |= set(chosen.index)
        return chosen

    @property
    def doubt(self) -> str:
        """How many of the trials that were handed out are suspect, in words; empty if none is."""
        used = self._kept.loc[sorted(self.used)]
        suspect = len(suspect_trials(used))
        verb = "is" if suspect == 1 else "are"
        return f"{suspect} of the {len(used)} trials behind this {verb} suspect" if suspect else ""

    def _matching(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Return of each trial whether it matches."""
        fits = np.ones(len(self._kept), dtype=bool)
        for name, value in where.items():
            if (name, value) not in self._known:
                self._known[name, value] = self._has(name, value)
            fits &= self._known[name, value]
        return fits

    def _has(self, name: str, value: Any) -> NDArray[np.bool_]:
        """Return of each trial whether a scenario column has this value."""
        check_column(name, self._kept)
        column = self._kept[name]
        if value is ANY:
            return np.ones(len(column), dtype=bool)
        if value is None:
            return column.isna().to_numpy(dtype=bool)
        has = column.isin(value) if isinstance(value, tuple) else column == value
        return has.to_numpy(dtype=bool)


ASKED_ONCE = (0.95, 1.05)
"""Requests per tick where each tick is asked for by a request of its own."""


def asked_once(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials in which a tick takes one request, so that a figure per tick is one per request.

    Raises:
        NotMeasured: If there are none.
    """
    chosen = trials[trials["requests_per_delivery"].astype(float).between(*ASKED_ONCE)]
    if not len(chosen):
        raise NotMeasured("bench run overhead", "in this run no tick is asked for by one request of its own")
    return chosen


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of figures as floats, so that what is missing is NaN; words as they are."""
    try:
        return column.astype(float)
    except (TypeError, ValueError):
        return column
