"""Figures from raw samples: by hand, and against slow and obvious definitions."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.results.deliveries import Deliveries, WindowTicks, expected_deliveries
from bench.results.figures import (
    age_of_information_ms,
    delivery_counts,
    first_answer_figures,
    foreign_cpu_ratio,
    late_ratio,
    latency_figures,
    traffic_figures,
    traffic_per_second,
)
from bench.results.observation import CoreTimes, Snapshot, Usage
from bench.results.statistics import interval, percentile, ticks_needed
from clients.load.orders import Reading

MS = 1_000_000


def rows(*deliveries: tuple[int, ...]) -> Deliveries:
    """Build deliveries from (client, seq, due_ms, arrived_ms), handled 1 ms later."""
    return np.array(
        [(c, seq, due * MS, arrived * MS, (arrived + 1) * MS, 0) for c, seq, due, arrived in deliveries],
        dtype=np.int64,
    ).reshape(-1, 6)


WINDOW = WindowTicks(first_seq=2, last_seq=4, start_ns=100 * MS, end_ns=400 * MS)


def test_all_delivered() -> None:
    deliveries = rows((0, 1, 0, 1), (0, 2, 100, 101), (0, 3, 200, 201), (0, 4, 300, 301), (0, 5, 400, 401))
    counts = delivery_counts(deliveries, WINDOW, expected=3, contract="every")
    assert counts == {
        "expected": 3, "delivered": 3, "missed": 0, "duplicates": 0, "out_of_order": 0, "superseded": 0,
    }  # fmt: skip


def test_each_client_is_to_get_each_tick_of_the_window() -> None:
    assert expected_deliveries(WINDOW, clients=5) == 15
    assert expected_deliveries(WindowTicks(2, 1, 0, 1), clients=5) == 0  # a silent market


def test_a_tick_lost_to_all_is_missed() -> None:
    deliveries = rows((0, 2, 100, 101), (0, 4, 300, 301), (1, 2, 100, 101), (1, 4, 300, 301))
    counts = delivery_counts(deliveries, WINDOW, expected=6, contract="every")
    assert (counts["expected"], counts["delivered"], counts["missed"]) == (6, 4, 2)


def test_doubled_and_disordered_ticks_are_counted() -> None:
    deliveries = rows(
        (0, 2, 100, 101), (0, 4, 300, 301), (0, 3, 200, 302), (0, 3, 200, 303), (1, 2, 100, 104)
    )
    counts = delivery_counts(deliveries, WINDOW, expected=3, contract="every")
    assert (counts["duplicates"], counts["out_of_order"]) == (1, 1)


def test_under_latest_what_is_skipped_is_superseded() -> None:
    counts = delivery_counts(rows((0, 4, 300, 301)), WINDOW, expected=3, contract="latest")
    assert (counts["missed"], counts["superseded"], counts["delivered"]) == (0, 2, 1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), max_size=30))
def test_counts_agree_with_a_naive_count(arrivals: list[tuple[int, int]]) -> None:
    deliveries = rows(*((c, seq, seq * 100, 1000 + i) for i, (c, seq) in enumerate(arrivals)))
    counts = delivery_counts(deliveries, WINDOW, expected=9, contract="every")
    own = [(c, seq) for c, seq in arrivals if 2 <= seq <= 4]
    assert counts["delivered"] == len(set(own))
    assert counts["duplicates"] == len(own) - len(set(own))
    assert counts["missed"] == 9 - len(set(own))
    backwards = 0
    for client in range(3):
        seqs = [seq for c, seq in own if c == client]
        backwards += sum(later < earlier for earlier, later in itertools.pairwise(seqs))
    assert counts["out_of_order"] == backwards


def test_latency_is_from_due_to_arrival() -> None:
    deliveries = rows(*((0, seq, seq * 100, seq * 100 + seq) for seq in range(1, 401)))
    figures = latency_figures(deliveries, WindowTicks(1, 400, 0, 1))
    assert figures["latency_p50_ms"] == pytest.approx(200.5)
    assert figures["latency_p99_ms"] == pytest.approx(396.01)
    assert figures["latency_max_ms"] == 400
    assert math.isnan(figures["latency_p999_ms"])


def test_a_percentile_that_the_ticks_cannot_carry_is_empty() -> None:
    assert [ticks_needed(q) for q in (0.5, 0.9, 0.99, 0.999)] == [6, 36, 368, 3688]
    many_clients = np.zeros(1_000_000)
    assert math.isnan(percentile(many_clients, 0.99, ticks=367))
    assert percentile(many_clients, 0.99, ticks=368) == 0


def test_age_of_a_steady_push_is_latency_plus_half_a_period() -> None:
    deliveries = rows(*((client, seq, seq * 100, seq * 100 + 5) for client in (0, 1) for seq in range(1, 12)))
    window = WindowTicks(2, 10, 200 * MS, 1000 * MS)
    assert age_of_information_ms(deliveries, window) == pytest.approx(5 + 50)


def test_age_of_a_client_that_holds_one_tick_grows_all_along() -> None:
    window = WindowTicks(1, 1, 0, 1000 * MS)
    assert age_of_information_ms(rows((0, 1, 0, 0)), window) == pytest.approx(500)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 20), st.integers(0, 40)),
        min_size=1,
        max_size=25,
        unique=True,
    )
)
def test_age_agrees_with_sampling_it(ticks: list[tuple[int, int, int]]) -> None:
    """Sample every client's age at the middle of each millisecond; arrivals are on whole milliseconds."""
    deliveries = rows(*((c, seq, seq * 10, seq * 10 + lag) for c, seq, lag in ticks))
    window = WindowTicks(1, 20, 50 * MS, 200 * MS)
    ages = []
    for client in range(3):
        own = [(seq * 10 + lag, seq * 10) for c, seq, lag in ticks if c == client]
        for step in range(50, 200):
            held = [due for arrived, due in own if arrived <= step]
            if held:
                ages.append(step + 0.5 - max(held))
    measured = age_of_information_ms(deliveries, window)
    if ages:
        assert measured == pytest.approx(sum(ages) / len(ages))
    else:
        assert math.isnan(measured)


