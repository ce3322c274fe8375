"""The browser of the tests ends with them, however they end, and leaves nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import ROOT
from tests.tools import tool
from tests.waiting import LIMIT_S, interruptible, wait_until

PROGRAM = """
import sys
from tests.browser.chromium import running_chromium
with running_chromium(sys.argv[1]) as chromium:
    chromium.new_page()
    print("ready", flush=True)
    chromium.contexts[0].wait_for_event("page", timeout=0)  # no other page comes
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Chromium makes a socket there, whose path has at most 107 characters."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended, whether or not anybody has asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_process_and_no_file_is_left(number: signal.Signals, folder: Path) -> None:
    with interruptible():
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, tool("chromium")],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
        )
    processes = []
    with program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == b"ready\n"
            processes = psutil.Process(program.pid).children(recursive=True)
            assert len(processes) > 2  # the driver, the browser, the page
            assert list(folder.iterdir())
            program.send_signal(number)
            program.wait(LIMIT_S)
            wait_until(lambda: all(has_ended(each) for each in processes), "all processes have ended")
            wait_until(lambda: not list(folder.iterdir()), "their files are gone")
        finally:
            for each in [program, *processes]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
