"""What happens when the plug is pulled: who sends again and when, who notices, and how the clients come back.

**TCP waits longer and longer.** What is not acknowledged is sent again when a timer ends, and each time the
timer doubles (RFC 6298, 5.5), so after an outage a sender may wait as long as the outage was. With the timer
RTO a segment is sent again RTO·(2ᵏ − 1) after it was sent first, if others are on the way behind it. Linux
probes first when it is alone (tail loss probe, RFC 8985, section 7), and begins anew after that: RTO·2ᵏ. Its
RTO is the round trip and 200 ms (tcp_rto_min_us), as long as round trips vary little.

**Timers are late.** Linux keeps timers in wheels whose steps grow with the time asked for, and rounds up: by
an eighth of it at most (kernel/time/timer.c). So there are bounds: no timer is late, or each by an eighth.

**Who has nothing on the way notices nothing.** A client that only listens, to a push or for an answer, hears
nothing of a server that is gone, or that sends to an address which was its own. It needs a clock.

**Back-off is a chain of waits.** Each wait is drawn up to a limit that doubles, and the next attempt comes
after it and after the time that it takes to fail. How likely an attempt is in each ms follows by convolution;
that of the first one after the return is when a client is back.

Instants are counted from the begin of the incident.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.theory.distribution import MS_PER_S
from bench.theory.loss import LATEST_TIMER_RATIO, SHORTEST_TIME_OUT_S
from bench.theory.traffic import Bounds
from clients.load.connections.backoff import FIRST_LIMIT_S, LONGEST_LIMIT_S

LATENESSES = 5
RARE = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class Instants:
    """When something happens to a client, of many: the share of them in each ms from the begin on.

    All shares together are 1, or less if it never happens to some.
    """

    shares: NDArray[np.float64]

    @classmethod
    def at(cls, instant_s: float) -> "Instants":
        """Return one instant for all."""
        return cls.between(instant_s, instant_s)

    @classmethod
    def between(cls, low_s: float, high_s: float) -> "Instants":
        """Return instants that are evenly spread from ``low_s`` to ``high_s``."""
        first, end = _ms(low_s), max(_ms(high_s), _ms(low_s) + 1)
        shares = np.zeros(end)
        shares[first:] = 1 / (end - first)
        return cls(shares)

    def later_by(self, other: "Instants") -> "Instants":
        """Return what happens a time later that is drawn for each client by itself."""
        size = len(self.shares) + len(other.shares) - 1
        return Instants(_convolved(self.shares, other.shares)[:size])

    def later(self, seconds: float) -> "Instants":
        """Return what happens so much later."""
        return Instants(np.concatenate([np.zeros(_ms(seconds)), self.shares]))

    def until(self, instant_s: float) -> "Instants":
        """Return those before an instant."""
        return Instants(self.shares[: _ms(instant_s)])

    def since(self, instant_s: float) -> "Instants":
        """Return those from an instant on."""
        shares = self.shares.copy()
        shares[: _ms(instant_s)] = 0
        return Instants(shares)

    def __add__(self, other: "Instants") -> "Instants":
        """Return the instants of both."""
        shares = np.zeros(max(len(self.shares), len(other.shares)))
        for each in (self.shares, other.shares):
            shares[: len(each)] += each
        return Instants(shares)

    @property
    def total(self) -> float:
        """The share of clients to which it happens."""
        return float(self.shares.sum())

    def quantile_s(self, share: float) -> float:
        """Return until when it has happened to this share of those to whom it happens; NaN if to nobody.

        Of 0 it is the first instant, of 1 the last.
        """
        if self.total <= 0:
            return math.nan
        sought = min(max(share, RARE), 1 - RARE) * self.total
        return float(np.searchsorted(np.cumsum(self.shares), sought)) / MS_PER_S

    def in_bins(self, length_s: float) -> list[float]:
        """Return the share in each stretch of a length, from the begin on."""
        size = _ms(length_s)
        padded = np.concatenate([self.shares, np.zeros(-len(self.shares) % size)])
        return [float(share) for share in padded.reshape(-1, size).sum(axis=1)]

    def most_within_s(self, length_s: float) -> float:
        """Return the largest share that lies within any stretch of a length."""
        sums = np.concatenate([[0.0], np.cumsum(self.shares), [self.total] * _ms(length_s)])
        return float((sums[_ms(length_s) :] - sums[: -_ms(length_s)]).max())


def _ms(seconds: float) -> int:
    return max(round(seconds * MS_PER_S), 0)


def _convolved(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the convolution, by Fourier transforms: the shares of sums; tiny negative ones are rounding."""
    size = len(one) + len(other) - 1
    padded = 1 << (size - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(one, padded) * np.fft.rfft(other, padded), padded)[:size]
    return np.where(product > 1e-12, product, 0.0)


# TCP sends again


def first_rto_s(rtt_s: float) -> float:
    """Return TCP's retransmission timer (RTO, RFC 6298) as Linux sets it at first, if no timer is late."""
    return rtt_s + SHORTEST_TIME_OUT_S


def sent_again_s(rto_s: float, until_s: float, *, alone: bool, late_ratio: float = 0.0) -> Iterator[float]:
    """Yield when a segment is sent again, after it was sent first, until one is at or after ``until_s``.

    Args:
        rto_s: The timer at first.
        until_s: When it can arrive again.
        alone: Whether no other segment was on the way behind it.
        late_ratio: By how much of its time each timer is late.
    """
    passed_s, timer_s = 0.0, rto_s
    if alone:  # the probe; the timer begins anew
        passed_s += timer_s * (1 + late_ratio)
        yield passed_s
    while passed_s < until_s:
        passed_s += timer_s * (1 + late_ratio)
        timer_s *= 2
        yield passed_s


