"""The experiments of published figures at a distance: what theory says, what is said, and one measured."""

from typing import Any

import pandas as pd
import pytest

from bench.experiments import unread_answer, wind_sensor
from bench.experiments.unread_answer import EXPERIMENT as UNREAD_ANSWER
from bench.experiments.unread_answer import answer_ms
from bench.experiments.wind_sensor import EXPERIMENT as WIND_SENSOR
from bench.measure.trial import run_trial
from bench.scenario import PROFILES, Scenario
from tests.bench.network.boxes import need_box
from tests.synthetic import synthetic_run, trial


def of_sensor(transport: str, mean_ms: float = 1.0, **fields: Any) -> dict[str, Any]:
    fields = {"clients": 50, "rate_hz": 4.0, "poll_pause_s": 0.15, "rtt_ms": 80.0} | fields
    return trial("wind_sensor", transport, {"latency_mean_ms": mean_ms}, **fields)


def of_answer(requests_per_client_s: float, **fields: Any) -> dict[str, Any]:
    fields = {**unread_answer.FIXED, "transport": "short_polling", **fields}
    figures = {"requests_per_client_s": requests_per_client_s, "connect_p50_ms": 401.0}
    return trial("unread_answer", figures=figures, **fields)


def theory(*rows: dict[str, Any]) -> list[float]:
    experiment = WIND_SENSOR if rows[0]["experiments"] == "wind_sensor" else UNREAD_ANSWER
    assert experiment.predict is not None
    return [float(each) for each in experiment.predict(pd.DataFrame(rows))]


@pytest.mark.parametrize(
    ("transport", "fields", "mean_ms"),
    [
        ("short_polling", {}, 155.0),  # 2d + P/2
        ("short_polling", {"rtt_ms": 300.0}, 375.0),
        ("short_polling", {"poll_pause_s": 0.3}, 230.0),
        ("short_polling", {"poll_pause_s": None, "poll_interval_s": 0.3}, 190.0),
        ("long_polling", {}, 40.0),
        ("long_polling", {"rtt_ms": 300.0}, 300.0),  # turned into polling
        ("long_polling", {"rtt_ms": 300.0, "rate_hz": 3.0}, 150.0),
        ("websocket", {}, 40.0),
        ("websocket", {"rtt_ms": 300.0, "rate_hz": 9.0}, 150.0),
    ],
)
def test_theory_of_a_sensor_at_a_distance(transport: str, fields: dict[str, Any], mean_ms: float) -> None:
    assert theory(of_sensor(transport, **fields)) == [pytest.approx(mean_ms)]


@pytest.mark.parametrize(
    ("transport", "fields"),
    [
        ("websocket", {"rtt_ms": None}),
        ("websocket", {"loss": 0.01}),
        ("websocket", {"jitter_ms": 5.0}),
        ("websocket", {"rate_mbit": 5.0}),
        ("websocket", {"plan": "bursty"}),
        ("websocket", {"contract": "latest"}),
        ("websocket", {"rate_hz": 0.0}),
        ("short_polling", {"keep_alive": False}),
        ("long_polling", {"hold_s": 0.1}),
    ],
)
def test_theory_says_nothing_of_what_it_does_not_cover(transport: str, fields: dict[str, Any]) -> None:
    (found,) = theory(of_sensor(transport, **fields))
    assert found != found


@pytest.mark.parametrize(
    ("fields", "cycle_s"),
    [
        ({"keep_alive": True}, 0.462),
        ({"keep_alive": False}, 0.862),
        ({"keep_alive": False, "tls": False}, 0.662),
        ({"keep_alive": True, "tls": False}, 0.462),
        ({"keep_alive": False, "rtt_ms": 20.0, "poll_pause_s": 0.1}, 0.16),
    ],
)
def test_theory_of_requests_that_connect(fields: dict[str, Any], cycle_s: float) -> None:
    assert theory(of_answer(1.0, **fields)) == [pytest.approx(1 / cycle_s)]


def test_theory_of_requests_needs_a_pause_and_a_link_that_is_nothing_but_distance() -> None:
    for fields in (
        {"rtt_ms": None},
        {"loss": 0.1},
        {"poll_pause_s": None, "poll_interval_s": 1.0},
    ):
        (found,) = theory(of_answer(1.0, **fields))
        assert found != found


def test_a_sensor_s_sentence_tells_each_distance() -> None:
    rows = [
        of_sensor(name, mean_ms, rtt_ms=rtt_ms)
        for rtt_ms, means_ms in ((80.0, (160.0, 44.0, 40.0)), (300.0, (375.0, 300.0, 150.0)))
        for name, mean_ms in zip(("short_polling", "long_polling", "websocket"), means_ms, strict=True)
    ]
    told = wind_sensor.finding(synthetic_run(*rows).trials)
    assert told == (
        "At 4 readings a second the mean latency over a round trip of 80 and 300 ms is 40 and 150 ms by "
        "WebSocket; short polling 0.15 s after each answer takes 4 and 2.5 times as long; long polling takes "
        "1.1 and 2 times as long."
    )
    assert wind_sensor.finding(synthetic_run(*rows[:2]).trials) == ""


def test_an_answer_takes_what_is_left_of_a_cycle_without_its_pause() -> None:
    kept, single = (
        of_answer(1 / cycle_s, keep_alive=keep) for keep, cycle_s in ((True, 0.462), (False, 0.862))
    )
    trials = synthetic_run(kept, single).trials
    assert answer_ms(trials[trials["keep_alive"] == True]) == pytest.approx(200.0)  # noqa: E712
    told = unread_answer.finding(trials)
    assert "over a round trip of 200 ms, an answer takes 200 ms where connections are kept" in told
    assert "600 ms where each request has one of its own: connecting takes 401 ms with TLS." in told
    assert unread_answer.finding(synthetic_run(kept).trials) == ""


def test_a_quick_run_has_neither() -> None:
    for experiment in (WIND_SENSOR, UNREAD_ANSWER):
        assert not experiment.designs(PROFILES["quick"])
        assert experiment.designs(PROFILES["standard"])


@pytest.mark.alone
def test_a_request_that_connects_takes_three_round_trips_and_is_not_late() -> None:
    """Time-outs and processors may add to it, but nothing can be faster than the link."""
    need_box()
    fixed = {**unread_answer.FIXED, "rtt_ms": 80.0, "poll_pause_s": 0.08, "clients": 3, "window_s": 0.6}
    row = run_trial(Scenario("short_polling", **fixed, keep_alive=False), seed=1).row
    assert row["connect_p50_ms"] >= 2 * 80
    assert 1 / row["requests_per_client_s"] >= 0.08 + 3 * 0.08 - 0.04
    assert row["request_lag_p99_ms"] < 2 * 80
