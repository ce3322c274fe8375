"""Grades files, several at a time, and keeps what was found: one result for each file and each pair."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import msgspec

from bench.course.grading.base import Verdict
from bench.course.grading.submission import FORMS, Part, Submission, SubmissionError, read_submissions
from bench.course.grading.supervise import TIME_LIMIT_S, grade


class PartResult(msgspec.Struct, frozen=True):
    """What came of one client, server or pair: what it was taken for, and a verdict for each rule."""

    what: str
    transport: str
    verdicts: list[Verdict]


class FileResult(msgspec.Struct, frozen=True):
    """What came of one file (or pair); ``unusable`` is the sentence why it could not be graded, or ''."""

    name: str
    parts: list[PartResult] = []
    unusable: str = ""

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of all parts."""
        return [verdict for part in self.parts for verdict in part.verdicts]

    @property
    def kept(self) -> int:
        """How many rules it keeps."""
        return sum(verdict.passed for verdict in self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether it keeps all of them."""
        return not self.unusable and self.kept == len(self.verdicts)


def grade_files(
    paths: Sequence[Path], *, time_limit_s: float = TIME_LIMIT_S, jobs: int | None = None
) -> Iterator[FileResult]:
    """Yield the result of each file, in their order, then of each pair; a file that is no good ends nothing.

    Args:
        paths: The files.
        time_limit_s: Real time for one check.
        jobs: How many files are graded at the same time; as many as there are cores.
    """
    given_up = Event()
    pool = ThreadPoolExecutor(jobs or os.cpu_count() or 1)
    try:
        yield from pool.map(
            lambda submission: _grade(submission, time_limit_s, given_up), read_submissions(paths)
        )
    finally:
        given_up.set()  # after Ctrl-C: processes under way are ended
        pool.shutdown(cancel_futures=True)


def _grade(submission: Submission, time_limit_s: float, given_up: Event) -> FileResult:
    parts = []
    try:
        for part in submission.parts:
            verdicts = list(grade(part, time_limit_s=time_limit_s, given_up=given_up))
            parts.append(PartResult(_what(part), part.transport, verdicts))
    except SubmissionError as error:
        return FileResult(submission.name, unusable=str(error))
    except OSError as error:
        return FileResult(submission.name, unusable=f"{submission.name} cannot be graded: {error}")
    return FileResult(submission.name, parts, submission.unusable)


def _what(part: Part) -> str:
    names = " with ".join(dict.fromkeys(file.name for file in part.files))
    return f"{names}: {FORMS.get(part.form, 'client and server as a pair')}, {part.transport}"
