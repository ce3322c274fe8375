"""A recording of a market, as people have it: a CSV read once a process, whole, or refused with the line."""

import codecs
import csv
import functools
import gzip
import hashlib
import io
import math
import re
import sys
import time
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain, islice, pairwise
from operator import itemgetter, le
from pathlib import Path
from typing import NamedTuple, TypeVar

from servers.wire import largest_encoding_bytes
from servers.workloads.plan import NS_PER_S, recording_length_ns
from servers.workloads.recorded_cells import TIME_UNITS, Numbers, is_told_by_size, symbols, time_reader

COLUMN_NAMES = {
    "time": ("time", "date", "datetime", "timestamp"),
    "symbol": ("symbol", "ticker"),
    "price": ("price", "close", "last"),
}
"""The columns of a recording, and the names that they may have, in any case."""

_DELIMITERS = ",;\t"
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)  # which Excel writes and reads
_ROWS_AT_ONCE = 20_000
_MOST_ROWS = 5_000_000  # read in ten seconds; a server has thirty to start
_LONGEST_LINE = 65_536  # characters
_LONG_S = 1.0
_LONGEST_PRICE = -2.2250738585072014e-308  # no float has more digits
_Value = TypeVar("_Value")


class RecordingError(ValueError):
    """A CSV of ticks that cannot be replayed; says the line and the reason."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A recorded market, at the speed asked for.

    ``offsets_ns`` are the instants, a row each, from 0 at the first; ``told_by_size`` says that nothing but
    the size of its times told their unit. Of row ``i`` the symbol is ``names[codes[i]]``: a day may have a
    million rows and two symbols.
    """

    path: Path
    speed: float
    offsets_ns: Sequence[int]
    told_by_size: bool
    names: Sequence[str]
    codes: Sequence[int]
    prices: Sequence[float]

    @property
    def rate_hz(self) -> float:
        """Mean ticks per second."""
        return len(self.offsets_ns) / recording_length_ns(self.offsets_ns) * NS_PER_S

    def loop(self, *, after: int = 0) -> Iterator[tuple[str, float]]:
        """Yield symbol and price without end, from the first row again after the last.

        Those of the first ``after`` ticks are left out.
        """
        row = after % len(self.prices)
        while True:
            quotes = zip(map(self.names.__getitem__, self.codes), self.prices, strict=True)
            yield from islice(quotes, row, None)
            row = 0


def recording_digest(path: Path) -> str:
    """Return the SHA-256 of a recording's bytes, in hexadecimal: two files with one digest are one market.

    Raises:
        RecordingError: If it is no file, or cannot be read.
    """
    with _reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_recording(
    path: Path, *, payload_bytes: int, speed: float = 1.0, time_unit: str | None = None
) -> Recording:
    """Read a CSV whose first line names a time, a symbol and a price (``COLUMN_NAMES``), in any order.

    It is read once a process, as long as it is not written to. A line on standard error says so where that
    takes over a second.

    Args:
        path: The file: UTF-8, or UTF-16 with a byte order mark; also compressed by gzip. Cells are parted by
            ``,``, ``;`` or tabs, as line 1 shows or a line ``sep=;`` above it says; where it is not by ``,``,
            numbers may have a decimal comma. Times are what ``recorded_cells.time_reader`` knows,
            and never fall from row to row. Other columns and empty rows do no harm.
        payload_bytes: Room for one encoded tick; a row that cannot fit is refused.
        speed: 2 replays twice as fast.
        time_unit: s, ms, us or ns: the unit of times that are numbers. None: told by their size.

    Raises:
        RecordingError: With the line number and the reason, before anything is published.
    """
    if time_unit not in (None, *TIME_UNITS):
        raise RecordingError(f"time_unit is {time_unit!r}; choose one of {', '.join(TIME_UNITS)}")
    with _reading(path):
        found = path.stat()
    return _read(path, (found.st_ino, found.st_size, found.st_mtime_ns), payload_bytes, speed, time_unit)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _state: object, payload_bytes: int, speed: float, time_unit: str | None) -> Recording:
    market = _read_file(path, _state, time_unit)
    _check_room(market, payload_bytes, path)
    first_ns = market.times_ns[0]
    try:
        offsets_ns = array("q", [time_ns - first_ns for time_ns in market.times_ns])
        if speed != 1:
            offsets_ns = array("q", [round(offset_ns / speed) for offset_ns in offsets_ns])
    except OverflowError:
        raise RecordingError(f"{path} at speed {speed:g} lasts over 292 years; raise speed") from None
    return Recording(path, speed, offsets_ns, market.told_by_size, market.names, market.codes, market.prices)


