"""What theory says of distance and loss: its properties, and a simulation that knows no formula."""

import heapq
import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.theory import distance
from bench.theory.distribution import Link
from bench.theory.latency import long_polling_latency, polling_latency
from tests import simulation
from tests.simulation import Outcome, World

RATES_HZ = st.sampled_from([0.5, 2.0, 8.0, 16.0, 50.0])
RTTS_S = st.sampled_from([0.004, 0.02, 0.05, 0.1, 0.3])
LOSSES = st.sampled_from([0.001, 0.01, 0.05])
RTT_S, LOSS = 0.05, 0.02
TICKS, CLIENTS = 6_000, 12


# Connections


def test_round_trips_add_up() -> None:
    """TCP 1, TLS 1 more, the request of a push 1 more: RFC 9293, RFC 8446, RFC 6455."""
    found = {
        (tls, push): distance.connection_round_trips(tls=tls, push=push)
        for tls in (False, True)
        for push in (False, True)
    }
    assert found == {(False, False): 1, (False, True): 2, (True, False): 2, (True, True): 3}


@pytest.mark.parametrize(
    ("keeps", "tls", "round_trips"), [(True, True, 1), (False, False, 2), (False, True, 3)]
)
def test_a_new_connection_makes_the_turn_longer(keeps: bool, tls: bool, round_trips: int) -> None:
    assert distance.turnaround_s(0.1, keeps=keeps, tls=tls) == pytest.approx(round_trips * 0.1)


@given(RATES_HZ, RTTS_S)
def test_long_polling_turns_into_polling_where_its_latency_jumps(rate_hz: float, rtt_s: float) -> None:
    """From one transit to two: RFC 6202, section 2.2."""
    transit_ms = rtt_s / 2 * 1e3
    found_ms = long_polling_latency(rate_hz, Link(rtt_s / 2, rtt_s / 2)).mean_ms
    turned = distance.turns_into_polling(rate_hz, rtt_s)
    assert turned == (rtt_s * rate_hz > 1 + 1e-9)
    assert found_ms == pytest.approx(transit_ms * (2 if turned else 1))


# One lost packet


@given(RATES_HZ, RTTS_S)
def test_a_lost_tick_comes_by_the_next_one_or_by_the_timer(rate_hz: float, rtt_s: float) -> None:
    push, held = distance.one_lost_of_push(rate_hz, rtt_s), distance.one_lost_of_held(rate_hz, rtt_s)
    assert push.late_s == pytest.approx(min(1 / rate_hz + rtt_s, distance.time_out_s(rtt_s)))
    assert held.late_s == distance.time_out_s(rtt_s) >= rtt_s + distance.SHORTEST_TIME_OUT_S
    assert push.late_s <= held.late_s
    assert push.held_up <= held.held_up
    assert push.sum_s <= held.sum_s + 1e-9


@given(st.floats(0.001, 3.0), RATES_HZ)
def test_what_stands_behind_a_gap_is_the_sum_of_its_lateness(late_s: float, rate_hz: float) -> None:
    period_s = 1 / rate_hz
    late = [late_s - tick * period_s for tick in range(2_000) if late_s - tick * period_s > 1e-9]
    assert distance.held_up(late_s, period_s) == pytest.approx(len(late), abs=1)
    assert distance.behind_s(late_s, period_s) == pytest.approx(sum(late), abs=1e-6)


def test_the_faster_the_ticks_the_more_stand_in_line() -> None:
    lines = [distance.one_lost_of_push(rate_hz, RTT_S) for rate_hz in (1.0, 8.0, 16.0, 50.0, 200.0)]
    assert [line.held_up for line in lines] == sorted(line.held_up for line in lines)
    assert [line.late_s for line in lines] == sorted((line.late_s for line in lines), reverse=True)


# Random loss


@given(RATES_HZ, RTTS_S, LOSSES)
def test_the_ways_a_lost_tick_comes_again_are_all_there_are(
    rate_hz: float, rtt_s: float, loss: float
) -> None:
    for outcomes in (distance.by_next_tick(loss, rtt_s, 1 / rate_hz), distance.by_timer(loss, rtt_s)):
        assert sum(each.probability for each in outcomes) == pytest.approx(1, abs=1e-4)
        assert min(each.late_s for each in outcomes) >= 0
    assert distance.push_delay_ms(loss, rate_hz, rtt_s) <= distance.push_delay_ms(2 * loss, rate_hz, rtt_s)


