"""Theory of recovery against simulations: of TCP's timer, and of clients with the swarm's own back-off."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.trial import run_trial
from bench.scenario import Scenario
from bench.theory.durations import FIRST_SYN_TIMEOUT_S
from bench.theory.recovery import (
    Instants,
    arrived_again,
    come_back,
    first_attempt,
    first_rto_s,
    first_tick_by_poll,
    medians_ms,
    sent_again_s,
)
from clients.load.connections.backoff import BACKOFFS, Backoff
from tests.bench.network.boxes import need_box

CLIENTS = 20_000
TOLERANCE = 0.02


# TCP sends again


def test_a_segment_is_sent_again_each_time_later() -> None:
    rto_s = first_rto_s(0.02)
    followed = list(sent_again_s(rto_s, 5.0, alone=False))
    assert followed == pytest.approx([rto_s * (2**k - 1) for k in range(1, 6)])
    alone = list(sent_again_s(rto_s, 5.0, alone=True))
    assert alone == pytest.approx([rto_s * 2**k for k in range(6)])
    assert followed[-2] < 5.0 <= followed[-1]


@given(
    sent_s=st.floats(0, 2),
    outage_s=st.floats(0.01, 10),
    rtt_s=st.floats(0, 0.3),
    alone=st.booleans(),
)
def test_what_was_lost_comes_by_the_first_timer_that_ends_after_the_return(
    sent_s: float, outage_s: float, rtt_s: float, alone: bool
) -> None:
    rto_s, way_s = first_rto_s(rtt_s), rtt_s / 2
    at_s, timer_s, probes = sent_s, rto_s, 1 if alone else 0
    while at_s + way_s < outage_s:  # a sender and its timer, step by step
        at_s += timer_s
        timer_s *= 1 if probes else 2
        probes = 0
    found = arrived_again(Instants.at(sent_s), way_s, way_s, outage_s, rto_s, alone=alone)
    assert found[0].total == pytest.approx(1)
    if min(abs(outage_s - way_s - sent_s - again_s) for again_s in (0.0, at_s - sent_s)) > 0.002:
        assert found[0].quantile_s(0.5) == pytest.approx(at_s + way_s, abs=0.0021)
    assert all(each.quantile_s(0.0) >= outage_s - 0.0021 for each in found)


def test_who_polls_is_back_sooner_if_its_question_was_lost_later() -> None:
    def median_ms(low_s: float, high_s: float) -> float:
        sent = Instants.between(low_s, high_s)
        return medians_ms(arrived_again(sent, 0.0, 0.02, 1.2, 0.22, alone=True), 1.2).low

    assert median_ms(1.2, 1.5) == pytest.approx(170, abs=2)  # nothing was lost: it asks after the return
    assert median_ms(0.0, 0.05) > median_ms(0.4, 0.45) > median_ms(1.0, 1.05)


# Clients connect again


def simulated(
    name: str, return_s: float, *, fails_after_s: float, again_each_s: float
) -> tuple[list[float], int]:
    """Return when clients are back whose connections ended at 0, and how often all asked."""
    backoff, back, asked = Backoff(name, seed=1), [], 0
    for _ in range(CLIENTS if name == "jittered" else 1):
        at_s, limit_s = 0.0, 0.0
        while True:
            limit_s = backoff.next_limit_s(limit_s)
            at_s += backoff.wait_s(limit_s)
            asked += 1
            packets_s = itertools.takewhile(
                lambda after_s: after_s < fails_after_s or not after_s,
                (times * again_each_s if times else 0.0 for times in itertools.count()),
            )
            passed = next((at_s + after_s for after_s in packets_s if at_s + after_s >= return_s), None)
            if passed is not None:
                back.append(passed)
                break
            at_s += fails_after_s
    return back, asked


@pytest.mark.parametrize("name", BACKOFFS)
@pytest.mark.parametrize(
    ("return_s", "fails_after_s", "again_each_s"),
    [(1.0, 0.0, 50.0), (0.4, 0.02, 50.0), (6.0, 2.5, FIRST_SYN_TIMEOUT_S)],
)
def test_clients_are_back_as_a_simulation_of_them_says(
    name: str, return_s: float, fails_after_s: float, again_each_s: float
) -> None:
    found = come_back(
        first_attempt(Instants.at(0.0), name),
        return_s,
        name,
        fails_after_s=fails_after_s,
        again_each_s=again_each_s,
    )
    back, asked = simulated(name, return_s, fails_after_s=fails_after_s, again_each_s=again_each_s)
    assert found.back.total == pytest.approx(1, abs=1e-6)
    assert found.asked.total == pytest.approx(asked / len(back), rel=TOLERANCE)
    for share in (0.1, 0.5, 0.9):
        late_s = float(np.quantile(back, share)) - return_s
        assert found.back.quantile_s(share) - return_s == pytest.approx(late_s, rel=TOLERANCE, abs=0.012)


def test_without_jitter_all_come_at_once_and_with_it_the_return_is_spread() -> None:
    peaks = {
        name: come_back(
            first_attempt(Instants.at(0.0), name), 1.0, name, fails_after_s=0.0
        ).back.most_within_s(0.1)
        for name in BACKOFFS
    }
    assert [peaks["doubling"], peaks["none"]] == pytest.approx([1, 1])
    assert peaks["jittered"] < 0.25


def test_shares_of_instants_add_up() -> None:
    rng = random.Random(1)
    instants = Instants.between(0.1, 0.35)
    assert sum(instants.in_bins(0.05)) == pytest.approx(1)
    assert instants.in_bins(0.05)[:2] == pytest.approx([0.0, 0.0])
    drawn = [rng.uniform(0.1, 0.35) + rng.uniform(0, 0.2) for _ in range(CLIENTS)]
    both = instants.later_by(Instants.between(0.0, 0.2))
    assert both.quantile_s(0.5) == pytest.approx(float(np.median(drawn)), abs=0.004)
    assert instants.until(0.2).total + instants.since(0.2).total == pytest.approx(1)
    assert np.isnan(Instants(np.zeros(3)).quantile_s(0.5))


def test_a_poll_that_asks_again_before_a_tick_is_due_has_it_a_cycle_later() -> None:
    """At 20 ms and 5 Hz, clients that poll each 0.3 s and wait up to 50 ms before they connect again."""
    rng, found_s = random.Random(2), []
    for _ in range(CLIENTS):
        asked_s = rng.uniform(0, 0.3)
        again_s = asked_s + 0.02 + rng.uniform(0, 0.05)
        found_s.append(again_s + 0.04 if again_s + 0.03 > 0.1 else asked_s + 0.3 + 0.02)
    theory = first_tick_by_poll(
        Instants.between(0.0, 0.3), "jittered", cycle_s=0.3, due_s=0.1, rtt_s=0.02, set_up_s=0.04
    )
    assert theory.total == pytest.approx(1)
    for share in (0.1, 0.5, 0.9):
        assert theory.quantile_s(share) == pytest.approx(float(np.quantile(found_s, share)), abs=0.005)


# Against a real link


@pytest.mark.alone
@pytest.mark.parametrize(("transport", "alone"), [("websocket", False), ("long_polling", True)])
def test_ticks_come_again_when_the_timer_of_a_real_kernel_ends(transport: str, alone: bool) -> None:
    need_box()
    scenario = Scenario(
        transport, clients=3, rtt_ms=20, incident="link_down", incident_s=1.2, warmup_s=0.1, window_s=2.5
    )
    figures = run_trial(scenario, seed=1).row
    outage_s = figures["outage_s"]
    arrived = arrived_again(Instants.at(0.05), 0.01, 0.01, outage_s, first_rto_s(0.02), alone=alone)
    low_ms, high_ms = medians_ms(arrived, outage_s)
    assert figures["missed"] == 0
    assert low_ms - 10 < figures["resumed_p50_ms"] < high_ms + 50
