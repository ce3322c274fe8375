"""What tests of real boxes share: whether there can be one, who is in it, what a process has started."""

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from bench.measure.box import Box, unavailable
from tests.tools import lack
from tests.waiting import wait_until

reason = functools.cache(unavailable)


def need_box() -> None:
    """End a test that needs a network in a box where there can be none."""
    if why := reason():
        lack(why)


def python_at(box: Box, end: str, code: str, **options: Any) -> "subprocess.Popen[str]":
    """Start a Python program at an end of a box; what it says is to be read."""
    return subprocess.Popen(
        [*box.prefix(end), sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        **options,
    )


def started_by(pid: int) -> dict[str, psutil.Process]:
    """Return the processes that a process has started, all the way down, by the module that each runs."""
    found = {}
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline() or [""]  # of a zombie there are none
                module = words[words.index("-m") + 1 :] if "-m" in words else []
                found[(module or words)[0]] = process
    return found


def networks_of(processes: Iterable[psutil.Process]) -> set[int]:
    """Return the network namespaces that some processes are in, but for our own."""
    own = os.stat("/proc/self/ns/net").st_ino
    return {os.stat(f"/proc/{process.pid}/ns/net").st_ino for process in processes} - {own}


def all_networks() -> set[int]:
    """Return the network namespaces of all processes that we may look at."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                found.add(os.stat(f"/proc/{name}/ns/net").st_ino)
    return found


def devices_and_routes() -> tuple[list[str], str]:
    """Return the network devices and routes of the namespace that we are in."""
    return sorted(os.listdir("/sys/class/net")), Path("/proc/self/net/route").read_text(encoding="utf-8")


def wait_until_gone(processes: Iterable[psutil.Process], networks: set[int]) -> None:
    """Wait until some processes have ended, and nobody is in their networks."""
    processes = list(processes)
    wait_until(
        lambda: not any(process.is_running() and process.status() != "zombie" for process in processes),
        f"the end of {processes}",
    )
    wait_until(lambda: not all_networks() & networks, "nobody is in the box")
