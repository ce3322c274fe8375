"""A random market: a seeded walk that looks like a real one. Recordings are in recording.py."""

import itertools
import math
import random
from collections.abc import Iterator

SYMBOLS = {"ACME": 128.00, "GLOBEX": 71.50, "HOOLI": 412.25, "INITECH": 18.40, "STARK": 233.10}
"""Fictional symbols and their opening prices."""

DAY_TICKS = 100_000
"""Ticks of a trading day. Each day has a chance of its own, so no day needs those before it."""

_CALM = 4e-4  # standard deviation of a tick's logarithmic return in a calm market
_MEMORY = 0.97  # of the volatility, per tick: turbulence comes in clusters and fades
_PULL = 0.002  # back to the opening price, per tick, so that no walk leaves the range
_LOWEST, _HIGHEST = 0.01, 9_999.99


def random_walk(seed: int, *, after: int = 0) -> Iterator[tuple[str, float]]:
    """Yield symbol and price of tick 1, 2, 3 … without end; leave out those up to ``after``.

    Each day begins calm and at the opening prices, a per cent or so from where the last one ended. So a tick
    of the far future is a walk of one day away, not of all days.
    """
    first_day, tick = divmod(after, DAY_TICKS)
    for day in itertools.count(first_day):
        yield from itertools.islice(_trading_day(seed + (day << 64)), tick, DAY_TICKS)
        tick = 0


def _trading_day(seed: int) -> Iterator[tuple[str, float]]:
    """Yield symbol and price of a day that does not end: fat tails, clustered volatility, whole cents.

    The logarithm of each price is pulled back to its opening (an Ornstein–Uhlenbeck process); the volatility
    follows an autoregression of first order on its logarithm (stochastic volatility: Taylor 1982).
    """
    rng = random.Random(seed)
    symbols = list(SYMBOLS)
    log_price = {symbol: math.log(price) for symbol, price in SYMBOLS.items()}
    heat = 0.0
    while True:
        symbol = rng.choice(symbols)
        heat = _MEMORY * heat + rng.gauss(0, 0.25)
        opening = math.log(SYMBOLS[symbol])
        log_price[symbol] += rng.gauss(0, _CALM * math.exp(heat)) + _PULL * (opening - log_price[symbol])
        yield symbol, round(min(max(math.exp(log_price[symbol]), _LOWEST), _HIGHEST), 2)
