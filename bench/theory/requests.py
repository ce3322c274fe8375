"""How many requests a tick costs, how many answers are empty, and how many ticks an answer carries.

All comes from one distribution per transport: that of the number of ticks in an answer.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, pdtrik, xlogy  # scipy.stats takes half a second to import

from bench.theory.latency import Plan, periods_covering

RARER_THAN = 1e-12


class TicksPerAnswer(NamedTuple):
    """With ``probability[i]`` an answer carries ``ticks[i]`` ticks."""

    ticks: NDArray[np.int64]
    probability: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Ticks per answer, the empty answers counted too."""
        return float(self.ticks @ self.probability)

    @property
    def requests_per_delivery(self) -> float:
        """Requests (and answers) per tick."""
        return 1 / self.mean

    @property
    def empty_ratio(self) -> float:
        """The share of answers that are empty."""
        return float(self.probability[self.ticks == 0].sum())

    @property
    def empty_per_tick(self) -> float:
        """Empty answers per tick."""
        return self.empty_ratio / self.mean


def polling_ticks_per_answer(rate_hz: float, cycle_s: float, *, plan: Plan = "steady") -> TicksPerAnswer:
    """Return the ticks in an answer of short polling: those that were due since the look before.

    They are λT on average, so requests per tick are 1/(λT), whatever the plan.

    *Poisson:* a Poisson number; none with probability e^(−λT).
    *Steady:* ⌊λT⌋, or one more for the share λT − ⌊λT⌋ of looks; so for λT < 1 the share 1 − λT is empty.
    """
    mean = rate_hz * cycle_s
    return _poisson(mean) if plan == "poisson" else _steady(mean)


def long_polling_ticks_per_answer(
    rate_hz: float, gap_s: float, *, hold_s: float = math.inf, plan: Plan = "steady"
) -> TicksPerAnswer:
    """Return the ticks in an answer of long polling, with the gap and the cases of ``long_polling_latency``.

    *Steady:* one, if τ ≥ gap; then ⌈τ/(gap + hold)⌉ − 1 requests time out before each (for ticks that do not
    fall in a gap, which is all but a share gap/(gap + hold)). A tick that is due at the very end of a hold
    still finds the request. If τ < gap, polling with the gap as its cycle.

    *Poisson:* as many as came in the gap; if none did, one for the share 1 − e^(−λ hold), else none.

    Args:
        rate_hz: Mean ticks per second.
        gap_s: ``link.turnaround_s``: how long no request is there after an answer.
        hold_s: Longest hold of a request.
        plan: When ticks are due.
    """
    if plan == "poisson":
        ticks, probability = _poisson(rate_hz * gap_s, at_least=1)
        found_waiting = probability[0] * -math.expm1(-rate_hz * hold_s)
        probability[0] -= found_waiting
        probability[1] += found_waiting
        return TicksPerAnswer(ticks, probability)
    period_s = 1 / rate_hz
    if period_s < gap_s:
        return _steady(rate_hz * gap_s)
    time_outs = 0 if math.isinf(hold_s) else periods_covering(period_s, gap_s + hold_s) - 1
    return TicksPerAnswer(np.array([0, 1]), np.array([time_outs, 1]) / (time_outs + 1))


def _steady(mean: float) -> TicksPerAnswer:
    """Return the number of instants, 1 apart, in an interval of length ``mean`` laid at random."""
    nearest = round(mean)
    whole = nearest if math.isclose(mean, nearest, rel_tol=1e-9) else math.floor(mean)
    more = max(mean - whole, 0.0)
    return TicksPerAnswer(np.array([whole, whole + 1]), np.array([1 - more, more]))


def _poisson(mean: float, at_least: int = 0) -> TicksPerAnswer:
    most = math.ceil(pdtrik(1 - RARER_THAN, mean)) if mean > 0 else 0
    ticks = np.arange(max(most, at_least) + 1)
    return TicksPerAnswer(ticks, np.exp(xlogy(ticks, mean) - gammaln(ticks + 1) - mean))
