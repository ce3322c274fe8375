"""The capacity of a server, found by search: the clients at which half of the trials are served in time.

A trial is served in time if at most 1 % of its deliveries are later than the limit. It is short, and has
few ticks: of five, 1 % of the deliveries are 5 % of the clients of a single tick. So it asks for the worst of
five ticks, not for a p99 of the long run. And it is noisy: the same server bears 10 to 15 % more in one trial
than in the next, so no trial alone says that a number of clients is too many. What all of them say together
is fitted (:func:`fit`), and the next one is tried where it tells most: at what is most likely the capacity.
What was tried so far decides what is tried next, so a search that was interrupted goes on where it was.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtri, ndtr

from bench.results.statistics import CONFIDENCE, Interval
from bench.results.trials import search_steps
from bench.results.validity import (
    BUSY_GENERATOR_CPU_RATIO,
    FOREIGN_CPU_RATIO,
    INVALID,
    STOLEN_CPU_RATIO,
    Bottleneck,
)
from clients.sockets.limits import most_clients

ALLOWED_LATE_RATIO = 0.01
"""Of the deliveries of a trial that was served in time."""
LARGEST_LEAP = 20.0
SAFE_CPU_RATIO, SAFE_LATENCY_RATIO = 0.85, 0.6
"""How near to the bound a search dares to leap: a core does not do more than all, but a tail grows faster
than the mean."""
SHORTEST_LEAP = 1.6
"""While all have passed, or none has: with shorter ones servers of which a first step says little end at a
bound, and longer ones ask for many more clients than the server bears, who take long to connect."""
ROUND_TO_DIGITS = 2

NOISES = np.geomspace(0.05, 0.25, 4)
"""Standard deviations of the logarithm of what a server bears from trial to trial, each as likely: a few
trials cannot tell them apart."""
LAPSE_RATIO = 0.001
"""How often a trial passes or fails whatever the number of clients: one odd trial must not decide all."""
GRID_POINTS = 1_000
BEYOND_TRIED = 4.0
"""A server may bear so many times the most clients that were tried."""


@dataclasses.dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        start, most: How many clients to begin with, and how many at most.
        steps: How many trials to take. Fewer are taken if as many as possible are served, or not even one is.
        usual: As many clients as such servers bear: only to plan the time.
    """

    start: int = 300
    most: int = 50_000
    steps: int = 6
    usual: int = 6_500


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
    if late_ratio is None or row["verdict"] == INVALID:
        late_ratio = 1.0
    return Tried(int(row["clients"]), float(late_ratio), headroom)


def _polls(row: Mapping[Any, Any]) -> bool:
    return any((row.get(name) or 0) > 0 for name in ("poll_interval_s", "poll_pause_s"))  # NaN is not


def next_clients(search: Search, steps: Sequence[Tried]) -> int | None:
    """Return how many clients to try after these steps, or None if the search is at its end.

    Grow until one fails, or shrink until one passes, by leaps that get longer downwards; then try the most
    likely capacity each time, which may be a number that was tried before.
    """
    most = min(search.most, most_clients())
    if not steps:
        return min(search.start, most)
    passed = [step.clients for step in steps if step.passed]
    failed = [step.clients for step in steps if not step.passed]
    if len(steps) >= search.steps:
        return None
    if (not failed and max(passed) >= most) or (not passed and min(failed) <= 1):
        return None
    if not failed:
        headroom = 0.0 if math.isnan(steps[-1].headroom) else steps[-1].headroom
        chosen = passed[-1] * min(max(headroom, SHORTEST_LEAP), LARGEST_LEAP)
    elif not passed:
        chosen = min(failed) / SHORTEST_LEAP ** len(failed)
    else:
        chosen = fit(steps).estimate
    return min(round_clients(chosen), most)


