"""The cells of a recording: columns of text in; instants, prices and symbols out.

A reader takes many cells at once, which is five times as fast as one by one. What is not plain it refuses by
a ``ValueError`` whose text speaks of the first cell: whoever wants to know which it was asks for each alone.
"""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

TIME_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Units of a time that is a number, in ns."""

TimeReader = Callable[[Sequence[str]], list[int]]
"""Takes the texts of times and returns ns, from the zero that the file has."""

_SMALL_S = 1_000_000  # eleven days in seconds; in ms, a quarter of an hour after midnight
_FIRST_EPOCH_S, _LAST_EPOCH_S = 631_152_000, 4_102_444_800  # 1990 and 2100, in seconds since 1970 (POSIX.1)
_FARTHEST_NS = 2**63 - 1
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TIME_CHARACTERS = "-0123456789.,eE"
_POSITIVE_EXPONENT = re.compile("[eE](?!-)")  # 1.73569E+12 is what Excel leaves of 13 digits
_PRICE_CHARACTERS = "+-0123456789.,eE"
_CALENDAR = re.compile(r"(\d{8})(\d{6})?(?:\.(\d+))?", re.ASCII)
_BELOW_MICROSECONDS = re.compile(r"[.,]\d{6}(\d+)", re.ASCII)
_SAY_UNIT = f"say it by time_unit: {', '.join(TIME_UNITS)}"


class Numbers:
    """Reads numbers with one decimal mark for a whole file: the point, or that of the first number with one.

    Args:
        comma_possible: Whether it can be a comma: where commas do not part the cells.
    """

    def __init__(self, *, comma_possible: bool) -> None:
        self._mark = "" if comma_possible else "."

    def with_points(self, texts: Sequence[str]) -> Sequence[str]:
        """Return the texts of numbers with points for decimal marks.

        Raises:
            ValueError: If they have another mark than the numbers before them.
        """
        joined = "".join(texts)
        for mark, other in (",.", ".,"):
            if mark in joined:
                if self._mark == other or other in joined:
                    raise ValueError(
                        f"{texts[0]!r} has {mark!r}, but the decimal mark of the file is {other!r}; "
                        "write all numbers the same way, without marks for thousands"
                    )
                self._mark = mark
        return [text.replace(",", ".") for text in texts] if "," in joined else texts

    def prices(self, texts: Sequence[str]) -> list[float]:
        """Return prices: any finite numbers, also zero and below (oil on 20 April 2020).

        Raises:
            ValueError: If one is none.
        """
        not_a_number = ValueError(f"price {texts[0]!r} is not a number")
        if not _made_of(_PRICE_CHARACTERS, texts):
            raise not_a_number
        plain = self.with_points(texts)
        try:
            prices = list(map(float, plain))
        except ValueError:
            raise not_a_number from None
        if not all(map(math.isfinite, prices)):
            raise ValueError(f"price {texts[0]!r} is too large")
        return prices


def symbols(texts: Sequence[str]) -> Sequence[str]:
    """Return symbols.

    Raises:
        ValueError: If one is empty, or holds characters that a terminal would obey instead of showing them.
    """
    if not all(texts):
        raise ValueError("the symbol is empty")
    if not "".join(texts).isprintable():
        raise ValueError(f"symbol {texts[0]!a} holds control characters; remove them")
    return texts


def time_reader(first: str, unit: str | None, numbers: Numbers) -> TimeReader:
    """Return what reads the times of a file, chosen by the first of them.

    Numbers below a million are seconds from any zero; larger ones are seconds, ms, µs or ns since 1970 by
    their size, or a date of 8 digits (YYYYMMDD) or 14 (YYYYMMDDhhmmss). All else is ISO 8601; a time without
    a zone is UTC. The reader refuses a time of another kind than the first.

    Args:
        first: The text of the first time.
        unit: One of ``TIME_UNITS``: all times are numbers, and this is their unit. None: told by their size.
        numbers: Knows the decimal mark.

    Raises:
        ValueError: If the kind of the first time cannot be told.
    """
    if unit is not None:
        return _number_reader(unit, None, numbers)
    if not _is_number(first):
        return _iso_ns
    plain = first.replace(",", ".")
    if _is_calendar(plain):
        return lambda texts: [_calendar_ns(text) for text in numbers.with_points(texts)]
    for told, low, high in _sizes():
        if low <= Decimal(plain) < high:
            return _number_reader(told, (low, high), numbers)
    raise ValueError(f"the size of time {first!r} does not tell its unit; {_SAY_UNIT}")


def is_told_by_size(first: str, unit: str | None) -> bool:
    """Return whether the first time of a file is a number whose unit was only told by its size."""
    return unit is None and _is_number(first) and not _is_calendar(first.replace(",", "."))


def _is_number(text: str) -> bool:
    try:
        Decimal(text.replace(",", "."))
    except InvalidOperation:
        return False
    return _made_of(_TIME_CHARACTERS, [text]) and not _POSITIVE_EXPONENT.search(text)


def _sizes() -> list[tuple[str, int, int]]:
    """Return what size tells: a unit, and from where up to where."""
    epochs = [
        (unit, _FIRST_EPOCH_S * TIME_UNITS["s"] // ns, _LAST_EPOCH_S * TIME_UNITS["s"] // ns)
        for unit, ns in TIME_UNITS.items()
    ]
    return [("s", -_SMALL_S, _SMALL_S), *epochs]


def _number_reader(unit: str, size: tuple[int, int] | None, numbers: Numbers) -> TimeReader:
    unit_ns = TIME_UNITS[unit]
    to_ns = Decimal(unit_ns).__mul__  # exact, where a float has 200 ns since 1970
    least_ns, most_ns = (bound * unit_ns for bound in size) if size else (-_FARTHEST_NS, _FARTHEST_NS)

    def read(texts: Sequence[str]) -> list[int]:
        not_a_number = ValueError(f"time {texts[0]!r} is not a plain number of {unit}")
        if not _made_of(_TIME_CHARACTERS, texts) or _POSITIVE_EXPONENT.search("".join(texts)):
            raise not_a_number
        plain = numbers.with_points(texts)
        try:
            times_ns = list(map(int, map(to_ns, map(Decimal, plain))))
        except InvalidOperation:
            raise not_a_number from None
        if least_ns <= min(times_ns) and max(times_ns) < most_ns:
            return times_ns
        if size is None:
            raise ValueError(f"time {texts[0]!r} is over 292 years from its zero")
        raise ValueError(
            f"the size of time {texts[0]!r} is not that of {unit}, as of the times above; "
            f"if all have one unit, {_SAY_UNIT}"
        )

    return read


def _made_of(characters: str, texts: Sequence[str]) -> bool:
    return not "".join(texts).strip(characters)


def _is_calendar(text: str) -> bool:
    try:
        _calendar_ns(text)
    except ValueError:
        return False
    return True


def _calendar_ns(text: str) -> int:
    found = _CALENDAR.fullmatch(text)
    try:
        if found is None or not _FIRST_YEAR <= int(text[:4]) <= _LAST_YEAR:
            raise ValueError
        day, time_of_day, fraction = found.groups()
        instant = datetime.fromisoformat(f"{day}T{time_of_day or '000000'}")
    except ValueError:
        raise ValueError(
            f"time {text!r} is no date of 8 digits (YYYYMMDD) or 14 (YYYYMMDDhhmmss); "
            f"if it is a number, {_SAY_UNIT}"
        ) from None
    return _since_epoch_ns(instant) + int((fraction or "0").ljust(9, "0")[:9])


def _iso_ns(texts: Sequence[str]) -> list[int]:
    try:
        instants = list(map(datetime.fromisoformat, texts))
    except ValueError:
        raise ValueError(f"time {texts[0]!r} is neither a plain number nor ISO 8601") from None
    return [
        _since_epoch_ns(instant) + _below_us_ns(text) for instant, text in zip(instants, texts, strict=True)
    ]


def _below_us_ns(text: str) -> int:
    """Return the ns that ISO 8601 says after the microseconds, which datetime leaves out."""
    found = _BELOW_MICROSECONDS.search(text)
    return int(found[1].ljust(3, "0")[:3]) if found else 0


def _since_epoch_ns(instant: datetime) -> int:
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // _MICROSECOND * 1_000
