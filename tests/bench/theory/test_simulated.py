"""The theory against a simulation that knows no formula, and at its limits."""

import math
import random
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.theory.age import long_polling_age_ms, polling_age_ms, push_age_ms
from bench.theory.distribution import Latency, Link
from bench.theory.latency import (
    Plan,
    closed_loop_cycle_s,
    long_polling_latency,
    mean_wait_ms,
    open_loop_cycle_s,
    paused_polling_latency,
    push_latency,
    short_polling_latency,
)
from bench.theory.requests import TicksPerAnswer, long_polling_ticks_per_answer, polling_ticks_per_answer
from tests import simulation
from tests.simulation import Outcome, World

KS_TOLERANCE = 0.03
MEAN_TOLERANCE = 0.02
CLIENTS = 16
TICKS = 2_000
PLANS: list[Plan] = ["steady", "poisson"]
NEAR = Link(up_s=0.001, down_s=0.001, service_s=0.0005)
FAR = Link(up_s=0.08, down_s=0.12, service_s=0.01, client_s=0.005)


def simulate(
    play: Callable[[World, float], Outcome], link: Link, plan: Plan, rate_hz: float, *, ticks: int = TICKS
) -> Outcome:
    """Return what some clients lived through, each with ticks of its own and its own place in the cycle."""
    outcomes = []
    for client in range(CLIENTS):
        due_s = simulation.due_times(plan, rate_hz, ticks, seed=client)
        world = World(
            due_s, up_s=link.up_s, down_s=link.down_s, service_s=link.service_s, client_s=link.client_s
        )
        outcomes.append(play(world, (client + 0.5) / CLIENTS))
    return simulation.together(outcomes)


def kolmogorov_smirnov(latencies_ms: np.ndarray, model: Latency) -> float:
    """Return the largest distance between the share of latencies up to x and what the model says of it.

    It is looked for just before and just after each latency, so that rounding does not split a point.
    """
    ordered = np.sort(latencies_ms)
    x_ms = np.concatenate([ordered - 1e-6, ordered + 1e-6])
    shares = np.searchsorted(ordered, x_ms, side="right") / len(ordered)
    return float(np.abs(shares - model.cdf(x_ms)).max())


def assert_latency(outcome: Outcome, model: Latency) -> None:
    latencies_ms = np.array(outcome.latencies_s) * 1e3
    assert latencies_ms.mean() == pytest.approx(model.mean_ms, rel=MEAN_TOLERANCE)
    assert latencies_ms.max() <= model.max_ms + 1e-6
    assert kolmogorov_smirnov(latencies_ms, model) <= KS_TOLERANCE


def assert_answers(outcome: Outcome, model: TicksPerAnswer) -> None:
    answers = np.array(outcome.ticks_per_answer)
    assert answers.mean() == pytest.approx(model.mean, rel=MEAN_TOLERANCE)
    assert (answers == 0).mean() == pytest.approx(model.empty_ratio, abs=0.01)
    assert outcome.requests / answers.sum() == pytest.approx(model.requests_per_delivery, rel=MEAN_TOLERANCE)
    for ticks, probability in zip(model.ticks, model.probability, strict=True):
        assert (answers == ticks).mean() == pytest.approx(probability, abs=0.02)


def assert_age(outcome: Outcome, age_ms: float) -> None:
    assert outcome.age_area_s2 / outcome.observed_s * 1e3 == pytest.approx(age_ms, rel=MEAN_TOLERANCE)


# Push


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("rate_hz", [3.0, 50.0])
@pytest.mark.parametrize("link", [NEAR, FAR])
def test_push(link: Link, rate_hz: float, plan: Plan) -> None:
    outcome = simulate(lambda world, phase: simulation.push(world), link, plan, rate_hz)
    assert_latency(outcome, push_latency(link))
    assert_age(outcome, push_age_ms(rate_hz, link, plan=plan))


