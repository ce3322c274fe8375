"""Published figures: the arithmetic, and verdicts on runs in which they stand and in which they do not."""

import math
from typing import Any

import pytest

from bench.judge import literature
from bench.judge.costs import busy_trials, poll_costs
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
from bench.judge.literature.base import judged as verdict_on
from bench.results.evidence import Evidence
from bench.results.run import REFERENCE, Run
from bench.theory.traffic import websocket_header_bytes
from bench.wording import number
from tests import ROOT
from tests.synthetic import synthetic_run, trial

BY_NAME = {publication.name: publication for publication in PUBLICATIONS}


def judged(name: str, *rows: dict[str, Any]) -> Judgement:
    return BY_NAME[name].judged_by(Evidence(synthetic_run(*rows).trials))


def overhead(
    transport: str,
    payload_bytes: int,
    framing: float,
    asked: float = 0,
    packets: int = 1,
    requests_per_tick: float = 1.0,
    **scenario: Any,
) -> dict[str, Any]:
    """A trial of the experiment overhead: so many bytes of framing down, and of asking up."""
    down = payload_bytes + framing
    return trial(
        "overhead",
        transport,
        {
            "payload_bytes_per_tick": float(payload_bytes),
            "app_bytes_per_tick_up": float(asked),
            "app_bytes_per_tick_down": down,
            "tls_bytes_per_tick_up": 0.0,
            "tls_bytes_per_tick_down": 0.0,
            "wire_bytes_per_tick_up": asked + 52.0 * packets,
            "wire_bytes_per_tick_down": down + 52.0 * packets,
            "requests_per_tick": requests_per_tick,
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


def load(transport: str, cpu_us_per_tick: float, ticks: float = 0, **scenario: Any) -> dict[str, Any]:
    """A trial under load: the server's CPU of a delivery, and the ticks of an answer."""
    scenario = {"clients": 500, "rate_hz": 10.0, **scenario}
    figures = {
        "server_cpu_us_per_tick": cpu_us_per_tick,
        "server_cpu_us_per_client_s": cpu_us_per_tick * scenario["rate_hz"],
        "requests_per_tick": 1 / ticks if ticks else 0.0,
        "server_cpu_ratio": scenario.pop("server_cpu_ratio", 0.5),
    }
    return trial(scenario.pop("experiment", "library"), transport, figures, **scenario)


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
    for requests_per_tick in (0.2, 5.0):
        shared = overhead("short_polling", 128, 150, 520, requests_per_tick=requests_per_tick)
        for name in ("quantum-leap", "layers"):
            assert judged(name, shared, overhead("websocket", 128, 6)).verdict == NOT_JUDGED


# RFC 6202


def rate(
    transport: str, rate_hz: float, mean_ms: float, requests_per_tick: float = 0.0, ticks: int = 50
) -> dict[str, Any]:
    figures = {
        "latency_mean_ms": mean_ms,
        "latency_max_ms": 3 * mean_ms,
        "expected": ticks * 10,
        "requests_per_tick": requests_per_tick,
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
        {**rate(name, 50, mean_ms, requests), "experiment": "freshness", "repeat": repeat}
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
            "app_bytes_per_tick_up": 55.0,
            "app_bytes_per_tick_down": 275.0,
            "wire_bytes_per_tick_up": 55.0 + 74,
            "wire_bytes_per_tick_down": 275.0 + 74,
            "requests_per_tick": 1.0,
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


# Bozdag, Mesbah and van Deursen


@pytest.mark.parametrize("payload_bytes", [128, 512])
@pytest.mark.parametrize(("held_us", "verdict"), [(700.0, STANDS), (300.0, WITHIN_LIMITS), (150.0, FALLS)])
def test_push_against_pull(held_us: float, verdict: str, payload_bytes: int) -> None:
    """Push is what they had: held requests. WebSocket is told, and decides nothing."""
    size = {"payload_bytes": payload_bytes}
    found = judged(
        "push-and-pull",
        load("short_polling", 100.0, 5, poll_interval_s=0.5, **size),
        load("long_polling", held_us, 1, **size),
        load("long_polling_lean", 100.0, 1, **size),
        load("websocket_aiohttp", 10.0, **size),
    )
    assert found.verdict == verdict
    assert f"by the same library {held_us / 100:g}×" in found.ours
    assert "WebSocket, which they had not, takes 0.1×" in found.ours


def test_push_against_pull_that_asks_seldom_or_of_few_is_not_judged() -> None:
    seldom = load("short_polling", 100.0, 50, poll_interval_s=5.0), load("long_polling", 700.0, 1)
    assert judged("push-and-pull", *seldom).verdict == NOT_JUDGED
    few = (
        load("short_polling", 100.0, 5, poll_interval_s=0.5, clients=50),
        load("long_polling", 700.0, 1, clients=50),
    )
    assert judged("push-and-pull", *few).verdict == NOT_JUDGED


# Van de Vyvere, Colpaert and Verborgh


def polls(request_us: float, tick_us: float) -> list[dict[str, Any]]:
    return [
        load("short_polling", request_us / ticks + tick_us, ticks, poll_interval_s=ticks / 10)
        for ticks in (1, 5, 25)
    ]


def costs_of(*rows: dict[str, Any]) -> Any:
    return poll_costs(busy_trials(Evidence(synthetic_run(*rows).trials)))["short_polling"]


def test_the_cost_of_a_poll_is_found_again() -> None:
    cost = costs_of(*polls(300, 4))
    assert cost.request_s == pytest.approx(300e-6)
    assert cost.tick_s == pytest.approx(4e-6)
    assert (cost.lowest_ratio, cost.highest_ratio) == pytest.approx((1, 1))


def test_servers_that_have_little_to_do_are_not_in_the_cost_of_a_poll() -> None:
    """There each poll takes longer, and they are asked for many ticks at once: it would be taken for "
    "theirs."""
    idle = [
        load("short_polling", 900 / ticks, ticks, poll_interval_s=ticks / 10, server_cpu_ratio=0.05)
        for ticks in (50, 100)
    ]
    assert costs_of(*polls(300, 4), *idle) == costs_of(*polls(300, 4))
    assert judged("live-open-data", *idle, load("websocket", 16)).verdict == NOT_JUDGED


def test_a_cost_that_is_no_line_says_how_far_it_is_off() -> None:
    rows = polls(300, 4)
    rows[1]["server_cpu_us_per_tick"] *= 1.4
    cost = costs_of(*rows)
    assert cost.lowest_ratio < 0.9
    assert cost.highest_ratio > 1.05
    assert "% off it" in judged("live-open-data", *rows, load("websocket", 16)).ours


@pytest.mark.parametrize(
    ("request_us", "verdict"),
    [(25, STANDS), (61, WITHIN_LIMITS), (9, WITHIN_LIMITS), (300, FALLS), (0.001, FALLS)],
)
def test_the_crossover_is_judged_at_their_rate(request_us: float, verdict: str) -> None:
    """A tick each 5 s, and 12 µs saved by each that is fetched with others: 10 s are 24.2 µs a request."""
    found = judged("live-open-data", *polls(request_us, 4), load("websocket", 16))
    assert found.verdict == verdict, found.ours
    assert f"a tick each 5 s, {number(0.99 * request_us / (0.2 * 12))} s" in found.ours


def test_the_crossover_is_told_at_the_rate_of_the_run() -> None:
    rows = [*polls(310, 4), load("websocket", 16)]
    assert (
        f"at 10 ticks a second polling serves more clients per core once they accept {0.99 * 310 / 120:.3g} s"
        in (judged("live-open-data", *rows).ours)
    )
    steps = [
        load("websocket", 16, experiment="clients", rate_hz=20.0, clients=clients)
        | {"step": step, "late_ratio": late, "bottleneck": "server_cpu", "order": 77}
        for step, (clients, late) in enumerate([(2000, 0.0), (2500, 0.5)], 1)
    ]
    found = judged("live-open-data", *rows, *steps)
    assert (
        f"at 20 ticks a second polling serves more clients per core once they accept {0.99 * 310 / 240:.3g} s"
        in (found.ours)
    )
    assert found.verdict == judged("live-open-data", *rows).verdict


def test_the_crossover_by_one_library_and_never() -> None:
    two_libraries = load("websocket", 16), load("websocket_picows", 3)
    some = judged("live-open-data", *polls(25, 4), *two_libraries)
    assert some.verdict == STANDS
    assert "By 1 of 2 pairs of libraries it never does" in some.ours
    assert judged("live-open-data", *polls(300, 20), load("websocket", 16)).verdict == FALLS


def test_two_intervals_are_no_line_to_follow() -> None:
    assert judged("live-open-data", *polls(300, 4)[:2], load("websocket", 16)).verdict == NOT_JUDGED


def test_ticks_of_another_size_are_judged_too() -> None:
    rows = [*polls(25, 4), load("websocket", 16)]
    assert judged("live-open-data", *({**row, "payload_bytes": 512} for row in rows)).verdict == STANDS


# websockets


def silent(clients: int, mb: float, compression: bool) -> dict[str, Any]:
    return trial(
        "idle", "websocket", {"server_rss_mb": mb}, clients=clients, rate_hz=0.0, compression=compression
    )


@pytest.mark.parametrize(("kib", "verdict"), [(60, STANDS), (30, WITHIN_LIMITS), (300, FALLS)])
def test_memory_of_a_connection(kib: float, verdict: str) -> None:
    rows = [
        silent(clients, 30 + clients * each_kib * 1024 / 1e6, compression)
        for compression, each_kib in ((False, 14), (True, kib))
        for clients in (100, 1000)
    ]
    assert judged("websockets-memory", *rows).verdict == verdict


# All of them


def test_without_an_experiment_the_command_is_named() -> None:
    for publication in PUBLICATIONS:
        found = publication.judged_by(Evidence(synthetic_run().trials))
        assert found.verdict == NOT_JUDGED
        assert "bench run " in found.ours or "emulated network" in found.ours


def test_suspect_trials_are_marked_and_invalid_and_replaced_ones_left_out() -> None:
    exact, wrong = frames(128)[0], frames(128, more=9)[0]
    suspect = judged("framing", exact | {"verdict": "suspect"})
    assert suspect.doubt == "1 of the 1 trials behind this are suspect"
    assert not judged("framing", exact, wrong | {"verdict": "invalid"}, wrong | {"replaced": True}).doubt
    assert judged("framing", exact, wrong | {"verdict": "invalid"}).verdict == WITHIN_LIMITS
    assert judged("framing", wrong | {"verdict": "invalid"}).verdict == NOT_JUDGED


def test_every_publication_is_told_in_full() -> None:
    assert len(BY_NAME) == len(PUBLICATIONS) == 8
    reference = Run.open(ROOT / "results" / REFERENCE)
    for publication in PUBLICATIONS:
        found = publication.judged_by(Evidence(reference.trials))
        assert found.verdict in (STANDS, WITHIN_LIMITS, FALLS, NOT_JUDGED)
        assert all(len(row) == len(found.headings) for row in found.rows)
        record = literature.as_record(publication, found)
        assert all(
            record[name] for name in ("authors", "year", "title", "where", "figure", "obtained", "trap")
        )
