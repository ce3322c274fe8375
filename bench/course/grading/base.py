"""What a check is: a rule in words, a function that tries it, and what is said when it is broken."""

import contextlib
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import msgspec

from bench.wording import shown
from clients.base import ServerError

Student = TypeVar("Student")


class Verdict(msgspec.Struct, frozen=True):
    """What one check found. ``title`` is the rule if it is kept, otherwise what went wrong.

    ``rule`` is the rule in either case. ``cause`` is the same in verdicts that tell the same exception on the
    same line.
    """

    passed: bool
    title: str
    seen: str = ""
    expected: str = ""
    where: str = ""
    hint: str = ""
    cause: str = ""
    rule: str = ""


class Fault(Exception):
    """A rule is broken: what went wrong, what was seen, what was expected, and what to try."""

    def __init__(self, wrong: str, *, seen: str, expected: str, hint: str, where: str = "") -> None:
        super().__init__(wrong)
        self.wrong, self.seen, self.expected, self.hint, self.where = wrong, seen, expected, hint, where


class TimeIsOver(Exception):
    """The simulated time of a check is over."""


offences: list[BaseException] = []
"""What the student's code did in the check that runs, and that counts even if it caught the exception."""
logged_exceptions: list[BaseException] = []
"""Exceptions that a library caught and logged in the check that runs: they may explain what was seen."""


class Check(NamedTuple, Generic[Student]):
    """A rule: its words, where it is written down, and the function that tries it (Fault if broken)."""

    title: str
    where: str
    run: Callable[[Student], None]


def try_check(check: Check[Any], student: Any, file: Path) -> Verdict:
    """Try one check; whatever the student's code raises becomes a verdict."""
    offences.clear()
    logged_exceptions.clear()
    error: BaseException | None = None
    try:
        check.run(student)
    except BaseException as raised:  # a student's file may raise anything, KeyboardInterrupt too
        error = raised
    if offences:
        error = offences[0]
    if error is None:
        return Verdict(True, check.title)
    found = _verdict_on(error, check, file)
    texts = found.title, found.seen, found.expected, found.where, found.hint, found.cause
    return Verdict(False, *map(shown, texts))


def _verdict_on(error: BaseException, check: Check[Any], file: Path) -> Verdict:
    line = line_of(error, file)
    if isinstance(error, Fault):
        seen = error.seen + (line or _logged_in(file))
        cause = error.wrong + (line or seen if error in offences else seen)
        where = error.where or check.where
        return Verdict(False, error.wrong, seen, error.expected, where, error.hint, cause)
    wrong, seen, hint = f"it crashed{line}", describe(error), _crash_hint(error)
    cause = seen + line
    if isinstance(error, ServerError):
        wrong, seen, cause = "it took a right answer for a wrong one", seen + line, ""
        hint = (
            "a read may end anywhere: keep bytes until an answer or message is whole, and no longer than "
            "their connection. ServerError is for a "
            "status other than 200, and for bytes against the protocol"
        )
    elif isinstance(error, TimeIsOver):
        wrong, seen = "it waits for something that never comes", f"no more happened in simulated time{line}"
        hint, cause = "follow one tick through your code: which line waits, and who should wake it?", ""
    elif "ignored GeneratorExit" in str(error):
        wrong, seen = "it cannot be stopped", "a yield after GeneratorExit, which was caught"
        cause = wrong
        hint = (
            "a bare `except:` (or `except BaseException:`) catches the end of the generator, too: name what "
        )
        hint += "you expect, such as aiohttp.ClientError, OSError, WebSocketException"
    return Verdict(False, wrong, seen, check.title, check.where, hint, cause)


def _logged_in(file: Path) -> str:
    """Return the first exception of the student's file that a library has logged, or ''."""
    for error in logged_exceptions:
        if line := line_of(error, file):
            return f"; {describe(error)}{line}"
    return ""


LONGEST_TEXT = 300
"""So many characters of an exception are told."""


def describe(error: BaseException) -> str:
    """Return an exception in one line; its text is the student's, and may be anything."""
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:
        text = "its text cannot be had"
    name = type(error).__name__
    return shown(f"{name}: {text}" if text else name)[:LONGEST_TEXT]


def line_of(error: BaseException, file: Path) -> str:
    """Return ", in FILE line N" for the student's line that an exception passed through last, or ''."""
    if isinstance(error, BaseExceptionGroup):
        return line_of(error.exceptions[0], file)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    if frames:
        return f", in {shown(file.name)} line {frames[-1].lineno}"
    return line_of(error.__cause__, file) if error.__cause__ is not None else ""


def _crash_hint(error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        return "this part is yours to write"
    if isinstance(error, TimeoutError):
        return "a time limit that your code sets ends in TimeoutError: catch it where it is set"
    return "an exception that your code does not catch ends the client or the request it serves"


def expect_order(seqs: list[int], first: int, last: int, hint: str = "") -> None:
    """Hold that exactly the ticks ``first`` to ``last`` came, once each and in order.

    ``hint`` stands for those written here for clients.

    Raises:
        Fault: If not; it tells loss, doubles and disorder apart.
    """
    expected = list(range(first, last + 1))
    if seqs == expected:
        return
    lost = sorted(set(expected) - set(seqs))
    doubled = sorted(seq for seq, count in Counter(seqs).items() if count > 1)
    strange = sorted(set(seqs) - set(expected))
    said = f"ticks {brief(expected)}, once each and in order" if last > first else f"tick {first}, once"
    if not seqs:
        fail(
            "no tick came", "nothing", said, hint or "return (or yield) each tick when its last byte has come"
        )
    if doubled:
        fail(
            "ticks came twice",
            f"twice: {brief(doubled)}",
            said,
            hint or "ask with the cursor: after=SEQ of the newest tick that was taken, also after a cut",
        )
    if lost:
        fail(
            "ticks were lost",
            f"{len(lost)} of {len(expected)} did not come: {brief(lost)}",
            said,
            hint
            or "keep a cursor (the seq of the newest tick taken), ask with after=CURSOR, and take every tick "
            "of the array, not only its last",
        )
    if strange:
        fail(
            "ticks came that were not asked for",
            f"also {brief(strange)}",
            said,
            hint or "without a cursor, ask without `after`: the server then begins with its newest tick",
        )
    fail("ticks came out of order", brief(seqs), said, hint or "hand the ticks on in the order of the array")


def fail(wrong: str, seen: str, expected: str, hint: str) -> NoReturn:
    """Say that a rule is broken."""
    raise Fault(wrong, seen=seen, expected=expected, hint=hint)


def brief(seqs: list[int]) -> str:
    """Return the numbers in short: 1 to 40, or 3, 4, 7 …"""
    if len(seqs) > 2 and seqs == list(range(seqs[0], seqs[-1] + 1)):
        return f"{seqs[0]} to {seqs[-1]}"
    return ", ".join(map(str, seqs[:8])) + (" …" if len(seqs) > 8 else "")


@contextlib.contextmanager
def explained(wrong: str, hint: str, expected: str) -> Iterator[None]:
    """Turn what the student's code raises here into a fault with these words."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        raise Fault(wrong, seen=describe(error), expected=expected, hint=hint) from error
