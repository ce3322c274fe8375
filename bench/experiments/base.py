"""What an experiment is: a question, a design, a prediction, and a sentence computed from the answer."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.scenario import Profile, Scenario
from bench.statistics import Interval, interval, ratio_interval


@dataclasses.dataclass(frozen=True)
class Design:
    """Scenarios that answer a question: all combinations of the axes, with the fixed fields, per transport.

    Scenarios that differ only in fields that their transport does not know are one: the push transports are
    measured once beside a whole axis of polling intervals.
    """

    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    transports: Sequence[str] | None = None

    def scenarios(self, transports: Sequence[str], overrides: Mapping[str, Sequence[Any]]) -> list[Scenario]:
        """Return the distinct scenarios; an override replaces a fixed field or a whole axis.

        Args:
            transports: The transports asked for; of these, those of the design are taken.
            overrides: Values by field.

        Raises:
            ScenarioError: If a combination cannot be measured.
        """
        axes = {**{name: [value] for name, value in self.fixed.items()}, **self.axes, **overrides}
        distinct = dict.fromkeys(
            Scenario(transport, **dict(zip(axes, values, strict=True)))
            for transport in transports
            if self.transports is None or transport in self.transports
            for values in itertools.product(*axes.values())
        )
        return list(distinct)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One question.

    Attributes:
        name, question: What ``bench list`` shows.
        designs: The scenarios, for a profile.
        columns: The figures that its table shows.
        finding: The sentence at the end, computed from the experiment's trials.
        doubtful: Scenario fields and values whose trials are suspect by design: what makes them so is what is
            asked for. They are marked like others, but nobody need do anything about them.
        note: What must be known to read the table, or nothing.
        predict: What theory says of a figure, by its column, for a row of the summary; see bench/models.py.
    """

    name: str
    question: str
    designs: Callable[[Profile], Sequence[Design]]
    columns: Sequence[str]
    finding: Callable[[pd.DataFrame], str]
    doubtful: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    predict: Callable[[pd.DataFrame], pd.Series] | None = None


def number(value: float) -> str:
    """Return a number for people: three significant digits, never in powers of ten; – for none."""
    if math.isnan(value):
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1g}"


def _valid(trials: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the trials that may be averaged and match."""
    chosen = trials[trials["verdict"] != "invalid"]
    for name, value in where.items():
        chosen = chosen[chosen[name] == value]
    return chosen


def estimate(trials: pd.DataFrame, column: str, **where: Any) -> Interval:
    """Estimate a figure over the valid trials that match, with its 95 % interval.

    Args:
        trials: Trials of an experiment.
        column: The figure.
        where: Values of scenario columns to match.
    """
    return interval([float(figure) for figure in _valid(trials, where)[column] if figure is not None])


def ratio(trials: pd.DataFrame, column: str, above: Mapping[str, Any], below: Mapping[str, Any]) -> Interval:
    """Estimate the ratio of a figure between two scenarios, formed within blocks of valid trials.

    Args:
        trials: Trials of an experiment.
        column: The figure.
        above, below: Values of scenario columns that choose the scenario above and below the line.
    """
    blocks = []
    for where in (below, above):
        chosen = _valid(trials, where)
        pairs = zip(chosen["repeat"], chosen[column], strict=True)
        blocks.append({int(repeat): float(figure) for repeat, figure in pairs if figure is not None})
    return ratio_interval(*blocks)


def times(found: Interval) -> str:
    """Write a ratio for people: 2.19×, with the 95 % interval where there is one."""
    if math.isnan(found.low):
        return f"{number(found.estimate)}×"
    return f"{number(found.estimate)}×, 95 % interval {number(found.low)} to {number(found.high)}"