class _Market(NamedTuple):
    """What a file says, at its own speed; see :class:`Recording`."""

    times_ns: Sequence[int]
    told_by_size: bool
    names: list[str]
    codes: Sequence[int]
    prices: Sequence[float]


@functools.lru_cache(maxsize=8)
def _read_file(path: Path, _state: object, time_unit: str | None) -> _Market:
    times_ns, codes, prices = array("q"), array("I"), array("d")
    known: dict[str, int] = {}
    silent_until_s = time.monotonic() + _LONG_S
    with _reading(path), _opened(path) as file:
        table = _Table(path, file)
        rows = table.next_rows()
        if not rows.cells:
            raise RecordingError(f"{path}: no row after the column names; one tick at least is needed")
        first = table.column("time", rows)[:1]
        (read_times,) = table.read(
            first, rows, lambda texts: [time_reader(texts[0], time_unit, table.numbers)]
        )
        while rows.cells:
            already = len(times_ns)
            try:
                times_ns.extend(table.read(table.column("time", rows), rows, read_times))
            except OverflowError:
                raise RecordingError(f"{path}: a time is over 292 years from its zero") from None
            _check_order(times_ns, already, rows, path)
            names = table.read(table.column("symbol", rows), rows, symbols)
            for name in dict.fromkeys(names):
                known.setdefault(name, len(known))
            codes.extend(map(known.__getitem__, names))
            prices.extend(table.read(table.column("price", rows), rows, table.numbers.prices))
            if time.monotonic() > silent_until_s:
                silent_until_s = math.inf
                print(f"reading {path}: {len(prices):,} rows so far …", file=sys.stderr, flush=True)
            if len(prices) > _MOST_ROWS:
                raise RecordingError(f"{path} has over {_MOST_ROWS:,} rows; cut out what is to be replayed")
            rows = table.next_rows()
    return _Market(times_ns, is_told_by_size(first[0], time_unit), list(known), codes, prices)


def _check_order(times_ns: Sequence[int], already: int, rows: "_Rows", path: Path) -> None:
    """Refuse a time that falls: among those after the first ``already``, which these rows gave."""
    since = max(already - 1, 0)
    if all(map(le, times_ns[since:], times_ns[since + 1 :])):
        return
    for index, (earlier, later) in enumerate(pairwise(times_ns[since:]), since + 1):
        if later < earlier:
            where = f"{path}, line {rows.numbers[index - already]}"
            raise RecordingError(f"{where}: the time is before that of the row above; sort the file")


def _check_room(market: _Market, payload_bytes: int, path: Path) -> None:
    """Refuse a symbol that does not fit with one of its prices."""
    if all(largest_encoding_bytes(name, _LONGEST_PRICE) <= payload_bytes for name in market.names):
        return
    for code, price in set(zip(market.codes, market.prices, strict=True)):
        needed_bytes = largest_encoding_bytes(market.names[code], price)
        if needed_bytes > payload_bytes:
            raise RecordingError(
                f"{path}: symbol {market.names[code]!r} at {price} needs up to {needed_bytes} bytes; "
                f"payload_bytes is {payload_bytes}, raise it"
            )


class _Rows(NamedTuple):
    """Rows of a file: the numbers of their (last) lines, and their cells."""

    numbers: Sequence[int]
    cells: list[list[str]]


