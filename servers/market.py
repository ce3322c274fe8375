"""What ticks say: a seeded random walk that looks like a market, or a recording of a real one (CSV)."""

import csv
import hashlib
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from servers.plan import NS_PER_S, recording_length_ns, replay
from servers.wire import largest_encoding_bytes

SYMBOLS = {"ACME": 128.00, "GLOBEX": 71.50, "HOOLI": 412.25, "INITECH": 18.40, "STARK": 233.10}
"""Fictional symbols and their opening prices."""

_CALM = 4e-4  # standard deviation of a tick's logarithmic return in a calm market
_MEMORY = 0.97  # of the volatility, per tick: turbulence comes in clusters and fades
_PULL = 0.002  # back to the opening price, per tick, so that no walk leaves the range
_LOWEST, _HIGHEST = 0.01, 9_999.99


class RecordingError(ValueError):
    """A CSV of ticks that cannot be replayed; says the line and the reason."""


def random_walk(seed: int) -> Iterator[tuple[str, float]]:
    """Yield symbol and price without end: fat tails, clustered volatility, whole cents.

    The logarithm of each price is pulled back to its opening (an Ornstein–Uhlenbeck process); the volatility
    follows an autoregression of first order on its logarithm (stochastic volatility: Taylor 1982).
    """
    rng = random.Random(seed)
    symbols = list(SYMBOLS)
    log_price = {symbol: math.log(price) for symbol, price in SYMBOLS.items()}
    heat = 0.0
    while True:
        symbol = rng.choice(symbols)
        heat = _MEMORY * heat + rng.gauss(0, 0.25)
        opening = math.log(SYMBOLS[symbol])
        log_price[symbol] += rng.gauss(0, _CALM * math.exp(heat)) + _PULL * (opening - log_price[symbol])
        yield symbol, round(min(max(math.exp(log_price[symbol]), _LOWEST), _HIGHEST), 2)


def recording_digest(path: Path) -> str:
    """Return the SHA-256 of a recording's bytes, in hexadecimal: two files with one digest are one market.

    Raises:
        RecordingError: If it is no file, or cannot be read.
    """
    try:
        if not path.is_file():  # a device or a pipe may never end
            raise RecordingError(f"{path}: there is no such file; give the path of a CSV file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True)
class Recording:
    """A recorded market: instants (ns from the first row, at the speed asked for) and what was quoted."""

    offsets_ns: list[int]
    quotes: list[tuple[str, float]]

    @property
    def rate_hz(self) -> float:
        """Mean ticks per second."""
        return len(self.offsets_ns) / recording_length_ns(self.offsets_ns) * NS_PER_S

    def most_within(self, seconds: float) -> int:
        """Return the most ticks that are due within so many seconds, anywhere in the recording."""
        span_ns, most, first = round(seconds * NS_PER_S), 0, 0
        laps = math.ceil(span_ns / recording_length_ns(self.offsets_ns)) + 1
        due = list(itertools.islice(replay(self.offsets_ns), laps * len(self.offsets_ns)))
        for last, due_ns in enumerate(due):
            while due_ns - due[first] > span_ns:
                first += 1
            most = max(most, last - first + 1)
        return most

    def loop(self) -> Iterator[tuple[str, float]]:
        """Yield symbol and price without end, from the first row again after the last."""
        return itertools.cycle(self.quotes)


def read_recording(path: Path, *, payload_bytes: int, speed: float = 1.0) -> Recording:
    """Read a CSV whose first line names at least the columns time, symbol and price.

    Args:
        path: The file. ``time`` is in seconds (from any zero) or ISO 8601, and never falls from row to row.
        payload_bytes: Room for one encoded tick; a row that cannot fit is refused.
        speed: 2 replays twice as fast.

    Raises:
        RecordingError: With the line number and the reason, before anything is published.
    """
    times_s: list[float] = []
    quotes: list[tuple[str, float]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            absent = {"time", "symbol", "price"} - set(rows.fieldnames or ())
            if absent:
                raise RecordingError(
                    f"{path}, line 1: no column {' or '.join(sorted(absent))}; "
                    "the first line must name the columns time, symbol and price"
                )
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                times_s.append(_seconds(row["time"], where))
                if len(times_s) > 1 and times_s[-1] < times_s[-2]:
                    raise RecordingError(
                        f"{where}: time {row['time']} is before the row above; sort the file"
                    )
                quotes.append(_quote(row["symbol"], row["price"], where, payload_bytes))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path}: cannot be read as a CSV file ({error})") from error
    if not quotes:
        raise RecordingError(f"{path}: no row after the column names; one tick at least is needed")
    return Recording([round((t - times_s[0]) / speed * NS_PER_S) for t in times_s], quotes)


def _seconds(text: str | None, where: str) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        try:
            instant = datetime.fromisoformat(text or "")
            seconds = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            raise RecordingError(f"{where}: time {text!r} is neither seconds nor ISO 8601") from None
    if not math.isfinite(seconds):
        raise RecordingError(f"{where}: time {text!r} is not a finite number")
    return seconds


def _quote(symbol: str | None, price_text: str | None, where: str, payload_bytes: int) -> tuple[str, float]:
    if not symbol:
        raise RecordingError(f"{where}: the symbol is empty")
    try:
        price = float(price_text or "")
    except ValueError:
        raise RecordingError(f"{where}: price {price_text!r} is not a number") from None
    if not (math.isfinite(price) and price > 0):
        raise RecordingError(f"{where}: price {price_text!r} is not above 0")
    needed_bytes = largest_encoding_bytes(symbol, price)
    if needed_bytes > payload_bytes:
        raise RecordingError(
            f"{where}: symbol {symbol!r} at {price} needs up to {needed_bytes} bytes; "
            f"payload_bytes is {payload_bytes}, raise it"
        )
    return symbol, price
