"""The CPU quota of a control group, such as a container's: how much it allows, and how often it stopped us.

In each period of 100 ms, a group with a quota of 1.5 cores may run for 150 ms, on all cores together. Who has
used that up is stopped until the next period begins: the processors look idle, and every latency has steps of
tens of milliseconds. Nothing that a process can read of its cores or its CPU time shows it.

Sources: Linux, admin-guide/cgroup-v2 (``cpu.max``, ``cpu.stat``), scheduler/sched-bwc (the same in version 1:
``cpu.cfs_quota_us``, ``cpu.cfs_period_us``, and ``throttled_time`` in ns).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SYSTEM = Path("/")
V1_NAMES = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
"""Where version 1 mounts its CPU controller, by distribution."""


class Throttling(NamedTuple):
    """How many periods there were with something to run, and in how many of them it was stopped."""

    periods: int
    throttled_periods: int

    def since(self, before: "Throttling") -> "Throttling":
        """Return the difference."""
        return Throttling(*(now - then for now, then in zip(self, before, strict=True)))


class Quota(NamedTuple):
    """The tightest quota that this process is under: how many cores it is worth, and whose it is."""

    cores: float
    group: Path

    def throttling(self) -> Throttling:
        """Read how often the group was stopped since it was made; zeros where that cannot be read."""
        counts = dict(line.split()[:2] for line in _text(self.group / "cpu.stat").splitlines() if " " in line)
        return Throttling(int(counts.get("nr_periods", 0)), int(counts.get("nr_throttled", 0)))


def throttling(quota: Quota | None) -> Throttling:
    """Return how often a quota has stopped its group; without a quota, never."""
    return Throttling(0, 0) if quota is None else quota.throttling()


def read_quota(system: Path = SYSTEM) -> Quota | None:
    """Return the tightest quota of this process's group and of the groups around it, or None without any.

    Args:
        system: The root of the file system that /proc and /sys are read from; a test has its own.
    """
    quotas = [
        Quota(allowed_us / period_us, group)
        for group in _groups(system)
        for allowed_us, period_us in _limits(group)
        if allowed_us > 0 and period_us > 0
    ]
    return min(quotas, key=lambda quota: quota.cores, default=None)


def _groups(system: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, and of those around them (cgroups(7))."""
    root = system / "sys/fs/cgroup"
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers == "":
            tops = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [root / folder for folder in V1_NAMES]
        else:
            continue
        inside = Path(name.lstrip("/"))
        for top in tops:
            # In a container the name may be the host's, whose folders are not to be seen here: the top is.
            yield from (top / group for group in (inside, *inside.parents) if ".." not in group.parts)


def _limits(group: Path) -> Iterator[tuple[float, float]]:
    """Yield the quota and the period of one group in µs: of version 2, or of version 1."""
    with contextlib.suppress(ValueError):
        words = _text(group / "cpu.max").split()  # "max 100000" is no quota
        if len(words) == 2 and words[0] != "max":
            yield float(words[0]), float(words[1])
    with contextlib.suppress(ValueError):
        yield float(_text(group / "cpu.cfs_quota_us")), float(_text(group / "cpu.cfs_period_us"))  # -1: none


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
