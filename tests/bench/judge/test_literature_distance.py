"""Published figures at a distance, and of two writes: verdicts on runs by which they stand, and do not."""

from typing import Any

import pytest

from bench.judge.literature import FALLS, NOT_JUDGED, STANDS, WITHIN_LIMITS
from tests.synthetic import judged, trial

# Pimentel and Nickerson


def place(
    rtt_ms: float, polling_ms: float, held_ms: float, pushed_ms: float, **scenario: Any
) -> list[dict[str, Any]]:
    """Trials of all three over one distance."""
    means_ms = {"short_polling": polling_ms, "long_polling": held_ms, "websocket": pushed_ms}
    return [
        trial(
            "wind_sensor",
            name,
            {"latency_mean_ms": mean_ms, "latency_max_ms": 3 * mean_ms / 2, "expected": 300},
            **{"clients": 50, "rate_hz": 4.0, "poll_pause_s": 0.15, "rtt_ms": rtt_ms, **scenario},
        )
        for name, mean_ms in means_ms.items()
    ]


NEAR, EDMONTON, FAR = (
    place(40.0, 115.0, 20.5, 20.5),
    place(80.0, 155.0, 41.0, 40.5),
    place(300.0, 375.0, 300.0, 151.0),
)


def test_a_wind_sensor_is_read_as_they_found() -> None:
    found = judged("wind-sensor", *NEAR, *EDMONTON, *FAR)
    assert found.verdict == STANDS
    assert "5.61, 3.83 and 2.48 times the mean latency of WebSocket" in found.ours
    assert "polling takes 155 ms and WebSocket 40.5 ms" in found.ours
    assert "theory has 155 ms for polling" in found.ours
    assert "long polling is close to WebSocket: 1.01 times" in found.ours
    assert "1.99 times WebSocket's and 0.8 times polling's" in found.ours
    assert [row[0] for row in found.rows] == ["40", "80", "300"]


@pytest.mark.parametrize(
    ("edmonton", "verdict"),
    [
        (place(80.0, 155.0, 90.0, 40.5), WITHIN_LIMITS),  # long polling that misses answers
        (place(80.0, 155.0, 155.0, 40.5), FALLS),  # long polling that polls
        (place(80.0, 155.0, 41.0, 2.0), FALLS),  # a push that does not travel
        (place(80.0, 81.0, 41.0, 40.5), WITHIN_LIMITS),  # polling that does not pause
        (place(80.0, 700.0, 41.0, 40.5), FALLS),  # polling that waits for a connection each time, and more
    ],
)
def test_a_wind_sensor_that_is_read_otherwise(edmonton: list[dict[str, Any]], verdict: str) -> None:
    assert judged("wind-sensor", *NEAR, *edmonton, *FAR).verdict == verdict


def test_a_run_with_some_of_the_places_keeps_its_verdict_back() -> None:
    some = judged("wind-sensor", *NEAR, *FAR)
    assert (some.verdict, "lacks some of their distances: bench run wind_sensor" in some.ours) == (
        WITHIN_LIMITS,
        True,
    )
    assert judged("wind-sensor", *EDMONTON[:2]).verdict == NOT_JUDGED
    loopback = [row | {"rtt_ms": None} for row in EDMONTON]
    assert judged("wind-sensor", *loopback).verdict == NOT_JUDGED
    several = [*EDMONTON, *place(80.0, 700.0, 41.0, 40.5, poll_pause_s=1.0)]
    assert "one pause and one rate" in judged("wind-sensor", *several).ours


def test_trials_over_links_that_lose_are_no_distance() -> None:
    lossy = place(80.0, 900.0, 900.0, 900.0, loss=0.05)
    assert judged("wind-sensor", *NEAR, *EDMONTON, *lossy, *FAR).verdict == STANDS
    assert judged("wind-sensor", *lossy).verdict == NOT_JUDGED


# RFC 6202 over distances


def held(
    rtt_ms: float, mean_ms: float, max_ms: float, experiment: str = "network", **scenario: Any
) -> dict[str, Any]:
    figures = {"latency_mean_ms": mean_ms, "latency_max_ms": max_ms, "expected": 600}
    fields = {"clients": 60, "rate_hz": 10.0, "rtt_ms": rtt_ms, **scenario}
    return trial(experiment, "long_polling", figures, **fields)


def test_transits_over_a_link_are_halves_of_its_round_trip() -> None:
    found = judged("long-polling", held(50.0, 26.0, 28.0), held(300.0, 298.0, 450.0))
    assert found.verdict == STANDS
    assert "half of that, the mean is 1.04 transits" in found.ours
    assert "it is 1.99, and the longest 3:" in found.ours


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([held(50.0, 50.0, 51.0)], WITHIN_LIMITS),  # each tick waits for a question of its own
        ([held(50.0, 90.0, 91.0)], FALLS),
        ([held(300.0, 600.0, 1400.0)], FALLS),  # a maximum of nine transits
        ([held(300.0, 151.0, 152.0)], WITHIN_LIMITS),  # no tick ever missed an answer: that is push
        ([held(50.0, 90.0, 91.0, keep_alive=False)], NOT_JUDGED),
        ([held(50.0, 90.0, 91.0, loss=0.05)], NOT_JUDGED),
        ([held(50.0, 26.0, 28.0, experiment="freshness")], NOT_JUDGED),
    ],
)
def test_transits_that_are_not_as_the_rfc_says(rows: list[dict[str, Any]], verdict: str) -> None:
    assert judged("long-polling", *rows).verdict == verdict


