"""What lost packets do to a transport: who tells of the loss, who waits for it, and for how long.

R is the round trip of the link, τ = 1/λ the time between two steady ticks, p the share of packets that are
lost, each way. All of it was read off packets in the box, by the instant at which each came to the router.

**A timer** tells of a packet that is alone on its way: an answer, a question. Linux waits for srtt + max(4
rttvar, 200 ms) (RFC 6298, section 2, has a minimum of 1 s; TCP_RTO_MIN in Linux's include/net/tcp.h has 200
ms). Over a steady link that is R + 200 ms, and up to 32 ms more (:func:`goes_off_s`). The tail loss probe is
no faster: for one packet, its 2 srtt has the same 200 ms added, and it never comes after the time-out (RFC
8985, section 7.2; tcp_schedule_loss_probe in net/ipv4/tcp_output.c). But it comes before the time-out and
does not double it: packets go again after one, two, four, eight time-outs.

**The next tick** tells of a lost tick of a push: the client signs what came behind the gap (SACK, RFC 2018).
Classic TCP waited for three such signs (RFC 6675, section 5). RACK needs one, if the signed segment was sent
later than the lost one by more than packets get out of order (RFC 8985, section 6.2), as one tick is later
than another. So the lost tick goes again after τ + R, if no timer is sooner, or one or two τ later if the
next tick, or its ACK, is lost, too.

**All ticks behind the gap wait.** Those that have arrived in the client's kernel wait until it is filled:
that is head-of-line blocking. Those that become due meanwhile wait at the server. While TCP recovers, it
sends only as much as has left the network (proportional rate reduction, RFC 6937, section 3;
tcp_cwnd_reduction in net/ipv4/tcp_input.c). One tick was signed, so one packet goes: the lost one. If no
other tick is on its way (R ≤ τ), the connection now stops and waits, however large its window was: until that
packet is acknowledged, a round trip later. If it is lost again, or its ACK is, nothing is on its way that
could tell: only the timer does. At p = 5 % that happens to one gap in ten, and these make half of the delay:
so the mean of a trial with forty losses is a matter of chance. If others are on their way (R > τ), each one
that is signed lets one more go, and these tell of a packet that is lost again.

**Left out.** After some losses Linux's window is two packets: CUBIC takes three tenths away each time, and
two is its minimum (net/ipv4/tcp_cubic.c). Then a third tick waits for the probe, so that the second sign
comes 12 ms after τ + 3 R and not after R + 2 τ. Where several ticks are lost in one gap, each takes a round
trip more. Both make theory too low, by some hundredths of the delay; and where two ticks or more are on their
way (R ≥ 2 τ), it says nothing of random loss. Srtt is a little longer than R, by the work, and by ticks whose
ACK was lost. Pure ACKs that are lost delay nobody else.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.theory.distribution import MS_PER_S
from bench.theory.latency import EQUAL_RATIO, periods_covering
from bench.theory.traffic import DELAYED_ACK_S

SHORTEST_TIME_OUT_S = 0.2
"""Linux's TCP_RTO_MIN, which stands for 4 rttvar where round trips hardly vary."""
LATEST_TIMER_RATIO = 1 / 8
"""How much later a timer goes off than it was set for, at most, as a share: 8 jiffies of 64."""
JIFFY_S = 0.004
"""The kernel's clock for timers, where CONFIG_HZ is 250, as in Debian."""
FINE_JIFFIES, COARSE_STEP_JIFFIES = 63, 8
"""From so many jiffies on the timer wheel knows each eighth one only (LVL_START in kernel/time/timer.c)."""
RARER_THAN = 1e-6
"""What is less probable is left out of a mean."""
MOST_ATTEMPTS = 8
PHASES = 100
"""In so many steps a period is divided where it counts how long ago the last tick was due."""


class Late(NamedTuple):
    """With this probability something is so much late."""

    probability: float
    late_s: float


def mean_of(outcomes: list[Late], of: Callable[[float], float] = lambda late_s: late_s) -> float:
    """Return the mean of a function of how late something is."""
    return sum(each.probability * of(each.late_s) for each in outcomes) / sum(
        each.probability for each in outcomes
    )


