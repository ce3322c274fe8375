"""What distance and loss do to a transport: connections, latency, and the ticks behind a lost packet.

R is the round trip of the link, τ = 1/λ the time between two steady ticks, p the share of packets that are
lost. The link is all that is in it: what server, client and router work comes on top, 1 to 3 ms for each
crossing of 100 clients.

*A lost tick of a push* is missed when the next tick arrives, because the client then acknowledges selectively
what came behind the gap (SACK, RFC 2018). Classic TCP waited for three such signs (RFC 6675, section 5). RACK
needs one, if the signed segment was sent later than the lost one by more than packets get out of order
(RFC 8985, section 6.2), as one tick is later than another. So the next tick, τ later, and one round trip
bring it again: it is late by τ + R, if no timer is sooner. All ticks behind it wait in the kernel of the
client until the gap is filled: head-of-line blocking.

*A lost answer of a poll* is alone in flight: the client says nothing until it has the answer, so no packet
can tell of the loss, and a timer must. Linux waits for srtt + max(4 rttvar, 200 ms) (RFC 6298, section 2, has
a minimum of 1 s; TCP_RTO_MIN in Linux's include/net/tcp.h has 200 ms). Over a steady link that is R + 200 ms.
The tail loss probe of 2 srtt is no faster: for a single packet it adds the same 200 ms, and it is never later
than the time-out (RFC 8985, section 7.2; tcp_schedule_loss_probe in net/ipv4/tcp_output.c). But it comes
before the time-out and does not double it: packets go again after one, two, four, eight time-outs.

*Checked* over the box at R = 50 ms, kernel 6.18, by the arrival of each tick and by ``ss -ti``. A lost tick
of a push at 8 Hz was late by 175 ms, as said. A lost answer was late by 256 to 288 ms, not by 250: the kernel
counts the time-out in jiffies of 4 ms (it told rto:252 or rto:256), and a timer of 64 jiffies or more goes
off at a multiple of 8 of them (kernel/time/timer.c), 16 ms later on average. At most that is an eighth of the
timer, so ``TIMER_LATE`` is a sixteenth. Without it, theory was 8 % short.
Pure ACKs that are lost delay nobody, but for one that would have told of a gap: each later one says the same
again. At p = 5 % and 12 Hz, of 46 lost ticks 34 were late by 134 ms, as said (133), eight by 217 (a period
more), and three by 300 to 474. These few make the mean, so that one trial of a second may have twice the
theory's.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.theory.distribution import MS_PER_S
from bench.theory.latency import EQUAL_RATIO, periods_covering

TCP_ROUND_TRIPS, TLS_ROUND_TRIPS, REQUEST_ROUND_TRIPS = 1, 1, 1
"""SYN and its answer (RFC 9293, 3.5); a full handshake of TLS 1.3 (RFC 8446, 2); a request and its answer."""
SHORTEST_TIME_OUT_S = 0.2
"""Linux's TCP_RTO_MIN, which stands for 4 rttvar where round trips hardly vary."""
LATEST_TIMER_RATIO = 1 / 8
"""How much later a timer goes off than it was set for, at most, as a share: see above."""
TIMER_LATE = LATEST_TIMER_RATIO / 2
RARER_THAN = 1e-6
"""What is less probable is left out of a mean."""
MOST_ATTEMPTS = 8


def connection_round_trips(*, tls: bool, push: bool) -> int:
    """Return how many round trips pass from the SYN until a connection is of use.

    Of use to a poll it is when it stands; to a push when the server has answered the request that opens it.
    """
    return TCP_ROUND_TRIPS + TLS_ROUND_TRIPS * tls + REQUEST_ROUND_TRIPS * push


def turnaround_s(rtt_s: float, *, keeps: bool, tls: bool) -> float:
    """Return how long it takes from a server's answer until the client's next request is there.

    Down goes the answer, up the request: two transits, which with the tick's own way down make the three of
    RFC 6202, section 2.2. A connection of its own for each request takes its round trips in addition.
    """
    return rtt_s * (1 + (0 if keeps else connection_round_trips(tls=tls, push=False)))


def turns_into_polling(rate_hz: float, gap_s: float) -> bool:
    """Return whether long polling turns into polling: ticks come faster than it turns round (λ × gap > 1).

    See ``long_polling_latency``: from there on no request is held. Each waits for an answer, carries several
    ticks, and the mean latency jumps from one transit to two.
    """
    return 1 / rate_hz < gap_s * (1 - EQUAL_RATIO)


