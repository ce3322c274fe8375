"""The glossary of all columns, results/README.md, from what they say of themselves.

``python -m bench.report.glossary`` writes it anew; tests/bench/report/test_glossary.py holds it to that.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.columns.catalogue import RENAMED_SINCE_SCHEMA, SCHEMA_VERSION
from bench.columns.deliveries import CONNECTIONS, COUNTS, TIMES, TRAFFIC
from bench.columns.derived import DERIVED, OF_SEVERAL_TRIALS
from bench.columns.incident import INCIDENT
from bench.columns.link import LINK
from bench.columns.machine import INSTRUMENT, SERVER
from bench.columns.trial import AFTER_FIELDS, BEFORE_FIELDS, JUDGED, REPLAYED
from bench.fields import Column, Field, Kind
from bench.scenario import FIELDS, obeys
from bench.transports import TRANSPORTS, main_names

PLACE = Path(__file__).parent.parent.parent / "results" / "README.md"
INTRODUCTION = f"""# Runs, and what their columns mean

A run is a folder here: `run.json`, `trials.csv` with a row per trial, `deliveries/`. The committed one is
[reference/](reference/). `python -m bench.report.glossary` writes this page, from what the program says of
each column.

`trials.csv` has schema {SCHEMA_VERSION}. Runs of older schemas are read as if they had it: a column with a
former name had that up to schema {RENAMED_SINCE_SCHEMA - 1}. A cell is empty where nothing was measured.
Units are in the names: a ratio is a share of 1, B are bytes, kB and MB are 1,000 and 1,000,000 of them."""


class Section(NamedTuple):
    """A section of the glossary: its title, and its columns."""

    title: str
    columns: Sequence[Column]


SECTIONS = (
    Section("Which trial it is", (*BEFORE_FIELDS, *AFTER_FIELDS)),
    Section("How it was judged", JUDGED),
    Section("Times of deliveries", TIMES),
    Section("Counts", COUNTS),
    Section("What carried them", TRAFFIC),
    Section("Connections", CONNECTIONS),
    Section("The server", SERVER),
    Section("The instrument", INSTRUMENT),
    Section("The link, where it is a network in a box", LINK),
    Section("What an incident did, where there was one", INCIDENT),
    Section("Replayed recordings", REPLAYED),
    Section("Derived, in no file: `Run.trials` has them", DERIVED),
    Section("Derived of several trials, in the tables of experiments", OF_SEVERAL_TRIALS),
)


def glossary() -> str:
    """Return the whole page, in Markdown."""
    parts = [INTRODUCTION, "## The scenario\n\n" + "\n".join(_scenario_lines(FIELDS.values()))]
    parts += [f"## {title}\n\n" + "\n".join(_figure_lines(columns)) for title, columns in SECTIONS]
    return "\n\n".join(parts) + "\n"


def _scenario_lines(fields: Iterable[Field]) -> Iterator[str]:
    yield from _lines(["column", "unit", "meaning", "default", "obeyed by", "since schema"])
    for field in fields:
        default = field.default if field.where_known is None else field.where_known
        name = f"`{field.name}`"
        yield _line([name, _unit(field), field.meaning, _plain(default), _by(field), field.since])


def _figure_lines(columns: Iterable[Column]) -> Iterator[str]:
    yield from _lines(["column", "unit", "meaning", "better", "since schema", "former name"])
    for column in columns:
        former = column.formerly and f"`{column.formerly}`"
        name = f"`{column.name}`"
        yield _line([name, _unit(column), column.meaning, column.better.value, column.since, former])


def _lines(headings: Sequence[str]) -> Iterator[str]:
    yield _line(headings)
    yield _line(["---"] * len(headings))


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _unit(column: Column) -> str:
    return {Kind.WORD: "word", Kind.FLAG: "True or False"}.get(column.kind, column.unit)


def _plain(default: object) -> str:
    return "" if default is None else f"`{default}`"


def _by(field: Field) -> str:
    known = [TRANSPORTS[name].label for name in main_names() if obeys(name, field)]
    return "all" if len(known) == len(main_names()) else ", ".join(known)


if __name__ == "__main__":
    PLACE.write_text(glossary(), encoding="utf-8")