def arrived_again(
    sent: Instants, way_s: float, arrives_s: float, outage_s: float, rto_s: float, *, alone: bool
) -> list[Instants]:
    """Return when what was lost in an outage arrives: if no timer is late, and if all are by more and more.

    Args:
        sent: When each client's segment was sent first.
        way_s: From being sent until it comes to the place where the way is cut.
        arrives_s: From being sent until what comes of it is there.
        outage_s: How long nothing passes there.
        rto_s, alone: See :func:`sent_again_s`.
    """
    sent_ms = np.flatnonzero(sent.shares)
    found = []
    for late_ratio in np.linspace(0, LATEST_TIMER_RATIO, LATENESSES).tolist():
        again_s = [
            list(sent_again_s(rto_s, outage_s - at_s - way_s, alone=alone, late_ratio=late_ratio))[-1]
            if at_s + way_s < outage_s
            else 0.0
            for at_s in (sent_ms / MS_PER_S).tolist()
        ]
        arriving_ms = sent_ms + np.rint((np.array(again_s) + arrives_s) * MS_PER_S).astype(np.int64)
        found.append(Instants(np.bincount(arriving_ms, sent.shares[sent_ms]).astype(np.float64)))
    return found


def medians_ms(found: Sequence[Instants], return_s: float) -> Bounds:
    """Return the bounds of the median time after the return."""
    medians = [max(each.quantile_s(0.5) - return_s, 0.0) * MS_PER_S for each in found]
    return Bounds(min(medians), max(medians))


# Clients connect again


def wait_after_failure(backoff: str, failures: int) -> Instants:
    """Return how long a client waits after so many failures in a row, from 1 on.

    Args:
        backoff: ``jittered`` (full jitter: from 0 to the limit), ``doubling`` (the limit), or ``none``.
        failures: How many there were.
    """
    limit_s = min(FIRST_LIMIT_S * 2 ** (failures - 1), LONGEST_LIMIT_S)
    if backoff == "jittered":
        return Instants.between(0.0, limit_s)
    return Instants.at(limit_s if backoff == "doubling" else FIRST_LIMIT_S)


@dataclasses.dataclass(frozen=True)
class Comeback:
    """How clients try to come back.

    Attributes:
        asked: All their attempts; of a client there may be several, so that the total is above 1.
        back: The first that succeeds, of each.
    """

    asked: Instants
    back: Instants


def come_back(
    first: Instants,
    return_s: float,
    backoff: str,
    *,
    fails_after_s: float,
    failures: int = 1,
    again_each_s: float = math.inf,
) -> Comeback:
    """Return when clients ask for connections, and with which attempt each succeeds.

    An attempt before the return fails ``fails_after_s`` later: a round trip, if it is refused; or after the
    client's patience, if nobody answers. In that case its SYN is sent again meanwhile (Linux: each second).

    Args:
        first: The first attempt of each client.
        return_s: From when on they succeed.
        backoff: See :func:`wait_after_failure`.
        fails_after_s: How long one takes that fails.
        failures: How many there were before the first: the end of a connection is one.
        again_each_s: How often its first packet is sent again until then.
    """
    asked = back = Instants(np.zeros(1))
    attempts = first
    more_packets = max(math.ceil(fails_after_s / again_each_s) - 1, 0)  # of an infinite time, none
    while attempts.total > RARE:
        asked += attempts
        for times in range(more_packets + 1):
            after_s = times * again_each_s if times else 0.0
            back += attempts.since(return_s - after_s).later(after_s)
            attempts = attempts.until(return_s - after_s)
        failures += 1
        attempts = attempts.later(fails_after_s).later_by(wait_after_failure(backoff, failures))
    return Comeback(asked, back)


def first_attempt(ended: Instants, backoff: str) -> Instants:
    """Return when clients ask for a connection after their own has ended."""
    return ended.later_by(wait_after_failure(backoff, 1))


def first_tick_by_poll(
    questions: Instants, backoff: str, *, cycle_s: float, due_s: float, rtt_s: float, set_up_s: float
) -> Instants:
    """Return when a client has a tick that polls, is reset, and asks again on a connection of its own.

    If the first tick is not due when its question is there, half a round trip before the answer, that is
    empty, and the tick comes with its next question, a cycle after the one before.

    Args:
        questions: When clients ask on the old connection; a round trip later they are reset.
        backoff: See :func:`wait_after_failure`.
        cycle_s: Time between two questions, at least as long as that between two ticks.
        due_s: When the first tick is due.
        rtt_s: Of the link.
        set_up_s: From asking for a connection until the answer to the first question on it.
    """
    found = Instants(np.zeros(1))
    in_time_s = due_s - set_up_s + rtt_s / 2
    for ms in np.flatnonzero(questions.shares).tolist():
        asked = Instants(questions.shares[: ms + 1]).since(ms / MS_PER_S)
        again = first_attempt(asked.later(rtt_s), backoff)
        found += again.since(in_time_s).later(set_up_s)
        found += Instants(asked.shares / asked.total * again.until(in_time_s).total).later(cycle_s + rtt_s)
    return found


def silent_at_s(silence_s: float, period_s: float, rtt_s: float) -> float:
    """Return when a client gives up that listens: so long after its last tick, half a period before."""
    return silence_s - period_s / 2 + rtt_s / 2
