"""When ticks are due: a plan is a pure function of its parameters and a start.

Server and harness both compute it, so the harness knows every tick that should have been delivered, also one
that no client ever saw. The process may be late; a planned instant never moves.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence

PLANS = ("steady", "poisson", "bursty", "replay")
NS_PER_S = 1_000_000_000
NEVER_NS = 2**62
"""An instant that no process lives to see, 146 years after the clock's start."""

QUIET_S, QUIET_FACTOR = 4.0, 0.5
OPENING_S, OPENING_FACTOR = 1.0, 3.0
"""The bursty plan: 4 s of quiet market at half the rate, then an opening of 1 s at three times the rate."""


def due_times(
    plan: str,
    *,
    rate_hz: float,
    seed: int,
    start_ns: int,
    open_after_s: float = 0.0,
    offsets_ns: Sequence[int] | None = None,
) -> Iterator[int]:
    """Yield ``due_ns`` of tick 1, 2, 3 …, without end.

    Tick 1 is due at the start: whoever comes has something to be told. The others follow when the market
    opens, so that many clients can connect to a server that is not yet busy.

    Args:
        plan: ``steady`` (equal gaps), ``poisson`` (independent exponential gaps), ``bursty`` (a Poisson
            process whose rate alternates between a quiet market and openings; the mean over a cycle of 5 s
            is ``rate_hz``), or ``replay`` (the gaps of a recording).
        rate_hz: Mean ticks per second; not used by ``replay``. 0: the market never opens.
        seed: Seed of the random plans.
        start_ns: Instant on the bench clock at which tick 1 is due.
        open_after_s: Seconds after the start at which the market opens; tick 2 is due one gap later.
        offsets_ns: For ``replay``: the recording's instants, from 0, never falling. The recording starts
            again after its end, one mean gap later.

    Raises:
        ValueError: If the plan is unknown, the rate is negative, or a recording is missing.
    """
    if plan not in PLANS:
        raise ValueError(f"unknown plan {plan!r}; there are {', '.join(PLANS)}")
    if plan == "replay" and not offsets_ns:
        raise ValueError("the plan replay needs a recording")
    if not rate_hz >= 0:
        raise ValueError(f"rate_hz is {rate_hz}, but must be 0 or more")
    if not rate_hz:
        return itertools.chain([start_ns], itertools.repeat(NEVER_NS))
    offsets = replay(offsets_ns) if offsets_ns else _offsets(plan, rate_hz, seed)
    open_ns = start_ns + round(open_after_s * NS_PER_S)
    return itertools.chain([start_ns + next(offsets)], (open_ns + offset for offset in offsets))


def _offsets(plan: str, rate_hz: float, seed: int) -> Iterator[int]:
    """Yield the ns since the opening: each plan is a way to say when so many ticks' worth of time is over."""
    if plan == "steady":
        return (round(count / rate_hz * NS_PER_S) for count in itertools.count())
    elapsed = _poisson_loads(seed)
    if plan == "poisson":
        return (round(load / rate_hz * NS_PER_S) for load in elapsed)
    return (round(_bursty_seconds(load / rate_hz) * NS_PER_S) for load in elapsed)


def _poisson_loads(seed: int) -> Iterator[float]:
    """Yield the instants of a Poisson process of rate 1 (its gaps are exponential with mean 1)."""
    draw = random.Random(seed).expovariate
    return itertools.accumulate((draw(1.0) for _ in itertools.repeat(None)), initial=0.0)


def _bursty_seconds(load_s: float) -> float:
    """Map seconds at the mean rate to seconds of the bursty market.

    A Poisson process of changing rate is one of rate 1 read through the inverse of its cumulated rate
    (time rescaling; Çınlar, Introduction to Stochastic Processes, 1975, chapter 4.7).
    """
    cycle_s = QUIET_S + OPENING_S
    cycles, load_s = divmod(load_s, QUIET_S * QUIET_FACTOR + OPENING_S * OPENING_FACTOR)
    quiet_load_s = QUIET_S * QUIET_FACTOR
    if load_s < quiet_load_s:
        return cycles * cycle_s + load_s / QUIET_FACTOR
    return cycles * cycle_s + QUIET_S + (load_s - quiet_load_s) / OPENING_FACTOR


def replay(offsets_ns: Sequence[int]) -> Iterator[int]:
    """Yield a recording's instants in ns, lap after lap."""
    length_ns = recording_length_ns(offsets_ns)
    for lap in itertools.count():
        for offset_ns in offsets_ns:
            yield lap * length_ns + offset_ns


def recording_length_ns(offsets_ns: Sequence[int]) -> int:
    """Return one lap of a recording: its span and one mean gap (one second if it has a single instant)."""
    gaps = len(offsets_ns) - 1
    span_ns = offsets_ns[-1] - offsets_ns[0]
    return span_ns + (math.ceil(span_ns / gaps) if gaps and span_ns else NS_PER_S)
