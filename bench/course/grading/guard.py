"""What student code finds in its process: simulated clocks, a grader out of reach, and no way to block.

What it does against that is noted in ``base.offences``, so that it counts even if its code catches the Fault.
"""

import logging
import socket
import sys
import time
from types import ModuleType
from typing import Any, NoReturn

from bench.course.grading.base import Fault, logged, offences
from bench.course.grading.simulated.clock import START_NS, Clock
from servers import wire

BLOCKING = ("socket.connect", "subprocess.Popen", "os.system")
"""Audit events (PEP 578) of what waits in real time, and so for ever: its server is in the same process."""


def set_clocks(clock: Clock) -> None:
    """Put this process on the simulated clock, before student code asks what time it is."""
    began_s = time.time()
    wire.now_ns = clock
    time.perf_counter_ns = time.monotonic_ns = clock
    time.perf_counter = time.monotonic = lambda: clock() / 1e9
    time.time = lambda: began_s + (clock() - START_NS) / 1e9
    time.time_ns = lambda: round(began_s * 1e9) + clock() - START_NS
    time.sleep = _refuse_to_sleep  # type: ignore[assignment]


def refuse_to_block() -> None:
    """Refuse blocking connections and other programs from now on, instead of waiting for them in vain."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in BLOCKING:
            return
        if event != "socket.connect":
            _offend(_blocked(f"{event} ({str(arguments[0])[:80]})"))
        sock: socket.socket = arguments[0]
        if sock.family in (socket.AF_INET, socket.AF_INET6) and sock.gettimeout() != 0:
            _offend(_blocked(f"a blocking connection to {arguments[1]}"))

    sys.addaudithook(hook)


class _Keeper(logging.Handler):
    """Keeps the exceptions that are logged, and prints nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            logged.append(record.exc_info[1])


def keep_logged_exceptions() -> None:
    """Keep what a server's library catches and logs: a bare 500 explains nothing."""
    logging.getLogger().addHandler(_Keeper())


def hide_grader() -> None:
    """Take the grader's modules out of reach: who imports them gets fresh ones, and changes nothing here."""
    for name in [name for name in sys.modules if name == "bench" or name.startswith("bench.")]:
        del sys.modules[name]
    sys.modules["__main__"] = ModuleType("__main__")


def _blocked(seen: str) -> Fault:
    return Fault(
        "it blocks: it waits without an await",
        seen=seen,
        expected="requests by aiohttp or websockets, in this event loop",
        hint="urllib, requests and curl wait for the answer while the whole event loop stands still, with "
        "all its other clients; in a thread of their own they are not on the simulated clock",
        where="the documentation of asyncio: Developing with asyncio, Running Blocking Code",
    )


def _refuse_to_sleep(seconds: float) -> NoReturn:
    _offend(
        Fault(
            "it stops everything to wait",
            seen=f"time.sleep({seconds:g})",
            expected=f"await asyncio.sleep({seconds:g}), or a deadline",
            hint="time.sleep stops the whole event loop, with all its other clients",
            where="the documentation of asyncio: Developing with asyncio, Running Blocking Code",
        )
    )


def _offend(fault: Fault) -> NoReturn:
    offences.append(fault)
    raise fault
