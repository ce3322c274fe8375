"""What a run's files say, checked: nothing that was cut, lost or changed becomes a figure in silence.

Files go through mails, repositories and spreadsheet programs. Every check ends in one sentence that names the
file, what is wrong with it and, where it has lines, the line.
"""

import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.columns.catalogue import (
    FORMER_COLUMNS,
    IN_FILE,
    RENAMED_SINCE_SCHEMA,
    SCHEMA_VERSION,
    WHOLE_SINCE_SCHEMA,
)
from bench.fields import Kind
from bench.results.files import RUN_JSON, TRIALS_CSV, ResultsError, RunFiles
from bench.scenario import PROFILES

AS_WRITTEN = "restore it as bench wrote it"
SPREADSHEET = f"a spreadsheet program saved it, and they change numbers; {AS_WRITTEN}"
BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SHOWN_CHARACTERS = 40
COUNTED_SINCE_SCHEMA = 4
"""The schema from which on run.json counts the rows of trials.csv."""

Rows = list[dict[str, Any]]

WRITTEN = {
    Kind.WORD: re.compile(r".*", re.DOTALL),
    Kind.FLAG: re.compile(r"True|False"),
    Kind.WHOLE: re.compile(r"-?[0-9]{1,18}"),
    Kind.NUMBER: re.compile(r"-?([0-9]{1,18}(\.[0-9]+)?(e[+-][0-9]{2,3})?|inf)"),
}
"""How bench (by ``csv``) and pandas write a cell of a kind."""


# run.json

REQUIRED_FACTS: dict[str, type] = {
    "schema": int,
    "started": str,
    "profile": str,
    "seed": int,
    "experiments": list,
    "transports": list,
    "overrides": dict,
}
OTHER_FACTS: dict[str, type] = {"command": str, "environment": dict, "trials": dict, "digests": dict}
IN_WORDS = {int: "a whole number", str: "text", list: "a list of names", dict: "an object"}


def read_facts(files: RunFiles) -> dict[str, Any]:
    """Return what run.json says.

    Raises:
        ResultsError: If it is not there or not whole, or a value has not the type that it is written with.
    """
    place = files.place(RUN_JSON)
    try:
        facts = json.loads(_text(files, RUN_JSON))
        json.dumps(facts, ensure_ascii=False).encode()  # half a surrogate pair could not be printed
    except (ValueError, RecursionError) as error:
        raise ResultsError(f"{place} is no JSON ({error}); {AS_WRITTEN}") from error
    if not isinstance(facts, dict):
        raise ResultsError(f"{place} holds {_shown(facts)} where an object is due; {AS_WRITTEN}")
    for name in REQUIRED_FACTS:
        if name not in facts:
            raise ResultsError(f"{place} has lost {name!r}; {AS_WRITTEN}")
    for name, kind in (REQUIRED_FACTS | OTHER_FACTS).items():
        if name in facts and not _is(facts[name], kind):
            raise ResultsError(
                f"{place}: {name} is {_shown(facts[name])}, not {IN_WORDS[kind]}; {AS_WRITTEN}"
            )
    counted, overrides = facts.get("trials", {}), facts["overrides"]
    for problem, told in (
        (facts["profile"] not in PROFILES, f"profile is {facts['profile']!r}, not {' or '.join(PROFILES)}"),
        (started(facts) is None, f"started is {facts['started']!r}, no time by ISO 8601"),
        (
            not all(isinstance(values, list) for values in overrides.values()),
            "overrides are not lists of values",
        ),
        (
            "trials" in facts and not (_is(counted.get("rows"), int) and _is(counted.get("sha256"), str)),
            "trials has lost its rows or sha256",
        ),
        (
            "digests" in facts and not _are_digests(facts["digests"]),
            "digests has lost its plan or recordings",
        ),
        (
            "two_writes" in facts and not _are_two_writes(facts["two_writes"]),
            "two_writes has lost a way of writing, or its figures",
        ),
        (facts["schema"] >= COUNTED_SINCE_SCHEMA and "trials" not in facts, "trials is lost"),
    ):
        if problem:
            raise ResultsError(f"{place}: {told}; {AS_WRITTEN}")
    return facts


