"""All columns by name: those of trials.csv in its order, those that are derived, and former names."""

import difflib
from collections.abc import Container

from bench.columns.deliveries import CONNECTIONS, COUNTS, TIMES, TRAFFIC
from bench.columns.derived import DERIVED, OF_SEVERAL_TRIALS
from bench.columns.incident import INCIDENT
from bench.columns.link import LINK
from bench.columns.machine import INSTRUMENT, SERVER
from bench.columns.trial import AFTER_FIELDS, BEFORE_FIELDS, JUDGED, REPLAYED
from bench.fields import Column, Kind
from bench.scenario import FIELDS

SCHEMA_VERSION = 7
WHOLE_SINCE_SCHEMA = 3
"""Runs of older schemas may lack figures; newer ones have every column but those that came later."""
RENAMED_SINCE_SCHEMA = 5
"""The schema from which on columns have the names of today."""

_OF_SCENARIO = (*BEFORE_FIELDS, *FIELDS.values(), *AFTER_FIELDS)
_FIGURES = (
    *JUDGED,
    *REPLAYED,
    *TIMES,
    *COUNTS,
    *TRAFFIC,
    *CONNECTIONS,
    *SERVER,
    *INSTRUMENT,
    *LINK,
    *INCIDENT,
)
IN_FILE: dict[str, Column] = {column.name: column for column in (*_OF_SCENARIO, *_FIGURES)}
"""The columns of trials.csv."""
ALL_COLUMNS = IN_FILE | {column.name: column for column in (*DERIVED, *OF_SEVERAL_TRIALS)}

COLUMNS = list(IN_FILE)
FIGURE_COLUMNS = [column.name for column in _FIGURES]
WORD_COLUMNS = [column.name for column in _FIGURES if column.kind is Kind.WORD]
"""Figures that are words or codes."""
FORMER_COLUMNS = {column.formerly: name for name, column in IN_FILE.items() if column.formerly}
"""What columns were called up to schema 4, and what they are called now."""


class UnknownColumn(LookupError):
    """No such column; the text says what it is called, or which may be meant."""


def check_column(name: str, known: Container[str]) -> None:
    """Refuse a column that is asked for by name and is not there.

    Args:
        name: The column.
        known: Those that there are, such as a table of trials.

    Raises:
        UnknownColumn: If it is not among them; the sentence gives the name of today, or the nearest.
    """
    if name in known:
        return
    if name in FORMER_COLUMNS:
        raise UnknownColumn(f"{name} is called {FORMER_COLUMNS[name]} since schema {RENAMED_SINCE_SCHEMA}")
    near = [each for each in difflib.get_close_matches(name, ALL_COLUMNS) if each in known]
    hint = f"did you mean {near[0]}?" if near else "results/README.md lists all columns"
    raise UnknownColumn(f"there is no column {name}; {hint}")
