"""Delivery latency by transport: from the instant a tick is due until the client has it.

Every latency is a wait until the server takes the tick from the feed, plus ``link.delivery_s``. In what
follows T is the interval of polls, P the pause after an answer, λ the tick rate, τ = 1/λ.

The link is fixed: every request and every answer takes equally long. Where the way varies, so does the cycle
C between two looks; long cycles hold more of the ticks, and the mean wait is E[C²]/2E[C] instead of E[C]/2
(:func:`mean_wait_ms`). A client that asks again at once, over a way whose cycle is exponential with a mean of
100 ms and with 50 ms to deliver, has a mean latency of 150 ms, and not of the 100 ms that a fixed link gives.
"""

import math
from typing import Literal

from bench.theory.distribution import MS_PER_S, Latency, Link

Plan = Literal["steady", "poisson"]
EQUAL_RATIO = 1e-9
"""Times nearer to each other than this share are the same: 0.1 + 0.2 is 0.3."""


def periods_covering(time_s: float, period_s: float) -> int:
    """Return the fewest whole periods that are as long as a time, or longer.

    A time of exactly n periods takes n, also where the rounding of floats puts it just above.
    """
    return math.ceil(time_s / period_s * (1 - EQUAL_RATIO))


def push_latency(link: Link) -> Latency:
    """Return the latency of WebSocket, or of any push: nothing but the way."""
    return Latency.of((1.0, link.delivery_s, link.delivery_s))


def polling_latency(cycle_s: float, link: Link) -> Latency:
    """Return the latency of a client for whom the server looks for ticks once per ``cycle_s``.

    A tick waits for the next look. If its instant knows nothing of the polls, it is anywhere in the cycle
    with equal probability, so the wait is uniform on [0, cycle]. That is so

    * for Poisson ticks, always: given how many there are in a cycle, they are independent and uniform in it
      (Ross, Introduction to Probability Models, section 5.3.5);
    * for steady ticks over many clients whose phases are stratified over the cycle: at each tick one client
      of N is in each N-th of its cycle, which is uniform to within 1/N, however τ and the cycle are related;
    * for steady ticks of one client only if τ and the cycle have no common measure (Weyl's equidistribution).
      If cycle/τ = p/q in lowest terms, its waits take p values, τ/q apart. In the extreme, a cycle of τ, all
      its ticks wait equally long, for chance to say how long: resonance.

    Example: Pimentel and Nickerson (2012), with a pause P and one-way delays d, give 2d + P/2 as the mean.
    With a cycle of P + 2d this is (P + 2d)/2 + d, the same. It has no service time s in it, which counts one
    and a half times, once as delay and half as part of the cycle; nor two different ways: up/2 + 3/2 down.
    """
    return Latency.of((1.0, link.delivery_s, link.delivery_s + cycle_s))


def open_loop_cycle_s(interval_s: float, link: Link) -> float:
    """Return the time between looks of a client that polls at fixed instants (open loop).

    It is the interval T; but if an answer is still out at the next instant that poll is skipped, so with a
    round trip R > T only every ⌈R/T⌉-th poll is sent. An answer that comes at the very instant is not out.
    """
    return interval_s * max(1, periods_covering(link.up_s + link.delivery_s, interval_s))


def closed_loop_cycle_s(pause_s: float, link: Link) -> float:
    """Return the time between looks of a client that polls a pause after each answer (closed loop).

    It is pause + request + service + answer, so the delay of the network slows the polls down too.
    """
    return pause_s + link.turnaround_s


def mean_wait_ms(cycle_s: float, cycle_sd_s: float = 0.0) -> float:
    """Return how long a tick waits on average for the next look, where the time between looks varies.

    It is E[C²]/2E[C]: an instant lies in a long cycle more often than in a short one (the inspection paradox:
    Ross, Introduction to Probability Models, section 7.7). With a fixed cycle that is half of it; with an
    exponential one, whose deviation is its mean, all of it. Add the mean of the delivery for the latency, if
    a cycle does not tell how long the delivery at its end takes.

    Args:
        cycle_s: Mean time between looks.
        cycle_sd_s: Its standard deviation.
    """
    return (cycle_s**2 + cycle_sd_s**2) / (2 * cycle_s) * MS_PER_S


def short_polling_latency(interval_s: float, link: Link) -> Latency:
    """Return the latency of short polling at fixed instants, ``interval_s`` apart: mean T/2 + delivery."""
    return polling_latency(open_loop_cycle_s(interval_s, link), link)


def paused_polling_latency(pause_s: float, link: Link) -> Latency:
    """Return the latency of short polling with a pause after each answer: mean (P + R)/2 + delivery."""
    return polling_latency(closed_loop_cycle_s(pause_s, link), link)


def long_polling_latency(
    rate_hz: float, link: Link, *, plan: Plan = "steady", hold_s: float = math.inf
) -> Latency:
    """Return the latency of long polling.

    The server takes ticks at time 0; the client's next request is there at g = ``link.turnaround_s``. Ticks
    due in (0, g] wait and go together at g. If there is none, the request is held and the next tick goes at
    once; then all begins again.

    *Steady.* With τ ≥ g every tick finds a request: it waits for nothing. With τ < g each gap has a tick in
    it, no request is ever held, and the server is asked once per g: short polling with the cycle g and
    no pause. The wait jumps from 0 to g/2 on average as τ falls below g. (If g/τ = p/q in lowest terms and
    the first tick found a request, the waits are 0, τ/q … g − τ/q, on average g/2 − τ/(2q): at g = τ, 0.)

    *Poisson.* Each taking is a renewal, because what comes later is independent of it. Per cycle, λg ticks
    come in the gap, uniform in it; and with probability e^(−λg) none does, of which the share 1 − e^(−λh) is
    followed by a tick within the hold h, which waits for nothing. By the renewal-reward theorem (Ross,
    section 7.4), of all ticks

        p₀ = a / (λg + a) with a = e^(−λg) (1 − e^(−λh)) wait 0, the others uniformly on [0, g]:
        mean wait = λg²/2 / (λg + a).

    The longest is g + delivery: with three equal transits and no work, three of them; RFC 6202, section 2.2,
    says "over three", as work is never none.

    Args:
        rate_hz: Mean ticks per second.
        link: The way.
        plan: When ticks are due.
        hold_s: Longest hold of a request. For steady ticks it must be longer than τ − g.

    Raises:
        ValueError: If steady ticks are so sparse that requests time out between them: then the wait is 0,
            or up to g if the time-out has just been, and depends on the very digits of τ and the hold.
    """
    gap_s, delivery_s = link.turnaround_s, link.delivery_s
    if plan == "steady":
        if periods_covering(1 / rate_hz, gap_s + hold_s) > 1:
            raise ValueError(f"hold_s {hold_s:g} ends between two ticks at {rate_hz:g} Hz; make it longer")
        return push_latency(link) if 1 / rate_hz >= gap_s else polling_latency(gap_s, link)
    found_waiting = math.exp(-rate_hz * gap_s) * -math.expm1(-rate_hz * hold_s)
    return Latency.of(
        (found_waiting, delivery_s, delivery_s), (rate_hz * gap_s, delivery_s, delivery_s + gap_s)
    )
