"""Cells: what says nothing, and how values sort that may say nothing."""

from typing import Any


def is_set(value: Any) -> bool:
    """Return whether a cell says something."""
    return value is not None and not (isinstance(value, float) and value != value)


def sortable(value: Any) -> Any:
    """Return a value of a field as something that sorts and compares: what is not set comes first."""
    return value if is_set(value) else -1.0


def place(value: Any) -> tuple[bool, Any]:
    """Return by what values of a field are ordered: what is not set first, then numbers, then words."""
    return isinstance(value, str), sortable(value)
