"""What the tests of ``bench grade`` share: the folders of the course, and grading into a string."""

import io
from pathlib import Path

from rich.console import Console

from bench.course.grading.grade import FileResult
from bench.course.grading.report import grade_and_report
from tests.waiting import LIMIT_S, PATIENCE

ROOT = Path(__file__).parent.parent
SOLUTIONS = ROOT / "notebooks" / "solutions"
START = ROOT / "notebooks" / "exercises" / "start"
WRONG_SOLUTIONS = ROOT / "tests" / "wrong_solutions"
HANG_LIMIT_S = 1.5 * PATIENCE

POLLING = 'TRANSPORT = "short_polling"\nimport asyncio, os, sys, aiohttp\n'
NEVER = "async def ticks(url, poll_interval_s=1.0):\n    raise RuntimeError('never')\n    yield 1\n"
"""A generator that fails at once, for tests of what is around it."""


def graded(*paths: Path, format_: str = "text", folder: Path | None = None) -> tuple[bool, str]:
    """Grade files; return whether all passed, and what was printed."""
    results, printed = report(*paths, format_=format_, folder=folder)
    return all(result.passed for result in results), printed


def report(
    *paths: Path, format_: str = "text", folder: Path | None = None, time_limit_s: float = LIMIT_S
) -> tuple[list[FileResult], str]:
    """Grade files; return what was found, and what was printed."""
    out = Console(file=io.StringIO(), width=80)
    results = grade_and_report(paths, out, format_=format_, folder=folder, time_limit_s=time_limit_s)
    assert isinstance(out.file, io.StringIO)
    return results, out.file.getvalue()


def write(folder: Path, source: str | bytes, name: str = "mine.py") -> Path:
    """Write a file that is handed in."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(source if isinstance(source, bytes) else source.encode())
    return file


def submit(folder: Path, exercise: str, name: str, form: str, transport: str = "") -> Path:
    """Hand in one of the functions or classes of tests/wrong_solutions/, as the form that is graded."""
    spoken = f'TRANSPORT = "{transport}"\n' * bool(transport)
    source = (WRONG_SOLUTIONS / f"{exercise}.py").read_text(encoding="utf-8")
    return write(folder, f"{source}\n\n{form} = {name}\n{spoken}", f"{name}.py")
