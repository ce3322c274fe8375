"""Percentiles that the sample can carry, and intervals: over repeated trials, of ratios, within one trial."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, nctdtrinc, ndtri, stdtr, stdtrit

from bench.results.deliveries import ARRIVED_NS, CLIENT, DUE_NS, SEQ, Deliveries, WindowTicks, in_window

CONFIDENCE = 0.95
POWER = 0.8
RESAMPLES = 2_000
SAME_LOG = 1e-6
"""Logarithms as near as this are the same: trials.csv keeps seven digits."""
FEWEST_TICKS_PER_TRIAL = 6
"""What the median needs (``ticks_needed``); with fewer ticks a single trial has no interval of any figure."""
TRIAL_FIGURES: dict[str, float | None] = {
    "latency_mean_ms": None,
    "latency_p50_ms": 0.5,
    "latency_p90_ms": 0.9,
    "latency_p99_ms": 0.99,
    "latency_p999_ms": 0.999,
}
"""Figures that ``resampled_interval`` knows: None for the mean, or the quantile."""


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


NO_INTERVAL = Interval(math.nan, math.nan, math.nan)


def interval(figures: Sequence[float]) -> Interval:
    """Estimate a positive figure from repeated trials, the trial being the unit.

    Student's t on the logarithms: the estimate is the geometric mean, the interval multiplicative. Figures
    that are zero or negative have no logarithm; then Student's t on the figures themselves. NaN are left out.
    """
    values = np.array([figure for figure in figures if not math.isnan(figure)])
    if len(values) == 0:
        return NO_INTERVAL
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


class Logs(NamedTuple):
    """Repeated trials of positive figures on the logarithm; floats, or arrays of as many scenarios.

    Attributes:
        mean: Over the trials; NaN without any.
        variance: Of one trial; NaN for a single one.
        trials: How many there are.
        freedom: The degrees of freedom of the variance.
    """

    mean: Any
    variance: Any
    trials: Any
    freedom: Any


def logs_of(figures: ArrayLike) -> Logs:
    """Return what is known of repeated trials (the last axis) of positive figures; NaN are left out."""
    logs = np.log(np.asarray(figures, dtype=np.float64))
    known = ~np.isnan(logs)
    trials = known.sum(axis=-1)
    mean = np.where(known, logs, 0.0).sum(axis=-1) / np.where(trials > 0, trials, math.nan)
    squares = np.where(known, (logs - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    return Logs(mean, squares / np.where(trials > 1, trials - 1, math.nan), trials, trials - 1)


def welch(terms: Sequence[tuple[int, Logs]], confidence: float = CONFIDENCE) -> tuple[Interval, Any]:
    """Estimate a product of figures, each above (+1) or below (−1) the line, and the p-value of its being 1.

    Welch's t on the logarithms (Welch 1947; Jain 1991, section 13.4.2): the spreads may differ, and the
    degrees of freedom are Satterthwaite's. Trials are never paired. A figure is known to seven digits
    (trials.csv), so the standard error is never less than that.

    Returns:
        The interval and the p-value, of the shape of the terms; NaN bounds and p-value where one of them has
        a single trial.
    """
    middle = sum(sign * each.mean for sign, each in terms)
    shares = [each.variance / each.trials for _, each in terms]
    square = sum(shares)
    freedom = sum(each.freedom for _, each in terms)
    with np.errstate(divide="ignore", invalid="ignore"):
        unequal = square**2 / sum(
            share**2 / each.freedom for share, (_, each) in zip(shares, terms, strict=True)
        )
    error = np.maximum(np.sqrt(square), SAME_LOG)
    freedom = np.where(square > SAME_LOG**2, unequal, freedom)
    half = stdtrit(freedom, (1 + confidence) / 2) * error
    p = 2 * stdtr(freedom, -np.abs(middle) / error)
    return Interval(np.exp(middle), np.exp(middle - half), np.exp(middle + half)), p


def ratio_interval(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Estimate how many times the figures ``a`` the figures ``b`` are, from repeated trials of each.

    ``welch``; trials of the same block are not paired. Blocks that drift together would make a paired ratio
    the sharper one, and where they do not, pairing halves the degrees of freedom: on the two machines that
    were looked at, figures of a block hang together by −0.04 to 0.08, and three paired intervals in five are
    the wider ones.
    Where blocks do drift together, this interval covers more than it says.

    Args:
        a, b: Positive figures, a trial each; NaN are left out. If one is not positive there is no ratio.
        confidence: The level of the interval.

    Returns:
        The ratio of the geometric means; no bounds where a or b is a single trial.
    """
    known = [np.array([figure for figure in figures if not math.isnan(figure)]) for figures in (a, b)]
    if any(len(figures) == 0 or min(figures) <= 0 for figures in known):
        return NO_INTERVAL
    below, above = (logs_of(figures) for figures in known)
    found, _ = welch([(1, above), (-1, below)], confidence)
    return Interval(*(float(part) for part in found))


