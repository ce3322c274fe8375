"""The theory at its limits: where two transports become one, and what holds for all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.theory.age import long_polling_age_ms, polling_age_ms, push_age_ms
from bench.theory.distribution import Link, over_fan_out
from bench.theory.latency import (
    Plan,
    long_polling_latency,
    open_loop_cycle_s,
    paused_polling_latency,
    polling_latency,
    push_latency,
    short_polling_latency,
)
from tests.bench.theory.test_simulated import LINKS, NEAR, PLANS, RATES


@given(RATES, LINKS, st.sampled_from(PLANS))
def test_push_is_never_later_than_asking(rate_hz: float, link: Link, plan: Plan) -> None:
    push, held = push_latency(link), long_polling_latency(rate_hz, link, plan=plan)
    assert push.mean_ms <= held.mean_ms + 1e-9
    assert push_age_ms(rate_hz, link, plan=plan) <= (long_polling_age_ms(rate_hz, link, plan=plan) + 1e-6)
    assert held.mean_ms <= paused_polling_latency(0.0, link).mean_ms + 1e-9


@given(RATES, LINKS, st.floats(0.01, 0.99))
def test_a_quantile_is_the_inverse_of_the_cdf(rate_hz: float, link: Link, share: float) -> None:
    latency = long_polling_latency(rate_hz, link, plan="poisson")
    x_ms = latency.quantile_ms(share)
    assert latency.cdf(x_ms)[0] >= share - 1e-12
    assert latency.cdf(x_ms * (1 - 1e-9) - 1e-9)[0] <= share + 1e-6


def test_polling_without_end_is_push() -> None:
    assert polling_latency(1e-9, NEAR).mean_ms == pytest.approx(push_latency(NEAR).mean_ms)
    assert polling_age_ms(10, 1e-9, NEAR) == pytest.approx(push_age_ms(10, NEAR))


@pytest.mark.parametrize("plan", PLANS)
def test_long_polling_without_a_gap_is_push_and_with_a_long_one_polling(plan: Plan) -> None:
    at_once = Link()
    assert long_polling_latency(10, at_once, plan=plan).mean_ms == 0
    assert long_polling_age_ms(10, at_once, plan=plan) == pytest.approx(push_age_ms(10, at_once, plan=plan))
    long_way = Link(up_s=5.0, down_s=5.0)
    assert long_polling_latency(10, long_way, plan=plan).mean_ms == pytest.approx(
        paused_polling_latency(0.0, long_way).mean_ms
    )
    assert long_polling_age_ms(10, long_way, plan=plan) == pytest.approx(
        polling_age_ms(10, 10.0, long_way, plan=plan)
    )


@given(RATES, LINKS, st.floats(0.01, 2.0))
def test_the_age_of_steady_ticks_is_their_latency_and_half_a_period(
    rate_hz: float, link: Link, interval_s: float
) -> None:
    """Little's law, whatever the transport."""
    half_ms = 1e3 / rate_hz / 2
    cycle_s = open_loop_cycle_s(interval_s, link)
    assert polling_age_ms(rate_hz, cycle_s, link) - half_ms == pytest.approx(
        short_polling_latency(interval_s, link).mean_ms
    )
    assert long_polling_age_ms(rate_hz, link) - half_ms == pytest.approx(
        long_polling_latency(rate_hz, link).mean_ms
    )


def test_a_server_that_writes_to_one_after_the_other_delays_the_last() -> None:
    clients, per_client_s = 100, 0.0001
    latency = over_fan_out(push_latency, NEAR, clients=clients, per_client_s=per_client_s)
    push_ms = push_latency(NEAR).mean_ms
    assert latency.mean_ms - push_ms == pytest.approx((clients - 1) / 2 * per_client_s * 1e3)
    assert latency.max_ms - push_ms == pytest.approx((clients - 1) * per_client_s * 1e3)
    assert latency.quantile_ms(0.5) - push_ms == pytest.approx(4.9)
    assert latency.cdf([0.0, 1e9]).tolist() == pytest.approx([0.0, 1.0])
