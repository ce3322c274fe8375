"""Where the processes of a trial run: a core each, and what their commands begin with."""

import os
from typing import NamedTuple


class Place(NamedTuple):
    """Where one process runs.

    Attributes:
        core: The processor that it is pinned to; None where there is no choice.
        prefix: Words before its command, such as those that enter a network namespace. What they start must
            become the process (as ``ip netns exec`` and ``nice`` do), because it is known by its process id.
    """

    core: int | None = None
    prefix: tuple[str, ...] = ()


ANYWHERE = Place()


class Places(NamedTuple):
    """Where the subject and the load of a trial run, and the router between them, if there is one."""

    subject: Place = ANYWHERE
    load: Place = ANYWHERE
    router: Place = ANYWHERE


def usable_cores() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_places() -> Places:
    """Give the subject the last of this process's processors, the load the first, if there are two.

    A router has one of its own where there are three; else it goes where there is time.
    """
    if not hasattr(os, "sched_getaffinity"):
        return Places()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return Places()
    return Places(Place(cores[-1]), Place(cores[0]), Place(cores[1]) if len(cores) > 2 else ANYWHERE)
