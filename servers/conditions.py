"""What about this process can change what it costs, and cannot be kept out: looked up inside the process.

Codes, one word each. A measured server says them in its first line, a load generator when it has connected;
whoever measures records and judges them.
"""

import asyncio
import os
import sys
import tracemalloc
from pathlib import Path

PRELOADED = Path("/etc/ld.so.preload")
"""Libraries that the dynamic linker loads into every process of the machine (ld.so(8))."""


def conditions() -> list[str]:
    """Return codes for all that makes this process other than usual; nothing, where it is as it should be.

    ``debug_build``, ``dev_mode``, ``asyncio_debug``, ``tracemalloc``, ``traced`` (a debugger, a profiler or a
    coverage tool), ``without_extensions`` (aiohttp or websockets in pure Python), ``preloaded_library``,
    ``malloc=NAME``, ``nice=N``, ``scheduler=N`` (a policy other than the ordinary one, sched(7)).
    """
    present = {
        "debug_build": hasattr(sys, "gettotalrefcount"),
        "dev_mode": sys.flags.dev_mode,
        "asyncio_debug": _asyncio_debugs(),
        "tracemalloc": tracemalloc.is_tracing(),
        "traced": _is_traced(),
        "without_extensions": _lacks_extensions(),
        "preloaded_library": _preloads(),
    }
    found = [code for code, is_so in present.items() if is_so]
    if allocator := os.environ.get("PYTHONMALLOC"):
        found.append(f"malloc={'_'.join(allocator.split())}")
    if (niceness := os.getpriority(os.PRIO_PROCESS, 0)) > 0:
        found.append(f"nice={niceness}")
    if hasattr(os, "sched_getscheduler") and (policy := os.sched_getscheduler(0)) != os.SCHED_OTHER:
        found.append(f"scheduler={policy}")
    return found


def _asyncio_debugs() -> bool:
    try:
        return asyncio.get_running_loop().get_debug()
    except RuntimeError:  # no loop runs here: the swarm has none
        return False


def _is_traced() -> bool:
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)  # Python 3.12, PEP 669: six tools
    return monitoring is not None and any(monitoring.get_tool(tool) is not None for tool in range(6))


def _lacks_extensions() -> bool:
    """Return whether a library that is in use parses in Python what it has a C extension for."""
    parsers = sys.modules.get("aiohttp.http_parser")
    slow_aiohttp = parsers is not None and parsers.HttpRequestParser is parsers.HttpRequestParserPy
    slow_websockets = "websockets.frames" in sys.modules and "websockets.speedups" not in sys.modules
    return slow_aiohttp or slow_websockets


def _preloads() -> bool:
    named = os.environ.get("LD_PRELOAD") or os.environ.get("DYLD_INSERT_LIBRARIES")
    try:
        return bool(named or PRELOADED.read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        return False


if __name__ == "__main__":
    print(*conditions())
