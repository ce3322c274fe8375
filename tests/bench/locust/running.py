"""Locust as tests run it: in a session of its own, its words kept; at the end nothing of it is left."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.locust.start import LOCUSTFILE, command
from tests import ROOT
from tests.waiting import LIMIT_S, interruptible, wait_until

ALL_ARE_THERE = "total users)"
"""What Locust says when all users have been spawned, whether it has heard of all of them yet or not."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Locust:
    """A running Locust, and what it has said."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process, self._log = process, log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, words: str, times: int = 1) -> None:
        wait_until(lambda: self.said.count(words) >= times or self._process.poll() is not None, words)
        assert self.said.count(words) >= times, f"{words!r} was not said:\n{self.said}"

    def wait(self) -> int:
        try:
            return self._process.wait(2 * LIMIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"Locust does not end:\n{self.said}") from None

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """Do what Ctrl-C does: interrupt it, and whatever it has started in its session."""
        os.killpg(self.pid, signal.SIGINT)

    def children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []


@contextlib.contextmanager
def locust(*arguments: str, locustfile: Path = LOCUSTFILE, path: Path = ROOT) -> Iterator[Locust]:
    """Run Locust while the context is open; at the end, nothing that it started may be left."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    with tempfile.TemporaryDirectory() as folder, interruptible():
        log, link = Path(folder, "log"), Path(folder, locustfile.name)
        link.symlink_to(locustfile)  # Locust takes what has a comma for several files
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(*arguments, locustfile=link),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Locust(process, log)
        family: list[psutil.Process] = []
        try:
            yield running
        finally:
            family = running.children()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _, left = psutil.wait_procs(family, timeout=LIMIT_S)
            for each in left:
                each.kill()
            assert left == [], f"left over: {left}"