def test_distances_are_judged_beside_loopback() -> None:
    near = [
        trial(
            "rate",
            name,
            {
                "latency_mean_ms": mean_ms,
                "latency_max_ms": 9.0,
                "expected": 500,
                "requests_per_delivery": asked,
            },
            clients=10,
            rate_hz=5.0,
        )
        for name, mean_ms, asked in (("websocket", 1.0, 0.0), ("long_polling", 1.2, 1.0))
    ]
    alone = judged("long-polling", *near)
    assert (alone.verdict, "bench run wind_sensor" in alone.ours) == (STANDS, True)
    both = judged("long-polling", *near, held(50.0, 90.0, 91.0))
    assert (both.verdict, len(both.rows)) == (FALLS, 1)
    assert "1.2 times WebSocket's" in both.ours
    assert "3.6 transits" in both.ours


# Tsaqief and Sutopo


def ways(apart: float, at_once: float, no_delay: float, one_way: float) -> list[dict[str, Any]]:
    """What bench/measure/two_writes.py keeps in run.json."""
    return [
        {"apart": a, "no_delay": n, "answered": b, "rounds": 25, "median_ms": ms, "mean_ms": ms, "sd_ms": 0.1}
        for a, n, b, ms in (
            (True, False, True, apart),
            (True, True, True, no_delay),
            (False, False, True, at_once),
            (False, True, True, at_once),
            (True, False, False, one_way),
        )
    ]


def test_forty_ms_are_no_property_of_websocket() -> None:
    found = judged("sensor-mqtt", two_writes=ways(43.9, 0.05, 0.08, 0.14))
    assert found.verdict == FALLS
    assert "take 43.9 ms a message here: their 41.5 ms stands." in found.ours
    assert "About 40 ms of that are a delayed ACK" in found.ours
    assert "As a property of WebSocket it does not stand" in found.ours
    assert [row[0] for row in found.rows] == ["apart", "apart", "at once", "at once", "apart"]


def test_a_machine_that_delays_no_ack_cannot_rebuild_it() -> None:
    found = judged("sensor-mqtt", two_writes=ways(0.1, 0.05, 0.08, 0.14))
    assert found.verdict == FALLS
    assert "their 41.5 ms does not stand" in found.ours
    assert "delayed ACK that" not in found.ours


def test_a_machine_on_which_every_message_takes_as_long_would_bear_it_out() -> None:
    assert judged("sensor-mqtt", two_writes=ways(43.9, 42.0, 42.0, 41.0)).verdict == STANDS
    assert "delayed ACK that" not in judged("sensor-mqtt", two_writes=ways(43.9, 42.0, 42.0, 41.0)).ours


@pytest.mark.parametrize("facts", [{}, {"two_writes": []}, {"two_writes": ways(1, 1, 1, 1)[:2]}])
def test_a_run_that_did_not_measure_it_says_what_to_run(facts: dict[str, Any]) -> None:
    found = judged("sensor-mqtt", **facts)
    assert (found.verdict, "bench run wind_sensor" in found.ours) == (NOT_JUDGED, True)


# llm-webtransport


def polls(keep_alive: bool, answer_ms: float, connect_ms: float = 402.0, **scenario: Any) -> dict[str, Any]:
    fields = {"clients": 20, "poll_pause_s": 0.262, "rtt_ms": 200.0, "tls": True, **scenario}
    figures = {"requests_per_client_s": 1e3 / (262 + answer_ms), "connect_p50_ms": connect_ms}
    return trial("unread_answer", "short_polling", figures, keep_alive=keep_alive, **fields)


def test_a_gap_of_two_round_trips_is_a_connection() -> None:
    found = judged("first-token", polls(True, 201.0), polls(False, 604.0))
    assert found.verdict == STANDS
    assert "201 ms where the connection is kept and 604 ms where each request opens one" in found.ours
    assert "463 and 866 ms" in found.ours
    assert "Connecting takes 402 ms, 2.01 round trips" in found.ours
    assert [row[1] for row in found.rows] == ["201", "604"]


@pytest.mark.parametrize(
    ("kept_ms", "single_ms", "connect_ms", "verdict"),
    [
        (600.0, 604.0, 402.0, WITHIN_LIMITS),  # a client that keeps none
        (201.0, 202.0, 402.0, WITHIN_LIMITS),  # one that keeps all
        (201.0, 604.0, 205.0, WITHIN_LIMITS),  # a session of TLS resumed at once, or no TLS
        (201.0, 604.0, 3.0, FALLS),  # connections that do not travel
    ],
)
def test_other_gaps(kept_ms: float, single_ms: float, connect_ms: float, verdict: str) -> None:
    rows = polls(True, kept_ms, connect_ms), polls(False, single_ms, connect_ms)
    assert judged("first-token", *rows).verdict == verdict


def test_a_gap_needs_both_and_their_distance() -> None:
    for rows in (
        [polls(True, 201.0)],
        [polls(True, 201.0, rtt_ms=50.0), polls(False, 604.0, rtt_ms=50.0)],
        [polls(True, 201.0, tls=False), polls(False, 604.0, tls=False)],
        [polls(True, 201.0), polls(False, 604.0), polls(False, 604.0, poll_pause_s=1.0)],
    ):
        found = judged("first-token", *rows)
        assert (found.verdict, "bench run unread_answer" in found.ours) == (NOT_JUDGED, True)
