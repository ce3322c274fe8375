"""What ``bench grade`` prints: each rule, what went wrong where it is broken, and of a class one row a file.

Texts of students are shown, never obeyed: no markup is read, and control characters are written out.
"""

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.course.grading import VERSION
from bench.course.grading.base import Verdict
from bench.course.grading.formats import FORMATS, details
from bench.course.grading.grade import FileResult, grade_files
from bench.course.grading.submission import SubmissionError
from bench.course.grading.supervise import TIME_LIMIT_S
from bench.wording import shown

CLASS_FILES = 3
"""So many files are a class: rows and a summary follow."""
SUFFIXES = {"text": ".txt", "json": ".json", "junit": ".xml", "gradescope": ".json"}


def grade_and_report(
    paths: Sequence[Path],
    out: Console,
    *,
    format_: str = "text",
    folder: Path | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    jobs: int | None = None,
) -> list[FileResult]:
    """Grade files, print what was found, and return it.

    Args:
        paths: The files.
        out: Where to print.
        format_: ``text``, or a name of formats.FORMATS.
        folder: Where one report a file is written; then only rows and a summary are printed.
        time_limit_s, jobs: See :func:`bench.course.grading.grade.grade_files`.

    Raises:
        SubmissionError: If there is one file only, and it cannot be graded at all.
    """
    results = grade_files(paths, time_limit_s=time_limit_s, jobs=jobs)
    usable = map(_usable, results) if len(paths) == 1 and format_ == "text" else results
    return report_results(usable, out, format_=format_, folder=folder)


def _usable(result: FileResult) -> FileResult:
    if result.unusable:
        raise SubmissionError(result.unusable)
    return result


def report_results(
    results: Iterable[FileResult], out: Console, *, format_: str = "text", folder: Path | None = None
) -> list[FileResult]:
    """Print each result as it comes, or write it to a folder; then what is said of all together."""
    reported = []
    for result in results:
        reported.append(result)
        if folder is not None:
            _write(result, folder, format_)
        elif format_ == "text":
            print_result(result, out)
    if folder is None and format_ != "text":
        out.file.write(FORMATS[format_](reported))
    else:
        print_rows(reported, out)
        print_score(reported, out)
    return reported


def _write(result: FileResult, folder: Path, format_: str) -> None:
    """Write the report on one file, named as its path with folders joined by dashes."""
    folder.mkdir(parents=True, exist_ok=True)
    if format_ == "text":
        printed = io.StringIO()
        out = Console(file=printed)
        print_result(result, out)
        print_score([result], out)
        text = printed.getvalue()
    else:
        text = FORMATS[format_]([result])
    name = "-".join(part for part in Path(result.name).parts if part not in ("/", ".", ".."))
    (folder / (name + SUFFIXES[format_])).write_text(text, encoding="utf-8")


def print_result(result: FileResult, out: Console) -> None:
    """Print what was found in one file."""
    if result.unusable:
        _say(out, ("✗ ", "red"), result.unusable)
    for part in result.parts:
        _say(out, (f"{part.what} (grader {VERSION})", "bold"))
        for verdict, also in grouped(part.verdicts):
            _print_verdict(verdict, also, out)


def grouped(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, list[Verdict]]]:
    """Return verdicts in their order, each with the later ones that have the same cause."""
    groups: dict[object, tuple[Verdict, list[Verdict]]] = {}
    for number, verdict in enumerate(verdicts):
        key = verdict.cause or number
        if key in groups:
            groups[key][1].append(verdict)
        else:
            groups[key] = (verdict, [])
    return list(groups.values())


def print_score(results: Sequence[FileResult], out: Console) -> None:
    """Print how many rules are kept, as the last line."""
    verdicts = [verdict for result in results for verdict in result.verdicts]
    _say(out, f"{sum(verdict.passed for verdict in verdicts)} of {len(verdicts)}")


def print_rows(results: Sequence[FileResult], out: Console) -> None:
    """Print a row for each file of a class, and a summary; nothing for less than a class."""
    if len(results) < CLASS_FILES:
        return
    names = _short_names([result.name for result in results])
    rows = [("file", "rules kept", "what is wrong")]
    for name, result in zip(names, results, strict=True):
        wrong = [verdict.title for verdict in result.verdicts if not verdict.passed]
        score = "–" if result.unusable else f"{result.rules_kept} of {len(result.verdicts)}"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        reason = result.unusable.removeprefix(result.name).lstrip(" :,")
        rows.append((name, score, reason or "".join(wrong[:1]) + more))
    name_width, score_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, score, wrong_first in rows:
        _say(out, f"{name:{name_width}}  {score:{score_width}}  {wrong_first}".rstrip())
    whole = sum(result.passed for result in results)
    unusable = sum(bool(result.unusable) for result in results)
    _say(
        out,
        f"{len(results)} files (grader {VERSION}): {whole} keep every rule, "
        f"{len(results) - whole - unusable} break some, {unusable} cannot be graded",
    )
    broken = Counter(verdict.rule for result in results for verdict in result.verdicts if not verdict.passed)
    for rule, count in broken.most_common(3):
        _say(out, f"    {count} × not: {rule}")


def _short_names(names: Sequence[str]) -> list[str]:
    """Return names of files without the folders that all of them begin with, ready to be shown."""
    folders = [name.split("/")[:-1] for name in names]
    common = len(list(takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))))
    return [shown("/".join(name.split("/")[common:])) for name in names]


def _print_verdict(verdict: Verdict, also: Sequence[Verdict], out: Console) -> None:
    if verdict.passed:
        _say(out, ("✓", "green"), f" {shown(verdict.title)}")
        return
    _say(out, ("✗", "red"), f" {shown(verdict.title)}")
    for label, text in details(verdict):
        _say(out, f"    {label + ':':10}{text}")
    if also:
        rules = "; ".join(each.rule for each in also)
        _say(out, f"    also breaks {len(also)} rule{'s' * (len(also) > 1)}: {rules}")


def _say(out: Console, *pieces: str | tuple[str, str]) -> None:
    out.print(Text.assemble(*pieces), highlight=False, soft_wrap=True)