class _Table:
    """The rows of a file below its header, many at a time."""

    def __init__(self, path: Path, file: io.TextIOBase) -> None:
        self._path = path
        lines = _lines(path, file)
        self._above = 0
        first = next(lines, "")
        if separator := _SEPARATOR_LINE.fullmatch(first):
            self._above, first = 1, next(lines, "")
        delimiter = separator[1] if separator else max(_DELIMITERS, key=first.count)
        self.numbers = Numbers(comma_possible=delimiter != ",")
        self._reader = csv.reader(
            chain([first], lines), delimiter=delimiter, skipinitialspace=True, strict=True
        )
        self._header = [name.strip() for name in next(self._reader, [])]
        self._places = {column: self._place(column) for column in COLUMN_NAMES}

    def _place(self, column: str) -> int:
        where = f"{self._path}, line {self._above + 1}"
        places = [place for place, name in enumerate(self._header) if name.casefold() in COLUMN_NAMES[column]]
        if not places:
            shown = [f"{name[:20]!a}"[1:-1] if not name.isprintable() else name[:20] for name in self._header]
            named = ", ".join([*shown[:8], *(["…"] if len(shown) > 8 else [])]) or "nothing"
            raise RecordingError(f"{where} names {named}; needed are {', '.join(COLUMN_NAMES)}")
        if len(places) > 1:
            both = " and ".join(self._header[place] for place in places[:2])
            raise RecordingError(
                f"{where} names both {both}, so which is the {column} is not plain; rename or remove one"
            )
        return places[0]

    def next_rows(self) -> _Rows:
        """Return the next rows that are not empty, with the numbers of their lines; none at the end."""
        while True:
            last = self._reader.line_num + self._above
            cells = list(islice(self._reader, _ROWS_AT_ONCE))
            numbers: Sequence[int] = range(last + 1, last + len(cells) + 1)
            if self._reader.line_num + self._above != last + len(cells):  # some cells are of several lines
                heights = (1 + sum(cell.count("\n") for cell in row) for row in cells)
                numbers = list(accumulate(heights, initial=last))[1:]
            rows = _Rows(numbers, cells)
            if not all(map(any, cells)):
                full = [(number, row) for number, row in zip(*rows, strict=True) if any(row)]
                rows = _Rows([number for number, _ in full], [row for _, row in full])
            self._check_width(rows)
            if rows.cells or not cells:
                return rows

    def _check_width(self, rows: _Rows) -> None:
        columns = len(self._header)
        if {columns}.issuperset(map(len, rows.cells)):
            return
        for number, row in zip(*rows, strict=True):
            if len(row) < columns or any(row[columns:]):
                raise RecordingError(
                    f"{self._path}, line {number} has {len(row)} cell{'s' if len(row) > 1 else ''}, but line "
                    f"{self._above + 1} names {columns} columns"
                )

    def column(self, name: str, rows: _Rows) -> list[str]:
        """Return the cells of a column."""
        return list(map(str.strip, map(itemgetter(self._places[name]), rows.cells)))

    def read(
        self, texts: Sequence[str], rows: _Rows, reader: Callable[[Sequence[str]], Sequence[_Value]]
    ) -> Sequence[_Value]:
        """Return what a reader makes of cells.

        Raises:
            RecordingError: If it refuses one; with its line.
        """
        try:
            return reader(texts)
        except ValueError:
            for number, text in zip(rows.numbers, texts, strict=False):
                try:
                    reader([text])
                except ValueError as error:
                    raise RecordingError(f"{self._path}, line {number}: {error}") from None
            raise


def _lines(path: Path, file: io.TextIOBase) -> Iterator[str]:
    for number, line in enumerate(iter(functools.partial(file.readline, _LONGEST_LINE), ""), start=1):
        if len(line) == _LONGEST_LINE:
            raise RecordingError(
                f"{path}, line {number} is over {_LONGEST_LINE:,} characters long; is it a CSV file?"
            )
        yield line


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOBase]:
    """Open a file of text, whatever it is compressed and encoded by."""
    with path.open("rb") as stored:
        start = stored.read(2)
    if start == b"PK":
        raise RecordingError(f"{path} is a ZIP archive or a workbook; unpack it, or save it as CSV")
    with gzip.open(path) if start == b"\x1f\x8b" else path.open("rb") as file:
        marked = file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        with io.TextIOWrapper(file, "utf-16" if marked else "utf-8-sig", newline="") as text:
            yield text


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Refuse what is no file, and say of a fault of reading which file it is of."""
    try:
        if not path.is_file():  # a device or a pipe may never end
            raise RecordingError(f"{path}: there is no such file; give the path of a CSV file")
        yield
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error) as error:
        raise RecordingError(f"{path}: cannot be read as a CSV file ({error})") from error
