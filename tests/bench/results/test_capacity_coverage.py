"""The interval of a capacity holds the capacity, in searches of simulated servers whose trials are noisy."""

import dataclasses
import math
import random

import pytest

from bench.experiments.clients import designs
from bench.results.capacity import Search, fit
from bench.results.statistics import Interval, interval
from bench.scenario import PROFILES
from tests.simulated_search import NoisyServer

SEARCHES = 150
LOWEST, HIGHEST = 700, 12_000


def search_of(profile: str) -> Search:
    search = designs(PROFILES[profile])[0].search
    assert search is not None
    return search


def searched(
    search: Search, count: int, repeats: int = 1, drift: float = 0.0, **world: float
) -> list[tuple[float, Interval]]:
    """Search servers of many sizes; return what each bears, and what was found of it.

    With repeats each is searched so often, in blocks that differ by ``drift``, and what is found is averaged.
    """
    rng = random.Random(1)
    large = NoisyServer(1e6, rng=rng, **world)
    ratio = large.capacity() / large.borne
    found = []
    for _ in range(count):
        borne = math.exp(rng.uniform(math.log(LOWEST), math.log(HIGHEST)))
        each = [
            fit(dataclasses.replace(large, borne=borne * math.exp(drift * rng.gauss(0, 1))).search(search))
            for _ in range(repeats)
        ]
        own = each[0] if repeats == 1 else interval([one.estimate for one in each])
        found.append((borne * ratio, own))
    return found


def coverage(found: list[tuple[float, Interval]]) -> float:
    return sum(own.low <= truth <= own.high for truth, own in found) / len(found)


def width(found: list[tuple[float, Interval]]) -> float:
    return sorted(own.high / own.low for _, own in found)[len(found) // 2]


WORLDS = [
    {"noise": 0.1}, {"noise": 0.15}, {"noise": 0.15, "of_ticks": 0.0}, {"noise": 0.125, "of_ticks": 1.0},
    {"noise": 0.1, "cliff": 5.0}, {"noise": 0.15, "cliff": 5.0}, {"noise": 0.125, "hinted": 2.0},
    {"noise": 0.125, "hinted": 0.2}, {"noise": 0.125, "odd_ratio": 0.01},
]  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "world"),
    [*(("standard", world) for world in WORLDS), *(("full", world) for world in WORLDS[:3])],
    ids=str,
)
def test_the_interval_of_one_search_holds_the_capacity(profile: str, world: dict[str, float]) -> None:
    found = searched(search_of(profile), SEARCHES, **world)
    assert coverage(found) >= 0.9
    assert width(found) < (2.4 if "hinted" in world else 1.9)


def test_the_interval_over_the_blocks_of_a_full_run_holds_the_capacity_though_blocks_drift() -> None:
    repeats = PROFILES["full"].repeats
    found = searched(search_of("full"), 60, repeats, drift=0.05, noise=0.125)
    assert coverage(found) >= 0.88  # 60 searches of 95 % have fewer in one of 100
    assert width(found) < 1.25
