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
from scipy.special import digamma, ndtri

from bench.results.deliveries import Deliveries, WindowTicks
from bench.results.statistics import (
    Interval,
    detectable_ratio,
    interval,
    per_figure,
    ratio_interval,
    resampled_interval,
    slope_interval,
)
from tests import ROOT

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


def with_outliers(rng: np.random.Generator) -> Floats:
    """Simulate trials with 10 % of noise, of which one in twenty takes 5.8 times as long."""
    return np.exp(0.1 * rng.standard_normal((RUNS, 5))) * np.where(rng.random((RUNS, 5)) < 0.05, 5.8, 1.0)


def test_with_outlier_trials_the_usual_trial_is_covered_and_their_mean_is_not() -> None:
    """README's "74 of 100" and "25 of 100"."""
    intervals = [interval(list(row)) for row in with_outliers(np.random.default_rng(1))]
    assert 0.93 <= coverage(intervals, 1.0) <= 0.97
    assert coverage(intervals, math.exp(0.05 * math.log(5.8))) == pytest.approx(0.74, abs=0.02)
    assert coverage(intervals, math.exp(0.1**2 / 2) * (1 + 0.05 * 4.8)) == pytest.approx(0.25, abs=0.02)


def test_with_trials_that_drift_the_interval_is_too_narrow() -> None:
    """README's "80 of 100": each trial is like the one before it, by a correlation of 0.5."""
    rng = np.random.default_rng(1)
    logs = rng.standard_normal((RUNS, 5))
    for trial in range(1, 5):
        logs[:, trial] = 0.5 * logs[:, trial - 1] + math.sqrt(0.75) * logs[:, trial]
    found = coverage([interval(list(row)) for row in np.exp(0.1 * logs)], 1.0)
    assert found == pytest.approx(0.8, abs=0.02)


def test_another_run_of_the_same_machine_is_not_covered() -> None:
    """README's "53 of 100": runs differ by as much as the trials of one do, 10 %."""
    rng = np.random.default_rng(1)
    runs = np.exp(0.1 * rng.standard_normal((RUNS, 2, 1)) + 0.1 * rng.standard_normal((RUNS, 2, 5)))
    pairs = [[interval(list(run)) for run in pair] for pair in runs]
    inside = np.mean([one.low <= other.estimate <= one.high for one, other in pairs])
    assert inside == pytest.approx(0.53, abs=0.02)


def test_retrying_what_was_disturbed_lowers_the_tails() -> None:
    """A trial that was seen to be disturbed is measured again, so what is kept is of a quieter machine."""
    rng = np.random.default_rng(1)
    disturbed = rng.random((2, RUNS)) < 0.2
    p99_ms = np.exp(0.3 * rng.standard_normal((2, RUNS))) * np.where(disturbed, 5.0, 1.0)
    kept = np.where(disturbed[0] & ~disturbed[1], p99_ms[1], p99_ms[0])
    assert 0.7 <= np.exp(np.mean(np.log(kept)) - np.mean(np.log(p99_ms[0]))) <= 0.85


def test_the_readme_says_what_these_worlds_say() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for words in ("74 of 100", "25 of 100", "80 of 100", "53 of 100"):
        assert words in readme


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


def two_scenarios(
    rng: np.random.Generator, blocks: int, drift: float, spreads: tuple[float, float] = (0.1, 0.1)
) -> tuple[Floats, Floats]:
    """Simulate runs of two scenarios, the second 2.19 times the first, on a machine that drifts by block."""
    shared = drift * rng.standard_normal((RUNS, blocks))
    a, b = (np.exp(shared + sd * rng.standard_normal((RUNS, blocks))) for sd in spreads)
    return a, 2.19 * b