def time_out_s(rtt_s: float) -> float:
    """Return after how long a packet alone in flight is sent again, on average: R + 200 ms, a little late."""
    return (rtt_s + SHORTEST_TIME_OUT_S) * (1 + TIMER_LATE)


def behind_s(late_s: float, period_s: float) -> float:
    """Return by how much a gap holds up all ticks together: late_s the first, a period less each one behind.

    The sum of late − kτ over the ⌈late/τ⌉ ticks that come before it is filled.
    """
    ticks = held_up(late_s, period_s)
    return ticks * late_s - period_s * ticks * (ticks - 1) / 2


def held_up(late_s: float, period_s: float) -> int:
    """Return how many ticks are held up by one that is late, itself included."""
    return periods_covering(late_s, period_s)


class Late(NamedTuple):
    """With this probability something is so much late."""

    probability: float
    late_s: float


def by_timer(loss: float, rtt_s: float) -> list[Late]:
    """Return how late a packet is that is alone in flight: after one, two, four … time-outs."""
    waits_s = [0.0, *(time_out_s(rtt_s) * 2**attempt for attempt in range(MOST_ATTEMPTS))]
    return [Late(loss**tries * (1 - loss), late_s) for tries, late_s in enumerate(waits_s)]


def by_next_tick(loss: float, rtt_s: float, period_s: float) -> list[Late]:
    """Return how late a lost tick of a push is: the next tick's SACK brings it again, or the timer.

    The first tick that arrives after an attempt tells of its loss, a round trip later: the next one; or, if
    that is lost, or its ACK, the one after it. The attempt may be lost, too, and all begins again.

    Returns:
        All that is not rare, of a tick that is lost: probabilities add up to 1.
    """
    return list(_attempts(loss, rtt_s, period_s, Late(1.0, 0.0), 0))


def _attempts(loss: float, rtt_s: float, period_s: float, lost: Late, tries: int) -> Iterator[Late]:
    """Yield how late a tick is whose last attempt went at ``lost.late_s`` after it was due, and was lost."""
    timer_s = time_out_s(rtt_s) * 2**tries
    sent_before = math.floor(lost.late_s / period_s + EQUAL_RATIO)
    probability, tick = lost.probability, 1
    while probability > RARER_THAN:
        signed_s = (sent_before + tick) * period_s + rtt_s
        told_s, share = (signed_s, (1 - loss) ** 2) if signed_s < timer_s else (timer_s, 1.0)
        told_s = max(told_s, lost.late_s)
        yield Late(probability * share * (1 - loss), told_s)
        again = Late(probability * share * loss, told_s)
        if again.probability > RARER_THAN and tries < MOST_ATTEMPTS:
            yield from _attempts(loss, rtt_s, period_s, again, tries + 1)
        probability *= 1 - share
        tick += 1


def mean_of(outcomes: list[Late], of: Callable[[float], float] = lambda late_s: late_s) -> float:
    """Return the mean of a function of how late something is."""
    return sum(each.probability * of(each.late_s) for each in outcomes) / sum(
        each.probability for each in outcomes
    )


def push_delay_ms(loss: float, rate_hz: float, rtt_s: float) -> float:
    """Return the mean latency that random loss adds to a push.

    To first order it is p × :func:`behind_s` of τ + R: each lost tick holds up those behind it. Ticks and
    attempts that are lost while one is waited for are in :func:`by_next_tick`; gaps that overlap count twice.
    """
    period_s = 1 / rate_hz
    outcomes = by_next_tick(loss, rtt_s, period_s)
    return loss * (1 - loss) * mean_of(outcomes, lambda late_s: behind_s(late_s, period_s)) * MS_PER_S


