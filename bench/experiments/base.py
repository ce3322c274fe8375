"""What an experiment is: a question, a design, a prediction, and a sentence computed from the answer."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.capacity import Search
from bench.scenario import Profile, Scenario
from bench.statistics import Interval, interval, ratio_interval
from bench.transports import TRANSPORTS


@dataclasses.dataclass(frozen=True)
class Design:
    """Scenarios that answer a question: all combinations of the axes, with the fixed fields, per transport.

    Scenarios that differ only in fields that their transport does not know are one: the push transports are
    measured once beside a whole axis of polling intervals.

    Attributes:
        fixed, axes: Fields of the scenarios, and the values of those that vary.
        transports: Names of the registry; by default those that are asked for.
        once: Whether one trial is enough: counts are exact, times are not.
        search: Whether the scenario's number of clients is to be searched for, and how.
        unless: Fields whose values are all that the design is about: if one is overridden, it is left out.
    """

    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    transports: Sequence[str] | None = None
    once: bool = False
    search: Search | None = None
    unless: Sequence[str] = ()

    def scenarios(self, transports: Sequence[str], overrides: Mapping[str, Sequence[Any]]) -> list[Scenario]:
        """Return the distinct scenarios; an override replaces a fixed field or a whole axis.

        Args:
            transports: The transports asked for. Of a design that names its own, those are taken that are
                asked for themselves, or by the transport whose variant they are.
            overrides: Values by field.

        Raises:
            ScenarioError: If a combination cannot be measured.
        """
        if not overrides.keys().isdisjoint(self.unless):
            return []
        axes = {**{name: [value] for name, value in self.fixed.items()}, **self.axes, **overrides}
        distinct = dict.fromkeys(
            Scenario(transport, **dict(zip(axes, values, strict=True)))
            for transport in (transports if self.transports is None else self.transports)
            if transport in transports or TRANSPORTS[transport].protocol in transports
            for values in itertools.product(*axes.values())
        )
        return list(distinct)


def single_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that are no steps of a search."""
    return trials[trials["step"] == 0]


def both_ways(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return the rows with up and down added: a column ``name`` of ``name_up`` and ``name_down`` each."""
    return rows.assign(**{name: rows[f"{name}_up"] + rows[f"{name}_down"] for name in names})


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One question.

    Attributes:
        name, question: What ``bench list`` shows.
        designs: The scenarios, for a profile.
        columns: The figures that its table shows.
        finding: The sentence at the end, computed from the experiment's trials.
        apart: Fields of which its sentence and its figures hold several values apart, beside the transport.
        named: Fields whose values its sentence names; a value that no profile has is named before the others.
        rows: Reduces the trials to the rows that its table shows; by default all but the steps of searches.
        doubtful: Scenario fields and values whose trials are suspect by design: what makes them so is what is
            asked for. They are marked like others, but nobody need do anything about them.
        note: What must be known to read the table, or nothing.
        predict: What theory says (bench/models) of the column ``predicted``, for each row of the summary, by
            the row's own fields: a figure or bounds, and NaN where it does not cover them.
        predicted_from: Columns that it needs beside those that are shown.
        predicted_by: What the prediction is called: theory, or what else it comes from.
    """

    name: str
    question: str
    designs: Callable[[Profile], Sequence[Design]]
    columns: Sequence[str]
    finding: Callable[[pd.DataFrame], str]
    apart: Sequence[str] = ()
    named: Sequence[str] = ()
    rows: Callable[[pd.DataFrame], pd.DataFrame] = single_trials
    doubtful: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    predict: Callable[[pd.DataFrame], pd.Series] | None = None
    predicted: str = "latency_p50_ms"
    predicted_from: Sequence[str] = ()
    predicted_by: str = "theory"


Row = Mapping[Any, Any]
"""A row of a table, by its columns: the fields of a scenario, and perhaps figures."""


def for_each_row(table: pd.DataFrame, function: Callable[[Row], Any]) -> pd.Series:
    """Return what a function makes of each row of a table."""
    return pd.Series([function(row) for row in table.to_dict("records")], table.index, dtype=object)


def each(row: Row) -> str:
    """Say when a client polls: ``each 0.5 s``, or ``0.5 s after each answer``; empty if it does not."""
    if pd.notna(row["poll_interval_s"]):
        return f"each {row['poll_interval_s']:g} s"
    return f"{row['poll_pause_s']:g} s after each answer" if pd.notna(row["poll_pause_s"]) else ""


def poll_cycle_s(row: Row) -> float:
    """Return the time between two questions of a client that polls, its way left out; NaN if it does not."""
    asked = (row["poll_interval_s"], row["poll_pause_s"])
    return next((float(seconds) for seconds in asked if pd.notna(seconds)), math.nan)


def is_plain(row: Row, *more: str) -> bool:
    """Return whether theory covers a scenario: all ticks, at a steady or Poisson pace, as they are.

    Args:
        row: Its fields.
        more: Fields that must not be changed either: keep_alive, tls, compression or mss.
    """
    ordinary = {"keep_alive": (None, True), "tls": (False,), "compression": (False,), "mss": (1460,)}
    return (
        row["plan"] in ("steady", "poisson")
        and row["contract"] == "every"
        and row["rate_hz"] > 0
        and all(pd.isna(row[name]) or row[name] in ordinary[name] for name in more)
    )


def number(value: float) -> str:
    """Return a number for people: three significant digits, never in powers of ten; – for none."""
    if math.isnan(value):
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1g}"


