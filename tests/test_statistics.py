"""Intervals held against simulations whose true values are known: how often do they cover?

Every simulation is seeded. "Covers" is within 93 to 97 % unless a test says what holds instead, and why.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import digamma, ndtri, stdtrit

from bench.metrics import Deliveries, WindowTicks
from bench.statistics import (
    Interval,
    block_ratios,
    interval,
    ratio_interval,
    resampled_interval,
    slope_interval,
)

Floats = NDArray[np.float64]
RUNS = 4_000


def coverage(intervals: list[Interval], truth: float) -> float:
    return float(np.mean([each.low <= truth <= each.high for each in intervals]))


def half_width(intervals: list[Interval]) -> float:
    """The typical relative half-width."""
    return float(np.median([math.sqrt(each.high / each.low) - 1 for each in intervals]))


def polling_latencies_ms(
    rng: np.random.Generator, ticks: int, clients: int, interval_ms: float, period_ms: float
) -> tuple[Floats, Floats]:
    """Simulate a trial of short polling: latencies (ticks × clients), and the phases, one in each stratum.

    A tick waits for the client's next poll, then 1 ms on average for the server.
    """
    phases = (rng.permutation(clients) + rng.random(clients)) / clients
    due_ms = rng.random() * interval_ms + np.arange(ticks)[:, None] * period_ms
    service_ms = rng.gamma(4, 0.25, (ticks, clients))
    return (phases * interval_ms - due_ms) % interval_ms + service_ms, phases


def push_latencies_ms(
    rng: np.random.Generator, ticks: int, clients: int, *, after_effect: float = 0.0, client_sd: float = 0.1
) -> Floats:
    """Simulate a trial of push, true median 1 ms: a tick is late for all, a client always.

    Args:
        after_effect: Correlation of neighbouring ticks.
        client_sd: Spread between clients, on the logarithm; that between ticks is 0.3, the rest 0.1.
    """
    of_ticks = rng.standard_normal(ticks)
    for tick in range(1, ticks):
        of_ticks[tick] = after_effect * of_ticks[tick - 1] + math.sqrt(1 - after_effect**2) * of_ticks[tick]
    of_clients = client_sd * rng.standard_normal(clients)
    return np.exp(0.3 * of_ticks[:, None] + of_clients + 0.1 * rng.standard_normal((ticks, clients)))


def trial_of(latencies_ms: Floats) -> tuple[Deliveries, WindowTicks]:
    ticks, clients = latencies_ms.shape
    seq = np.repeat(np.arange(1, ticks + 1), clients)
    due_ns = seq * 20_000_000
    arrived_ns = due_ns + np.round(latencies_ms.ravel() * 1e6).astype(np.int64)
    client = np.tile(np.arange(clients), ticks)
    rows = np.column_stack([client, seq, due_ns, arrived_ns, arrived_ns, np.zeros_like(seq)])
    return rows, WindowTicks(1, ticks, 0, 1)


# Over repeated trials


@pytest.mark.parametrize("repeats", [5, 10])
@pytest.mark.parametrize("shape", [2, 4, 16])
def test_skewed_trials_are_covered(shape: float, repeats: int) -> None:
    """Gamma noise; what is covered is the geometric mean, exp E log, which the estimate aims at."""
    rng = np.random.default_rng(1)
    trials = rng.gamma(shape, 1 / shape, (RUNS, repeats))
    truth = math.exp(digamma(shape)) / shape
    assert 0.93 <= coverage([interval(list(row)) for row in trials], truth) <= 0.97


def test_of_wildly_skewed_trials_the_typical_one_is_covered_and_not_the_mean() -> None:
    """Exponential noise, one trial 20 times another: 93 to 94 %, and the mean is another thing."""
    trials = np.random.default_rng(1).gamma(1, 1, (RUNS, 10))
    intervals = [interval(list(row)) for row in trials]
    assert 0.92 <= coverage(intervals, math.exp(digamma(1))) <= 0.96
    assert coverage(intervals, 1.0) < 0.85


@pytest.mark.parametrize(
    ("ticks", "clients", "interval_ms", "period_ms", "least"),
    [
        pytest.param(50, 40, 500, 20, 0.93, id="commensurate: a client's waits repeat"),
        pytest.param(50, 40, 500, 20.7, 0.93, id="incommensurate"),
        pytest.param(10, 40, 500, 100, 0.93, id="five ticks an interval"),
        pytest.param(6, 40, 100, 100, 0.92, id="every client waits the same for every tick"),
    ],
)
def test_the_median_of_polling_trials_is_covered(
    ticks: int, clients: int, interval_ms: float, period_ms: float, least: float
) -> None:
    """Nearly deterministic, ± 0.1 to 3 %: what chance is left, the u in each stratum, is enough for t.

    Where a client's waits are all one, the median lies between the slowest answer to one client and the
    fastest to the next, and skewed answers move it by 0.07 ms: 94.3 % in 18,000 simulations.
    """
    rng = np.random.default_rng(2)
    intervals = []
    for _ in range(2_000):
        trials = (polling_latencies_ms(rng, ticks, clients, interval_ms, period_ms)[0] for _ in range(5))
        intervals.append(interval([float(np.median(trial)) for trial in trials]))
    assert least <= coverage(intervals, interval_ms / 2 + 1) <= 0.97
    assert half_width(intervals) < 0.05


# Ratios


def drifting(rng: np.random.Generator, blocks: int) -> tuple[dict[int, float], dict[int, float]]:
    """Simulate two scenarios, the second 2.19 times the first, on a machine that drifts by ± 40 %."""
    drift = np.exp(0.4 * rng.standard_normal(blocks))
    a, b = drift * np.exp(0.05 * rng.standard_normal((2, blocks)))
    return dict(enumerate(a)), dict(enumerate(2.19 * b))


@pytest.mark.parametrize("blocks", [2, 5, 10])
def test_a_ratio_within_blocks_is_covered_and_unpaired_is_far_wider(blocks: int) -> None:
    rng = np.random.default_rng(3)
    runs = [drifting(rng, blocks) for _ in range(RUNS)]
    intervals = [ratio_interval(a, b) for a, b in runs]
    assert 0.93 <= coverage(intervals, 2.19) <= 0.97
    wide = []
    for a, b in runs:
        logs = [np.log(list(each.values())) for each in (a, b)]
        error = math.sqrt(sum(float(log.var(ddof=1)) for log in logs) / blocks)
        wide.append(float(stdtrit(2 * blocks - 2, 0.975)) * error)
    assert math.expm1(np.median(wide)) > (1.5 if blocks == 2 else 4) * half_width(intervals)


def test_a_ratio_is_of_the_blocks_that_have_both() -> None:
    a, b = {1: 1.0, 2: 2.0, 3: math.nan, 4: 9.0}, {1: 2.0, 2: 4.0, 3: 5.0, 5: 1.0}
    assert block_ratios(a, b) == [2.0, 2.0]
    assert ratio_interval(a, b) == pytest.approx((2, 2, 2))


def test_a_ratio_of_one_block_has_no_bounds_and_of_zeros_no_value() -> None:
    one = ratio_interval({1: 2.0}, {1: 3.0})
    assert one.estimate == pytest.approx(1.5)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(ratio_interval({1: 0.0, 2: 1.0}, {1: 3.0, 2: 3.0}).estimate)
    assert math.isnan(ratio_interval({1: 1.0}, {2: 1.0}).estimate)


# Within one trial


def resampled(
    simulate: Callable[[np.random.Generator], tuple[Floats, Floats | None]], figure: str, runs: int = 300
) -> list[Interval]:
    rng = np.random.default_rng(4)
    intervals = []
    for _ in range(runs):
        latencies_ms, phases = simulate(rng)
        rows, window = trial_of(latencies_ms)
        intervals.append(resampled_interval(rows, window, figure, phases=phases))  # type: ignore[arg-type]
    return intervals


@pytest.mark.parametrize(
    ("ticks", "options", "least"),
    [
        pytest.param(100, {}, 0.93, id="ticks differ"),
        pytest.param(100, {"client_sd": 0.4}, 0.93, id="clients differ"),
        pytest.param(100, {"after_effect": 0.5}, 0.92, id="a late tick makes the next late"),
        pytest.param(20, {"after_effect": 0.5}, 0.92, id="the same with few ticks"),
        pytest.param(400, {"after_effect": 0.8}, 0.88, id="long stalls: the blocks are too short"),
    ],
)
def test_a_push_trial_covers_its_long_run_median(ticks: int, options: dict[str, Any], least: float) -> None:
    intervals = resampled(lambda rng: (push_latencies_ms(rng, ticks, 50, **options), None), "latency_p50_ms")
    assert coverage(intervals, 1.0) >= least


@pytest.mark.parametrize(
    ("figure", "truth", "least"),
    [
        ("latency_mean_ms", math.exp((0.3**2 + 0.1**2 + 0.1**2) / 2), 0.92),
        ("latency_p90_ms", math.exp(ndtri(0.9) * math.sqrt(0.3**2 + 0.1**2 + 0.1**2)), 0.92),
        ("latency_p99_ms", math.exp(ndtri(0.99) * math.sqrt(0.3**2 + 0.1**2 + 0.1**2)), 0.92),
    ],
)
def test_other_figures_of_a_push_trial_are_covered(figure: str, truth: float, least: float) -> None:
    intervals = resampled(lambda rng: (push_latencies_ms(rng, 400, 40), None), figure)
    assert least <= coverage(intervals, truth) <= 0.98


def test_drawing_ticks_alone_or_deliveries_alone_deceives() -> None:
    """The fault that is avoided: drawing ticks anew never draws the clients anew, which differ for good."""
    rng = np.random.default_rng(5)
    ticks_only, deliveries_only, both = [], [], []
    for _ in range(200):
        latencies_ms = push_latencies_ms(rng, 60, 30, client_sd=0.3)
        of_ticks = np.median(latencies_ms[rng.integers(60, size=(200, 60))], axis=(1, 2))
        flat = latencies_ms.ravel()
        of_all = np.median(flat[rng.integers(len(flat), size=(100, len(flat)))], axis=1)
        for found, medians in ((ticks_only, of_ticks), (deliveries_only, of_all)):
            found.append(Interval(math.nan, *np.quantile(medians, [0.025, 0.975])))
        both.append(resampled_interval(*trial_of(latencies_ms), "latency_p50_ms"))
    assert coverage(deliveries_only, 1.0) < 0.6
    assert coverage(ticks_only, 1.0) < 0.85
    assert coverage(both, 1.0) >= 0.92


@pytest.mark.parametrize(
    ("ticks", "interval_ms", "period_ms"),
    [(100, 500, 20), (100, 500, 20.7), (20, 500, 100), (50, 100, 100)],
)
def test_a_polling_trial_is_covered_with_stratified_phases(
    ticks: int, interval_ms: float, period_ms: float
) -> None:
    """It covers more than it says: it is about twice as wide as need be (without phases, up to 11 times)."""
    intervals = resampled(
        lambda rng: polling_latencies_ms(rng, ticks, 50, interval_ms, period_ms), "latency_p50_ms", 200
    )
    assert coverage(intervals, interval_ms / 2 + 1) >= 0.95
    needed = 1.96 * np.std([math.log(each.estimate) for each in intervals])
    assert half_width(intervals) < 3.5 * needed


def test_what_ticks_cannot_carry_stays_empty() -> None:
    rows, window = trial_of(push_latencies_ms(np.random.default_rng(6), 100, 10))
    assert all(math.isnan(part) for part in resampled_interval(rows, window, "latency_p99_ms"))
    assert all(math.isnan(part) for part in resampled_interval(rows[:0], window, "latency_mean_ms"))


def test_one_client_or_a_handful_of_ticks_have_no_bounds() -> None:
    for ticks, clients in ((100, 1), (5, 10)):
        found = resampled_interval(*trial_of(np.ones((ticks, clients))), "latency_mean_ms")
        assert found.estimate == pytest.approx(1)
        assert math.isnan(found.low)


def test_only_the_window_counts_and_gaps_do_no_harm() -> None:
    rows, _ = trial_of(push_latencies_ms(np.random.default_rng(7), 100, 10))
    window = WindowTicks(11, 90, 0, 1)
    whole = resampled_interval(rows, window, "latency_p50_ms")
    assert whole == resampled_interval(rows[100:900], window, "latency_p50_ms")
    shuffled = np.random.default_rng(8).permutation(rows)
    assert resampled_interval(shuffled, window, "latency_p50_ms") == pytest.approx(whole)
    assert resampled_interval(rows[rows[:, 1] % 7 != 0], window, "latency_p50_ms").low > 0


def test_a_large_trial_is_resampled_quickly_and_always_alike() -> None:
    rows, window = trial_of(push_latencies_ms(np.random.default_rng(9), 400, 100))
    started = time.process_time()
    first = resampled_interval(rows, window, "latency_p99_ms")
    assert time.process_time() - started < 0.3
    assert first == resampled_interval(rows, window, "latency_p99_ms")
    assert first != resampled_interval(rows, window, "latency_p99_ms", seed=1)


def test_a_slope_is_covered_and_needs_three_points() -> None:
    rng = np.random.default_rng(5)
    clients = np.array([10.0, 100.0, 1000.0] * 5)
    slopes = [slope_interval(clients, 30e3 + 12 * clients + rng.normal(0, 300, 15)) for _ in range(2_000)]
    assert 0.93 <= coverage(slopes, 12.0) <= 0.97
    assert math.isnan(slope_interval([1, 2], [1, 2]).estimate)
    assert math.isnan(slope_interval([1, 1, 1], [1, 2, 3]).estimate)
