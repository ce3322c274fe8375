"""What machine this is, and where on it the two processes of a trial run."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from clients.stamped_socket import KERNEL_STAMPS

LIBRARIES = ("aiohttp", "websockets", "uvloop", "httptools", "msgspec", "numpy", "pandas", "pyarrow")


class Cores(NamedTuple):
    """The processors that the server and the swarm are pinned to; None where there is no choice."""

    server: int | None
    swarm: int | None


def choose_cores() -> Cores:
    """Give the server the last of this process's processors, the swarm the first, if there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    cores = sorted(os.sched_getaffinity(0))
    return Cores(cores[-1], cores[0]) if len(cores) > 1 else Cores(None, None)


def describe() -> dict[str, Any]:
    """Return what of this machine may matter to the figures, for run.json."""
    memory_bytes = psutil.virtual_memory().total
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "virtualised": "hypervisor" in _read("/proc/cpuinfo"),
        "clock_source": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "descriptors": _descriptor_limit(),
        "accept_queue": _read("/proc/sys/net/core/somaxconn"),
        "kernel_stamps": KERNEL_STAMPS,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "git_commit": _git_commit(),
    }


def steal_ratio_since(before: "tuple[float, float]") -> float:
    """Return the share of all cores that the hypervisor took since :func:`steal_times`."""
    stolen_s, total_s = steal_times()
    elapsed_s = total_s - before[1]
    return (stolen_s - before[0]) / elapsed_s if elapsed_s > 0 else 0.0


def steal_times() -> tuple[float, float]:
    """Return the seconds stolen by the hypervisor and the seconds in all, summed over all cores."""
    times = psutil.cpu_times()
    return getattr(times, "steal", 0.0), sum(times[:8])


def listen_overflows() -> int:
    """Return how many connections the system has dropped at full accept queues (TcpExtListenOverflows)."""
    lines = [line.split() for line in _read("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
    if len(lines) < 2 or "ListenOverflows" not in lines[0]:
        return 0
    return int(lines[1][lines[0].index("ListenOverflows")])


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text().strip()
    return ""


def _descriptor_limit() -> int | None:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _git_commit() -> str:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=5,
            cwd=Path(__file__).parent,
        )
        return done.stdout.strip()
    return ""