def started(facts: Mapping[str, Any]) -> datetime | None:
    """Return when a run was started, or None if its facts do not say so in ISO 8601; no time zone is UTC."""
    try:
        at = datetime.fromisoformat(facts["started"])
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _are_digests(told: Mapping[str, Any]) -> bool:
    recordings = told.get("recordings")
    return (
        _is(told.get("plan"), str)
        and isinstance(recordings, dict)
        and all(isinstance(digest, str) for digest in recordings.values())
    )


def _are_two_writes(told: Any) -> bool:
    """Return whether these are measurements of bench/measure/two_writes.py."""
    kinds = dict.fromkeys(("apart", "no_delay", "answered"), bool) | dict.fromkeys(
        ("median_ms", "sd_ms"), float
    )
    return isinstance(told, list) and all(
        isinstance(each, dict) and all(isinstance(each.get(name), kinds[name]) for name in kinds)
        for each in told
    )


def _is(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return isinstance(value, kind) and not isinstance(value, bool)


# trials.csv


def trials_digest(content: bytes) -> str:
    """Return the SHA-256 of trials.csv in hexadecimal, whichever line ends Git has given it."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def read_trials(files: RunFiles, facts: Mapping[str, Any]) -> Rows:
    """Return the rows of trials.csv, what is empty as None, with the columns that older schemas lack.

    Raises:
        ResultsError: If it is not there or not whole, or not as it was written.
    """
    place, schema = files.place(TRIALS_CSV), facts["schema"]
    if not 1 <= schema <= SCHEMA_VERSION:
        raise ResultsError(
            f"{files.place(RUN_JSON)} has schema {schema}, and this program reads schema {SCHEMA_VERSION}; "
            "measure anew, or use the version of bench that made it"
        )
    text = _text(files, TRIALS_CSV)
    names, lines = _split(text, place)
    renamed = FORMER_COLUMNS if schema < RENAMED_SINCE_SCHEMA else {}
    header = [renamed.get(name, name) for name in names]
    for old, new in renamed.items():
        if header.count(new) > 1:
            raise ResultsError(f"{place} has both {old} and {new}; {AS_WRITTEN}")
    since = {name: column.before for name, column in IN_FILE.items() if column.since > schema}
    whole = schema >= WHOLE_SINCE_SCHEMA
    needed = [name for name, column in IN_FILE.items() if whole or column.filled]
    lost = [name for name in needed if name not in header and name not in since]
    if lost:
        raise ResultsError(f"{place} has lost the column {' and '.join(lost[:3])}; {AS_WRITTEN}")
    _check_cells(header, lines, place)
    _check_count(files, facts, len(lines), place)
    words = {name: str for name, column in IN_FILE.items() if column.kind is Kind.WORD}
    trials = pd.read_csv(
        io.StringIO(text), names=header, header=0, keep_default_na=False, na_values=[""], dtype=words
    )
    later = {name: value for name, value in since.items() if name not in header}
    rows = trials.astype(object).where(trials.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} | later for row in rows]


def _split(text: str, place: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names in line 1, and of each further row the number of its line and its cells."""
    first = text.partition("\n")[0]
    if ("," not in first and (";" in first or "\t" in first)) or first.startswith("sep="):
        raise ResultsError(f"{place}, line 1 is not separated by commas: {SPREADSHEET}")
    if not text.endswith("\n"):
        count = text.count("\n") + 1
        raise ResultsError(f"{place} ends in the middle of line {count}: it was cut; {AS_WRITTEN}")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(rows.line_num, cells) for cells in rows]
    except csv.Error as error:
        raise ResultsError(f"{place}, line {rows.line_num}: {error}; {AS_WRITTEN}") from error
    _, header = lines[0]
    twice = [name for place_of, name in enumerate(header) if name and name in header[:place_of]]
    if twice:
        raise ResultsError(f"{place}, line 1 names {twice[0]} twice; {AS_WRITTEN}")
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise ResultsError(
                f"{place}, line {number} has {len(cells)} cells, not {len(header)}: it was cut or changed; "
                f"{AS_WRITTEN}"
            )
    return header, lines[1:]


