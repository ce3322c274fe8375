"""Published figures: the arithmetic, and verdicts on runs in which they stand and in which they do not."""

import math
from typing import Any

import pytest

from bench.judge import literature
from bench.judge.literature import (
    FALLS,
    NOT_JUDGED,
    PUBLICATIONS,
    STANDS,
    WITHIN_LIMITS,
    Judgement,
    lubbers_greco,
)
from bench.judge.literature.base import distance_ratio, middle, worst
from bench.judge.literature.base import verdict_on as verdict_on
from bench.results.evidence import Evidence
from bench.results.run import REFERENCE, Run
from bench.theory.traffic import websocket_header_bytes
from tests import ROOT
from tests.synthetic import judged, synthetic_run, trial


def overhead(
    transport: str,
    payload_bytes: int,
    framing: float,
    asked: float = 0,
    packets: int = 1,
    requests_per_delivery: float = 1.0,
    **scenario: Any,
) -> dict[str, Any]:
    """A trial of the experiment overhead: so many bytes of framing down, and of asking up."""
    down = payload_bytes + framing
    return trial(
        "overhead",
        transport,
        {
            "payload_bytes_per_delivery": float(payload_bytes),
            "app_bytes_per_delivery_up": float(asked),
            "app_bytes_per_delivery_down": down,
            "tls_bytes_per_delivery_up": 0.0,
            "tls_bytes_per_delivery_down": 0.0,
            "wire_bytes_per_delivery_up": asked + 52.0 * packets,
            "wire_bytes_per_delivery_down": down + 52.0 * packets,
            "requests_per_delivery": requests_per_delivery,
            "server_cpu_us_per_client_s": 100.0,
        },
        **{
            "payload_bytes": payload_bytes,
            "clients": 1,
            "headers": "browser",
            "rate_hz": 50.0,
            **({"poll_interval_s": 0.02} if transport == "short_polling" else {}),
            **scenario,
        },
    )


# The rule


@pytest.mark.parametrize(
    ("measured", "published", "verdict"),
    [
        (10.0, 10.0, STANDS),
        (15.0, 10.0, STANDS),
        (6.7, 10.0, STANDS),
        (16.0, 10.0, WITHIN_LIMITS),
        (3.4, 10.0, WITHIN_LIMITS),
        (31.0, 10.0, FALLS),
        (3.3, 10.0, FALLS),
        (0.0001, 10.0, FALLS),
        (0.0, 10.0, FALLS),
        (math.inf, 10.0, FALLS),
        (math.nan, 10.0, FALLS),
        (650.0, (500.0, 800.0), STANDS),
        (1000.0, (500.0, 800.0), STANDS),
        (200.0, (500.0, 800.0), WITHIN_LIMITS),
        (100.0, (500.0, 800.0), FALLS),
    ],
)
def test_one_rule_for_all(measured: float, published: float | tuple[float, float], verdict: str) -> None:
    assert verdict_on(measured, published) == verdict
    assert distance_ratio(measured, published) >= 1


def test_the_worst_figure_decides_and_a_missing_one_limits() -> None:
    assert worst([STANDS, STANDS]) == STANDS
    assert worst([STANDS, STANDS], complete=False) == WITHIN_LIMITS
    assert worst([STANDS, FALLS, WITHIN_LIMITS]) == FALLS
    assert middle([0.5, 2.0]) == pytest.approx(1.0)


# Lubbers and Greco


@pytest.mark.parametrize(
    ("clients", "polling", "push"), [(1_000, 6.6, 0.015), (10_000, 66, 0.153), (100_000, 665, 1.526)]
)
def test_their_table_is_a_multiplication_in_units_of_two_to_the_twenty(
    clients: int, polling: float, push: float
) -> None:
    for size, printed, decimals in ((871, polling, 1 if clients == 1_000 else 0), (2, push, 3)):
        assert round(lubbers_greco.mebibit_per_s(clients, size), decimals) == printed
    assert 871 // 2 == 435


def quantum_leap(asked: float, polled_ms: float, *, interval_s: float = 1.0, packets: int = 1) -> Judgement:
    medians = {"short_polling": polled_ms, "websocket": 1.0}
    latencies = [
        trial(
            "freshness interval",
            name,
            {"latency_p50_ms": each_ms},
            **({"poll_interval_s": interval_s} if name == "short_polling" else {}),
        )
        for name, each_ms in medians.items()
    ]
    return judged(
        "quantum-leap",
        overhead("short_polling", 128, 150, asked, packets=packets),
        overhead("websocket", 128, 6),
        *latencies,
    )