def detectable_ratio(figures: Sequence[float], trials: int, power: float = POWER) -> Interval:
    """Return the ratio that ``ratio_interval`` finds with this power, given trials that do not differ.

    The noncentral t with 2n − 2 degrees of freedom: with five trials of each scenario, 2.02 times the
    standard deviation of one (Jain 1991, section 13.9, has the size of a sample by the same reasoning; paired
    it would be 1.69 times that of the differences). The noise itself is known from few trials only: its
    interval is the chi-square's.

    Args:
        figures: A positive figure of repeated trials of one scenario, two at least.
        trials: How many of each scenario will be compared.
        power: The share of tries that find it.
    """
    freedom, known = 2 * trials - 2, len(figures) - 1
    shift = float(nctdtrinc(freedom, 1 - power, stdtrit(freedom, (1 + CONFIDENCE) / 2)))
    noise = math.sqrt(float(logs_of(figures).variance))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    noises = [noise, *(noise * math.sqrt(known / float(chdtri(known, tail))) for tail in tails)]
    return Interval(*(math.exp(shift * each * math.sqrt(2 / trials)) for each in noises))


def per_figure(confidence: float, figures: int) -> float:
    """Return the level at which each of several figures must be held for all to hold with ``confidence``.

    Šidák (1967): exact if they are independent, and enough for t intervals however they hang together.
    """
    return float(confidence ** (1 / figures))


def slope_interval(x: Sequence[float], y: Sequence[float]) -> Interval:
    """Estimate how much y grows per unit of x, by least squares, with its 95 % interval.

    Student's t with n − 2 degrees of freedom on the slope's standard error (Draper and Smith, Applied
    Regression Analysis, chapter 1). Without three points and two different x there is no interval.
    """
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = ~(np.isnan(xs) | np.isnan(ys))
    xs, ys = xs[known], ys[known]
    if len(xs) < 3 or np.ptp(xs) == 0:
        return Interval(math.nan, math.nan, math.nan)
    spread = float(((xs - xs.mean()) ** 2).sum())
    slope = float(((xs - xs.mean()) * (ys - ys.mean())).sum()) / spread
    rest = ys - ys.mean() - slope * (xs - xs.mean())
    error = math.sqrt(float((rest**2).sum()) / (len(xs) - 2) / spread)
    half = float(stdtrit(len(xs) - 2, (1 + CONFIDENCE) / 2)) * error
    return Interval(slope, slope - half, slope + half)


