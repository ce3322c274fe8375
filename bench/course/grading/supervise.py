"""Runs student code in a process of its own, watches it, and ends it with all that it has started."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from threading import Event

import msgspec

import bench
from bench.course.grading.base import Check, Verdict
from bench.course.grading.checks import checks_of
from bench.course.grading.seal import LONGEST_LINE_BYTES, Message, Seal, new_secret
from bench.course.grading.submission import Part, SubmissionError
from bench.wording import shown
from servers.wire import now_ns

TIME_LIMIT_S = 10.0
"""Real time for one check, and for importing the file; an honest check takes well under a second."""
FILE_LIMIT_CHECKS = 3
"""All checks of a file together have so many times the limit of one."""
START_LIMIT_S = 30.0
"""Real time for the process to start, before the student's time begins."""
STUCK_CHECKS = 2
"""So many checks that did not end are enough; the rest is not tried."""
PRINTED_BYTES = 2_000
"""How much of what the student's code prints is kept: its end."""
LOOK_S = 0.2
"""So often it is looked whether grading was given up."""
WHERE_STUCK = "the line that your code is at then"
TOP = Path(bench.__file__).parent.parent
MODULE = "bench.course.grading"
"""What runs in the process: __main__.py beside this file."""


class GivenUp(Exception):
    """Grading was given up by whoever asked for it."""


def grade(
    part: Part, *, time_limit_s: float = TIME_LIMIT_S, given_up: Event | None = None
) -> Generator[Verdict, None, None]:
    """Yield the verdict of each check of a part, as it is found.

    Raises:
        SubmissionError: If the files cannot be imported, or do not define what they should.
        GivenUp: If the event is set meanwhile.
    """
    checks = checks_of(part.form, part.transport, part.files[-1].read_bytes())
    left_s = FILE_LIMIT_CHECKS * time_limit_s
    first, stuck, why = 0, 0, ""
    while first < len(checks) and not why:
        with _Child(part, first, given_up or Event()) as child:
            child.await_import(time_limit_s)
            while first < len(checks) and not why:
                began_ns = now_ns()
                yield child.verdict(first, checks[first], min(time_limit_s, left_s))
                left_s -= (now_ns() - began_ns) / 1e9
                first += 1
                stuck += not child.usable
                if stuck == STUCK_CHECKS:
                    why = f"{STUCK_CHECKS} checks gave no answer"
                elif left_s <= 0:
                    why = (
                        f"the checks before took {FILE_LIMIT_CHECKS * time_limit_s:g} s, all that a file has"
                    )
                if not child.usable:
                    break
    for check in checks[first:]:
        yield Verdict(
            False,
            f"not tried: {check.title}",
            seen=why,
            expected="checks that end",
            where=WHERE_STUCK,
            hint="mend the first fault, then grade again",
            cause=why,
            rule=check.title,
        )


class _Child:
    """The process in which the student's code runs, in a process group of its own."""

    def __init__(self, part: Part, first: int, given_up: Event) -> None:
        words = (part.form, part.transport, str(first), *map(str, part.files))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, *words],  # -P: no module of the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=_environment(),
        )
        secret = new_secret()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(secret)
            self._process.stdin.flush()
        self.usable = True
        self._seal = Seal(secret)
        self._given_up = given_up
        self._names = " and ".join(file.name for file in part.files)
        self._unread = b""
        self._printed = b""
        self._stderr_is_open = True

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

    def await_import(self, time_limit_s: float) -> None:
        """Wait until the files are imported.

        Raises:
            SubmissionError: If they cannot be.
        """
        answer = self._read(START_LIMIT_S, "begun")
        if isinstance(answer, Message):
            answer = self._read(time_limit_s, "imported", "unusable")
        if isinstance(answer, str):
            raise SubmissionError(
                f"{self._names} cannot be imported: the process {answer}{self._last_line()}"
            )
        if answer.unusable:
            raise SubmissionError(answer.unusable)

    def verdict(self, number: int, check: Check[object], time_limit_s: float) -> Verdict:
        """Return the verdict of a check; a process that stalls or dies meanwhile is one, too."""
        answer = self._read(time_limit_s, "verdict", number=number)
        if isinstance(answer, Message):
            assert answer.verdict is not None
            return msgspec.structs.replace(answer.verdict, rule=check.title)
        self.usable = False
        stalled = "did not" in answer
        return Verdict(
            False,
            "it does not come to an end" if stalled else "its process died",
            seen=f"the process {answer}{self._last_line()}",
            expected=check.title,
            where=WHERE_STUCK if stalled else "the line that ends the process",
            hint="a loop without an await (or one that never leaves), or a call that waits without an await, "
            "stops everything else"
            if stalled
            else "no os._exit, no sys.exit in threads, no recursion without end",
            cause=answer,
            rule=check.title,
        )

    def _last_line(self) -> str:
        printed = self._printed.decode(errors="replace").strip().rpartition("\n")[2][-200:]
        return f"; it printed last: {shown(printed)}" if printed else ""

    def _read(self, time_limit_s: float, *steps: str, number: int = -1) -> Message | str:
        """Return the line that tells one of these steps, or how the process stalled or ended.

        What has no seal is ignored, and what was told before: a line may have been stolen and written again.
        """
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        deadline_ns = now_ns() + round(time_limit_s * 1e9)
        while True:
            while b"\n" in self._unread:
                line, _, self._unread = self._unread.partition(b"\n")
                if (sealed := self._seal.open(line)) is not None:
                    answer = msgspec.json.decode(sealed, type=Message)
                    if answer.step in steps and answer.number == number:
                        return answer
            left_s = (deadline_ns - now_ns()) / 1e9
            if self._given_up.is_set():
                raise GivenUp
            if left_s <= 0:
                return f"did not answer within {time_limit_s:.3g} s"
            open_pipes = [stdout, stderr] if self._stderr_is_open else [stdout]
            readable, _, _ = select.select(open_pipes, [], [], min(left_s, LOOK_S))
            if stderr in readable:
                printed = os.read(stderr.fileno(), 65_536)
                self._stderr_is_open = bool(printed)
                self._printed = (self._printed + printed)[-PRINTED_BYTES:]
            if stdout in readable:
                data = os.read(stdout.fileno(), 65_536)
                if not data:
                    return f"ended with {self._exit_in_words()}"
                self._unread = (self._unread + data)[-LONGEST_LINE_BYTES:]

    def _exit_in_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _environment() -> dict[str, str]:
    """Return the environment without proxies, in which Python finds this package first."""
    kept = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (str(TOP), kept.get("PYTHONPATH"))))}