def _check_cells(header: Sequence[str], lines: Sequence[tuple[int, Sequence[str]]], place: str) -> None:
    """Check every cell by the kind of its column.

    Raises:
        ResultsError: At the first that is not written as bench writes it, or is empty and must not be.
    """
    for index, name in enumerate(header):
        column = IN_FILE.get(name)
        if column is None:
            continue
        for number, cells in lines:
            cell = cells[index]
            if not cell and column.filled:
                raise ResultsError(f"{place}, line {number}: {name} is empty; {AS_WRITTEN}")
            if cell and not WRITTEN[column.kind].fullmatch(cell):
                raise ResultsError(
                    f"{place}, line {number}: {name} is {_shown(cell)}, not {column.kind.value}: "
                    f"perhaps {SPREADSHEET}"
                )


def _check_count(files: RunFiles, facts: Mapping[str, Any], rows: int, place: str) -> None:
    """Check the number of rows, and their digest, by run.json, which is written after trials.csv.

    So trials.csv may be a trial ahead, if the machine stopped between the two. Runs before schema 4 have
    neither.
    """
    counted = facts.get("trials")
    if counted is None or rows == counted["rows"] + 1:
        return
    if rows != counted["rows"]:
        raise ResultsError(
            f"{place} has {rows} rows where run.json counts {counted['rows']}: it was cut or changed; "
            f"{AS_WRITTEN}"
        )
    if trials_digest(files.read(TRIALS_CSV)) != counted["sha256"]:
        raise ResultsError(
            f"{place} was changed after it was measured: its digest is not run.json's; {AS_WRITTEN}"
        )


# Parquet


def read_parquet(
    files: RunFiles, name: str, kinds: Mapping[str, Kind], rows: int | None, optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the named columns of a Parquet file.

    Args:
        files: Of the run.
        name: The file's.
        kinds: The columns, of whole numbers or of numbers.
        rows: How many rows it has, if that is known; looked at before anything is unpacked.
        optional: Columns that it may lack.

    Raises:
        ResultsError: If it is not there or not whole, or lacks a column or a value.
    """
    place = files.place(name)
    try:
        file = pq.ParquetFile(pa.BufferReader(files.read(name)))
        found, has = file.metadata.num_rows, file.schema_arrow
        if rows is not None and found != rows:
            raise ResultsError(f"{place} has {found} rows where trials.csv counts {rows}; {AS_WRITTEN}")
        lost = [column for column in kinds if column not in has.names]
        if set(lost) - set(optional):
            raise ResultsError(f"{place} has lost the column {' and '.join(lost)}; {AS_WRITTEN}")
        kinds = {column: kind for column, kind in kinds.items() if column not in lost}
        for column, kind in kinds.items():
            fits = pa.types.is_integer if kind is Kind.WHOLE else pa.types.is_floating
            if not fits(has.field(column).type):
                raise ResultsError(f"{place}: {column} is not {kind.value}; {AS_WRITTEN}")
        table: pd.DataFrame = file.read(columns=list(kinds)).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ResultsError(f"{place} is no whole Parquet file ({reason}); {AS_WRITTEN}") from error
    whole = [column for column, kind in kinds.items() if kind is Kind.WHOLE]
    if len(table) != found or table[whole].isna().any(axis=None):
        raise ResultsError(f"{place} lacks values; {AS_WRITTEN}")
    return table


def _text(files: RunFiles, name: str) -> str:
    """Return a file as text.

    Raises:
        ResultsError: If it is not the UTF-8 that bench writes.
    """
    content = files.read(name)
    if content.startswith(BYTE_ORDER_MARKS):
        raise ResultsError(f"{files.place(name)} begins with a byte order mark: {SPREADSHEET}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ResultsError(
            f"{files.place(name)} is not UTF-8: byte {error.start:,} is {content[error.start]:#04x}; "
            f"{AS_WRITTEN}"
        ) from error


def _shown(value: Any) -> str:
    """Return a value as it stands in a file, cut where it is long."""
    told = repr(value) if isinstance(value, str) else json.dumps(value)
    return told if len(told) <= SHOWN_CHARACTERS else f"{told[:SHOWN_CHARACTERS]}…"
