"""What theory says of lost packets: its properties, and simulations that know no formula."""

import heapq
import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.theory import loss as theory
from bench.theory.distribution import Link
from bench.theory.latency import polling_latency
from tests import simulation
from tests.simulation import Outcome, World

RATES_HZ = st.sampled_from([0.5, 2.0, 8.0, 16.0, 50.0])
RTTS_S = st.sampled_from([0.004, 0.02, 0.05, 0.1, 0.3])
LOSSES = st.sampled_from([0.001, 0.01, 0.05])
RTT_S, LOSS = 0.05, 0.02
TICKS, CLIENTS = 6_000, 12


# One lost packet


@given(RATES_HZ, RTTS_S)
def test_a_lost_tick_comes_by_the_next_one_or_by_the_timer(rate_hz: float, rtt_s: float) -> None:
    push, held = theory.one_lost_of_push(rate_hz, rtt_s), theory.one_lost_of_held(rate_hz, rtt_s)
    assert push.late_s == pytest.approx(min(1 / rate_hz + rtt_s, theory.time_out_s(rtt_s)))
    assert held.late_s == theory.time_out_s(rtt_s) >= rtt_s + theory.SHORTEST_TIME_OUT_S
    assert push.late_s <= held.late_s
    if rtt_s * rate_hz < 1:
        assert push.held_up <= held.held_up
        assert push.sum_s <= held.sum_s + 1e-9
    else:
        assert math.isnan(held.sum_s)  # no question ever catches up


def test_ticks_behind_a_gap_wait_for_it_and_those_due_later_for_its_ack() -> None:
    """At 50 ms and 12 Hz: sent at 0 and 83 ms, told at 133, acknowledged at 183: then that of 167 goes."""
    assert theory.one_lost_of_push(12.0, 0.05) == pytest.approx((0.4 / 3, 3, 0.2))
    gap = theory.Gap(1.0, told_s=0.15, filled_s=0.45, open_s=0.75)
    assert theory.behind(gap, 0.1, 0.05) == pytest.approx([0.45, 0.35, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05])
    assert theory.behind(gap, 0.1, 0.12) == pytest.approx([0.45, 0.35, 0.25, 0.15, 0.05, 0.05, 0.05, 0.05])


def test_one_late_answer_makes_those_behind_it_late_until_a_question_is_in_time() -> None:
    """An answer comes by the timer, at 268 ms. Questions are there at 318, 368 and 418."""
    late_s = theory.time_out_s(0.05)
    waits_s = [late_s + 0.05 - due_s for due_s in (1 / 12, 2 / 12, 3 / 12)]
    cascade_s = [late_s + 0.1 - 4 / 12, late_s + 0.15 - 5 / 12]
    assert theory.one_lost_of_held(12.0, 0.05) == pytest.approx(
        (late_s, 6, late_s + sum(waits_s) + sum(cascade_s))
    )


def test_a_timer_goes_off_in_steps_of_the_wheel() -> None:
    fine_s, coarse_s = (theory.goes_off_s(timer_s) - timer_s for timer_s in (0.22, 0.25))
    assert (fine_s, coarse_s) == pytest.approx((0.004, 0.018))


def test_the_faster_the_ticks_the_more_stand_in_line() -> None:
    lines = [theory.one_lost_of_push(rate_hz, RTT_S) for rate_hz in (1.0, 8.0, 16.0, 50.0, 200.0)]
    assert [line.held_up for line in lines] == sorted(line.held_up for line in lines)
    assert [line.late_s for line in lines] == sorted((line.late_s for line in lines), reverse=True)


# Random loss


@given(RATES_HZ, RTTS_S, LOSSES)
def test_the_ways_a_lost_tick_comes_again_are_all_there_are(
    rate_hz: float, rtt_s: float, loss: float
) -> None:
    signs, timers = list(theory.signs(loss, rtt_s, 1 / rate_hz)), theory.by_timer(loss, rtt_s)
    gaps = list(theory.gaps(loss, rtt_s, 1 / rate_hz))
    for outcomes in (signs, timers, gaps):
        assert sum(each.probability for each in outcomes) == pytest.approx(1, abs=1e-4)
    assert min(each.late_s for each in timers) == 0
    assert all(rtt_s < gap.told_s <= gap.filled_s < gap.open_s for gap in gaps)
    assert theory.push_delay_ms(loss, rate_hz, rtt_s) <= theory.push_delay_ms(2 * loss, rate_hz, rtt_s)


