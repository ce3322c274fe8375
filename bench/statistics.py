"""Percentiles that the sample can carry, and intervals over repeated trials."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


def ticks_needed(quantile: float) -> int:
    """Return the fewest independent samples that bound a quantile from above with 95 % confidence.

    The largest of n samples is below the quantile q with probability q^n; with 2.5 % left on that side,
    n ≥ ln 0.025 / ln q: 6 for the median, 36 for p90, 368 for p99, 3,688 for p99.9 (order statistics: David
    and Nagaraja 2003, section 7.1). Clients that get the same tick are not independent: ticks count.
    """
    return math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(quantile))


def percentile(samples: "np.ndarray[tuple[int], np.dtype[np.float64]]", quantile: float, ticks: int) -> float:
    """Return a percentile, or NaN if so many ticks cannot carry it."""
    if len(samples) == 0 or ticks < ticks_needed(quantile):
        return math.nan
    return float(np.quantile(samples, quantile))


class Interval(NamedTuple):
    """An estimate and its 95 % confidence interval; the bounds are NaN where there is none."""

    estimate: float
    low: float
    high: float


def interval(figures: Sequence[float]) -> Interval:
    """Estimate a positive figure from repeated trials, the trial being the unit.

    Student's t on the logarithms: the estimate is the geometric mean, the interval multiplicative. Figures
    that are zero or negative have no logarithm; then Student's t on the figures themselves. NaN are left out.
    """
    values = np.array([figure for figure in figures if not math.isnan(figure)])
    if len(values) == 0:
        return Interval(math.nan, math.nan, math.nan)
    logarithmic = bool(np.all(values > 0))
    if logarithmic:
        values = np.log(values)
    middle = float(np.mean(values))
    half = math.nan
    if len(values) > 1:
        half = float(
            stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2) * np.std(values, ddof=1) / math.sqrt(len(values))
        )
    bounds = (middle, middle - half, middle + half)
    return Interval(*(math.exp(bound) for bound in bounds)) if logarithmic else Interval(*bounds)
