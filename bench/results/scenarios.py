"""Which scenarios trials are of: the fields that tell them apart, and what must not be averaged."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from bench.columns.cells import sortable
from bench.columns.fields import AXES, FILLED_WITH_THE_LINK, SHOWN_LAST
from bench.results.trials import are_steps


class Combination(NamedTuple):
    """Trials that share the values of some fields: ``fields`` by name (None: not set), and the trials."""

    fields: dict[str, Any]
    trials: pd.DataFrame


def varied_axes(rows: pd.DataFrame) -> list[str]:
    """Return the fields, beside the transport, that tell these rows apart.

    They have several values, or are set and not set for the same transport; a condition only if it tells
    apart what is the same in everything else. That there is no link, one field says for all of the link's.
    """
    by_transport = rows.groupby("transport")
    varied = [
        axis
        for axis in AXES
        if rows[axis].nunique() > 1
        or (axis not in FILLED_WITH_THE_LINK and _varies(rows, by_transport, axis))
    ]
    return [*varied, *_mixed(rows, varied, SHOWN_LAST)]


def mixed_fields(rows: pd.DataFrame, apart: Sequence[str]) -> list[str]:
    """Return the fields that have several values in trials of one transport and the same ``apart`` fields.

    Whoever averages such trials mixes scenarios. A condition is only named if it has several values for one
    and the same scenario: a window that is rounded to whole polls follows from the interval.
    """
    mixed = _mixed(rows, apart, AXES)
    return [*mixed, *_mixed(rows, [*apart, *mixed], SHOWN_LAST)]


def _mixed(rows: pd.DataFrame, apart: Sequence[str], among: Iterable[str]) -> list[str]:
    if not len(rows):
        return []
    groups = rows.groupby(["transport", *apart], dropna=False)
    return [name for name in among if name not in apart and _varies(rows, groups, name)]


def _varies(rows: pd.DataFrame, groups: "DataFrameGroupBy[Any, Any]", name: str) -> bool:
    """Return whether a field has several values in one of the groups of some rows; not set is one, too."""
    if rows[name].nunique(dropna=False) < 2:  # most fields; and this is known in no time
        return False
    return bool(groups[name].nunique(dropna=False).max() > 1)


def combinations(trials: pd.DataFrame, names: Sequence[str]) -> Iterator[Combination]:
    """Yield the trials of every combination of values of some fields.

    Trials of a transport that does not know a field belong to all of its values; so do the steps of a search,
    where the field is the number of clients.
    """
    values, known = {}, {}
    for name in names:
        knowing = set(trials.loc[trials[name].notna(), "transport"])
        own = trials[trials["transport"].isin(knowing) & ~_searched(trials, name)]
        values[name] = sorted(
            {sortable(value) for value in own[name]}, key=lambda value: (str(type(value)), value)
        )
        known[name] = knowing
    for chosen in itertools.product(*values.values()):
        kept = pd.Series(True, index=trials.index)
        for name, value in zip(names, chosen, strict=True):
            same = trials[name].map(lambda each, value=value: sortable(each) == value).astype(bool)
            kept &= same | ~trials["transport"].isin(known[name]) | _searched(trials, name)
        own = trials[kept]
        if _is_known(own, known):
            fields = {
                name: None if value == -1.0 else value for name, value in zip(names, chosen, strict=True)
            }
            yield Combination(fields, own)


def _is_known(trials: pd.DataFrame, known: Mapping[str, set[str]]) -> bool:
    """Return whether each field is known to the transport of some trial."""
    return all(trials["transport"].isin(transports).any() for transports in known.values())


def _searched(trials: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """Return which trials chose this field themselves: the steps of a search choose the clients."""
    return are_steps(trials) & (name == "clients")
