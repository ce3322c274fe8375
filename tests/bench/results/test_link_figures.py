"""Figures of the link, from two readings; and what is wrong with a trial whose link was not true."""

from typing import Any

import pytest

from bench.network.namespaces import EndCounts
from bench.network.way import Counts
from bench.results.link_figures import lag_quantile_ms, lags_since, link_figures
from bench.results.observation import ROUTER, LinkReading, Usage
from bench.results.validity import Bottleneck, Fault, assess, find_faults
from bench.wording import validity_sentence
from tests.bench.measure.test_trial import GOOD, SCENARIO, observe_fakes, trial_of

S = 1_000_000_000


def reading(at_ns: int, times: int) -> LinkReading:
    """Return what a router would have counted after so many times the same."""
    return LinkReading(
        at_ns=at_ns,
        up=Counts(*(times * each for each in (100, 6_000, 1, 2, 0, 3, S // 10))),
        down=Counts(*(times * each for each in (100, 30_000, 4, 0, 5, 0, S // 2))),
        lags={3: 99 * times, 400: times},
        near=EndCounts(2 * times, 0, 0),
        far=EndCounts(7 * times, times, 9),
        stopped={},
    )


def link_row(**change: Any) -> dict[str, Any]:
    observation, _, _ = observe_fakes(SCENARIO)
    observation.__dict__.update(
        start=observation.start._replace(
            ours={**observation.start.ours, ROUTER: Usage(S, 0)}, link=reading(S, 1)
        ),
        end=observation.end._replace(
            ours={**observation.end.ours, ROUTER: Usage(2 * S, S // 100)}, link=reading(2 * S, 2)
        ),
        link_rtt_ms=40.2,
    )
    return link_figures(observation) | change


def test_figures_are_what_came_between_two_readings() -> None:
    row = link_row()
    assert row["link_packets"] == 200
    assert (row["link_lost_data"], row["link_lost_acks"], row["link_overflows"]) == (5, 2, 8)
    assert (row["link_retransmits"], row["router_drops"]) == (9, 1)
    assert row["link_busy_ratio"] == pytest.approx(0.5)
    assert row["router_cpu_ratio"] == pytest.approx(0.01)
    assert row["router_cpu_us_per_packet"] == pytest.approx(50)
    assert row["link_rtt_ms"] == 40.2


def test_loopback_has_no_figures_of_a_link() -> None:
    assert not any(name.startswith(("link_", "router_")) for name in trial_of(SCENARIO).row)


def test_a_lag_is_told_by_the_upper_end_of_its_step() -> None:
    assert lag_quantile_ms({0: 99, 500: 1}, 0.99) == pytest.approx(0.01)
    assert lag_quantile_ms({0: 98, 500: 2}, 0.99) == pytest.approx(5.01)
    assert lag_quantile_ms({}, 0.99) != lag_quantile_ms({}, 0.99)  # NaN
    assert lags_since(reading(0, 1), reading(1, 1)) == {}


BOX = {
    "rtt_ms": 40.0, "router_lag_p99_ms": 0.3, "router_drops": 0, "link_busy_ratio": 0.2, "link_overflows": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "fault", "word"),
    [
        ({}, None, ""),
        ({"router_lag_p99_ms": 1.9}, None, ""),  # within 5 % of 40 ms
        ({"router_lag_p99_ms": 2.1}, Fault.ROUTER_LAG, "2.1 ms too long (p99), at an RTT of 40 ms"),
        ({"router_lag_p99_ms": 1.1, "rtt_ms": 2.0}, Fault.ROUTER_LAG, "1.1 ms too long"),
        ({"router_lag_p99_ms": 0.9, "rtt_ms": 0.0}, None, ""),
        ({"router_drops": 3}, Fault.ROUTER_DROPS, "too slow for 3 packets"),
    ],
)
def test_a_router_that_was_late_makes_the_trial_suspect(
    change: dict[str, Any], fault: Fault | None, word: str
) -> None:
    row = {**GOOD, **BOX, **change}
    assert find_faults(row) == (() if fault is None else (fault,))
    assert assess(row).verdict == ("ok" if fault is None else "suspect")
    if fault is not None:
        assert word in validity_sentence(row | {"verdict_reason": fault.value, "verdict_note": ""})


@pytest.mark.parametrize("change", [{"link_busy_ratio": 0.97}, {"link_overflows": 1}])
def test_a_full_link_is_a_finding_and_no_fault(change: dict[str, Any]) -> None:
    found = assess({**GOOD, **BOX, **change, "server_cpu_ratio": 0.99})
    assert (found.verdict, found.bottleneck) == ("ok", Bottleneck.LINK)
