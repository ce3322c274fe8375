"""Age of information: the time average of now − due of the newest tick that a client holds.

Introduced by Kaul, Yates and Gruteser, "Real-time status: How often should one update?", INFOCOM 2012. The
contracts ``every`` and ``latest`` have the same age: only the newest tick counts.

At the source, where each tick is held when it is due, the age of steady ticks is τ/2 on average. That of
Poisson ticks is 1/λ, twice as much, because an instant is more likely to be in a long gap between ticks than
in a short one (the inspection paradox: Ross, section 7.7; E[X²]/2E[X] over gaps X).

For steady ticks one law holds for every transport: age = τ/2 + mean delivery latency. The age at the client
minus the age at the source is τ × the number of ticks due but not yet there; by Little's law
(L = λW) that number is λ × mean latency on average.
"""

import math

from bench.theory.distribution import MS_PER_S, Link
from bench.theory.latency import Plan, long_polling_latency, polling_latency, push_latency


def source_age_ms(rate_hz: float, plan: Plan = "steady") -> float:
    """Return the mean age at the source: what no transport can go below."""
    return (1 / rate_hz if plan == "poisson" else 1 / (2 * rate_hz)) * MS_PER_S


def push_age_ms(rate_hz: float, link: Link, *, plan: Plan = "steady") -> float:
    """Return the mean age with push: the client is ``link.delivery_s`` behind the source, no more.

    Clients to whom the server writes later are so much later: add the mean of ``over_fan_out``'s delay.
    """
    return source_age_ms(rate_hz, plan) + push_latency(link).mean_ms


def polling_age_ms(rate_hz: float, cycle_s: float, link: Link, *, plan: Plan = "steady") -> float:
    """Return the mean age with short polling once per ``cycle_s`` (open or closed loop, see latency.py).

    From one arrival to the next, a client knows what the source was at the last look: delivery ago when it
    arrives, delivery + cycle ago when the next one does. Add the mean age at the source at the looks, which
    do not know of the ticks: source + cycle/2 + delivery.
    """
    return source_age_ms(rate_hz, plan) + polling_latency(cycle_s, link).mean_ms


def long_polling_age_ms(
    rate_hz: float, link: Link, *, plan: Plan = "steady", hold_s: float = math.inf
) -> float:
    """Return the mean age with long polling.

    *Steady:* τ/2 + mean latency, by Little's law (above).

    *Poisson:* at a taking the newest tick has an age A, and the next taking comes after a time L; what comes
    after a taking is independent of A. During L the client's age runs from delivery + A upwards, so the mean
    is delivery + E[A] + E[L²]/2E[L] (renewal-reward). With the gap g and the hold h:

    * L is g, or, with probability e^(−λg), g plus the smaller of h and an exponential time;
    * A is 0 if the tick found a request; the time from the gap's last tick to its end if there was one; and
      g + h more than before if the request timed out:
      E[A] = (E[X; X < g] + e^(−λ(g+h)) (g + h)) / (1 − e^(−λ(g+h))), X exponential.

    Raises:
        ValueError: See :func:`bench.theory.latency.long_polling_latency`.
    """
    if plan == "steady":
        latency = long_polling_latency(rate_hz, link, hold_s=hold_s)
        return source_age_ms(rate_hz) + latency.mean_ms
    gap_s = link.turnaround_s
    none_in_gap, none_at_all = math.exp(-rate_hz * gap_s), math.exp(-rate_hz * (gap_s + hold_s))
    held_s, held_s2 = _exponential_up_to(rate_hz, hold_s)
    cycle_s = gap_s + none_in_gap * held_s
    cycle_s2 = gap_s**2 + none_in_gap * (2 * gap_s * held_s + held_s2)
    gap_tick_age_s = (1 - none_in_gap * (1 + rate_hz * gap_s)) / rate_hz
    timed_out_age_s = none_at_all * (gap_s + hold_s) if none_at_all else 0.0
    taken_age_s = (gap_tick_age_s + timed_out_age_s) / (1 - none_at_all)
    return (link.delivery_s + taken_age_s + cycle_s2 / (2 * cycle_s)) * MS_PER_S


def _exponential_up_to(rate_hz: float, limit_s: float) -> tuple[float, float]:
    """Return mean and mean square of the smaller of an exponential time and a limit."""
    beyond = math.exp(-rate_hz * limit_s)
    cut = beyond * (1 + rate_hz * limit_s) if beyond else 0.0
    return (1 - beyond) / rate_hz, 2 * (1 - cut) / rate_hz**2
