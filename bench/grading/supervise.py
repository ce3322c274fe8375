"""Runs student code in a process of its own, watches it, and ends it with all that it has started."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator

import msgspec

from bench.grading.base import Verdict
from bench.grading.submission import Part, SubmissionError
from servers.wire import now_ns

TIME_LIMIT_S = 15.0
"""Real time for one check, and for importing the file; an honest check takes one or two seconds."""
START_LIMIT_S = 30.0
"""Real time for the process to start, before the student's time begins."""
STUCK_CHECKS = 2
"""So many checks that did not end are enough; the rest is not tried."""
PRINTED_BYTES = 2_000
"""How much of what the student's code prints is kept: its end."""
WHERE_STUCK = "the loop that your code is in then"


class _Line(msgspec.Struct, frozen=True):
    """What the process tells: see bench/grading/__main__.py."""

    unusable: str | None = None
    titles: list[str] = []
    number: int | None = None
    verdict: Verdict | None = None


def grade(part: Part, *, time_limit_s: float = TIME_LIMIT_S) -> Generator[Verdict, None, None]:
    """Yield the verdict of each check of a part, as it is found.

    Raises:
        SubmissionError: If the files cannot be imported, or do not define what they should.
    """
    first, count, stuck = 0, 1, 0
    while first < count:
        with _Child(part, first) as child:
            titles = child.titles(time_limit_s)
            count = len(titles)
            while first < count:
                verdict = child.verdict(first, titles[first], time_limit_s)
                yield verdict
                first += 1
                if not child.usable:
                    stuck += 1
                    break
        if stuck == STUCK_CHECKS:
            for title in titles[first:]:
                yield Verdict(
                    False,
                    f"not tried: {title}",
                    seen=f"{STUCK_CHECKS} checks did not come to an end",
                    expected="checks that end",
                    where=WHERE_STUCK,
                    hint="mend the first fault, then grade again",
                )
            return


class _Child:
    """The process in which the student's code runs, in a process group of its own."""

    def __init__(self, part: Part, first: int) -> None:
        words = (part.form, part.transport, str(first), *map(str, part.files))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.grading", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")},
        )
        self.usable = True
        self._names = " and ".join(file.name for file in part.files)
        self._told = b""
        self._printed = b""

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *error: object) -> None:
        """Kill the process and all of its group: nothing that it has started outlives the grading."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        self._process.wait()

    def titles(self, time_limit_s: float) -> list[str]:
        """Return the titles of the checks, once the files are imported."""
        line = self._read(START_LIMIT_S)
        if isinstance(line, _Line):
            line = self._read(time_limit_s)
        if isinstance(line, str):
            raise SubmissionError(f"{self._names} cannot be imported: the process {line}")
        if line.unusable is not None:
            raise SubmissionError(line.unusable)
        return line.titles

    def verdict(self, number: int, title: str, time_limit_s: float) -> Verdict:
        """Return the verdict of a check; a process that stalls or dies meanwhile is one, too."""
        line = self._read(time_limit_s)
        if isinstance(line, _Line):
            assert line.number == number
            assert line.verdict is not None
            return line.verdict
        self.usable = False
        stalled = "did not" in line
        printed = self._printed.decode(errors="replace").strip().rpartition("\n")[2][-200:]
        return Verdict(
            False,
            "it does not come to an end" if stalled else "its process died",
            seen=f"the process {line}" + (f"; it printed last: {printed}" if printed else ""),
            expected=title,
            where=WHERE_STUCK if stalled else "the line that ends the process",
            hint="a loop without an await (or one that never leaves) stops everything else"
            if stalled
            else "no os._exit, no sys.exit in threads, no recursion without end",
        )

    def _read(self, time_limit_s: float) -> "_Line | str":
        """Return what is told next, or how the process stalled or ended; what it prints is drained."""
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        deadline_ns = now_ns() + round(time_limit_s * 1e9)
        while b"\n" not in self._told:
            left_s = (deadline_ns - now_ns()) / 1e9
            if left_s <= 0:
                return f"did not answer within {time_limit_s:g} s"
            readable, _, _ = select.select([stdout, stderr], [], [], left_s)
            if stderr in readable:
                self._printed = (self._printed + os.read(stderr.fileno(), 65_536))[-PRINTED_BYTES:]
            if stdout in readable:
                data = os.read(stdout.fileno(), 65_536)
                if not data:
                    return f"ended with {self._how_it_ended()}"
                self._told += data
        line, _, self._told = self._told.partition(b"\n")
        return msgspec.json.decode(line, type=_Line)

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