def test_each_figure_of_the_quantum_leap_has_a_verdict_of_its_own() -> None:
    found = quantum_leap(400, 101.0)
    assert "Header traffic, 500:1, stands within limits" in found.ours  # 274:1
    assert "Bandwidth, 436:1, does not stand" in found.ours
    assert "Latency, 3:1, stands:" in found.ours
    assert "can be rebuilt" in found.ours
    assert [row[0] for row in found.rows] == ["1,000", "10,000", "100,000"]
    assert "Header traffic, 500:1, stands:" in quantum_leap(1520, 101.0).ours
    assert "Header traffic, 500:1, does not stand" in quantum_leap(20, 101.0).ours


@pytest.mark.parametrize(
    ("interval_s", "polled_ms", "verdict"),
    [(0.2, 101.0, STANDS), (0.5, 251.0, WITHIN_LIMITS), (1.0, 501.0, FALLS)],
)
def test_the_latency_of_the_quantum_leap_is_at_their_transit(
    interval_s: float, polled_ms: float, verdict: str
) -> None:
    found = quantum_leap(520, polled_ms, interval_s=interval_s).ours
    assert (
        f"Latency, 3:1, {verdict}: over their transit of 50 ms a client that asks each {interval_s:g} s"
        in found
    )


def test_the_bandwidth_of_the_quantum_leap_can_stand() -> None:
    """If all of a poll were as long as it takes, and nothing were below it."""
    wide = overhead("short_polling", 128, 150, 50_000)
    assert "Bandwidth, 436:1, stands:" in judged("quantum-leap", wide, overhead("websocket", 128, 6)).ours
    half = overhead("short_polling", 128, 150, 25_000)
    assert "436:1, stands within limits:" in judged("quantum-leap", half, overhead("websocket", 128, 6)).ours


def test_a_poll_whose_answer_has_an_ack_of_its_own_is_not_given_another() -> None:
    pushed = overhead("websocket", 128, 6)
    soon = judged("quantum-leap", overhead("short_polling", 128, 150, 520), pushed)
    late = judged(
        "quantum-leap", overhead("short_polling", 128, 150, 520, rate_hz=1.0, poll_interval_s=1.0), pushed
    )
    assert [int(found.headings[4].split("\n")[1].split(" B")[0]) for found in (soon, late)] == [846, 794]


def test_polls_that_share_a_tick_or_fetch_several_say_nothing_of_a_request() -> None:
    for requests_per_delivery in (0.2, 5.0):
        shared = overhead("short_polling", 128, 150, 520, requests_per_delivery=requests_per_delivery)
        for name in ("quantum-leap", "layers"):
            assert judged(name, shared, overhead("websocket", 128, 6)).verdict == NOT_JUDGED


# RFC 6202


def rate(
    transport: str, rate_hz: float, mean_ms: float, requests_per_delivery: float = 0.0, ticks: int = 50
) -> dict[str, Any]:
    figures = {
        "latency_mean_ms": mean_ms,
        "latency_max_ms": 3 * mean_ms,
        "expected": ticks * 10,
        "requests_per_delivery": requests_per_delivery,
        "server_cpu_us_per_client_s": 10.0,
    }
    return trial("rate", transport, figures, clients=10, rate_hz=rate_hz)


@pytest.mark.parametrize(("mean_ms", "verdict"), [(1.2, STANDS), (2.5, WITHIN_LIMITS), (3.5, FALLS)])
def test_transits_of_long_polling(mean_ms: float, verdict: str) -> None:
    found = judged("long-polling", rate("websocket", 5, 1.0), rate("long_polling", 5, mean_ms, 1.0))
    assert found.verdict == verdict


def test_transits_are_judged_over_all_trials() -> None:
    """One of five trials may be anything: 1.26 to 3.67."""
    rows = [
        {**rate(name, 50, mean_ms, requests), "experiments": "freshness", "repeat": repeat}
        for repeat, held_ms in enumerate((1.26, 1.8, 2.2, 2.6, 3.67), 1)
        for name, mean_ms, requests in (("websocket", 1.0, 0.0), ("long_polling", held_ms, 1.0))
    ]
    found = judged("long-polling", *rows)
    assert found.verdict == WITHIN_LIMITS
    assert "Over 5 trials" in found.ours
    assert judged("long-polling", *rows[:2]).verdict == STANDS
    assert judged("long-polling", *rows[-2:]).verdict == FALLS


