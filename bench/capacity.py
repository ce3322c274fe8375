"""The capacity of a server: the most clients of whose deliveries at most 1 % are late, found by search.

Grow until it fails, then halve the gap on a logarithmic scale. What was tried so far decides what is tried
next, so a search that was interrupted goes on where it was.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bench.verdict import BUSY_GENERATOR_CPU_RATIO, OTHERS_CPU_RATIO, STEAL_RATIO
from clients.limits import most_clients

ALLOWED_LATE_RATIO = 0.01
"""p99 within the limit: 1 % of the deliveries may exceed it."""
LARGEST_LEAP = 20.0
SAFE_CPU_RATIO, SAFE_LATENCY_RATIO = 0.85, 0.6
"""How near to the bound a search dares to leap: a core does not do more than all, but a tail grows faster
than the mean."""
CAUTIOUS_STEP = 1.3
ROUND_TO_DIGITS = 2


SERVER_RAN_OUT = ("server CPU", "server CPU in bursts")
"""What ``ran_out`` says if it was the server; else it bears at least so many."""


@dataclasses.dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        start, most: How many clients to begin with, and how many at most.
        tolerance: It ends when the fewest that failed are at most so many times the most that passed.
        usual, steps: As many clients as such servers bear, and as many trials as that takes to find out. Only
            to plan the time.
    """

    start: int = 300
    most: int = 50_000
    tolerance: float = 1.35
    usual: int = 4_000
    steps: int = 5


class Tried(NamedTuple):
    """One step of a search: so many clients, and what share of their deliveries was late.

    ``headroom`` is how many times as many clients the server seems to bear.
    """

    clients: int
    late_ratio: float
    headroom: float

    @property
    def passed(self) -> bool:
        """Whether the server coped; a trial that failed did not."""
        return self.late_ratio <= ALLOWED_LATE_RATIO


def tried(row: Mapping[Any, Any]) -> Tried:
    """Read a step from its row of trials.csv. The headroom is by the server's CPU, and by the latency.

    A push to N clients is written to one after the other, so the last has it at twice the mean latency, which
    may be as long as the limit. A poll's latency is mostly waiting, and says nothing of the server.
    """
    late_ratio = row.get("late_ratio")
    cpu_ratio, mean_ms = row.get("server_cpu_ratio") or math.nan, row.get("latency_mean_ms") or math.nan
    headroom = SAFE_CPU_RATIO / cpu_ratio
    if not _polls(row) and not math.isnan(mean_ms):
        headroom = min(headroom, SAFE_LATENCY_RATIO * row["latency_limit_ms"] / (2 * mean_ms))
    if late_ratio is None or row["verdict"] == "invalid":
        late_ratio = 1.0
    return Tried(int(row["clients"]), float(late_ratio), headroom)


def _polls(row: Mapping[Any, Any]) -> bool:
    return any((row.get(name) or 0) > 0 for name in ("poll_interval_s", "poll_pause_s"))  # NaN is not


def next_clients(search: Search, steps: Sequence[Tried]) -> int | None:
    """Return how many clients to try after these steps, or None if the search is at its end."""
    most = min(search.most, most_clients())
    if not steps:
        return min(search.start, most)
    passed, failed = bracket(steps)
    if failed is None:
        if passed >= most:
            return None
        last = steps[-1]
        leap = CAUTIOUS_STEP if math.isnan(last.headroom) else last.headroom
        return min(_rounded(passed * min(max(leap, CAUTIOUS_STEP), LARGEST_LEAP)), most)
    if failed <= max(passed, 1) * search.tolerance or failed - passed <= 1:
        return None
    between = failed / CAUTIOUS_STEP**2 if not passed else math.sqrt(passed * failed)
    chosen = min(max(_rounded(between), passed + 1), failed - 1)
    return chosen if chosen not in {step.clients for step in steps} else None