def fit(steps: Sequence[Tried]) -> Interval:
    """Estimate the capacity from all steps of a search, with its 95 % interval.

    The probability to pass falls with the clients N like Φ((ln C − ln N)/σ): a probit of log clients, as in
    QUEST (Watson and Pelli 1983), which finds thresholds of perception by the same kind of search, with
    lapses (Wichmann and Hill 2001). Bayes on a grid: every ln C is as likely beforehand, from half a client
    to four times the most that were tried, and so is every noise σ of ``NOISES``. That the interval holds the
    capacity in at least 90 of 100 searches is a test (tests/bench/results/test_capacity_coverage.py).

    Returns:
        The median of what is left, and where 2.5 % of it are left on either side. If no step failed, or none
        passed, there is but a bound, where the likelihood has fallen to e^−1.92 of its maximum (half the 95 %
        quantile of χ² with one degree of freedom), and the estimate is it, or 0.
    """
    tried_logs = np.log([step.clients for step in steps])
    passed = np.array([step.passed for step in steps])
    logs = np.linspace(math.log(0.5), tried_logs.max() + math.log(BEYOND_TRIED), GRID_POINTS)
    pass_ratio = ndtr((logs[:, None, None] - tried_logs) / NOISES[:, None])
    pass_ratio = LAPSE_RATIO + (1 - 2 * LAPSE_RATIO) * pass_ratio
    likelihood = np.where(passed, pass_ratio, 1 - pass_ratio).prod(axis=2).mean(axis=1)
    if passed.all() or not passed.any():
        likely = np.exp(logs[likelihood >= likelihood.max() * math.exp(-chdtri(1, 1 - CONFIDENCE) / 2)])
        low, high = float(likely[0]), float(likely[-1])
        return Interval(low, low, math.inf) if passed.all() else Interval(0.0, 0.0, high)
    below = np.cumsum(likelihood) / likelihood.sum()
    tail = (1 - CONFIDENCE) / 2
    return Interval(*(math.exp(np.interp(share, below, logs)) for share in (0.5, tail, 1 - tail)))


def ratio_of(above: Interval, below: Interval) -> Interval:
    """Return the ratio of two independent estimates, with its 95 % interval, from their own intervals.

    The distances from the estimates to the ends, as logarithms, add by their squares (MOVER: Zou and Donner
    2008, Statistics in Medicine 27:1693). Only estimates that are bounded on both sides form a ratio.
    """
    a, a_low, a_high, b, b_low, b_high = np.log([*above, *below])
    middle = a - b
    low, high = middle - math.hypot(a - a_low, b_high - b), middle + math.hypot(a_high - a, b - b_low)
    return Interval(*(math.exp(bound) for bound in (middle, low, high)))


def round_clients(clients: float, digits: int = ROUND_TO_DIGITS) -> int:
    """Round to two significant digits: nobody wants to serve 7,283 clients."""
    place = math.floor(math.log10(max(clients, 1))) + 1 - digits
    return max(round(clients / 10**place) * 10**place, 1) if place > 0 else max(round(clients), 1)


