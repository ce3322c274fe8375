"""The decision charts: the models at their borders, and what is read from a run."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judge.choice import ASSUMED_PERIODS, MOVED_RATIO, Touch, cpu_chart, equal_bytes_s, wire_chart
from bench.results.evidence import Evidence, NotMeasured
from bench.theory.break_even import crossover_latency_s, equal_bytes_interval_s
from bench.theory.cheapest import (
    QUANTILE,
    Work,
    cpu_costs,
    decision_map,
    longest_interval_s,
    polling_from_s,
    ranked,
    wire_costs,
)
from bench.theory.distribution import Link
from bench.theory.latency import short_polling_latency
from bench.theory.traffic import push_traffic
from bench.transports import main_names
from bench.wording import number
from tests.synthetic import synthetic_run, trial

LATENCIES_S = np.geomspace(0.02, 100, 30).tolist()
PAYLOAD_BYTES = 128
SLOWED = 30.0
NO_TOUCH: Touch = {"hold_s": math.inf, "heartbeat_s": math.inf}
RATES = st.floats(0.01, 500)
WORK = Work(14e-6, 71e-6, 70e-6, 93e-6, 96e-6, 8e-6)


def test_where_polling_begins_is_the_crossover_of_the_theory() -> None:
    costs = cpu_costs(WORK, **NO_TOUCH)
    expected_s = crossover_latency_s(
        5.0, cpu_s_per_delivery=14e-6, cpu_s_per_request=96e-6, cpu_s_per_tick=8e-6, quantile=QUANTILE
    )
    assert polling_from_s(costs, 5.0, LATENCIES_S) == pytest.approx(expected_s, rel=0.005)


def test_where_polling_begins_it_costs_the_bytes_of_push() -> None:
    costs = wire_costs(PAYLOAD_BYTES, "minimal", **NO_TOUCH)
    pushed = push_traffic(PAYLOAD_BYTES).wire_bytes
    interval_s = equal_bytes_interval_s(
        5.0, lambda interval_s: costs["short_polling"](5.0, QUANTILE * interval_s) / 5.0, pushed
    )
    assert polling_from_s(costs, 5.0, LATENCIES_S) == pytest.approx(QUANTILE * interval_s, rel=0.02)


def test_who_cannot_keep_a_promise_over_a_way_is_not_the_cheapest() -> None:
    near, far = (wire_costs(PAYLOAD_BYTES, "minimal", way_s=way_s, **NO_TOUCH) for way_s in (0.0, 0.05))
    for name, kept_from_s in (("websocket", 0.05), ("short_polling", 0.05 + QUANTILE * 0.1)):
        assert far[name](5.0, kept_from_s - 0.001) == math.inf
        assert far[name](5.0, kept_from_s + 0.001) < math.inf
    assert far["websocket"](5.0, 0.06) == near["websocket"](5.0, 0.06)
    assert far["short_polling"](5.0, 1.05) == pytest.approx(near["short_polling"](5.0, 1.0))
    assert far["long_polling"](0.01, 0.051) < math.inf  # a tick finds a question there
    assert far["long_polling"](500.0, 0.14) == math.inf  # it waits for the next one
    assert far["long_polling"](500.0, 0.16) < far["websocket"](500.0, 0.16)  # and shares its answer
    before_s, after_s = (polling_from_s(costs, 2.0, LATENCIES_S) for costs in (near, far))
    assert after_s - before_s == pytest.approx(0.05, rel=0.05)
    nobody = {name: far[name] for name in ("websocket", "short_polling")}
    assert polling_from_s(nobody, 2.0, [0.01, 0.02, 0.03]) == math.inf


def test_polling_that_always_or_never_is_the_cheapest() -> None:
    free = WORK._replace(poll_s=1e-9, poll_tick_s=0.0)
    assert polling_from_s(cpu_costs(free, **ASSUMED_PERIODS), 5.0, LATENCIES_S) == LATENCIES_S[0]
    dear = WORK._replace(poll_tick_s=1.0)
    assert polling_from_s(cpu_costs(dear, **ASSUMED_PERIODS), 5.0, LATENCIES_S) == math.inf


@given(RATES, st.floats(0.02, 50))
def test_who_accepts_more_pays_no_more(rate_hz: float, latency_s: float) -> None:
    for costs in (
        cpu_costs(WORK, **ASSUMED_PERIODS),
        wire_costs(PAYLOAD_BYTES, "minimal", **ASSUMED_PERIODS),
    ):
        (_, least), (_, relaxed) = (ranked(costs, rate_hz, each)[0] for each in (latency_s, 2 * latency_s))
        assert relaxed <= least * 1.1  # a segment more or less


@given(RATES)
def test_headers_are_paid_per_request(rate_hz: float) -> None:
    minimal, browser = (
        wire_costs(PAYLOAD_BYTES, headers, **ASSUMED_PERIODS) for headers in ("minimal", "browser")
    )
    for name in ("short_polling", "long_polling"):
        assert browser[name](rate_hz, 1.0) > minimal[name](rate_hz, 1.0)
    assert browser["websocket"](rate_hz, 1.0) == minimal["websocket"](rate_hz, 1.0)


def test_the_wait_of_the_unluckiest_but_one_in_a_hundred_is_the_latency() -> None:
    assert QUANTILE * longest_interval_s(3.0) == pytest.approx(3.0)


def test_a_map_has_every_pair_once() -> None:
    chart = decision_map(cpu_costs(WORK, **ASSUMED_PERIODS), [1.0, 10.0], [0.1, 1.0, 10.0])
    assert list(zip(chart["rate_hz"], chart["latency_s"], strict=True)) == list(
        itertools.product([1.0, 10.0], [0.1, 1.0, 10.0])
    )
    assert set(main_names()) <= set(chart.columns)


def measured(
    *, payload_bytes: int = 128, idle_each_s: float = 1.0, silent_us: float = 70.0
) -> list[dict[str, Any]]:
    """Return trials in which polling each second is cheaper than push at 50 Hz, and each 0.1 s dearer."""
    rows = []
    size = {"payload_bytes": payload_bytes}
    for name, cpu_us in (("websocket", 700.0), ("long_polling", 3500.0)):
        figures = {"server_cpu_us_per_client_s": cpu_us, "server_cpu_us_per_delivery": cpu_us / 50}
        figures |= {"wire_bytes_per_delivery_up": 52.0, "wire_bytes_per_delivery_down": 10.0 * cpu_us}
        figures |= {"requests_per_delivery": 0.0, "server_cpu_ratio": 0.5}
        rows.append(trial("interval", name, figures, clients=100, rate_hz=50.0, **size))
        touch = {"heartbeat_s": idle_each_s} if name == "websocket" else {"hold_s": idle_each_s}
        in_touch = {"clients": 1000, "rate_hz": 0.0, "window_s": 10 * idle_each_s, **touch}
        rows.append(trial("idle", name, {"server_cpu_us_per_client_s": silent_us / idle_each_s}, **in_touch))
    for interval_s in (0.1, 0.5, 1.0):
        cpu_us = 100 / interval_s + 50 * 8
        figures = {"server_cpu_us_per_client_s": cpu_us, "server_cpu_us_per_delivery": cpu_us / 50}
        figures |= {"requests_per_delivery": 1 / interval_s / 50, "server_cpu_ratio": 0.5}
        figures |= {"wire_bytes_per_delivery_up": 52.0, "wire_bytes_per_delivery_down": 10.0 * cpu_us}
        asked = {"clients": 100, "rate_hz": 50.0, "poll_interval_s": interval_s, **size}
        rows.append(trial("interval", "short_polling", figures, **asked))
    return rows


def test_measured_points_name_the_cheapest() -> None:
    evidence = Evidence(synthetic_run(*measured()).trials)
    for chart in (cpu_chart(evidence), wire_chart(evidence)):
        found = dict(zip(chart.points["latency_s"].round(3), chart.points["transport"], strict=True))
        assert found == {0.099: "websocket", 0.495: "short_polling", 0.99: "short_polling"}
        assert (chart.points["saved_ratio"] >= 1).all()


def streamed(cpu_us: float, wire_bytes: float) -> list[dict[str, Any]]:
    """Return trials of server-sent events beside those of ``measured``."""
    stream = "server_sent_events"
    figures = {"server_cpu_us_per_client_s": cpu_us, "server_cpu_us_per_delivery": cpu_us / 50}
    figures |= {"wire_bytes_per_delivery_up": 52.0, "wire_bytes_per_delivery_down": wire_bytes}
    figures |= {"requests_per_delivery": 0.0, "server_cpu_ratio": 0.5}
    silent = {"server_cpu_us_per_client_s": 10.0}
    return [
        trial("interval", stream, figures, clients=100, rate_hz=50.0, payload_bytes=128),
        trial("idle", stream, silent, clients=1000, rate_hz=0.0, window_s=10.0, heartbeat_s=1.0),
    ]


def test_server_sent_events_contend_where_they_were_measured() -> None:
    """By bytes they are dearer for a tick than WebSocket, and cheaper for a heartbeat."""
    without, with_them = (
        Evidence(synthetic_run(*rows).trials) for rows in (measured(), measured() + streamed(600.0, 6500.0))
    )
    assert not {"server_sent_events"} & {*wire_chart(without).costs, *cpu_chart(without).costs}
    chart = wire_chart(with_them)
    assert [ranked(chart.costs, rate_hz, 0.05)[0][0] for rate_hz in (0.05, 1.0)] == [
        "server_sent_events", "websocket",
    ]  # fmt: skip
    points = cpu_chart(with_them).points
    assert points["transport"].tolist()[0] == "server_sent_events"


def test_a_point_needs_all_that_contend() -> None:
    stream = [
        {**row, "clients": 50 if row["clients"] == 100 else row["clients"]} for row in streamed(600.0, 6500.0)
    ]
    evidence = Evidence(synthetic_run(*measured(), *stream).trials)
    assert not len(wire_chart(evidence).points)


def test_another_library_takes_the_place_of_its_own_protocol_only() -> None:
    picows = trial(
        "library",
        "websocket_picows",
        {"server_cpu_us_per_delivery": 4.0, "server_cpu_ratio": 0.5, "requests_per_delivery": 0.0},
        clients=100,
        rate_hz=50.0,
        payload_bytes=128,
    )
    chart = cpu_chart(Evidence(synthetic_run(*measured(), *streamed(600.0, 6500.0), picows).trials))
    other = chart.others["WebSocket by picows"]
    assert other["server_sent_events"](50.0, 1.0) == chart.costs["server_sent_events"](50.0, 1.0)
    assert other["websocket"](50.0, 1.0) < chart.costs["websocket"](50.0, 1.0)


def test_the_chart_of_cpu_is_made_of_measured_work() -> None:
    chart = cpu_chart(Evidence(synthetic_run(*measured()).trials))
    assert chart.polling_from_s(50.0)[""] == pytest.approx(QUANTILE * 100 / (700 - 400), rel=0.02)


def slowed(heartbeat_s: float, hold_s: float) -> list[dict[str, Any]]:
    rows = []
    for row in measured():
        if row["experiments"] != "idle":
            touch = {"websocket": {"heartbeat_s": heartbeat_s}, "long_polling": {"hold_s": hold_s}}
            rows.append({**row, "experiments": "rate", **touch.get(row["transport"], {})})
    return rows


@pytest.mark.parametrize("ratio", [1.0, 10.0, SLOWED])
def test_a_slowed_service_stands_where_it_stands_for(ratio: float) -> None:
    """By how much, its own heartbeats and holds say: no constant of the program."""
    rows = slowed(ASSUMED_PERIODS["heartbeat_s"] / ratio, ASSUMED_PERIODS["hold_s"] / ratio)
    points = wire_chart(Evidence(synthetic_run(*rows).trials)).points
    assert points["rate_hz"].tolist() == pytest.approx([50 / ratio] * 3)
    assert points["latency_s"].tolist() == pytest.approx([QUANTILE * t * ratio for t in (0.1, 0.5, 1.0)])


def test_a_run_that_stays_in_touch_in_another_way_is_no_point_of_the_map() -> None:
    rows = slowed(ASSUMED_PERIODS["heartbeat_s"] / SLOWED, ASSUMED_PERIODS["hold_s"])
    assert not len(wire_chart(Evidence(synthetic_run(*rows).trials)).points)


def test_ticks_of_another_size_have_a_map_of_their_own() -> None:
    chart = wire_chart(Evidence(synthetic_run(*measured(payload_bytes=512)).trials))
    assert (chart.payload_bytes, len(chart.points)) == (512, 3)
    pushed = push_traffic(512).wire_bytes
    assert chart.costs["websocket"](50.0, 1.0) == pytest.approx(50 * pushed, rel=0.01)


@pytest.mark.parametrize("idle_each_s", [0.5, 1.0, 3.0])
def test_what_a_heartbeat_takes_is_read_at_the_heartbeats_of_the_run(idle_each_s: float) -> None:
    chart = cpu_chart(Evidence(synthetic_run(*measured(idle_each_s=idle_each_s, silent_us=70.0)).trials))
    seldom_hz = 1e-9
    assert chart.costs["websocket"](seldom_hz, 1.0) == pytest.approx(
        70 / ASSUMED_PERIODS["heartbeat_s"], rel=0.01
    )


def test_a_server_with_little_to_do_tells_nothing_of_what_a_busy_one_takes() -> None:
    rows = [{**row, "server_cpu_ratio": 0.05} for row in measured()]
    with pytest.raises(NotMeasured, match="no server was busy"):
        cpu_chart(Evidence(synthetic_run(*rows).trials))


def test_equal_bytes_depend_on_the_acks() -> None:
    each_s, two_s = (equal_bytes_s(128, 5.0, ticks_per_ack=ticks) for ticks in (1, 2))
    assert (each_s, two_s) == pytest.approx((0.70, 0.93), abs=0.01)


def test_an_ack_for_two_ticks_moves_the_border_only_where_ticks_come_fast() -> None:
    """RFC 9293: no ACK waits for longer than half a second."""
    chart = wire_chart(Evidence(synthetic_run(*measured()).trials))
    each, two = (chart.polling_from_s(5.0)[name] for name in ("", "one ACK for two ticks"))
    assert two > 1.2 * each
    assert chart.polling_from_s(0.1)["one ACK for two ticks"] == chart.polling_from_s(0.1)[""]


def test_a_way_moves_the_border_by_its_own_length() -> None:
    """Whoever accepts L over a way d may poll each (L − d)/0.99."""
    way_s, accepted_s = 0.03, 0.5
    link = Link(up_s=way_s, down_s=way_s)
    latency = short_polling_latency(longest_interval_s(accepted_s - way_s), link)
    assert latency.quantile_ms(QUANTILE) == pytest.approx(1e3 * accepted_s)
    chart = cpu_chart(Evidence(synthetic_run(*measured()).trials))
    moved_ms = MOVED_RATIO * chart.polling_from_s(50.0)[""] * 1e3
    told = f"over {number(moved_ms)} ms each way the border at 50 ticks a second is at a latency 10 % longer"
    assert told in chart.way_note()


def test_what_a_run_lacks_is_said() -> None:
    rows = [row for row in measured() if row["transport"] != "websocket"]
    with pytest.raises(NotMeasured, match="bench run"):
        cpu_chart(Evidence(synthetic_run(*rows).trials))
