"""Ctrl-C while a program starts: it ends at once, with code 130 and without a traceback.

Until the libraries are imported there is nothing to be kept. This module imports only what is there anyway.
"""

import os
import signal

INTERRUPTED = 130
"""The exit code of a shell for what SIGINT ended: 128 and the number of the signal."""


def end_at_interrupt() -> None:
    """Let Ctrl-C end this process at once, unless whoever started it chose otherwise, as nohup does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_at_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, if :func:`end_at_interrupt` has changed that."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    os._exit(INTERRUPTED)