@given(RATES_HZ, RTTS_S)
def test_a_rare_loss_costs_its_share_of_one_lost_packet(rate_hz: float, rtt_s: float) -> None:
    """Of long polling there are two that can be lost: the answer, and the request for the next one."""
    loss = 1e-4
    push_ms = loss * distance.one_lost_of_push(rate_hz, rtt_s).sum_s * 1e3
    assert distance.push_delay_ms(loss, rate_hz, rtt_s) == pytest.approx(push_ms, rel=0.01)
    if not distance.turns_into_polling(rate_hz, rtt_s):
        answer_ms = loss * distance.one_lost_of_held(rate_hz, rtt_s).sum_s * 1e3
        assert answer_ms <= distance.held_delay_ms(loss, rate_hz, rtt_s) * 1.01 <= 2.1 * answer_ms + 0.01


def lossy_way(rng: random.Random) -> simulation.Way:
    """Return a way whose packets are sent again after one, two, four … time-outs."""

    def way_s() -> float:
        late_s, wait_s = 0.0, distance.time_out_s(RTT_S)
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
        expected_ms += distance.polling_delay_ms(LOSS, interval_s, RTT_S, fixed=True)
        assert found_ms == pytest.approx(expected_ms, rel=0.04)
    found_ms = simulated_mean_ms(lambda world, phase: simulation.paused_polling(world, 0.2, phase), 16.3)
    expected_ms = polling_latency(0.2 + RTT_S, way).mean_ms
    expected_ms += distance.polling_delay_ms(LOSS, 0.2 + RTT_S, RTT_S, fixed=False)
    assert found_ms == pytest.approx(expected_ms, rel=0.04)


@pytest.mark.parametrize("rate_hz", [2.0, 8.0, 16.0])
def test_lost_answers_and_requests_of_long_polling_against_a_simulation(rate_hz: float) -> None:
    found_ms = simulated_mean_ms(simulation.long_polling, rate_hz) - RTT_S / 2 * 1e3
    assert found_ms == pytest.approx(distance.held_delay_ms(LOSS, rate_hz, RTT_S), rel=0.1)


def simulated_push_ms(rate_hz: float, loss: float, rng: random.Random) -> float:
    """Return the mean delay of a push whose client acknowledges selectively, packet by packet.

    What was sent before a packet that has arrived, and has not arrived itself, is sent again a round trip
    after that packet; or when its timer goes off. Ticks are read in order.
    """
    due_s = [tick / rate_hz for tick in range(TICKS * 2)]
    arrived_s: dict[int, float] = {}
    sent: dict[int, tuple[float, int]] = {}  # what has not arrived: when it was sent last, how often
    events = [(at_s, "send", tick, 0.0) for tick, at_s in enumerate(due_s)]
    while events:
        now_s, what, tick, since_s = heapq.heappop(events)
        if what == "signal":
            again = [lost for lost, (at_s, _) in sent.items() if at_s < since_s]
        elif what == "timer":
            again = [tick] if tick in sent and sent[tick][0] == since_s else []
        else:
            again = [tick]
        for each in again:
            tries = sent.get(each, (0.0, 0))[1]
            sent[each] = (now_s, tries + 1)
            if rng.random() < loss:
                timer_s = due_s[each] + distance.time_out_s(RTT_S) * 2**tries
                heapq.heappush(events, (max(timer_s, now_s), "timer", each, now_s))
            else:
                arrived_s[each] = now_s
                del sent[each]
                if rng.random() >= loss:  # its ACK arrives
                    heapq.heappush(events, (now_s + RTT_S, "signal", each, now_s))
    read_s = itertools.accumulate((arrived_s[tick] for tick in range(len(due_s))), max)
    return sum(at_s - due for at_s, due in zip(read_s, due_s, strict=True)) / len(due_s) * 1e3


@pytest.mark.parametrize("rate_hz", [1.0, 8.0, 16.0, 50.0])
def test_lost_ticks_of_a_push_against_a_simulation(rate_hz: float) -> None:
    found_ms = sum(simulated_push_ms(rate_hz, LOSS, random.Random(seed)) for seed in range(4)) / 4
    assert found_ms == pytest.approx(distance.push_delay_ms(LOSS, rate_hz, RTT_S), rel=0.12)
