"""What machine this is, and what is done on it while a trial runs."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from bench.measure.place import usable_cores
from bench.measure.quota import Quota, read_quota, throttling
from bench.results.observation import CoreTimes, Snapshot, Usage
from clients.sockets.stamped_socket import KERNEL_STAMPS

LIBRARIES = ("aiohttp", "websockets", "uvloop", "httptools", "msgspec", "numpy", "pandas", "pyarrow")


def describe() -> dict[str, Any]:
    """Return what of this machine may matter to the figures, for run.json."""
    memory_bytes = psutil.virtual_memory().total
    quota = read_quota()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "cpu_quota_cores": None if quota is None else round(quota.cores, 2),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "virtualised": "hypervisor" in _read("/proc/cpuinfo"),
        "clock_source": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "descriptors": _descriptor_limit(),
        "accept_queue": _read("/proc/sys/net/core/somaxconn"),
        "ephemeral_ports": _read("/proc/sys/net/ipv4/ip_local_port_range").split(),
        "congestion_available": _read("/proc/sys/net/ipv4/tcp_available_congestion_control").split(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "kernel_stamps": KERNEL_STAMPS,
        "python": platform.python_version(),
        "python_build": _python_build(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "git_commit": _git_commit(),
    }


def core_times(cores: Iterable[int | None] = ()) -> CoreTimes:
    """Read how some cores have spent their time; without any named, all cores."""
    named = {core for core in cores if core is not None}
    total_s = busy_s = stolen_s = 0.0
    for core, times in enumerate(psutil.cpu_times(percpu=True)):
        if named and core not in named:
            continue
        stolen = getattr(times, "steal", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        total = (
            times.user
            + times.system
            + idle
            + stolen
            + sum(getattr(times, name, 0.0) for name in ("nice", "irq", "softirq"))
        )
        total_s, stolen_s, busy_s = total_s + total, stolen_s + stolen, busy_s + total - idle - stolen
    return CoreTimes(total_s, busy_s, stolen_s)


def take_snapshot(
    ours: Mapping[str, Callable[[], Usage]], cores: Iterable[int | None], quota: Quota | None
) -> Snapshot:
    """Read what our processes have used by now, how these cores have spent their time, and the quota.

    Args:
        ours: All processes of the trial, and how what each has used is read: the one list of what is not
            foreign.
        cores: The cores that subject and load are pinned to.
        quota: The CPU quota that all of them are under.
    """
    usages = {name: read_usage() for name, read_usage in ours.items()}
    return Snapshot(usages, core_times(cores), throttling(quota).throttled_periods)


def listen_overflows() -> int:
    """Return how many connections were dropped at full accept queues, on loopback (TcpExtListenOverflows)."""
    lines = [line.split() for line in _read("/proc/net/netstat").splitlines() if line.startswith("TcpExt:")]
    if len(lines) < 2 or "ListenOverflows" not in lines[0]:
        return 0
    return int(lines[1][lines[0].index("ListenOverflows")])


def _python_build() -> str:
    """Return the kind of interpreter: CPython, and whether it is free-threaded (PEP 703)."""
    threads = " free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{platform.python_implementation()}{threads}"


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8").strip()
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
    """Return which commit of this project runs; empty if the code is in no clone of it.

    Where it was installed into, or copied to, may lie in another repository, whose commit says nothing of it.
    """
    root = Path(__file__).resolve().parents[2]
    top = _git(root, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != root or not _git(root, "ls-files", "--", "bench/measure/machine.py"):
        return ""
    return _git(root, "describe", "--always", "--dirty")


def _git(folder: Path, *arguments: str) -> str:
    """Return what Git says in a folder; empty if it cannot."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=5,
            cwd=folder,
        )
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""
