"""When ticks are due: a plan is a pure function of its parameters and a start.

Server and harness both compute it, so the harness knows every tick that should have been delivered, also one
that no client ever saw. The process may be late; a planned instant never moves.
"""

import bisect
import itertools
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

PLANS = ("steady", "poisson", "bursty", "replay")
DRAWN_PLANS = ("poisson", "bursty")
"""Plans of chance: each gap is drawn, one after the other, so their past has to be drawn again."""
MOST_DRAWN_TICKS = 10_000_000
"""How many ticks are drawn again at most. It takes ten seconds; a server has thirty to start."""
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
    after: int = 0,
) -> Iterator[int]:
    """Yield ``due_ns`` of tick 1, 2, 3 …, without end; leave out those up to ``after``.

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
        after: How many ticks are left out. It takes no time, but for :data:`DRAWN_PLANS`.

    Raises:
        ValueError: If the plan is unknown, the rate is negative, or a recording is missing.
    """
    if plan not in PLANS:
        raise ValueError(f"unknown plan {plan!r}; there are {', '.join(PLANS)}")
    if plan == "replay" and not offsets_ns:
        raise ValueError("the plan replay needs a recording")
    if not rate_hz >= 0:
        raise ValueError(f"rate_hz is {rate_hz}, but must be 0 or more")
    first = [start_ns][after:]
    if not rate_hz:
        return itertools.chain(first, itertools.repeat(NEVER_NS))
    after = max(after, 1)
    offsets = replay(offsets_ns, after=after) if offsets_ns else _offsets(plan, rate_hz, seed, after)
    open_ns = start_ns + round(open_after_s * NS_PER_S)
    return itertools.chain(first, (open_ns + offset for offset in offsets))


def due_times_again(*, now_ns: int, kept: int, **parameters: Any) -> tuple[int, Iterator[int]]:
    """Return where a plan is now: how many ticks are left out, and ``due_ns`` of those after them.

    What is left out is what a history has forgotten: the ticks due by now, but for the last of them.

    Args:
        now_ns: The instant, on the bench clock.
        kept: How many ticks that are due by now are not left out.
        parameters: Those of :func:`due_times`.

    Raises:
        ValueError: If over :data:`MOST_DRAWN_TICKS` would have to be drawn again, or as of due_times.
    """
    left_out = 0
    if parameters["plan"] in DRAWN_PLANS:
        past_s = (now_ns - parameters["start_ns"]) / NS_PER_S
        if past_s * parameters["rate_hz"] > MOST_DRAWN_TICKS:
            raise ValueError(
                f"start_ns is {past_s:,.0f} s ago; since then the plan {parameters['plan']} has had over "
                f"{MOST_DRAWN_TICKS:,} ticks, too many to draw again; start a new feed, without start_ns"
            )
    else:
        past_ticks = bisect.bisect_right(
            range(NEVER_NS), now_ns, key=lambda after: next(due_times(**parameters, after=after))
        )
        left_out = max(past_ticks - kept, 0)
    due = due_times(**parameters, after=left_out)
    newest: deque[int] = deque(maxlen=kept)
    for due_ns in due:
        if due_ns > now_ns:
            break
        left_out += len(newest) == kept
        newest.append(due_ns)
    return left_out, itertools.chain(newest, [due_ns], due)


def _offsets(plan: str, rate_hz: float, seed: int, after: int) -> Iterator[int]:
    """Yield the ns since the opening: each plan is a way to say when so many ticks' worth of time is over."""
    if plan == "steady":
        return (round(count / rate_hz * NS_PER_S) for count in itertools.count(after))
    elapsed = itertools.islice(_poisson_loads(seed), after, None)
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


def replay(offsets_ns: Sequence[int], *, after: int = 0) -> Iterator[int]:
    """Yield a recording's instants in ns, lap after lap; leave out the first ``after``."""
    length_ns = recording_length_ns(offsets_ns)
    first_lap, row = divmod(after, len(offsets_ns))
    for lap in itertools.count(first_lap):
        for index in range(row, len(offsets_ns)):
            yield lap * length_ns + offsets_ns[index]
        row = 0


def recording_length_ns(offsets_ns: Sequence[int]) -> int:
    """Return one lap of a recording: its span and one mean gap (one second if it has a single instant)."""
    gaps = len(offsets_ns) - 1
    span_ns = offsets_ns[-1] - offsets_ns[0]
    return span_ns + (math.ceil(span_ns / gaps) if gaps and span_ns else NS_PER_S)