# Short polling


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("interval_s", "rate_hz", "link"),
    [
        (0.5, 50.0, NEAR),
        (0.5, math.pi, NEAR),
        (0.1, 10 / math.e, NEAR),  # most answers are empty
        (1.0, 17.0, FAR),
        (0.1, 12.3, FAR),  # a round trip of 210 ms: two polls of three are skipped
    ],
)
def test_short_polling(interval_s: float, rate_hz: float, link: Link, plan: Plan) -> None:
    outcome = simulate(
        lambda world, phase: simulation.short_polling(world, interval_s, phase), link, plan, rate_hz
    )
    cycle_s = open_loop_cycle_s(interval_s, link)
    assert_latency(outcome, short_polling_latency(interval_s, link))
    assert_answers(outcome, polling_ticks_per_answer(rate_hz, cycle_s, plan=plan))
    assert_age(outcome, polling_age_ms(rate_hz, cycle_s, link, plan=plan))
    skipped_ratio = outcome.skipped / (outcome.requests + outcome.skipped)
    assert skipped_ratio == pytest.approx(1 - interval_s / cycle_s, abs=0.01)


def test_stratified_phases_make_steady_ticks_uniform_even_in_step_with_the_polls() -> None:
    """One client of them is in resonance: its ticks all wait equally long."""
    interval_s, rate_hz = 0.5, 2.0
    play = partial(simulation.short_polling, interval_s=interval_s)
    outcome = simulate(lambda world, phase: play(world, phase=phase), NEAR, "steady", rate_hz, ticks=100)
    model = short_polling_latency(interval_s, NEAR)
    assert np.mean(outcome.latencies_s) * 1e3 == pytest.approx(model.mean_ms, rel=MEAN_TOLERANCE)
    assert kolmogorov_smirnov(np.array(outcome.latencies_s) * 1e3, model) <= 1 / CLIENTS
    due_s = simulation.due_times("steady", rate_hz, 100, seed=0)
    alone = play(World(due_s, up_s=0, down_s=0.001, service_s=0), phase=0.3)
    assert np.ptp(alone.latencies_s) < 1e-9


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize(
    ("pause_s", "rate_hz", "link"),
    [(0.15, 4.3, FAR), (0.15, 29.3, FAR), (0.1, math.pi, NEAR), (0.0, 33.3, FAR)],
)
def test_polling_with_a_pause(pause_s: float, rate_hz: float, link: Link, plan: Plan) -> None:
    outcome = simulate(
        lambda world, phase: simulation.paused_polling(world, pause_s, phase), link, plan, rate_hz
    )
    cycle_s = closed_loop_cycle_s(pause_s, link)
    assert_latency(outcome, paused_polling_latency(pause_s, link))
    assert_answers(outcome, polling_ticks_per_answer(rate_hz, cycle_s, plan=plan))
    assert_age(outcome, polling_age_ms(rate_hz, cycle_s, link, plan=plan))


@pytest.mark.parametrize(("up_s", "down_s", "cycle_s"), [(0.1, 0.2, 0.3), (0.3, 0.3, 0.6), (0.1, 0.1, 0.2)])
def test_an_answer_of_whole_intervals_skips_no_poll_more(up_s: float, down_s: float, cycle_s: float) -> None:
    """0.1 + 0.2 is a little more than 0.3 in floats, and less by the clock."""
    assert open_loop_cycle_s(0.1, Link(up_s=up_s, down_s=down_s)) == pytest.approx(cycle_s)
    assert open_loop_cycle_s(0.1, Link(up_s=up_s, down_s=down_s + 1e-6)) == pytest.approx(cycle_s + 0.1)


def test_an_answer_of_whole_intervals_in_the_simulation() -> None:
    """Halves and quarters are exact in floats, so that the answer does come at the instant of a poll."""
    link = Link(up_s=0.25, down_s=0.5)
    outcome = simulate(
        lambda world, phase: simulation.short_polling(world, 0.25, phase), link, "poisson", 8.0
    )
    cycle_s = open_loop_cycle_s(0.25, link)
    assert cycle_s == 0.75
    assert_answers(outcome, polling_ticks_per_answer(8.0, cycle_s, plan="poisson"))


