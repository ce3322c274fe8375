"""Many tests at once: borrowed spreads cover, few false alarms in all worlds, and chance has its spread."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.judge.significance import Figures, across_runs, counts_by_chance, holm, moderated
from bench.results.statistics import logs_of, ratio_interval

Floats = NDArray[np.float64]
SCENARIOS = 40
GROUP = 8


def world(rng: np.random.Generator, kind: str) -> Figures:
    """Simulate two runs that do not differ: 40 figures in groups of eight, five blocks each."""
    scenarios, groups = SCENARIOS, [row // GROUP for row in range(SCENARIOS)]
    sd = np.full((scenarios, 1), 0.1)
    if kind.startswith("spreads differ"):
        scatter = 1.0 if kind.endswith("wildly") else 0.4
        sd = 0.1 * np.exp(scatter * rng.standard_normal((scenarios, 1)))
    if kind == "two kinds of spread":
        sd = np.where(rng.random((scenarios, 1)) < 0.5, 0.001, 0.2)
    a, b = sd * rng.standard_normal((2, scenarios, 5))
    if kind == "a louder machine":
        b *= 3
    if kind == "heavy tails":
        a, b = 0.1 * rng.standard_t(4, (2, scenarios, 5))
    if kind == "outliers":
        a, b = (each + math.log(5.8) * (rng.random(each.shape) < 0.05) for each in (a, b))
    if kind == "a trial is missing":
        a[rng.random(a.shape) < 0.1] = math.nan
    pairs = [(row, None) for row in range(scenarios)] + [(row, row + 1) for row in range(0, scenarios - 1, 4)]
    return Figures(np.exp(a), np.exp(b), groups, pairs)


@pytest.mark.parametrize(
    "kind",
    [
        "alike",
        "spreads differ",  # by a factor of 5 in 95 of 100 scenarios
        "spreads differ wildly",  # by a factor of 50
        "two kinds of spread",
        "a louder machine",
        "heavy tails",
        "outliers",
        "a trial is missing",
    ],
)
def test_equal_runs_seldom_differ_in_any_world(kind: str) -> None:
    """One comparison alone differs in at most 6 % of simulations; of fifty, any, in at most 8 %."""
    rng = np.random.default_rng(12)
    alone, together = [], []
    for _ in range(600):
        _, p = across_runs(world(rng, kind))
        alone.append(np.mean(p[~np.isnan(p)] < 0.05))
        together.append(any(holm(list(p))))
    assert np.mean(alone) <= 0.06
    assert np.mean(together) <= 0.08


def test_a_difference_is_found_far_more_often_with_borrowed_spreads() -> None:
    """× 1.5 at 13 % of noise, among 40 tests of which 39 are nothing."""
    rng = np.random.default_rng(2)
    found = {"borrowed": 0, "alone": 0}
    for _ in range(300):
        a, b = np.exp(0.13 * rng.standard_normal((2, SCENARIOS, 5)))
        b[0] *= 1.5
        for name in found:
            groups = [0 if name == "borrowed" else row for row in range(SCENARIOS)]
            _, p = across_runs(Figures(a, b, groups, [(row, None) for row in range(SCENARIOS)]))
            found[name] += holm(list(p))[0]
    assert found["borrowed"] >= 0.75 * 300
    assert found["alone"] <= 0.6 * 300


def test_spreads_that_agree_are_pooled_and_spreads_that_do_not_are_left() -> None:
    rng = np.random.default_rng(3)
    alike = logs_of(np.exp(0.1 * rng.standard_normal((40, 5))))
    pooled = moderated(alike)
    assert np.ptp(pooled.variance) < 0.6 * np.ptp(alike.variance)
    assert pooled.variance.mean() == pytest.approx(0.01, rel=0.2)
    assert pooled.freedom.max() <= alike.freedom.sum()
    unlike = logs_of(np.exp(10.0 ** -np.arange(5.0)[:, None] * rng.standard_normal((5, 5))))
    left = moderated(unlike)
    assert left.variance == pytest.approx(unlike.variance, rel=1)
    assert left.freedom.max() < 5


def test_few_scenarios_exact_ones_and_single_trials_borrow_nothing() -> None:
    rng = np.random.default_rng(4)
    few = logs_of(np.exp(rng.standard_normal((3, 5))))
    assert moderated(few).variance == pytest.approx(few.variance)
    figures = np.exp(0.1 * rng.standard_normal((8, 5)))
    figures[0], figures[1, 1:] = 2.0, math.nan
    shared = moderated(logs_of(figures))
    assert shared.variance[0] == pytest.approx(0, abs=1e-20)
    assert math.isnan(shared.variance[1])


def test_alone_it_is_welchs_interval_and_its_p_is_below_five_percent_where_it_excludes_1() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(2_000):
        a, b = np.exp(0.05 * rng.standard_normal(5)), 1.3 * np.exp(0.2 * rng.standard_normal(8))
        (ratio,), (p,) = across_runs(Figures(a[None], b[None], ["one"], [(0, None)]))
        covered += ratio.low <= 1.3 <= ratio.high
        assert ratio == pytest.approx(ratio_interval(list(a), list(b)))
        assert (p < 0.05) == (not ratio.low <= 1 <= ratio.high)
    assert 0.93 <= covered / 2_000 <= 0.97


def test_a_pair_is_divided_within_each_run_before_the_runs_are_compared() -> None:
    a, b = np.array([[2.0, 2.2], [1.0, 1.1]]), np.array([[6.0, 6.6], [2.0, 2.2]])
    (ratio,), _ = across_runs(Figures(a, b, ["one", "two"], [(0, 1)]))
    assert ratio.estimate == pytest.approx(1.5)
    (alone,), _ = across_runs(Figures(a, b, ["one", "two"], [(0, None)]))
    assert alone.estimate == pytest.approx(3)


def test_holm_allows_for_all_and_stops_at_the_first_that_fails() -> None:
    assert holm([0.01, math.nan, 0.04, 0.03]) == [True, False, False, False]
    assert holm([0.01, 0.02, 0.03, math.nan]) == [True, True, True, False]
    assert holm([]) == []


def test_all_deals_are_tried_or_some_at_random_and_always_the_same() -> None:
    rng = np.random.default_rng(6)
    few = Figures(*np.exp(0.1 * rng.standard_normal((2, 6, 5))), [0] * 6, [(0, None)])
    assert len(counts_by_chance(few)) == math.comb(10, 5)
    many = Figures(*np.exp(0.1 * rng.standard_normal((2, 6, 10))), [0] * 6, [(0, None)])
    assert len(counts_by_chance(many)) == 300
    assert (counts_by_chance(many) == counts_by_chance(many)).all()


def test_a_p_value_is_students_where_spreads_and_numbers_are_alike() -> None:
    a, b = np.array([[1.0, 1.2]]), np.array([[1.5, 1.8]])
    _, (p,) = across_runs(Figures(a, b, ["one"], [(0, None)]))
    expected = 2 * student.sf(math.log(1.5) / math.sqrt(np.log(1.2) ** 2 / 2), 2)
    assert p == pytest.approx(expected)