@given(RATES_HZ, RTTS_S)
def test_a_rare_loss_costs_its_share_of_one_lost_packet(rate_hz: float, rtt_s: float) -> None:
    """Of long polling there are two that can be lost: the answer, and the request for the next one."""
    loss = 1e-4
    push_ms = loss * theory.one_lost_of_push(rate_hz, rtt_s).sum_s * 1e3
    assert theory.push_delay_ms(loss, rate_hz, rtt_s) == pytest.approx(push_ms, rel=0.01)
    if rtt_s * rate_hz < 1:
        answer_ms = loss * theory.one_lost_of_held(rate_hz, rtt_s).sum_s * 1e3
        assert answer_ms <= theory.held_delay_ms(loss, rate_hz, rtt_s) * 1.01 <= 2.1 * answer_ms + 0.01


def test_one_gap_in_ten_makes_half_of_the_delay() -> None:
    """So a short trial's mean is a matter of chance: the note of ``network`` says so."""
    costs = [
        (gap.probability, sum(theory.behind(gap, 1 / 12, RTT_S))) for gap in theory.gaps(0.05, RTT_S, 1 / 12)
    ]
    again = [(share, cost_s) for share, cost_s in costs if cost_s > 2 * theory.time_out_s(RTT_S)]
    assert sum(share for share, _ in again) == pytest.approx(0.1, abs=0.01)
    made = sum(share * cost_s for share, cost_s in again) / sum(share * cost_s for share, cost_s in costs)
    assert made == pytest.approx(0.5, abs=0.05)


def lossy_way(rng: random.Random) -> simulation.Way:
    """Return a way whose packets are sent again after one, two, four … time-outs."""

    def way_s() -> float:
        late_s, wait_s = 0.0, theory.time_out_s(RTT_S)
        while rng.random() < LOSS:
            late_s, wait_s = late_s + wait_s, wait_s * (1 if late_s == 0 else 2)
        return RTT_S / 2 + late_s

    return way_s


def simulated_mean_ms(play: Callable[[World, float], Outcome], rate_hz: float) -> float:
    outcomes = []
    for client in range(CLIENTS):
        rng = random.Random(client)
        due_s = simulation.due_times("steady", rate_hz, TICKS, seed=client)
        world = World(due_s, up_s=lossy_way(rng), down_s=lossy_way(rng), service_s=0.0)
        outcomes.append(play(world, (client + 0.5) / CLIENTS))
    latencies_s = simulation.together(outcomes).latencies_s
    return sum(latencies_s) / len(latencies_s) * 1e3


def test_lost_polls_against_a_simulation() -> None:
    way = Link(RTT_S / 2, RTT_S / 2)
    for interval_s in (0.5, 0.25):
        found_ms = simulated_mean_ms(
            lambda world, phase, t=interval_s: simulation.short_polling(world, t, phase), 16.3
        )
        expected_ms = polling_latency(interval_s, way).mean_ms
        expected_ms += theory.polling_delay_ms(LOSS, interval_s, RTT_S, fixed=True)
        assert found_ms == pytest.approx(expected_ms, rel=0.01)
    found_ms = simulated_mean_ms(lambda world, phase: simulation.paused_polling(world, 0.2, phase), 16.3)
    expected_ms = polling_latency(0.2 + RTT_S, way).mean_ms
    expected_ms += theory.polling_delay_ms(LOSS, 0.2 + RTT_S, RTT_S, fixed=False)
    assert found_ms == pytest.approx(expected_ms, rel=0.04)


@pytest.mark.parametrize("rate_hz", [2.0, 8.0, 16.0])
def test_lost_answers_and_requests_of_long_polling_against_a_simulation(rate_hz: float) -> None:
    found_ms = simulated_mean_ms(simulation.long_polling, rate_hz) - RTT_S / 2 * 1e3
    assert found_ms == pytest.approx(theory.held_delay_ms(LOSS, rate_hz, RTT_S), rel=0.1)