def resampled_interval(
    deliveries: Deliveries,
    window: WindowTicks,
    figure: str,
    *,
    phases: Sequence[float] | None = None,
    seed: int = 0,
) -> Interval:
    """Estimate a latency figure of one trial, with an interval by resampling its ticks and its clients.

    WARNING: it says how well this one trial fixed its own long-run value, and nothing of what varies between
    trials (another process, another minute of the machine), which is often more. Only repeats show that.

    All clients that get a tick share its fate, and all ticks of a client share its place; so neither
    deliveries, nor ticks alone, may be drawn as if independent (Owen 2007, "The pigeonhole bootstrap"). Ticks
    are drawn in blocks of neighbours, round the end of the window, because a stall delays several in a row
    (Politis and Romano 1992). Clients are drawn one by one, or, if their phases were drawn in strata, by
    differences of neighbours in phase (Wolter 2007, section 8.2). The deviations by ticks and by clients are
    added, which counts the noise of single deliveries twice; drawing both at once counts it three times. They
    are widened for few units (Hesterberg 2015, "expanded percentile interval"). For a percentile it is the
    share of latencies below it that deviates, read back as latency (Woodruff 1952).

    Simulated coverage is 92 to 100 % from 20 ticks on (tests/bench/results/test_statistics.py), the more
    for polling, whose interval is twice as wide as need be. Two exceptions: 84 to 92 % where ticks hang
    together for longer than a block (an autocorrelation of 0.8); and 88 to 93 % for p99 where clients
    differ for good by more than ticks do, since of 100 clients one is then the hundredth.

    Args:
        deliveries: The raw deliveries of the trial (see bench/results/figures.py).
        window: Its ticks.
        figure: A key of ``TRIAL_FIGURES``.
        phases: For short polling at an interval, each client's place in it, 0 to 1, as it was drawn
            (``clients.short_polling.stratified_phases(clients, seed)`` of the trial's row).
        seed: Of the resampling: the same deliveries give the same interval.

    Returns:
        The figure in ms; NaN where the ticks cannot carry it; no bounds for under two clients or six ticks.
    """
    quantile = TRIAL_FIGURES[figure]
    own = in_window(deliveries, window)
    latency_ms = (own[:, ARRIVED_NS] - own[:, DUE_NS]) / 1e6
    if quantile is None:
        estimate = float(latency_ms.mean()) if len(own) else math.nan
        influence = latency_ms - estimate
    else:
        estimate = percentile(latency_ms, quantile, window.ticks)
        influence = (latency_ms <= estimate).astype(np.float64)
        influence -= influence.mean() if len(own) else 0.0
    names, clients = np.unique(own[:, CLIENT], return_inverse=True)
    if math.isnan(estimate) or len(names) < 2 or window.ticks < FEWEST_TICKS_PER_TRIAL:
        return Interval(estimate, math.nan, math.nan)
    by_client = np.bincount(clients, influence) / len(own)
    by_tick = np.bincount(own[:, SEQ] - window.first_seq, influence, window.ticks) / len(own)
    rng = np.random.default_rng(seed)
    deviations = _redrawn_ticks(by_tick, rng) + (
        _redrawn_clients(by_client, rng)
        if phases is None
        else _neighbours_differences(by_client[np.argsort(np.asarray(phases)[names])], rng)
    )
    low, high = np.quantile(deviations, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if quantile is None:
        return Interval(estimate, estimate + float(low), estimate + float(high))
    shares = np.clip([quantile + low, quantile + high], 0.0, 1.0)
    return Interval(estimate, *(float(bound) for bound in np.quantile(latency_ms, shares)))


def _redrawn_ticks(by_tick: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return deviations by drawing blocks of √n of the n ticks with replacement."""
    ticks = len(by_tick)
    length = round(math.sqrt(ticks))
    count = math.ceil(ticks / length)
    sums = np.concatenate([[0.0], np.cumsum(np.append(by_tick, by_tick[: length - 1]))])
    block_sums = sums[length:] - sums[:-length]
    drawn: NDArray[np.float64] = block_sums[rng.integers(ticks, size=(RESAMPLES, count))].sum(axis=1)
    return drawn * (ticks / (count * length)) * _expansion(ticks / length)


def _redrawn_clients(by_client: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return deviations by drawing clients with replacement."""
    drawn: NDArray[np.float64] = by_client[
        rng.integers(len(by_client), size=(RESAMPLES, len(by_client)))
    ].sum(axis=1)
    return drawn * _expansion(len(by_client))


def _neighbours_differences(by_client: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return deviations of which each client's is the difference to its neighbour in phase, over √2.

    Round the circle, so that the two neighbours between which the wait falls from a whole interval to nothing
    are always a pair.
    """
    differences = (np.roll(by_client, -1) - by_client) / math.sqrt(2)
    drawn: NDArray[np.float64] = rng.standard_normal((RESAMPLES, len(differences))) @ differences
    return drawn * _expansion(len(by_client))


def _expansion(units: float) -> float:
    """Return by how much drawing so many units must be widened: n - 1 is not n, and t is not normal."""
    widening = stdtrit(units - 1, (1 + CONFIDENCE) / 2) / ndtri((1 + CONFIDENCE) / 2)
    return float(widening) * math.sqrt(units / (units - 1))
