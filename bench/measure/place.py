"""Where the processes of a trial run: a core for the server, one for the load generator."""

import os
from typing import NamedTuple


class Cores(NamedTuple):
    """The processors that the server and the swarm are pinned to; None where there is no choice."""

    server: int | None
    swarm: int | None


def usable_cores() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_cores() -> Cores:
    """Give the server the last of this process's processors, the swarm the first, if there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    cores = sorted(os.sched_getaffinity(0))
    return Cores(cores[-1], cores[0]) if len(cores) > 1 else Cores(None, None)
