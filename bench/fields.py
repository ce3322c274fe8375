"""The fields of scenarios in words: which tell trials apart, which are fixed, and how a person reads them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd

from bench.scenario import FIELDS
from bench.transports import TRANSPORTS

CONDITIONS = ("congestion", "window_s", "warmup_s")
"""How long, and over what, was measured: shown only where nothing else tells trials apart."""
AXES = [name for name in FIELDS if name not in CONDITIONS]
"""What tells scenarios apart beside the transport; a table shows those that vary in it."""
SEARCHED = ("clients", "poll_interval_s", "latency_limit_ms")
"""Fields in which the steps of searches for capacity differ; what is told of searches holds them apart."""
DECISIVE = (
    "clients rate_hz payload_bytes poll_interval_s poll_pause_s hold_s heartbeat_s headers window_s".split()
)
"""Fields that a table always tells; the others only where they are not what they are by default."""
ORDINARY = {**{name: field.default for name, field in FIELDS.items()}, "keep_alive": True}
"""What a scenario is unless asked for otherwise."""

SWITCHES = {
    "keep_alive": ("kept", "not kept"),
    "tls": ("TLS", "no TLS"),
    "compression": ("compressed", "as it is"),
}
WORDS = {
    "clients": "{} clients",
    "rate_hz": "{} Hz",
    "plan": "{} ticks",
    "recording": "recording {}",
    "speed": "{} times as fast",
    "payload_bytes": "{} B",
    "padding": "padded with {}",
    "contract": "contract {}",
    "poll_interval_s": "every {} s",
    "poll_pause_s": "pause {} s",
    "hold_s": "hold {} s",
    "heartbeat_s": "ping each {} s",
    "headers": "{} headers",
    "cookie_bytes": "cookie {} B",
    "mss": "segments of {} B",
    "latency_limit_ms": "limit {} ms",
    "generator": "{}",
    "warmup_s": "warm-up {} s",
    "window_s": "window {} s",
}
LONGER_WORDS = {
    "payload_bytes": "{} B a tick",
    "poll_interval_s": "a poll every {} s",
    "generator": "load by {}",
}
"""The same where no transport and no heading stands beside it."""


class Combination(NamedTuple):
    """Trials that share the values of some fields: ``fields`` by name (None: not set), and the trials."""

    fields: dict[str, Any]
    trials: pd.DataFrame


def is_set(value: Any) -> bool:
    """Return whether a cell says something."""
    return value is not None and not (isinstance(value, float) and value != value)


def sortable(value: Any) -> Any:
    """Return a value of a field as something that sorts and compares: what is not set comes first."""
    return value if is_set(value) else -1.0


def tell_field(name: str, value: Any, *, alone: bool = False) -> str:
    """Say in a word or two what a field is.

    Args:
        name: The field.
        value: Its value; None, or NaN, is not set.
        alone: Whether no transport stands beside it, and no heading above it.
    """
    if not is_set(value):
        return "no pings" if name == "heartbeat_s" else f"no {name.replace('_', ' ')}"
    if name in SWITCHES:
        told = SWITCHES[name][0 if value else 1]
        return f"connections {told}" if alone and name == "keep_alive" else told
    if name == "clients" and value == 1:
        return "1 client"
    told = f"{float(value):,g}" if isinstance(value, Real) else str(value)
    words = LONGER_WORDS if alone and name in LONGER_WORDS else WORDS
    return words.get(name, f"{name.replace('_', ' ')} {{}}").format(told)


def varied_axes(rows: pd.DataFrame) -> list[str]:
    """Return the fields, beside the transport, that tell these rows apart.

    They have several values, or are set and not set for the same transport; a condition only if it tells
    apart what is the same in everything else.
    """
    varied = [
        axis
        for axis in AXES
        if rows[axis].dropna().nunique() > 1
        or rows.groupby("transport")[axis].nunique(dropna=False).max() > 1
    ]
    return [*varied, *_mixed(rows, varied, CONDITIONS)]


def mixed_fields(rows: pd.DataFrame, apart: Sequence[str]) -> list[str]:
    """Return the fields that have several values in trials of one transport and the same ``apart`` fields.

    Whoever averages such trials mixes scenarios. A condition is only named if it has several values for one
    and the same scenario: a window that is rounded to whole polls follows from the interval.
    """
    mixed = _mixed(rows, apart, AXES)
    return [*mixed, *_mixed(rows, [*apart, *mixed], CONDITIONS)]


def _mixed(rows: pd.DataFrame, apart: Sequence[str], among: Iterable[str]) -> list[str]:
    if not len(rows):
        return []
    groups = rows.groupby(["transport", *apart], dropna=False)
    return [name for name in among if name not in apart and groups[name].nunique(dropna=False).max() > 1]


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
    return (trials["step"] > 0) & (name == "clients")


def tell_fixed(rows: pd.DataFrame, varied: Sequence[str]) -> str:
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
        if name == "heartbeat_s" and not values and _has_push(rows):
            told.append("no pings")
        elif len(values) > 1 and name in DECISIVE:  # windows
            ends = [f"{values[end]:g}" for end in (0, -1)]
            told.append(WORDS[name].format(" to ".join(ends)))
        elif values and (name in DECISIVE or values != [ORDINARY[name]]):
            told += [tell_field(name, value, alone=True) for value in values]
    return f"Fixed: {', '.join(told)}." if told else ""


def _has_push(rows: pd.DataFrame) -> bool:
    return any(TRANSPORTS[name].family == "push" for name in rows["transport"].unique())
