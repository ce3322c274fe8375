"""How the swarm waits for many sockets: ``epoll`` on Linux, ``selectors`` elsewhere."""

import select
import selectors
from collections.abc import Sequence
from typing import Protocol

READABLE, WRITABLE = 1, 4
"""EPOLLIN and EPOLLOUT."""


class Poller(Protocol):
    """The part of ``select.epoll`` that the swarm uses; pass another to run the swarm elsewhere."""

    def register(self, fd: int, eventmask: int = ..., /) -> None:
        """Watch a file descriptor."""

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watch it for something else."""

    def unregister(self, fd: int, /) -> None:
        """Watch it no more."""

    def poll(self, timeout: float | None = ..., maxevents: int = ..., /) -> Sequence[tuple[int, int]]:
        """Wait up to ``timeout`` seconds (None: for ever); return descriptors and what they are ready for."""
        ...

    def close(self) -> None:
        """Release it."""


class SelectorsPoller:
    """A poller for every system."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, eventmask: int = READABLE, /) -> None:
        """Watch a file descriptor."""
        self._selector.register(fd, _events(eventmask))

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watch it for something else."""
        self._selector.modify(fd, _events(eventmask))

    def unregister(self, fd: int, /) -> None:
        """Watch it no more."""
        self._selector.unregister(fd)

    def poll(self, timeout: float | None = None, maxevents: int = -1, /) -> Sequence[tuple[int, int]]:
        """Wait up to ``timeout`` seconds (None: for ever); return descriptors and what they are ready for."""
        ready = self._selector.select(timeout)
        return [(key.fd, _mask(events)) for key, events in (ready[:maxevents] if maxevents > 0 else ready)]

    def close(self) -> None:
        """Release it."""
        self._selector.close()


def _events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READABLE else 0) | (
        selectors.EVENT_WRITE if mask & WRITABLE else 0
    )


def _mask(events: int) -> int:
    return (READABLE if events & selectors.EVENT_READ else 0) | (
        WRITABLE if events & selectors.EVENT_WRITE else 0
    )


def new_poller() -> Poller:
    """Return the best poller of this system."""
    return select.epoll() if hasattr(select, "epoll") else SelectorsPoller()