def _valid(trials: pd.DataFrame, where: Mapping[str, Any]) -> "pd.Series[bool]":
    """Return which trials may be averaged and match."""
    fits = trials["verdict"] != "invalid"
    for name, value in where.items():
        fits &= trials[name] == value
    return fits


def estimate(trials: pd.DataFrame, column: str, **where: Any) -> Interval:
    """Estimate a figure over the valid trials that match, with its 95 % interval.

    Rows may bring intervals of their own, as columns ``NAME_low`` and ``NAME_high`` (capacities do). That of
    a single row is taken. If one of several is a bound, infinite above, so is the estimate: their median.

    Args:
        trials: Trials of an experiment.
        column: The figure.
        where: Values of scenario columns to match.
    """
    fits = _valid(trials, where)
    figures = [float(figure) for figure in trials.loc[fits, column] if figure is not None]
    if f"{column}_high" in trials and fits.any():
        chosen = trials[fits]
        own = Interval(*chosen[[column, f"{column}_low", f"{column}_high"]].astype(float).median())
        if len(chosen) == 1 or (chosen[f"{column}_high"] == math.inf).any():
            return own._replace(high=float(chosen[f"{column}_high"].max()))
    return interval(figures)


def ratio(trials: pd.DataFrame, column: str, above: Mapping[str, Any], below: Mapping[str, Any]) -> Interval:
    """Estimate the ratio of a figure between two scenarios over their valid trials, with its 95 % interval.

    Args:
        trials: Trials of an experiment.
        column: The figure.
        above, below: Values of scenario columns that choose the scenario above and below the line.
    """
    a, b = (
        [float(figure) for figure in trials.loc[_valid(trials, where), column] if figure is not None]
        for where in (below, above)
    )
    return ratio_interval(a, b)


def times(found: Interval) -> str:
    """Write a ratio for people: ``2.19×, 95 % interval 1.71 to 2.75``; no interval where there is none."""
    return _bounded(found, f"{number(found.estimate)}×, 95 % interval ")


def _in_brackets(found: Interval, words: str = "") -> str:
    """Write a ratio for people: ``2.19× (1.71 to 2.75)``."""
    return _bounded(found, f"{number(found.estimate)}× ({words}", ")")


def _bounded(found: Interval, before: str, after: str = "") -> str:
    if math.isnan(found.low):
        return f"{number(found.estimate)}×"
    return f"{before}{number(found.low)} to {number(found.high)}{after}"


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


def tell_ratio(pairs: Mapping[tuple[str, str], Interval], same: Sequence[tuple[str, str]], said: str) -> str:
    """Say how two protocols compare: by the same library first, then over all pairs of libraries.

    "With aiohttp for both, WebSocket serves 3× (95 % interval 2.6 to 3.4) as many clients as long polling;
    over all pairs of libraries it is 1.5× (1.3 to 1.7) to 4.5× (3.9 to 5.2)".

    Args:
        pairs: The ratios by names of transports.
        same: Those of the pairs that are written with the same library.
        said: What is said of one ratio, with ``{}`` in its place.
    """
    if not pairs:
        return ""
    ends = [choose(pairs.values(), key=lambda found: found.estimate) for choose in (min, max)]
    if not same:
        if len(pairs) == 1:
            (above, below) = (TRANSPORTS[name] for name in next(iter(pairs)))
            told = said.format(_in_brackets(ends[0], "95 % interval "))
            return f"With {above.library} and {below.library}, which are not the same library, {told}"
        between = f"{_in_brackets(ends[0], '95 % interval ')} to {_in_brackets(ends[1])}"
        return f"By choice of library, {said.format(between)}"
    told = "; ".join(
        f"{'W' if not index else 'w'}ith {TRANSPORTS[pair[0]].library} for both, "
        + said.format(_in_brackets(pairs[pair], "" if index else "95 % interval "))
        for index, pair in enumerate(same)
    )
    if len(pairs) == len(same):
        return told
    return f"{told}; over all pairs of libraries it is {_in_brackets(ends[0])} to {_in_brackets(ends[1])}"
