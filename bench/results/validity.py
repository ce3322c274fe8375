"""Whether a trial's figures may be believed: ok, suspect (shown, marked) or invalid (never averaged).

A saturated subject is a finding: ok, with ``limit`` naming what ran out. A saturated instrument, a stolen
core or a clock that was set are faults of the measurement. Some pass: such a trial is worth another try.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

SATURATED_CPU_RATIO = 0.9
BUSY_GENERATOR_CPU_RATIO = 0.8
IDLE_SERVER_CPU_RATIO = 0.5
SHARED_STAMPS_RATIO = 0.01
LATE_MS = 20.0
CLOCK_STEP_NS = 50_000
STEAL_RATIO = 0.05
OTHERS_CPU_RATIO = 0.15

CONDITIONS = {
    "debug_build": "this Python is a debug build",
    "dev_mode": "Python ran in development mode",
    "asyncio_debug": "asyncio ran in debug mode",
    "tracemalloc": "tracemalloc recorded every allocation",
    "traced": "a debugger, profiler or coverage tool watched the processes",
    "without_extensions": "aiohttp or websockets ran without its C extension",
    "preloaded_library": "a library was preloaded into the processes (LD_PRELOAD or /etc/ld.so.preload)",
    "malloc": "Python used another allocator (PYTHONMALLOC={})",
    "nice": "the processes ran at a lower priority (niceness {})",
    "scheduler": "the processes ran under another scheduling policy ({}, see sched(7))",
    "one_core": "server and load generator shared one core",
}
"""What each code of servers/conditions.py says, and ``one_core`` of the harness."""


class Verdict(NamedTuple):
    """``verdict`` is ok, suspect or invalid; ``reason`` a sentence, empty when ok; ``limit`` what ran out.

    ``passing`` says that all that is wrong may be gone at another try.
    """

    verdict: str
    reason: str
    limit: str
    passing: bool = False


class Fault(NamedTuple):
    """One thing that is wrong with a trial."""

    verdict: str
    reason: str
    passing: bool


def judge(row: Mapping[str, Any]) -> Verdict:
    """Judge a trial by its figures (the columns of trials.csv)."""
    limit = ""
    if row["throttled_periods"]:
        limit = "cpu_quota"
    elif row["generator_cpu_ratio"] > SATURATED_CPU_RATIO:
        limit = "generator_cpu"
    elif row["server_cpu_ratio"] > SATURATED_CPU_RATIO:
        limit = "server_cpu"
    faults = [*_contract_faults(row), *_instrument_faults(row), *_machine_faults(row)]
    worst = min((fault.verdict for fault in faults), default="ok")  # invalid comes before suspect
    return Verdict(
        worst,
        "; ".join(fault.reason for fault in faults),
        limit,
        passing=bool(faults) and all(fault.passing for fault in faults),
    )


def _contract_faults(row: Mapping[str, Any]) -> list[Fault]:
    """Ticks lost, doubled or out of order: the server, the client or the network broke the contract."""
    wrong = {name: row[name] for name in ("missed", "duplicated", "out_of_order") if row[name]}
    if not wrong:
        return []
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in wrong.items())
    return [Fault("invalid", f"of {row['expected']} ticks, {told}", passing=False)]


def _instrument_faults(row: Mapping[str, Any]) -> list[Fault]:
    """A load generator that was late or had no time left, and arrival times that are not the kernel's."""
    faults = []
    if row["generator_cpu_ratio"] > BUSY_GENERATOR_CPU_RATIO:
        used = f"the load generator used {row['generator_cpu_ratio']:.0%} of its core"
        faults.append(Fault("suspect", used, passing=False))
    for name, what in (
        ("generator_lag_p99_ms", "handled arrivals"),
        ("request_lag_p99_ms", "sent requests"),
    ):
        if _above(row[name], LATE_MS):
            late = f"the load generator {what} {row[name]:.0f} ms late (p99)"
            # The swarm was held up by something; ordinary clients are late by nature.
            faults.append(Fault("suspect", late, passing=row["generator"] == "swarm"))
    if row["stamp_shared_ratio"] > SHARED_STAMPS_RATIO:
        shared = f"{row['stamp_shared_ratio']:.1%} of the arrival times are upper bounds (shared stamps)"
        faults.append(Fault("suspect", shared, passing=True))
    if row["stamps"] != "kernel":
        faults.append(Fault("suspect", "arrival times were taken in user space", passing=False))
    if not row["drained"]:
        late = "the last tick did not reach every client in the time for it"
        faults.append(Fault("suspect", late, passing=True))
    return faults


def _machine_faults(row: Mapping[str, Any]) -> list[Fault]:
    """A clock that was set, a quota, processes that are other than usual, and cores that somebody took."""
    faults = []
    if row["throttled_periods"]:
        stopped = (
            f"the CPU quota of {row['cpu_quota_cores']:.3g} cores stopped this machine's processes "
            f"in {row['throttled_periods']} of its periods"
        )
        faults.append(Fault("suspect", stopped, passing=False))
    for condition in row["conditions"].split():
        faults.append(Fault("suspect", tell_condition(condition), passing=False))
    if abs(row["clock_shift_ns"]) > CLOCK_STEP_NS:
        step_us = abs(row["clock_shift_ns"]) / 1000
        faults.append(Fault("invalid", f"the clock was set during the trial, by {step_us:.0f} µs", True))
    if _above(row["steal_ratio"], STEAL_RATIO):
        stolen = f"the hypervisor took {row['steal_ratio']:.0%} of the processors' time"
        faults.append(Fault("suspect", stolen, passing=True))
    if _above(row["others_cpu_ratio"], OTHERS_CPU_RATIO):
        others = f"other processes took {row['others_cpu_ratio']:.0%} of the two cores"
        faults.append(Fault("suspect", others, passing=True))
    if _above(row["publish_lag_p99_ms"], LATE_MS) and row["server_cpu_ratio"] < IDLE_SERVER_CPU_RATIO:
        late = f"ticks were published {row['publish_lag_p99_ms']:.0f} ms late (p99) by a server that had time"
        faults.append(Fault("suspect", late, passing=True))
    return faults


def tell_condition(condition: str) -> str:
    """Return a sentence for a code of servers/conditions.py."""
    code, _, value = condition.partition("=")
    return CONDITIONS[code].format(value)


def _above(value: float, limit: float) -> bool:
    return not math.isnan(value) and value > limit