class Sender:
    """A push over TCP, packet by packet; as Linux does, it recovers by as much as has left the network.

    A packet that was sent before one that is signed, and is not, is lost. Ticks that wait go in one packet.
    """

    def __init__(self, rate_hz: float, loss: float, rng: random.Random) -> None:
        self.due_s = [tick / rate_hz for tick in range(TICKS)]
        self.arrived_s: dict[int, float] = {}
        self._loss, self._rng = loss, rng
        self._events = [(at_s, number, "due", number) for number, at_s in enumerate(self.due_s)]
        self._numbers = itertools.count(len(self.due_s))
        self._waiting: list[int] = []
        self._packets: list[list[int]] = []
        self._out: dict[int, float] = {}  # packets that are not signed, and when they were sent last
        self._lost: list[int] = []
        self._recovers_until, self._timer, self._backed_off = -1, 0, 1

    def mean_ms(self) -> float:
        """Play all of it, and return the mean delay."""
        while self._events:
            now_s, _, what, number = heapq.heappop(self._events)
            getattr(self, f"_{what}")(now_s, number)
        read_s = itertools.accumulate((self.arrived_s[tick] for tick in range(len(self.due_s))), max)
        return sum(at - due for at, due in zip(read_s, self.due_s, strict=True)) / len(self.due_s) * 1e3

    def _due(self, now_s: float, tick: int) -> None:
        self._waiting.append(tick)
        if self._recovers_until < 0:
            self._send_waiting(now_s)

    def _send_waiting(self, now_s: float) -> None:
        if self._waiting:
            self._packets.append(self._waiting)
            self._waiting = []
            self._send(now_s, len(self._packets) - 1)

    def _send(self, now_s: float, packet: int) -> None:
        if not self._out or self._recovers_until >= 0:
            self._set_timer(now_s)
        self._out[packet] = now_s
        if self._rng.random() >= self._loss:
            for tick in self._packets[packet]:
                self.arrived_s.setdefault(tick, now_s)
            if self._rng.random() >= self._loss:
                self._at(now_s + RTT_S, "signed", packet)

    def _at(self, at_s: float, what: str, number: int) -> None:
        heapq.heappush(self._events, (at_s, next(self._numbers), what, number))

    def _set_timer(self, now_s: float) -> None:
        self._timer += 1
        self._at(now_s + theory.time_out_s(RTT_S) * self._backed_off, "time_out", self._timer)

    def _time_out(self, now_s: float, timer: int) -> None:
        if timer == self._timer and self._out:
            if self._recovers_until >= 0:
                self._backed_off *= 2
            self._recovers_until = len(self._packets) - 1
            self._lost = sorted(self._out)
            self._send(now_s, self._lost.pop(0))

    def _signed(self, now_s: float, packet: int) -> None:
        """Learn from an ACK, which signs all that has arrived by now."""
        sent_s = self._out.get(packet, now_s - RTT_S)
        arrived = [
            each
            for each in self._out
            if self.arrived_s.get(self._packets[each][0], now_s) <= now_s - RTT_S + 1e-9
        ]
        for each in arrived:
            del self._out[each]
        self._lost = [each for each in self._lost if each in self._out]
        self._backed_off = 1
        if not self._out or min(self._out) > self._recovers_until:
            self._recovers_until = -1
        earlier = [each for each, at_s in self._out.items() if at_s < sent_s and each not in self._lost]
        if earlier:
            self._recovers_until = max(self._recovers_until, len(self._packets) - 1)
            self._lost += sorted(earlier)
        if self._recovers_until < 0:
            self._send_waiting(now_s)
        else:
            for _ in range(max(len(arrived), 1 if earlier else 0)):
                if self._lost:
                    self._send(now_s, self._lost.pop(0))
                else:
                    self._send_waiting(now_s)


@pytest.mark.parametrize(("rate_hz", "loss"), [(1.0, 0.02), (12.0, 0.05), (16.0, 0.02)])
def test_lost_ticks_of_a_push_against_a_simulation(rate_hz: float, loss: float) -> None:
    """Theory is the lower one, because it counts the losses in one gap by themselves."""
    found_ms = sum(Sender(rate_hz, loss, random.Random(seed)).mean_ms() for seed in range(12)) / 12
    expected_ms = theory.push_delay_ms(loss, rate_hz, RTT_S)
    assert expected_ms < found_ms < 1.15 * expected_ms