def polling_delay_ms(loss: float, cycle_s: float, rtt_s: float, *, fixed: bool) -> float:
    """Return the mean latency that random loss adds to polls, each ``cycle_s`` without it.

    A lost answer comes a time-out later, and so do the ticks in it. A lost request makes the server look
    later: one cycle is longer, and (at fixed instants) the next one shorter by as much, so that the mean wait
    E[C²]/2E[C] grows by the variance of the delay. A poll is left out whose predecessor is still out.

    Args:
        loss: Share of packets, each way.
        cycle_s: Time between two looks.
        rtt_s: Of the link.
        fixed: Whether the client asks at fixed instants, or some time after each answer.
    """
    ways = by_timer(loss, rtt_s)
    late_s, late_s2 = mean_of(ways), mean_of(ways, lambda each: each**2)
    variance_s2 = late_s2 - late_s**2
    if fixed:
        both = [
            Late(up.probability * down.probability, up.late_s + down.late_s) for up in ways for down in ways
        ]
        cycles_s = [
            each._replace(late_s=cycle_s * max(1, periods_covering(rtt_s + each.late_s, cycle_s)))
            for each in both
        ]
        mean_s, mean_s2 = mean_of(cycles_s), mean_of(cycles_s, lambda each: each**2)
        square_s2 = mean_s2 + 2 * variance_s2
    else:
        mean_s = cycle_s + 2 * late_s
        square_s2 = mean_s**2 + 2 * variance_s2
    return (square_s2 / (2 * mean_s) - cycle_s / 2 + late_s) * MS_PER_S


def held_delay_ms(loss: float, rate_hz: float, rtt_s: float) -> float:
    """Return the mean latency that random loss adds to long polling, as long as it is not polling.

    Each answer begins a cycle, which ends when the next request is there: a round trip later, or more by
    the time-outs of answer and request. Ticks that are due before it comes wait for it, and go together; if
    there are none, the next one goes alone. All of an answer are as late as it is. By the renewal-reward
    theorem (Ross, Introduction to Probability Models, section 7.4) the mean is the sum of a cycle's delays
    over its ticks, as if each cycle began when a tick is due.
    """
    period_s, ways = 1 / rate_hz, by_timer(loss, rtt_s)
    late_s, sum_s, ticks = mean_of(ways), 0.0, 0.0
    for down in ways:
        for up in ways:
            share, gap_s = down.probability * up.probability, rtt_s + down.late_s + up.late_s
            together = max(held_up(gap_s, period_s) - 1, 1)
            sum_s += share * (behind_s(gap_s, period_s) - gap_s + together * late_s)
            ticks += share * together
    return sum_s / ticks * MS_PER_S


def queue_ms(tick_bytes: float, clients: int, rate_hz: float, rate_mbit: float, longest_ms: float) -> float:
    """Return how long a pushed tick waits and is sent where a link carries one packet after the other.

    All clients' ticks come to the link at once, so the i-th of N waits for those before it: (N + 1)/2 of the
    time that one takes, on average, its own included.

    Args:
        tick_bytes: IP packets of a tick for one client.
        clients: N.
        rate_hz: Ticks per second.
        rate_mbit: What the link carries.
        longest_ms: A packet that would have to wait longer is dropped.

    Returns:
        NaN where the link is too slow for it: ticks would pile up, or be dropped.
    """
    sending_s = tick_bytes * 8 / (rate_mbit * 1e6)
    if clients * sending_s * rate_hz > 1 or clients * sending_s * MS_PER_S > longest_ms:
        return math.nan
    return (clients + 1) / 2 * sending_s * MS_PER_S


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


def one_lost_of_push(rate_hz: float, rtt_s: float) -> OnePacket:
    """Return what a lost tick does to a push: late by τ + R, or by the time-out of a thin stream."""
    (late_s,) = {each.late_s for each in by_next_tick(0.0, rtt_s, 1 / rate_hz)}
    return OnePacket(late_s, held_up(late_s, 1 / rate_hz), behind_s(late_s, 1 / rate_hz))


def one_lost_of_held(rate_hz: float, rtt_s: float) -> OnePacket:
    """Return what a lost answer does to long polling: its tick comes by the timer, others wait for the next.

    The next request comes a round trip after the answer went again.
    """
    late_s, period_s = time_out_s(rtt_s), 1 / rate_hz
    gap_s = late_s + rtt_s
    return OnePacket(late_s, held_up(gap_s, period_s), behind_s(gap_s, period_s) - rtt_s)


def one_lost_of_pull(rate_hz: float, cycle_s: float, rtt_s: float) -> OnePacket:
    """Return what a lost answer does to polls: all ticks in it come by the timer.

    If it is out when the next polls are due, those are left out, and their ticks wait, too.
    """
    late_s = time_out_s(rtt_s)
    left_out = max(0, periods_covering(rtt_s + late_s, cycle_s) - 1)
    waited_s = cycle_s * left_out * (left_out + 1) / 2  # of each cycle's ticks: as many cycles as are left
    return OnePacket(late_s, rate_hz * cycle_s * (1 + left_out), rate_hz * cycle_s * (late_s + waited_s))
