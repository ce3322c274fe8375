"""How columns are told: headings of tables, labels of axes, and values of a scenario's fields in words."""

from numbers import Real
from typing import Any

from bench.columns.catalogue import ALL_COLUMNS
from bench.columns.cells import is_set
from bench.fields import UNITS
from bench.scenario import FIELDS


def heading(name: str) -> str:
    """Return the heading of a column, perhaps in several lines: its own name, if it has no other."""
    return ALL_COLUMNS[name].heading or name if name in ALL_COLUMNS else name


def heading_words(name: str) -> str:
    """Return the heading of a column in one line."""
    return heading(name).replace("\n", " ")


def field_words(name: str, value: Any, *, alone: bool = False) -> str:
    """Say in a word or two what a field is.

    Args:
        name: The field.
        value: Its value; None, or NaN, is not set.
        alone: Whether no transport stands beside it, and no heading above it.
    """
    field, spoken = FIELDS[name], name.replace("_", " ")
    if not is_set(value):
        return field.unset or f"no {spoken}"
    if field.one and value == 1:
        return field.one
    phrase = (alone and field.alone) or field.phrase or f"{spoken} {{}}"
    if field.switch:
        return (field.alone if alone and field.alone else "{}").format(field.switch[0 if value else 1])
    words = f"{float(value):,g}" if isinstance(value, Real) else field.spoken.get(str(value), str(value))
    return phrase.format(words)


def axis_label(column: str) -> str:
    """Return what an axis says of a column of trials.csv, with its unit in parentheses."""
    known = ALL_COLUMNS.get(column)
    if known is not None and known.label:
        return known.label
    words = column.split("_")
    for place, word in enumerate(words):
        if word in UNITS:
            rest = [*words[:place], *(["bytes"] if word == "bytes" else []), *words[place + 1 :]]
            return f"{' '.join(rest)} ({UNITS[word]})"
    return f"{' '.join(words[:-1])} (ratio)" if words[-1] == "ratio" else f"{' '.join(words)} (count)"
