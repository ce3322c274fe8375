"""Many figures of two runs tested at once: a steadier spread, Holm's procedure, and what chance alone gives.

Five trials tell a spread badly, and a t with so few degrees of freedom must be large before it counts among a
hundred. So the spread of a figure borrows from the same figure of the run's other scenarios, as far as they
agree (``moderated``). How many intervals exclude 1 by chance, and how much that number itself varies, is
found by dealing the blocks out between the runs anew (``counts_by_chance``): figures of the same trial hang
together, so it varies far more than independent tests would.
"""

import itertools
import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, digamma, polygamma

from bench.results.statistics import CONFIDENCE, SAME_LOG, Interval, Logs, logs_of, welch

FEWEST_SCENARIOS = 4
"""With fewer scenarios of a figure nothing is borrowed: their spreads do not tell how far they agree."""
DOUBT = 0.2
"""A few variances may agree by luck: their scatter is taken to be so large that it is less by chance in one
of five draws. Without that, equal runs differ in 8 % instead of 6 % of simulations whose spreads differ."""
MOST_DEALS = 300
_HALVES = np.geomspace(1e-2, 1e4, 4_000)
_TRIGAMMAS = polygamma(1, _HALVES)
_ONE = Logs(0.0, 0.0, 1, 1)
"""What a figure is divided by that is not divided: exactly 1."""


class Figures(NamedTuple):
    """The figures of two runs, and what is to be compared.

    Attributes:
        a, b: Positive figures, scenarios × blocks of each run; NaN where a block lacks one.
        groups: For each row what it shares its spread with: rows of the same group borrow from each other.
        pairs: The rows to be compared across the runs, and the row by which each is first divided in its own
            run; None: by none.
    """

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    groups: Sequence[Hashable]
    pairs: Sequence[tuple[int, int | None]]


def moderated(each: Logs) -> Logs:
    """Let the variances of several scenarios (the last axis) borrow from each other.

    Empirical Bayes with a scaled inverse chi-square as the prior, fitted by its moments (Smyth 2004, "Linear
    models and empirical Bayes methods", section 6.2): the more the variances scatter beyond what so few
    trials explain, the less is borrowed. Both runs of a scenario borrow the same thing, so each counts half
    of the prior's degrees of freedom. They never exceed those of all scenarios together.
    Scenarios that are exact (the same in all trials) or have one trial stay as they are.
    """
    usable = (each.freedom > 0) & (each.variance > SAME_LOG**2)
    count = usable.sum(axis=-1, keepdims=True)
    freedom = np.where(usable, each.freedom, 1)
    fitted = np.where(usable, each.variance, 1.0)
    logs = np.log(fitted) - digamma(freedom / 2) + np.log(freedom / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.where(usable, logs, 0.0).sum(axis=-1, keepdims=True) / count
        scatter = np.where(usable, (logs - middle) ** 2, 0.0).sum(axis=-1, keepdims=True) / (count - 1)
        chance = np.where(usable, polygamma(1, freedom / 2), 0.0).sum(axis=-1, keepdims=True) / count
        most_scatter = scatter * (count - 1) / chdtri(np.maximum(count - 1, 1), 1 - DOUBT)
    half = np.interp(most_scatter - chance, _TRIGAMMAS[::-1], _HALVES[::-1])  # the inverse of the trigamma
    usual = np.exp(middle + digamma(half) - np.log(half))
    variance = (half * usual + freedom * fitted) / (half + freedom)
    most = np.where(usable, each.freedom, 0).sum(axis=-1, keepdims=True)
    borrows = usable & (count >= FEWEST_SCENARIOS)
    return each._replace(
        variance=np.where(borrows, variance, each.variance),
        freedom=np.where(borrows, np.minimum(half + freedom, most), each.freedom),
    )


def across_runs(figures: Figures) -> tuple[list[Interval], NDArray[np.float64]]:
    """Return B/A of each pair with its 95 % interval, and the p-values; NaN for single trials."""
    found, p = _compared(figures, figures.a, figures.b)
    return [Interval(*map(float, parts)) for parts in np.column_stack(found)], p


def holm(p: Sequence[float]) -> list[bool]:
    """Return which p-values stand when all are allowed for: right together with 95 % confidence.

    Holm's procedure (1979), which holds however the figures hang together: the smallest must be below 5 %
    over their number, the next below 5 % over one fewer, and so on; the first that is not ends it. NaN are
    not among them.
    """
    order = sorted((each, index) for index, each in enumerate(p) if not math.isnan(each))
    stands = [False] * len(p)
    for place, (each, index) in enumerate(order):
        if each > (1 - CONFIDENCE) / (len(order) - place):
            break
        stands[index] = True
    return stands


def counts_by_chance(figures: Figures, seed: int = 0) -> NDArray[np.int64]:
    """Return how many intervals exclude 1 when the blocks of both runs are dealt out between them anew.

    If the runs are alike, it is chance which block is whose. Whole blocks are dealt, so that figures of the
    same trial and of neighbouring ones stay together. All ways to deal, or ``MOST_DEALS`` of them at random.
    """
    blocks, mine = figures.a.shape[1] + figures.b.shape[1], figures.a.shape[1]
    if math.comb(blocks, mine) <= MOST_DEALS:
        deals = np.array(list(itertools.combinations(range(blocks), mine)))
    else:
        rng = np.random.default_rng(seed)
        deals = np.array([rng.permutation(blocks)[:mine] for _ in range(MOST_DEALS)])
    others = np.array([np.setdiff1d(np.arange(blocks), deal) for deal in deals])
    both = np.concatenate([figures.a, figures.b], axis=1)
    _, p = _compared(figures, both[:, deals].swapaxes(0, 1), both[:, others].swapaxes(0, 1))
    counts: NDArray[np.int64] = (p < 1 - CONFIDENCE).sum(axis=-1)
    return counts


def _compared(
    figures: Figures, a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[Interval, NDArray[np.float64]]:
    """Return B/A and p of each pair, along the last axis, of figures … × scenarios × blocks."""
    runs = [_with_spread(figures.groups, each) for each in (a, b)]
    rows = [row for row, _ in figures.pairs]
    by = [-1 if other is None else other for _, other in figures.pairs]
    terms = []
    for sign, run in zip((-1, 1), runs, strict=True):
        terms += [(sign, _rows(run, rows)), (-sign, _rows(run, by))]
    found, p = welch(terms)
    return found, np.asarray(p)


def _with_spread(groups: Sequence[Hashable], figures: NDArray[np.float64]) -> Logs:
    """Return the logarithms of each scenario with the spread of its group, and at the end an exact 1."""
    each = logs_of(figures)
    variance, freedom = np.array(each.variance), np.array(each.freedom, dtype=float)
    for group in dict.fromkeys(groups):
        own = [row for row, name in enumerate(groups) if name == group]
        shared = moderated(_rows(each, own))
        variance[..., own], freedom[..., own] = shared.variance, shared.freedom

    def ended(values: Any, last: float) -> NDArray[np.float64]:
        return np.concatenate([values, np.full((*values.shape[:-1], 1), last)], axis=-1)

    whole = each._replace(variance=variance, freedom=freedom)
    return Logs(*(ended(values, last) for values, last in zip(whole, _ONE, strict=True)))


def _rows(each: Logs, rows: Sequence[int]) -> Logs:
    return Logs(*(values[..., rows] for values in each))