def reading(**fields: Any) -> Reading:
    return Reading(**{name: 0 for name in Reading.__struct_fields__} | {"wire": None} | fields)


def test_traffic_is_divided_by_the_ticks_between_the_readings() -> None:
    before = reading(
        delivered=100, requests=10, bytes_up=500, bytes_down=1000, wire=[100, 200, 52, 104, 1, 2, 0]
    )
    after = reading(
        delivered=110, requests=30, bytes_up=700, bytes_down=3000, wire=[300, 2200, 572, 624, 11, 12, 3]
    )
    figures = traffic_figures(before, after, payload_bytes=96)
    assert figures["requests_per_delivery"] == 2
    assert figures["app_bytes_per_delivery_up"] == 20
    assert figures["app_bytes_per_delivery_down"] == 200
    assert figures["wire_bytes_per_delivery_up"] == (200 + 520) / 10
    assert figures["wire_bytes_per_delivery_down"] == (2000 + 520) / 10
    assert figures["packets_per_delivery_up"] == 1
    assert figures["retransmits"] == 3


def test_without_ticks_nothing_is_divided() -> None:
    figures = traffic_figures(reading(), reading(requests=5, empty_responses=5), payload_bytes=96)
    assert figures["empty_responses"] == 5
    assert "requests_per_delivery" not in figures


# Intervals


def test_interval_of_one_trial_is_none() -> None:
    estimate = interval([3.0])
    assert estimate.estimate == pytest.approx(3)
    assert math.isnan(estimate.low)


def test_interval_is_students_t_on_logarithms() -> None:
    estimate = interval([1.0, math.e, math.e**2])
    assert estimate.estimate == pytest.approx(math.e)
    assert math.log(estimate.high) == pytest.approx(1 + 4.302653 / math.sqrt(3))


def test_zeros_are_averaged_as_they_are() -> None:
    assert interval([0.0, 0.0, 0.0]) == (0, 0, 0)
    assert interval([math.nan, 2.0]).estimate == pytest.approx(2)
    assert math.isnan(interval([]).estimate)


