"""Whether a trial's figures may be believed: ok, suspect (shown, marked) or invalid (never averaged).

A saturated subject is a finding: ok, with ``limit`` naming what ran out. A saturated instrument is a fault.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

SATURATED_CPU_RATIO = 0.9
BUSY_GENERATOR_CPU_RATIO = 0.8
SHARED_STAMPS_RATIO = 0.01
CLOCK_STEP_NS = 50_000


class Verdict(NamedTuple):
    """``verdict`` is ok, suspect or invalid; ``reason`` a sentence, empty when ok; ``limit`` what ran out."""

    verdict: str
    reason: str
    limit: str


def judge(row: Mapping[str, Any]) -> Verdict:
    """Judge a trial by its figures (the columns of trials.csv, and what the swarm reported beside them)."""
    limit = ""
    if row["generator_cpu_ratio"] > SATURATED_CPU_RATIO:
        limit = "generator_cpu"
    elif row["server_cpu_ratio"] > SATURATED_CPU_RATIO:
        limit = "server_cpu"
    wrong = {name: row[name] for name in ("missed", "duplicated", "out_of_order") if row[name]}
    if wrong:
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in wrong.items())
        return Verdict("invalid", f"of {row['expected']} ticks, {told}", limit)
    if abs(row["clock_shift_ns"]) > CLOCK_STEP_NS:
        shift_us = abs(row["clock_shift_ns"]) / 1000
        return Verdict("invalid", f"the clock was set during the trial, by {shift_us:.0f} µs", limit)
    doubts = []
    if row["generator_cpu_ratio"] > BUSY_GENERATOR_CPU_RATIO:
        doubts.append(f"the swarm used {row['generator_cpu_ratio']:.0%} of its core")
    if row["stamp_shared_ratio"] > SHARED_STAMPS_RATIO:
        doubts.append(f"{row['stamp_shared_ratio']:.1%} of the arrival times are upper bounds")
    if row["stamps"] != "kernel":
        doubts.append("arrival times were taken in user space")
    if not row["drained"]:
        doubts.append("the last tick did not reach every client in time")
    return Verdict("suspect" if doubts else "ok", "; ".join(doubts), limit)
