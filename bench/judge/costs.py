"""What one delivery, one answer and one poll take of a busy server's processor, from a run's trials.

A server that has little to do takes longer for each step: it wakes for each, and its caches are cold. On both
machines that were measured, a poll costs a short polling server over five times as much at 50 a second as at
7,000. So costs that are put together (crossovers, the decision map) are all taken from servers that were
busy.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.results.estimates import estimate
from bench.results.evidence import Evidence, NotMeasured
from bench.transports import names_of

BUSY_CPU_RATIO = 0.2
"""From this share of its core on a server is busy: what it does anyway is little of it."""
FEWEST_POINTS, WIDEST_RATIO = 3, 10.0
"""A line through fewer points, or over less than a decade of ticks per answer, is not followed further."""
EXPERIMENTS = ("library", "interval", "freshness", "compression", "rate", "clients")


class PollCost(NamedTuple):
    """Processor time of a poll, in s: for the request, and for each tick in its answer.

    Attributes:
        request_s, tick_s: a and b of a + b × ticks.
        most_ticks: Up to how many ticks in an answer it was measured.
        lowest_ratio, highest_ratio: The line over what was measured, where it is farthest below and above.
    """

    request_s: float
    tick_s: float
    most_ticks: float
    lowest_ratio: float
    highest_ratio: float


def busy_trials(evidence: Evidence) -> pd.DataFrame:
    """Return the trials and good steps of searches whose server was busy, with minimal headers.

    Of several sizes of ticks those with the size that was measured most often are taken.

    Raises:
        NotMeasured: If there are none.
    """
    parts = [evidence.passed_steps(headers="minimal")]
    try:
        parts.append(evidence.trials(*EXPERIMENTS, headers="minimal"))
    except NotMeasured as missing:
        if not len(parts[0]):
            raise NotMeasured("bench run clients library interval") from missing
    trials = pd.concat([part for part in parts if len(part)])
    busy = trials[trials["server_cpu_ratio"].astype(float) >= BUSY_CPU_RATIO]
    if not len(busy):
        raise NotMeasured("bench run clients library", "in this run no server was busy")
    return pd.DataFrame(busy[busy["payload_bytes"] == busy["payload_bytes"].mode().iloc[0]])


def delivery_costs(busy: pd.DataFrame, family: str = "push") -> dict[str, float]:
    """Return the processor time of a delivery in s, by transports of a family."""
    return {
        name: estimate(busy, "server_cpu_us_per_delivery", transport=name).estimate / 1e6
        for name in names_of(family)
        if name in set(busy["transport"])
    }


def poll_costs(busy: pd.DataFrame) -> dict[str, PollCost]:
    """Fit the processor time of a poll as a + b × ticks in its answer, by transport that polls.

    Least squares over the medians at each number of ticks per answer, relative to the cost itself. A
    transport that was asked at too few or too similar intervals is left out, and so is one whose fit makes no
    sense (a ≤ 0: noise); b is at least 0.
    """
    costs = {}
    polls = busy[busy["requests_per_delivery"].astype(float) > 0]
    for name in names_of("pull"):
        own = polls[polls["transport"] == name]
        ticks = (own["rate_hz"].astype(float) * own["poll_interval_s"].astype(float)).round(6)
        cost_s = (
            own["server_cpu_us_per_delivery"].astype(float) / own["requests_per_delivery"].astype(float) / 1e6
        )
        medians = cost_s.groupby(ticks).median().dropna()
        if len(medians) < FEWEST_POINTS or medians.index.max() < WIDEST_RATIO * medians.index.min():
            continue
        measured_ticks, measured_s = medians.index.to_numpy(), medians.to_numpy()
        b, a = np.polyfit(measured_ticks, measured_s, 1, w=1 / measured_s)
        request_s, tick_s = (a, b) if b > 0 else (np.exp(np.log(measured_s).mean()), 0.0)
        if request_s > 0:
            off = (request_s + tick_s * measured_ticks) / measured_s
            costs[name] = PollCost(
                float(request_s),
                float(tick_s),
                float(measured_ticks.max()),
                float(off.min()),
                float(off.max()),
            )
    return costs