class OnePacket(NamedTuple):
    """What the loss of one packet with a tick in it does to a client.

    Attributes:
        late_s: How much later the tick in it arrives.
        held_up: How many ticks are later than without the loss; for polls on average.
        sum_s: By how much they are late, all together.
    """

    late_s: float
    held_up: float
    sum_s: float

    @classmethod
    def of(cls, late_s: list[float]) -> "OnePacket":
        """Return it from how late each tick is, the lost one first."""
        return cls(late_s[0], len(late_s), sum(late_s))


# The timer


def goes_off_s(timer_s: float) -> float:
    """Return after how long a timer goes off, on average.

    It goes off with the next step of the wheel: 1 jiffy later, or 1 to 8 of them if it is long (calc_index in
    kernel/time/timer.c). Its time is rounded up to whole jiffies, half of one on average, and begins with the
    last one, half of one ago.
    """
    step_jiffies = COARSE_STEP_JIFFIES if timer_s > (FINE_JIFFIES - 1) * JIFFY_S else 1
    return timer_s + (step_jiffies + 1) / 2 * JIFFY_S


def time_out_s(rtt_s: float, doubled: int = 0) -> float:
    """Return after how long a packet alone on its way goes again, if the timer has doubled so often."""
    return goes_off_s((rtt_s + SHORTEST_TIME_OUT_S) * 2**doubled)


def time_outs_s(rtt_s: float) -> list[float]:
    """Return how long no, one, two, three … time-outs take together, each twice as long as the one before."""
    return [0.0, *itertools.accumulate(time_out_s(rtt_s, doubled) for doubled in range(MOST_ATTEMPTS))]


def by_timer(loss: float, rtt_s: float) -> list[Late]:
    """Return how late a packet is that is alone on its way: by no time-out, or a probe's and more."""
    late_s = [0.0, *(time_out_s(rtt_s) + more_s for more_s in time_outs_s(rtt_s))]
    return [Late(loss**tries * (1 - loss), each_s) for tries, each_s in enumerate(late_s)]


# Pushes


class Gap(NamedTuple):
    """A lost tick, since it was due: it goes again, it arrives for the client, and others may go again.

    Each is so much later than it would be for a tick that is not lost.
    """

    probability: float
    told_s: float
    filled_s: float
    open_s: float


def gaps(loss: float, rtt_s: float, period_s: float) -> Iterator[Gap]:
    """Yield what may become of a tick that was lost, but for what is rare."""
    for told in signs(loss, rtt_s, period_s):
        for probability, filled_s, open_s in repeats(loss, rtt_s, period_s):
            share = told.probability * probability
            if share > RARER_THAN:
                yield Gap(share, told.late_s, told.late_s + filled_s, told.late_s + open_s)


def signs(loss: float, rtt_s: float, period_s: float) -> Iterator[Late]:
    """Yield when a loss is told of: by the next tick if it and its ACK arrive, a later one, or the timer."""
    left, tick = 1.0, 1
    while left > RARER_THAN and tick * period_s + rtt_s < time_out_s(rtt_s):
        yield Late(left * (1 - loss) ** 2, tick * period_s + rtt_s)
        left *= 1 - (1 - loss) ** 2
        tick += 1
    yield Late(left, time_out_s(rtt_s))


def others_on_the_way(rtt_s: float, period_s: float) -> bool:
    """Return whether there is another tick on its way, to tell what became of the one before: R > τ."""
    return rtt_s > period_s * (1 + EQUAL_RATIO)


def repeats(loss: float, rtt_s: float, period_s: float) -> Iterator[tuple[float, float, float]]:
    """Yield how long it takes until a packet that goes again has arrived, and until others may go.

    Alone, it has to be acknowledged: it goes again with each time-out until it and its ACK arrive.

    Yields:
        Probability; how much later than the first time it goes the time is that arrives; and the same, until
        the sender knows.
    """
    if others_on_the_way(rtt_s, period_s):
        for attempt in range(MOST_ATTEMPTS):
            filled_s = attempt * min(period_s + rtt_s, time_out_s(rtt_s))
            yield loss**attempt * (1 - loss), filled_s, filled_s + rtt_s
        return
    both = (1 - loss) ** 2
    for filled, filled_s in enumerate(time_outs_s(rtt_s)):
        for more, known_s in enumerate(time_outs_s(rtt_s)[filled:]):
            share = loss * (1 - both) ** (more - 1) * both if more else 1 - loss
            yield loss**filled * (1 - loss) * share, filled_s, known_s + rtt_s


