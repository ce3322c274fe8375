"""What theory says of distance: round trips, and where long polling turns into polling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.theory import distance
from bench.theory.distribution import Link
from bench.theory.latency import long_polling_latency

RATES_HZ = st.sampled_from([0.5, 2.0, 8.0, 16.0, 50.0])
RTTS_S = st.sampled_from([0.004, 0.02, 0.05, 0.1, 0.3])


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
