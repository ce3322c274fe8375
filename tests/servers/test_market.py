"""The random market looks like one."""

import itertools

import numpy as np
import pytest

from servers.workloads.market import SYMBOLS, random_walk

TICKS = 60_000


@pytest.fixture(scope="module")
def walk() -> list[tuple[str, float]]:
    return list(itertools.islice(random_walk(11), TICKS))


def returns_of(symbol: str, quotes: list[tuple[str, float]]) -> np.ndarray:
    return np.diff(np.log([price for name, price in quotes if name == symbol]))


def autocorrelation(values: np.ndarray, lag: int = 1) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def test_the_same_seed_gives_the_same_market(walk):
    assert list(itertools.islice(random_walk(11), 1_000)) == walk[:1_000]


def test_another_seed_gives_another_market(walk):
    assert list(itertools.islice(random_walk(12), 1_000)) != walk[:1_000]


def test_every_symbol_is_traded(walk):
    assert {symbol for symbol, _ in walk} == set(SYMBOLS)


def test_prices_are_positive_whole_cents(walk):
    assert all(price > 0 and price == round(price * 100) / 100 for _, price in walk)


def test_prices_stay_near_their_opening(walk):
    assert all(SYMBOLS[symbol] / 2 < price < SYMBOLS[symbol] * 2 for symbol, price in walk)


# STARK is dear enough for whole cents not to blur the returns
def test_returns_have_fat_tails(walk):
    returns = returns_of("STARK", walk)
    standardised = (returns - returns.mean()) / returns.std()
    assert np.mean(standardised**4) > 4  # 3 is a normal distribution's


def test_turbulence_comes_in_clusters(walk):
    returns = returns_of("STARK", walk)
    assert autocorrelation(np.abs(returns)) > max(autocorrelation(returns), 0) + 0.1