def behind(gap: Gap, period_s: float, rtt_s: float) -> list[float]:
    """Return how late each tick is that a gap holds up, the lost one first.

    Those that were sent before the loss is known wait for the gap to be filled. Those that are due later are
    sent with the next sign, if there is one to come (R > τ), or when the others may go.
    """
    late_s = []
    for tick in range(periods_covering(max(gap.filled_s, gap.open_s), period_s)):
        due_s = sent_s = tick * period_s
        if due_s > gap.told_s * (1 - EQUAL_RATIO):
            signed_s = gap.told_s + period_s * periods_covering(due_s - gap.told_s, period_s)
            sent_s = min(gap.open_s, signed_s) if others_on_the_way(rtt_s, period_s) else gap.open_s
        late_s.append(max(sent_s, gap.filled_s) - due_s)
    return [each_s for each_s in late_s if each_s > 0]


def push_delay_ms(loss: float, rate_hz: float, rtt_s: float) -> float:
    """Return the mean latency that random loss adds to a push: p × what a gap makes late, all ticks together.

    A tick that is lost behind a gap begins none of its own, hence p (1 − p).
    """
    period_s = 1 / rate_hz
    sum_s = sum(gap.probability * sum(behind(gap, period_s, rtt_s)) for gap in gaps(loss, rtt_s, period_s))
    return loss * (1 - loss) * sum_s * MS_PER_S


def one_lost_of_push(rate_hz: float, rtt_s: float) -> OnePacket:
    """Return what a lost tick does to a push: late by τ + R, or by the time-out of a thin stream."""
    (gap,) = gaps(0.0, rtt_s, 1 / rate_hz)
    return OnePacket.of(behind(gap, 1 / rate_hz, rtt_s))


# Long polling


def question_round_trip_s(rate_hz: float, rtt_s: float) -> float:
    """Return what TCP takes for the round trip of long polling's questions, from which its time-out follows.

    A question is acknowledged with its answer, or after 40 ms if that is sooner.
    """
    return rtt_s + min(max(1 / rate_hz - rtt_s, 0.0), DELAYED_ACK_S)


def held_delay_ms(loss: float, rate_hz: float, rtt_s: float) -> float:
    """Return the mean latency that random loss adds to long polling, as long as it is not polling.

    Each answer begins a cycle, which ends when the next question is there: a round trip later, or more by the
    time-outs of answer and question. If no tick has become due since the last one, the next goes alone, and
    waits for nothing. Else all that are due go together, and the next cycle begins in the middle of a period:
    so one time-out makes the ticks behind it late as well, each by τ − R less, until one finds a question.
    How long ago the last tick was due when a cycle begins is a Markov chain. By the renewal-reward theorem
    (Ross, Introduction to Probability Models, section 7.4) the mean is that of a cycle's waits over that of
    its ticks; and all ticks of an answer are as late as it is.
    """
    period_s = 1 / rate_hz
    answers, questions = by_timer(loss, rtt_s), by_timer(loss, question_round_trip_s(rate_hz, rtt_s))
    ago_s = np.arange(PHASES) * period_s / PHASES
    chain, waits_s, ticks = np.zeros((PHASES, PHASES)), np.zeros(PHASES), np.zeros(PHASES)
    for answer, question in itertools.product(answers, questions):
        share = answer.probability * question.probability
        asked_s = ago_s + rtt_s + answer.late_s + question.late_s
        due = np.floor(asked_s / period_s * (1 + EQUAL_RATIO))
        waits_s += share * (due * asked_s - period_s * due * (due + 1) / 2)
        ticks += share * np.maximum(due, 1)
        next_ago_s = np.where(due > 0, asked_s - due * period_s, 0.0)
        nearest = np.rint(next_ago_s / period_s * PHASES).astype(int) % PHASES
        np.add.at(chain, (np.arange(PHASES), nearest), share)
    how_often = steady_state(chain)
    mean_s = mean_of(answers) + float(how_often @ waits_s) / float(how_often @ ticks)
    return mean_s * MS_PER_S