@pytest.mark.parametrize("repeats", [5, 10])
def test_the_interval_covers_the_true_value_as_often_as_it_says(repeats: int) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(4_000):
        low, high = interval(list(np.exp(rng.normal(2.0, 0.3, repeats))))[1:]
        covered += low <= math.exp(2.0) <= high
    assert 0.93 <= covered / 4_000 <= 0.97


# What a client costs beyond its ticks


def test_late_are_those_beyond_the_limit_and_those_that_never_came() -> None:
    window = WindowTicks(1, 2, 0, 100)
    ms = 1_000_000
    rows = np.array([(0, 1, 0, 99 * ms, 0, 0), (0, 2, 50, 101 * ms + 50, 0, 0), (1, 1, 0, 100 * ms, 0, 0)])
    assert late_ratio(rows, window, expected=4, limit_ms=100) == pytest.approx(0.5)
    assert math.isnan(late_ratio(rows, WindowTicks(2, 1, 0, 100), expected=0, limit_ms=100))


def test_traffic_per_second_does_not_need_ticks() -> None:
    before = reading(at_ns=0, requests=10, wire=[100, 200, 52, 104, 1, 2, 0])
    after = reading(at_ns=2 * 10**9, requests=30, wire=[300, 600, 156, 312, 3, 6, 0])
    figures = traffic_per_second(before, after, clients=5)
    assert figures == {
        "requests_per_client_s": 2,
        "wire_bytes_per_client_s_up": pytest.approx((200 + 104) / 10),
        "wire_bytes_per_client_s_down": pytest.approx((400 + 208) / 10),
    }
    assert traffic_per_second(reading(), reading(at_ns=10**9), clients=1) == {"requests_per_client_s": 0}


# What others took


def snapshot(busy_s: float, **cpu_s: float) -> Snapshot:
    """Return a snapshot of two cores, an hour of which has passed on each at least."""
    ours = {name: Usage(0, round(spent_s * 1e9)) for name, spent_s in cpu_s.items()}
    return Snapshot(ours, CoreTimes(7_200 + 2 * busy_s, busy_s, 0.0), 0)


def test_foreign_is_what_is_busy_beyond_ours() -> None:
    start = snapshot(0, subject=5, load=3, harness=60)
    end = snapshot(10, subject=9, load=4, harness=61)
    assert foreign_cpu_ratio(start, end) == pytest.approx((10 - 4 - 1 - 1) / 20)


def test_more_than_is_busy_is_not_less_than_nothing_foreign() -> None:
    assert foreign_cpu_ratio(snapshot(0, subject=0), snapshot(1, subject=1.01)) == 0.0


def test_time_that_did_not_pass_is_not_foreign() -> None:
    assert foreign_cpu_ratio(snapshot(1, load=1), snapshot(1, load=1)) == 0.0


def test_layers_add_up_to_the_wire() -> None:
    before = reading(wire=[0] * 7)
    after = reading(delivered=10, bytes_up=500, bytes_down=2_000, connections=10,
                    wire=[720, 2_220, 520, 1_040, 10, 20, 0])  # fmt: skip
    figures = traffic_figures(before, after, payload_bytes=128)
    assert figures["tls_bytes_per_delivery_up"] == figures["tls_bytes_per_delivery_down"] == 22
    assert figures["connections_per_1000_deliveries"] == 1_000
    for way, headers in (("up", 52), ("down", 104)):
        layers = figures[f"app_bytes_per_delivery_{way}"] + figures[f"tls_bytes_per_delivery_{way}"] + headers
        assert figures[f"wire_bytes_per_delivery_{way}"] == layers


def test_the_first_answer_is_per_client() -> None:
    assert first_answer_figures([100, 200, 52, 104, 1, 2, 0], clients=2) == {
        "first_answer_wire_bytes_up": 76,
        "first_answer_wire_bytes_down": 152,
    }
    assert first_answer_figures(None, clients=2) == {}
