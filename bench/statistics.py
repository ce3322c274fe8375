"""Percentiles that the sample can carry, and intervals: over repeated trials, of ratios, within one trial."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from clients.generator import DELIVERY_FIELDS

if TYPE_CHECKING:
    from bench.metrics import Deliveries, WindowTicks

CONFIDENCE = 0.95
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

_CLIENT, _SEQ, _DUE_NS, _ARRIVED_NS = (
    DELIVERY_FIELDS.index(name) for name in ("client", "seq", "due_ns", "arrived_ns")
)


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


def block_ratios(blocks_a: Mapping[int, float], blocks_b: Mapping[int, float]) -> list[float]:
    """Return b/a of each block that has both figures; empty if one of them is not positive.

    Args:
        blocks_a, blocks_b: A positive figure of two scenarios, by repeat; NaN are left out.
    """
    pairs = [
        (blocks_a[repeat], blocks_b[repeat])
        for repeat in sorted(blocks_a.keys() & blocks_b.keys())
        if not math.isnan(blocks_a[repeat]) and not math.isnan(blocks_b[repeat])
    ]
    return [b / a for a, b in pairs] if all(a > 0 and b > 0 for a, b in pairs) else []


def ratio_interval(blocks_a: Mapping[int, float], blocks_b: Mapping[int, float]) -> Interval:
    """Estimate how many times scenario a's figure scenario b's is, from ratios formed within blocks.

    What drifts from block to block (heat, neighbours on the machine) multiplies both figures of a block and
    cancels. Student's t on the logarithms of the ratios: the paired comparison (Jain 1991, section 13.4.1).
    Two blocks at least; with one there is an estimate without bounds.

    Args:
        blocks_a, blocks_b: A positive figure of two scenarios, by repeat; blocks that lack one are left out.
    """
    return interval(block_ratios(blocks_a, blocks_b))


def unpaired_ratio(a: Sequence[float], b: Sequence[float]) -> tuple[Interval, float]:
    """Return how many times the figures ``a`` the figures ``b`` are, and the p-value of their being alike.

    Welch's t on the logarithms: the runs share no blocks, and their spreads may differ (Welch 1947; Jain
    1991, section 13.4.2). All figures must be positive; with one trial in a run there are no bounds and no
    p-value. It cannot know what changed between the runs beside what was to be compared.
    """
    logs = [np.log(figures) for figures in (a, b)]
    middle = float(logs[1].mean() - logs[0].mean())
    if min(len(a), len(b)) < 2:
        return Interval(math.exp(middle), math.nan, math.nan), math.nan
    shares = [float(log.var(ddof=1)) / len(log) for log in logs]
    error = math.sqrt(sum(shares))
    if error < SAME_LOG:
        return Interval(*[math.exp(middle)] * 3), float(abs(middle) < SAME_LOG)
    freedom = error**4 / sum(share**2 / (len(log) - 1) for share, log in zip(shares, logs, strict=True))
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(middle) / error))
    return Interval(*(math.exp(bound) for bound in (middle, middle - half, middle + half))), p


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
    deliveries: "Deliveries",
    window: "WindowTicks",
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

    Simulated coverage is 92 to 100 % from 20 ticks on (tests/test_statistics.py), the more for polling, whose
    interval is twice as wide as need be. Two exceptions: 84 to 92 % where ticks hang together for longer than
    a block (an autocorrelation of 0.8); and 88 to 93 % for p99 where clients differ for good by more than
    ticks do, since of 100 clients one is then the hundredth.

    Args:
        deliveries: The raw deliveries of the trial (see bench/metrics.py).
        window: Its ticks.
        figure: A key of ``TRIAL_FIGURES``.
        phases: For short polling at an interval, each client's place in it, 0 to 1, as it was drawn
            (``clients.short_polling.stratified_phases(clients, seed)`` of the trial's row).
        seed: Of the resampling: the same deliveries give the same interval.

    Returns:
        The figure in ms; NaN where the ticks cannot carry it; no bounds for under two clients or six ticks.
    """
    quantile = TRIAL_FIGURES[figure]
    own = deliveries[(deliveries[:, _SEQ] >= window.first_seq) & (deliveries[:, _SEQ] <= window.last_seq)]
    latency_ms = (own[:, _ARRIVED_NS] - own[:, _DUE_NS]) / 1e6
    if quantile is None:
        estimate = float(latency_ms.mean()) if len(own) else math.nan
        influence = latency_ms - estimate
    else:
        estimate = percentile(latency_ms, quantile, window.ticks)
        influence = (latency_ms <= estimate).astype(np.float64)
        influence -= influence.mean() if len(own) else 0.0
    names, clients = np.unique(own[:, _CLIENT], return_inverse=True)
    if math.isnan(estimate) or len(names) < 2 or window.ticks < FEWEST_TICKS_PER_TRIAL:
        return Interval(estimate, math.nan, math.nan)
    by_client = np.bincount(clients, influence) / len(own)
    by_tick = np.bincount(own[:, _SEQ] - window.first_seq, influence, window.ticks) / len(own)
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