@pytest.mark.parametrize(("up", "down"), [("varies", "fixed"), ("fixed", "varies"), ("varies", "varies")])
def test_a_way_that_varies_makes_ticks_wait_longer(up: str, down: str) -> None:
    """The time between looks is the answer's way and the next request's: a mean and a deviation."""
    mean_s, outcomes = 0.05, []
    for client in range(CLIENTS):
        rng = random.Random(client)
        vary = partial(rng.expovariate, 1 / mean_s)
        ways = {"up_s": vary if up == "varies" else mean_s, "down_s": vary if down == "varies" else mean_s}
        due_s = simulation.due_times("poisson", 40.0, 2 * TICKS, seed=client)
        outcomes.append(simulation.paused_polling(World(due_s, service_s=0.0, **ways), 0.0, 0.0))
    outcome = simulation.together(outcomes)
    sd_s = mean_s * math.sqrt([up, down].count("varies"))
    expected_ms = mean_wait_ms(2 * mean_s, sd_s) + mean_s * 1e3
    assert np.mean(outcome.latencies_s) * 1e3 == pytest.approx(expected_ms, rel=2 * MEAN_TOLERANCE)
    fixed = paused_polling_latency(0.0, Link(up_s=mean_s, down_s=mean_s))
    assert mean_wait_ms(2 * mean_s) + mean_s * 1e3 == pytest.approx(fixed.mean_ms)
    assert expected_ms > 1.1 * fixed.mean_ms


def test_an_exponential_cycle_makes_a_wait_of_the_whole_cycle() -> None:
    assert mean_wait_ms(0.1, 0.1) + 50 == pytest.approx(150)


@pytest.mark.parametrize("way_s", [0.02, 0.0403, 0.125, 0.15])
def test_the_mean_of_pimentel_and_nickerson_is_ours(way_s: float) -> None:
    model = paused_polling_latency(0.15, Link(up_s=way_s, down_s=way_s))
    assert model.mean_ms == pytest.approx(2 * way_s * 1e3 + 75)
    with_service = paused_polling_latency(0.15, Link(up_s=way_s, down_s=way_s, service_s=0.01))
    assert with_service.mean_ms - model.mean_ms == pytest.approx(15)


# Long polling


@pytest.mark.parametrize(
    ("rate_hz", "link"),
    [
        (50.0, NEAR),
        (4.0, FAR),
        (5.0, FAR),  # the period is 200 ms, the gap 215 ms: just over the edge
        (7 * math.sqrt(2), FAR),
        (31.7, FAR),
    ],
)
def test_long_polling_of_steady_ticks(rate_hz: float, link: Link) -> None:
    outcome = simulate(lambda world, phase: simulation.long_polling(world, phase), link, "steady", rate_hz)
    assert_latency(outcome, long_polling_latency(rate_hz, link))
    assert_answers(outcome, long_polling_ticks_per_answer(rate_hz, link.turnaround_s))
    assert_age(outcome, long_polling_age_ms(rate_hz, link))


def test_long_polling_in_step_with_steady_ticks_waits_less() -> None:
    """A gap of p/q periods: the waits are 0, τ/q … g − τ/q, on average g/2 − τ/(2q)."""
    period_s = 0.25
    for p, q in [(1, 1), (2, 1), (3, 2), (5, 4)]:
        gap_s = period_s * p / q
        world = World(
            simulation.due_times("steady", 1 / period_s, 2_000, seed=0), up_s=gap_s, down_s=0.0, service_s=0.0
        )
        outcome = simulation.long_polling(world, phase=-gap_s)
        settled_s = outcome.latencies_s[100:]
        assert np.mean(settled_s) == pytest.approx(gap_s / 2 - period_s / (2 * q), abs=1e-3)


@pytest.mark.parametrize("hold_s", [math.inf, 0.3])
@pytest.mark.parametrize(("rate_hz", "link"), [(0.5, FAR), (4.0, FAR), (20.0, FAR), (50.0, NEAR)])
def test_long_polling_of_poisson_ticks(rate_hz: float, link: Link, hold_s: float) -> None:
    outcome = simulate(
        lambda world, phase: simulation.long_polling(world, phase, hold_s), link, "poisson", rate_hz
    )
    assert_latency(outcome, long_polling_latency(rate_hz, link, plan="poisson", hold_s=hold_s))
    answers = long_polling_ticks_per_answer(rate_hz, link.turnaround_s, hold_s=hold_s, plan="poisson")
    assert_answers(outcome, answers)
    assert_age(outcome, long_polling_age_ms(rate_hz, link, plan="poisson", hold_s=hold_s))


