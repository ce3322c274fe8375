"""How tests wait: for a state, with a deadline; and how they start what is to be interrupted."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
"""One factor for all time limits of the tests; raise it on a slow machine."""
LIMIT_S = 20.0 * PATIENCE


def wait_until(condition: Callable[[], object], what: str, *, pause_s: float = 0.02) -> None:
    """Return when the condition holds; fail if it does not in time."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not in time: {what}"
        time.sleep(pause_s)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let processes that are started meanwhile obey Ctrl-C, also where the tests themselves ignore it.

    A shell starts background jobs of a script with SIGINT ignored, and children inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
