"""What an experiment is: a question, a design, a prediction, and a sentence computed from the answer."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.experiments import QUESTIONS
from bench.results.capacity import Search
from bench.results.trials import single_trials
from bench.scenario import Profile, Scenario
from bench.transports import TRANSPORTS
from clients.load.catalogue import GENERATORS


@dataclasses.dataclass(frozen=True)
class Design:
    """Scenarios that answer a question: all combinations of the axes, with the fixed fields, per transport.

    Scenarios that differ only in fields that their transport does not know are one: the push transports are
    measured once beside a whole axis of polling intervals.

    Attributes:
        fixed, axes: Fields of the scenarios, and the values of those that vary.
        transports: Those that it measures, by facts of the registry (``names_of``, ``main_names``); by
            default all that are asked for.
        repeats: How many trials of each are enough: 1 for exact counts, few for times that hardly vary.
            None: one in each block of the profile.
        search: Whether the scenario's number of clients is to be searched for, and how.
        unless: Fields whose values are all that the design is about: if one is overridden, it is left out.
    """

    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    transports: Sequence[str] | None = None
    repeats: int | None = None
    search: Search | None = None
    unless: Sequence[str] = ()

    def scenarios(self, transports: Sequence[str], overrides: Mapping[str, Sequence[Any]]) -> list[Scenario]:
        """Return the distinct scenarios; an override replaces a fixed field or a whole axis.

        A load generator is left out for transports that it has no clients for, unless that leaves nothing.

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
        asked = [
            (transport, dict(zip(axes, values, strict=True)))
            for transport in (transports if self.transports is None else self.transports)
            if transport in transports or TRANSPORTS[transport].protocol in transports
            for values in itertools.product(*axes.values())
        ]
        driven = [each for each in asked if _is_driven(*each)]
        return list(dict.fromkeys(Scenario(transport, **fields) for transport, fields in driven or asked))


def _is_driven(transport: str, fields: Mapping[str, Any]) -> bool:
    """Return whether the load generator, if one is chosen that there is, has clients for a transport."""
    generator = GENERATORS.get(fields.get("generator", ""))
    return generator is None or generator.drives(TRANSPORTS[transport].client_class)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One question.

    Attributes:
        name: What it is called: the name of its file, whose first line is its question.
        designs: The scenarios, for a profile.
        columns: The figures that its table shows.
        finding: The sentence at the end, computed from the experiment's trials; or paragraphs, a line each.
        apart: Fields of which its sentence and its figures hold several values apart, beside the transport.
        named: Fields whose values its sentence names; a value that no profile has is named before the others.
        rows: Reduces the trials to the rows that its table shows; by default all but the steps of searches.
        doubtful: Scenario fields and values whose trials are suspect by design: what makes them so is what is
            asked for. They are marked like others, but nobody need do anything about them.
        note: What must be known to read the table, or nothing.
        predict: What theory says (bench/theory) of the column ``predicted``, for each row of the summary, by
            the row's own fields: a figure or bounds, and NaN where it does not cover them.
        predicted_from: Columns that it needs beside those that are shown.
        predicted_by: What the prediction is called: theory, or what else it comes from.
        two_writes: Whether the conversation of bench/measure/two_writes.py is measured beside it, once a run.
    """

    name: str
    designs: Callable[[Profile], Sequence[Design]]
    columns: Sequence[str]
    finding: Callable[[pd.DataFrame], str]
    apart: Sequence[str] = ()
    named: Sequence[str] = ()
    rows: Callable[[pd.DataFrame], pd.DataFrame] = single_trials
    doubtful: Mapping[str, Collection[Any]] = dataclasses.field(default_factory=dict)
    note: str = ""
    predict: Callable[[pd.DataFrame], pd.Series] | None = None
    predicted: str = "latency_p50_ms"
    predicted_from: Sequence[str] = ()
    predicted_by: str = "theory"
    two_writes: bool = False

    @property
    def question(self) -> str:
        """Its question: the first line of its file."""
        return QUESTIONS[self.name]


Row = Mapping[Any, Any]
"""A row of a table, by its columns: the fields of a scenario, and perhaps figures."""


def for_each_row(table: pd.DataFrame, function: Callable[[Row], Any]) -> pd.Series:
    """Return what a function makes of each row of a table."""
    rows = [dict(zip(table.columns, cells, strict=True)) for cells in table.to_numpy(dtype=object)]
    return pd.Series([function(row) for row in rows], table.index, dtype=object)


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
    """Return whether theory covers a scenario: all ticks, at a steady or Poisson pace, over loopback.

    Args:
        row: Its fields.
        more: Fields that must not be changed either: keep_alive, tls, compression or mss.
    """
    ordinary = {"keep_alive": (None, True), "tls": (False,), "compression": (False,), "mss": (1460,)}
    return (
        row["plan"] in ("steady", "poisson")
        and row["contract"] == "every"
        and row["rate_hz"] > 0
        and pd.isna(row["rtt_ms"])
        and pd.isna(row["incident"])
        and all(pd.isna(row[name]) or row[name] in ordinary[name] for name in more)
    )