@pytest.mark.parametrize("spreads", [(0.1, 0.1), (0.05, 0.3)])
@pytest.mark.parametrize("blocks", [5, 10])
def test_a_ratio_is_covered_and_narrower_than_if_it_were_paired(
    blocks: int, spreads: tuple[float, float]
) -> None:
    """Where blocks do not hang together; of very unlike spreads it is as wide as the paired one."""
    a, b = two_scenarios(np.random.default_rng(3), blocks, 0.0, spreads)
    found = [ratio_interval(list(x), list(y)) for x, y in zip(a, b, strict=True)]
    assert 0.93 <= coverage(found, 2.19) <= 0.97
    paired = [interval(list(each)) for each in b / a]
    assert half_width(found) <= 1.03 * half_width(paired)
    if spreads == (0.1, 0.1) and blocks == 5:
        assert half_width(found) < 0.92 * half_width(paired)


def test_two_blocks_make_a_wide_ratio_that_is_covered() -> None:
    """Satterthwaite's degrees of freedom are then a guess between one and two: 94 to 98 %."""
    a, b = two_scenarios(np.random.default_rng(3), 2, 0.0)
    found = [ratio_interval(list(x), list(y)) for x, y in zip(a, b, strict=True)]
    assert 0.93 <= coverage(found, 2.19) <= 0.99


def test_a_drift_that_all_scenarios_share_makes_a_ratio_cautious_and_never_wrong() -> None:
    """The price of not pairing: it covers more than it says."""
    a, b = two_scenarios(np.random.default_rng(3), 5, 0.2)
    found = [ratio_interval(list(x), list(y)) for x, y in zip(a, b, strict=True)]
    assert coverage(found, 2.19) >= 0.99


def test_a_ratio_leaves_out_what_is_missing() -> None:
    assert ratio_interval([1.0, 2.0, math.nan], [2.0, 4.0]).estimate == pytest.approx(2)


def test_a_ratio_of_one_trial_has_no_bounds_and_of_zeros_no_value() -> None:
    one = ratio_interval([2.0], [3.0, 3.0])
    assert one.estimate == pytest.approx(1.5)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(ratio_interval([0.0, 1.0], [3.0, 3.0]).estimate)
    assert math.isnan(ratio_interval([], [1.0]).estimate)


def test_the_detectable_ratio_is_found_in_eight_of_ten_tries() -> None:
    rng = np.random.default_rng(6)
    noise = np.array([-1.0, -1.0, 1.0, 1.0, 0.0]) * 0.1  # its standard deviation is 0.1
    found = detectable_ratio(list(np.exp(noise)), 5)
    assert math.log(found.estimate) == pytest.approx(0.202, abs=0.001)  # 2.02 standard deviations
    a, b = np.exp(0.1 * rng.standard_normal((2, RUNS, 5)))
    tries = [ratio_interval(list(x), list(y)) for x, y in zip(a, found.estimate * b, strict=True)]
    assert 0.77 <= np.mean([each.low > 1 for each in tries]) <= 0.82


def test_the_detectable_ratio_of_a_noise_is_covered() -> None:
    rng = np.random.default_rng(7)
    truth = math.exp(2.0244 * 0.1)
    found = [detectable_ratio(list(row), 5) for row in np.exp(0.1 * rng.standard_normal((RUNS, 10)))]
    assert 0.93 <= coverage(found, truth) <= 0.97


def test_a_machine_that_is_quiet_shows_a_difference_in_any_figure_in_one_run_of_twenty() -> None:
    """With 95 % for each of three figures it would be one in seven."""
    rng = np.random.default_rng(8)
    figures = np.exp(0.1 * rng.standard_normal((RUNS, 3, 2, 5)))
    for confidence, least, most in ((per_figure(0.95, 3), 0.03, 0.06), (0.95, 0.11, 0.16)):
        differs = [
            any(not each.low <= 1 <= each.high for each in found)
            for found in ([ratio_interval(list(a), list(b), confidence) for a, b in run] for run in figures)
        ]
        assert least <= np.mean(differs) <= most


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