@pytest.mark.parametrize(("hold_s", "time_outs"), [(1.0, 0), (0.4, 2), (0.25, 3)])
def test_requests_time_out_between_sparse_steady_ticks(hold_s: float, time_outs: int) -> None:
    outcome = simulate(
        lambda world, phase: simulation.long_polling(world, phase, hold_s), NEAR, "steady", 1.0, ticks=200
    )
    model = long_polling_ticks_per_answer(1.0, NEAR.turnaround_s, hold_s=hold_s)
    assert_answers(outcome, model)
    assert model.empty_per_tick == pytest.approx(time_outs)


@pytest.mark.parametrize(
    ("rate_hz", "hold_s", "requests"),
    [(1 / 60, 30.0, 2), (1 / 90, 30.0, 3), (1 / 30, 30.0, 1), (1 / 3, 0.1, 30)],
)
def test_a_period_of_whole_holds_has_no_request_more(rate_hz: float, hold_s: float, requests: int) -> None:
    """The next request takes some time to come, however little, so the last hold outlasts the period."""
    for gap_s in (0.0, 1e-12, 1e-6):
        answers = long_polling_ticks_per_answer(rate_hz, gap_s, hold_s=hold_s)
        assert answers.requests_per_delivery == pytest.approx(requests)


@pytest.mark.parametrize("gap_s", [0.0, 2**-12])
def test_a_period_of_whole_holds_in_the_simulation(gap_s: float) -> None:
    """Where a tick comes at the very end of a hold, the request is still there."""
    link = Link(up_s=gap_s)
    outcome = simulate(
        lambda world, phase: simulation.long_polling(world, phase, 0.5), link, "steady", 1.0, ticks=200
    )
    assert_answers(outcome, long_polling_ticks_per_answer(1.0, gap_s, hold_s=0.5))


def test_latency_of_steady_ticks_with_time_outs_between_them_is_refused() -> None:
    with pytest.raises(ValueError, match="make it longer"):
        long_polling_latency(0.1, NEAR, hold_s=5.0)


def test_the_longest_latency_of_long_polling_is_three_transits() -> None:
    """RFC 6202, section 2.2: answer, next request, answer."""
    link = Link(up_s=0.05, down_s=0.05)
    for plan in PLANS:
        assert long_polling_latency(100.0, link, plan=plan).max_ms == pytest.approx(150)


# Any parameters


LINKS = st.builds(Link, *[st.floats(0.001, 0.1)] * 4)
RATES = st.floats(0.5, 40.0)


@settings(max_examples=8)
@given(RATES, LINKS, st.floats(0.05, 2.0))
def test_any_short_polling_of_poisson_ticks(rate_hz: float, link: Link, interval_s: float) -> None:
    assume(rate_hz * interval_s > 0.2)  # or the simulation has little but empty answers to do
    outcome = simulate(
        lambda world, phase: simulation.short_polling(world, interval_s, phase), link, "poisson", rate_hz
    )
    cycle_s = open_loop_cycle_s(interval_s, link)
    assert_latency(outcome, short_polling_latency(interval_s, link))
    assert_age(outcome, polling_age_ms(rate_hz, cycle_s, link, plan="poisson"))


@settings(max_examples=8)
@given(RATES, LINKS, st.floats(0.2, 60.0))
def test_any_long_polling_of_poisson_ticks(rate_hz: float, link: Link, hold_s: float) -> None:
    outcome = simulate(
        lambda world, phase: simulation.long_polling(world, phase, hold_s), link, "poisson", rate_hz
    )
    assert_latency(outcome, long_polling_latency(rate_hz, link, plan="poisson", hold_s=hold_s))
    assert_age(outcome, long_polling_age_ms(rate_hz, link, plan="poisson", hold_s=hold_s))