def steady_state(chain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often a Markov chain is in each state, by stepping until it has forgotten where it began.

    Args:
        chain: The probability of going from one (row) to another (column).
    """
    steps = np.linalg.matrix_power(chain / chain.sum(axis=1, keepdims=True), 1 << 12)
    found: NDArray[np.float64] = steps[0]
    return found


def one_lost_of_held(rate_hz: float, rtt_s: float) -> OnePacket:
    """Return what a lost answer does to long polling: its tick comes by the timer, others wait for the next.

    The next question comes a round trip after the answer went again. All that are due go with its answer, and
    what becomes due within the round trip after that waits for the question after it, until none is late.
    NaN if that is never (R ≥ τ).
    """
    late_s, period_s = [time_out_s(rtt_s)], 1 / rate_hz
    if rtt_s >= period_s * (1 - EQUAL_RATIO):
        return OnePacket(late_s[0], math.nan, math.nan)
    asked_s = late_s[0] + rtt_s
    while len(late_s) * period_s < asked_s * (1 - EQUAL_RATIO):
        due = periods_covering(asked_s, period_s)
        late_s += [asked_s - tick * period_s for tick in range(len(late_s), due)]
        asked_s += rtt_s
    return OnePacket.of(late_s)


# Polls


def polling_delay_ms(loss: float, cycle_s: float, rtt_s: float, *, fixed: bool) -> float:
    """Return the mean latency that random loss adds to polls, each ``cycle_s`` without it.

    A lost answer comes a time-out later, and so do the ticks in it. A lost question makes the server look
    later: one cycle is longer, and (at fixed instants) the next one shorter by as much. Between two looks lie
    C = M + U′ − U: the time M until the next poll, how late its question is, and how late the last one was.
    A poll is left out whose predecessor is still out, so M is longer where U is: the look was late, but the
    next one is not that much later. The mean wait is E[C²]/2E[C].

    Args:
        loss: Share of packets, each way.
        cycle_s: Time between two looks.
        rtt_s: Of the link.
        fixed: Whether the client asks at fixed instants, or some time after each answer.
    """
    ways = by_timer(loss, rtt_s)
    late_s = mean_of(ways)
    variance_s2 = mean_of(ways, lambda each_s: each_s**2) - late_s**2
    if fixed:
        looks = [
            (
                up.probability * down.probability,
                cycle_s * max(1, periods_covering(rtt_s + up.late_s + down.late_s, cycle_s)),
                up.late_s,
            )
            for up, down in itertools.product(ways, ways)
        ]
        mean_s = sum(share * next_s for share, next_s, _ in looks)
        rest_s = [Late(share, next_s - up_s) for share, next_s, up_s in looks]
        square_s2 = mean_of(rest_s, lambda each_s: (each_s + late_s) ** 2) + variance_s2
    else:
        mean_s = cycle_s + 2 * late_s
        square_s2 = mean_s**2 + 2 * variance_s2
    return (square_s2 / (2 * mean_s) - cycle_s / 2 + late_s) * MS_PER_S


def one_lost_of_pull(rate_hz: float, cycle_s: float, rtt_s: float) -> OnePacket:
    """Return what a lost answer does to polls: all ticks in it come by the timer.

    If it is out when the next polls are due, those are left out, and their ticks wait, too.
    """
    late_s = time_out_s(rtt_s)
    left_out = max(0, periods_covering(rtt_s + late_s, cycle_s) - 1)
    waited_s = cycle_s * left_out * (left_out + 1) / 2  # of each cycle's ticks: as many cycles as are left
    return OnePacket(late_s, rate_hz * cycle_s * (1 + left_out), rate_hz * cycle_s * (late_s + waited_s))