def capacities(trials: pd.DataFrame) -> pd.DataFrame:
    """Reduce the steps of each search to one row: its largest passing step, with the capacity beside it.

    What a delivery cost is the median over the steps that passed: a single short trial is noisy.

    Columns beside those of trials.csv:
        capacity_clients: The capacity, by :func:`fit`; the lower end of its interval where only a bound is
            known; 0 if not even the fewest were served.
        capacity_clients_low, capacity_clients_high: Its 95 % interval; infinite above if it is a bound.
        clients_per_ms: Clients to whom a tick was written per ms in the first step: half of them have it at
            the mean latency, if one is written to after the other. Empty for polls, which are spread.
        bottleneck: What ended it, a code: see :func:`_bottleneck_of_search`.
        at_least: Whether that was something other than the undisturbed server, so that it bears more.
    """
    searches: dict[int, list[dict[Any, Any]]] = {}
    for step in search_steps(trials).to_dict("records"):
        searches.setdefault(step["trial_number"], []).append(step)
    rows = []
    for own in searches.values():
        served = [row for row in own if tried(row).passed]
        found = fit([tried(row) for row in own])
        bottleneck = _bottleneck_of_search(own, found.high)
        at_least = not bottleneck.is_server
        if at_least:
            found = Interval(found.low, found.low, math.inf)
        rows.append(
            {
                **max(served, key=lambda row: row["clients"], default=own[0]),
                "clients": None,
                "server_cpu_us_per_delivery": _median_cost_us(served),
                "capacity_clients": _three_digits(found.estimate),
                "capacity_clients_low": _three_digits(found.low),
                "capacity_clients_high": _three_digits(found.high),
                "clients_per_ms": _clients_per_ms(own[0]),
                "bottleneck": str(bottleneck),
                "at_least": at_least,
            }
        )
    derived = "capacity_clients capacity_clients_low capacity_clients_high clients_per_ms at_least".split()
    return pd.DataFrame(rows, columns=[*trials.columns, *derived])


def _three_digits(clients: float) -> float:
    return float(round_clients(clients, 3)) if 0 < clients < math.inf else clients


def _median_cost_us(served: Sequence[Mapping[Any, Any]]) -> float:
    return float(pd.Series([row["server_cpu_us_per_delivery"] for row in served], dtype=float).median())


def _clients_per_ms(step: Mapping[Any, Any]) -> float:
    mean_ms = step.get("latency_mean_ms") or math.nan
    return math.nan if _polls(step) else step["clients"] / 2 / float(mean_ms)


def _bottleneck_of_search(steps: Sequence[Mapping[Any, Any]], high: float) -> Bottleneck:
    """Return what ended a search: what ran out in most of the failed steps that the interval does not exceed.

    If none of them is as few, in the fewest that failed. Where it is a draw, what is not the server wins:
    then less is claimed.
    """
    failed = sorted((row for row in steps if not tried(row).passed), key=lambda row: row["clients"])
    if not failed:
        return Bottleneck.NONE
    found = [_bottleneck_of_step(row) for row in failed if row["clients"] <= high]
    found = found or [_bottleneck_of_step(failed[0])]
    return max(found, key=lambda each: (found.count(each), not each.is_server))


def _bottleneck_of_step(worst: Mapping[Any, Any]) -> Bottleneck:
    """Return what ran out in a step that failed.

    The server's core as a whole; or only while a tick is handed to all clients one after the other, though
    the core rests between ticks; or the load generator, in which case the server could do more; or the
    processors themselves, because something else used them. Polls are spread and know no bursts.
    """
    if pd.isna(worst.get("server_cpu_ratio")):
        return Bottleneck.CONNECTING
    whole = worst["bottleneck"] == Bottleneck.SERVER_CPU
    busy = (worst.get("generator_cpu_ratio") or 0.0) > BUSY_GENERATOR_CPU_RATIO
    if worst["bottleneck"] == Bottleneck.GENERATOR_CPU or (busy and not whole):
        return Bottleneck.GENERATOR_CPU
    if _polls(worst) and not whole:
        return Bottleneck.UNKNOWN
    if is_disturbed(worst):
        return Bottleneck.SERVER_CPU_DISTURBED if whole else Bottleneck.SERVER_CPU_IN_BURSTS_DISTURBED
    return Bottleneck.SERVER_CPU if whole else Bottleneck.SERVER_CPU_IN_BURSTS


def is_disturbed(row: Mapping[Any, Any]) -> bool:
    """Return whether something else used the processors: then a step may end otherwise at another try."""
    used = row.get("foreign_cpu_ratio"), row.get("stolen_cpu_ratio")
    limits = FOREIGN_CPU_RATIO, STOLEN_CPU_RATIO
    return any(share is not None and share > most for share, most in zip(used, limits, strict=True))
