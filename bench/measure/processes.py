"""A process of a trial, a server or a load generator: started fresh, talked to by lines, always stopped.

It ends by itself when its standard input ends, so even ``kill -9`` of the harness leaves none behind.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time

import psutil

from bench.measure.environment import process_environment, python_command
from bench.measure.place import ANYWHERE, Place
from bench.results.observation import Usage
from servers.wire import now_ns

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class TrialFailed(Exception):
    """A process died, refused or did not answer in time; the text is a sentence."""


CPU_CLOCK = "kernel" if sys.platform == "linux" else "psutil"
"""Who tells the CPU time of another process: its CPU clock, to the ns; or psutil, in the system's steps."""


def _cpu_ns(pid: int) -> int:
    """Return the CPU time of a process; on Linux by its CPU clock, whose number is made of the process id.

    ``CPUCLOCK_SCHED`` is 2, and the id is complemented above it (include/linux/posix-timers_types.h), as
    clock_getcpuclockid(3) does, which Python does not offer.
    """
    if CPU_CLOCK == "kernel":
        return time.clock_gettime_ns((~pid << 3) | 2)
    times = psutil.Process(pid).cpu_times()
    return round((times.user + times.system) * 1e9)


def harness_usage() -> Usage:
    """Read what this process itself has used."""
    return Usage(now_ns(), _cpu_ns(os.getpid()))


class Process:
    """A Python module run as a process, its output read line by line with a time limit."""

    def __init__(self, name: str, module: str, *arguments: str, place: Place = ANYWHERE) -> None:
        self.name, self.place = name, place
        self._launch(module, *arguments)

    def _launch(self, module: str, *arguments: str) -> None:
        """Start the process; also anew, when it has ended."""
        command = [*self.place.prefix, *python_command(module, *arguments)]
        try:
            self._process = subprocess.Popen(
                command,
                env=process_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the harness's to handle
            )
        except OSError as error:
            raise TrialFailed(
                f"the {self.name} cannot be started by {command[0]}: {error.strerror}"
            ) from None
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._complaints: list[bytes] = []
        self._readers = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_lines, self._read_complaints)
        ]
        for reader in self._readers:
            reader.start()

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr:
            for line in self._process.stderr:
                self._complaints = [*self._complaints[-19:], line]

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def read_line(self, timeout_s: float) -> bytes:
        """Return the next line that the process prints.

        Raises:
            TrialFailed: If it prints none in time, or has died; with what it complained of.
        """
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise TrialFailed(f"the {self.name} did not answer within {timeout_s:g} s") from None
        if not line:
            raise TrialFailed(f"the {self.name} died ({self.how_it_ended()})")
        return line

    def write_line(self, line: bytes) -> None:
        """Write one line to the process's standard input.

        Raises:
            TrialFailed: If it has died.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # ValueError: it was stopped by us
            raise TrialFailed(f"the {self.name} died ({self.how_it_ended()})") from None

    def how_it_ended(self) -> str:
        """Return the exit code or signal, and the last line of what the process complained of."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        code = self._process.returncode
        how = f"by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        last = b"".join(self._complaints).decode(errors="replace").strip().rpartition("\n")[2]
        return f"{how}: {last}" if last else how

    def usage(self) -> Usage:
        """Read what the process has used, from outside: it is not asked, and does nothing for it.

        Raises:
            TrialFailed: If it has died.
        """
        if self.is_running():
            with contextlib.suppress(OSError, psutil.Error):
                return Usage(now_ns(), _cpu_ns(self.pid))
        if self._process.poll() == 0:
            raise TrialFailed(
                f"the {self.name} had done its part before its CPU time was read: this machine is too busy"
            )
        raise TrialFailed(f"the {self.name} died ({self.how_it_ended()})")

    def check(self) -> None:
        """Raise TrialFailed if the process has died."""
        if not self.is_running():
            raise TrialFailed(f"the {self.name} died ({self.how_it_ended()})")

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process.poll() is None

    def stop(self) -> int:
        """End the process's standard input, which stops it; kill it if that takes too long.

        Returns:
            Its exit code, negative for a signal.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        return self.kill()

    def kill(self) -> int:
        """Kill the process, if it still runs, and return its exit code."""
        assert self._process.stdin is not None
        self._process.kill()
        code = self._process.wait()
        with contextlib.suppress(OSError):  # what it was told last went nowhere
            self._process.stdin.close()
        for reader in self._readers:
            reader.join(STOP_TIMEOUT_S)
        return code