def test_a_rate_at_which_ticks_share_answers_is_told_and_not_judged() -> None:
    slow = rate("websocket", 5, 1.0), rate("long_polling", 5, 1.2, 1.0)
    fast = rate("websocket", 500, 1.0), rate("long_polling", 500, 5.0, 0.5)
    both = judged("long-polling", *slow, *fast)
    assert (both.verdict, "it is 5 at 500 Hz" in both.ours) == (STANDS, True)
    assert judged("long-polling", *fast).verdict == NOT_JUDGED


def test_a_rate_of_two_ticks_is_shown_and_not_judged() -> None:
    slow = rate("websocket", 0.5, 1.0, ticks=2), rate("long_polling", 0.5, 9.0, 1.0, ticks=2)
    usual = rate("websocket", 5, 1.0), rate("long_polling", 5, 1.2, 1.0)
    both = judged("long-polling", *slow, *usual)
    assert (both.verdict, len(both.rows)) == (STANDS, 2)
    assert "not judged" in both.ours
    assert judged("long-polling", *slow).verdict == NOT_JUDGED


# RFC 6455


def frames(*sizes: int, more: float = 0) -> list[dict[str, Any]]:
    return [overhead("websocket", size, 2 + websocket_header_bytes(size + 2) + more) for size in sizes]


def test_framing_is_exact() -> None:
    assert judged("framing", *frames(96, 128, 65_536)).verdict == STANDS
    some = judged("framing", *frames(128))
    assert some.verdict == WITHIN_LIMITS
    assert "Not measured: 2, 10 B" in some.ours
    assert "payload_bytes=96,128,65536" in some.ours


def test_one_byte_more_refutes_it_and_shared_messages_do_not() -> None:
    assert judged("framing", *frames(128, more=1)).verdict == FALLS
    assert judged("framing", *frames(128, more=-2.5)).verdict == NOT_JUDGED
    assert judged("framing", *frames(128, more=0.02)).verdict == FALLS


# Grigorik


def test_layers_are_compared_with_his() -> None:
    encrypted = trial(
        "handshake",
        "short_polling",
        {
            "app_bytes_per_delivery_up": 55.0,
            "app_bytes_per_delivery_down": 275.0,
            "wire_bytes_per_delivery_up": 55.0 + 74,
            "wire_bytes_per_delivery_down": 275.0 + 74,
            "requests_per_delivery": 1.0,
        },
        tls=True,
        keep_alive=True,
    )
    plain = overhead("short_polling", 128, 150, 520), overhead("websocket", 128, 6)
    assert judged("layers", *plain, encrypted).verdict == STANDS
    without_tls = judged("layers", *plain)
    assert without_tls.verdict == WITHIN_LIMITS
    assert "bench run handshake" in without_tls.ours
    assert "167 requests a second, and at 850 B 1.13 Mbit/s" in without_tls.ours
    longer = overhead("short_polling", 128, 150, 1520), overhead("websocket", 128, 6)
    assert judged("layers", *longer, encrypted).verdict == WITHIN_LIMITS
    other = overhead("short_polling", 128, 50, 100), overhead("websocket", 128, 40)
    assert judged("layers", *other, encrypted).verdict == FALLS


# All of them


def test_without_an_experiment_the_command_is_named() -> None:
    for publication in PUBLICATIONS:
        found = publication.judged_by(Evidence(synthetic_run().trials))
        assert found.verdict == NOT_JUDGED
        assert "bench run " in found.ours


def test_suspect_trials_are_marked_and_invalid_and_replaced_ones_left_out() -> None:
    exact, wrong = frames(128)[0], frames(128, more=9)[0]
    suspect = judged("framing", exact | {"verdict": "suspect"})
    assert suspect.doubt == "1 of the 1 trials behind this is suspect"
    assert not judged("framing", exact, wrong | {"verdict": "invalid"}, wrong | {"retried": True}).doubt
    assert judged("framing", exact, wrong | {"verdict": "invalid"}).verdict == WITHIN_LIMITS
    assert judged("framing", wrong | {"verdict": "invalid"}).verdict == NOT_JUDGED


def test_every_publication_is_told_in_full() -> None:
    assert len({publication.name for publication in PUBLICATIONS}) == len(PUBLICATIONS) == 10
    reference = Run.open(ROOT / "results" / REFERENCE)
    for publication in PUBLICATIONS:
        found = publication.judged_by(Evidence(reference.trials))
        assert found.verdict in (STANDS, WITHIN_LIMITS, FALLS, NOT_JUDGED)
        assert all(len(row) == len(found.headings) for row in found.rows)
        record = literature.as_record(publication, found)
        assert all(
            record[name] for name in ("authors", "year", "title", "where", "figure", "obtained", "trap")
        )