def bracket(steps: Sequence[Tried]) -> tuple[int, int | None]:
    """Return the most clients that passed with none failing below (0: none), and the fewest that failed."""
    failed = min((step.clients for step in steps if not step.passed), default=None)
    passed = [step.clients for step in steps if step.passed and (failed is None or step.clients < failed)]
    return max(passed, default=0), failed


def _rounded(clients: float) -> int:
    """Round to two significant digits: nobody wants to serve 7,283 clients."""
    digits = math.floor(math.log10(max(clients, 1))) + 1 - ROUND_TO_DIGITS
    return max(round(clients / 10**digits) * 10**digits, 1) if digits > 0 else max(round(clients), 1)


def capacities(trials: pd.DataFrame) -> pd.DataFrame:
    """Reduce the steps of each search to one row: its last passing step, with the capacity beside it.

    What a delivery cost is the median over the steps that passed: a single short trial is noisy.

    Columns beside those of trials.csv:
        capacity_clients: The most clients that were served in time; 0 if not even the fewest were.
        too_many_clients: The fewest that were not; empty if the machine's limit was reached first.
        told_per_ms: Clients to whom a tick was written per ms in the first step: half of them have it at the
            mean latency, if one is written to after the other. Empty for polls, which are spread.
        ran_out: What ended it: see :func:`_ran_out`.
        at_least: Whether that was something other than the undisturbed server, so that it bears more.
    """
    rows = []
    for _, steps in trials[trials["step"] > 0].groupby("order", sort=False):
        own = steps.to_dict("records")
        passed, failed = bracket([tried(row) for row in own])
        best = next((row for row in own if row["clients"] == passed), own[0])
        worst = next((row for row in own if row["clients"] == failed), None)
        rows.append(
            {
                **best,
                "clients": None,
                "server_cpu_us_per_tick": _median_cost_us(own, passed),
                "capacity_clients": float(passed),
                "too_many_clients": math.nan if failed is None else float(failed),
                "told_per_ms": _told_per_ms(own[0]),
                "ran_out": (ran_out := _ran_out(worst)),
                "at_least": ran_out not in SERVER_RAN_OUT,
            }
        )
    found = ["capacity_clients", "too_many_clients", "told_per_ms", "ran_out", "at_least"]
    return pd.DataFrame(rows, columns=[*trials.columns, *found])


def _median_cost_us(steps: Sequence[Mapping[Any, Any]], passed: int) -> float:
    costs = [row["server_cpu_us_per_tick"] for row in steps if row["clients"] <= max(passed, 1)]
    return float(pd.Series(costs, dtype=float).median())


def _told_per_ms(step: Mapping[Any, Any]) -> float:
    mean_ms = step.get("latency_mean_ms") or math.nan
    return math.nan if _polls(step) else step["clients"] / 2 / float(mean_ms)


def _ran_out(worst: Mapping[Any, Any] | None) -> str:
    """Say what ran out at the fewest clients that failed.

    The server's core as a whole; or only while a tick is handed to all clients one after the other, though
    the core rests between ticks; or the load generator, in which case the server could do more; or the
    processors themselves, because something else used them. Polls are spread and know no bursts.
    """
    if worst is None:
        return "nothing yet"
    if pd.isna(worst.get("server_cpu_ratio")):
        return "clients not let in in time"
    whole = worst["limit"] == "server_cpu"
    busy = (worst.get("generator_cpu_ratio") or 0.0) > BUSY_GENERATOR_CPU_RATIO
    if worst["limit"] == "generator_cpu" or (busy and not whole):
        return "load generator"
    if _polls(worst) and not whole:
        return "not known"
    return f"server CPU{'' if whole else ' in bursts'}{' (disturbed)' if is_disturbed(worst) else ''}"


def is_disturbed(row: Mapping[Any, Any]) -> bool:
    """Return whether something else used the processors: a step that failed so may pass at another try."""
    used = row.get("others_cpu_ratio"), row.get("steal_ratio")
    limits = OTHERS_CPU_RATIO, STEAL_RATIO
    return any(share is not None and share > most for share, most in zip(used, limits, strict=True))
