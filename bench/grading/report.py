"""What ``bench grade`` prints: a line for each rule that is kept, and what went wrong where not."""

from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench.grading.base import Verdict
from bench.grading.submission import FORMS, Part, read_parts
from bench.grading.supervise import TIME_LIMIT_S, grade


def grade_files(paths: list[Path], out: Console, *, time_limit_s: float = TIME_LIMIT_S) -> bool:
    """Grade files and print what was found; return whether every check passed.

    Raises:
        SubmissionError: If they cannot be graded at all.
    """
    verdicts: list[Verdict] = []
    for part in read_parts(paths):
        _say(out, f"[bold]{escape(_heading(part))}[/]")
        with closing(grade(part, time_limit_s=time_limit_s)) as found:
            for verdict in found:
                verdicts.append(verdict)
                _print_verdict(verdict, out)
    passed = sum(verdict.passed for verdict in verdicts)
    _say(out, f"{passed} of {len(verdicts)}")
    return passed == len(verdicts)


def _heading(part: Part) -> str:
    names = " with ".join(dict.fromkeys(file.name for file in part.files))
    return f"{names}: {FORMS.get(part.form, 'client and server as a pair')}, {part.transport}"


def _print_verdict(verdict: Verdict, out: Console) -> None:
    if verdict.passed:
        _say(out, f"[green]✓[/] {escape(verdict.title)}")
        return
    _say(out, f"[red]✗[/] {escape(verdict.title)}")
    for label, text in (
        ("seen", verdict.seen),
        ("expected", verdict.expected),
        ("look at", verdict.where),
        ("hint", verdict.hint),
    ):
        _say(out, f"    {label + ':':10}{escape(text)}")


def _say(out: Console, line: str) -> None:
    out.print(line, markup=True, soft_wrap=True)
