"""Published figures: the arithmetic, and verdicts on runs in which they stand and in which they do not."""

from pathlib import Path
from typing import Any

import pytest

from bench import literature
from bench.evidence import Evidence
from bench.literature import FALLS, NOT_JUDGED, PUBLICATIONS, STANDS, WITHIN_LIMITS, Judgement, lubbers_greco
from bench.literature.van_de_vyvere import poll_costs
from bench.models import websocket_header_bytes
from bench.results import REFERENCE, Run
from tests.synthetic import synthetic_run, trial

BY_NAME = {publication.name: publication for publication in PUBLICATIONS}


def judged(name: str, *rows: dict[str, Any]) -> Judgement:
    return BY_NAME[name].judged_by(Evidence(synthetic_run(*rows).trials))


def overhead(
    transport: str, payload_bytes: int, framing: float, asked: float = 0, packets: int = 1
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
            "server_cpu_us_per_client_s": 100.0,
        },
        payload_bytes=payload_bytes,
        clients=1,
        headers="browser",
        rate_hz=50.0,
    )


def load(transport: str, cpu_us_per_tick: float, ticks: float = 0, **scenario: Any) -> dict[str, Any]:
    """A trial under load: the server's CPU of a delivery, and the ticks of an answer."""
    scenario = {"clients": 500, "rate_hz": 10.0, **scenario}
    figures = {
        "server_cpu_us_per_tick": cpu_us_per_tick,
        "server_cpu_us_per_client_s": cpu_us_per_tick * scenario["rate_hz"],
        "requests_per_tick": 1 / ticks if ticks else 0.0,
    }
    return trial(scenario.pop("experiment", "library"), transport, figures, **scenario)


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


def test_headers_that_outweigh_frames_on_the_wire_too() -> None:
    found = judged("quantum-leap", overhead("short_polling", 128, 150, 520), overhead("websocket", 128, 6))
    assert found.verdict == WITHIN_LIMITS  # 334:1 is less than 500:1
    assert "435:1" in found.ours
    assert "can be rebuilt" in found.ours
    assert [row[0] for row in found.rows] == ["1,000", "10,000", "100,000"]


def test_headers_as_long_as_they_claim() -> None:
    found = judged("quantum-leap", overhead("short_polling", 128, 150, 1520), overhead("websocket", 128, 6))
    assert found.verdict == STANDS


def test_headers_that_are_hardly_longer_than_a_frame() -> None:
    found = judged(
        "quantum-leap", overhead("short_polling", 128, 10, 10), overhead("websocket", 128, 6, packets=3)
    )
    assert found.verdict == FALLS


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


def test_a_rate_at_which_ticks_share_answers_limits_it_but_does_not_refute_it() -> None:
    slow = rate("websocket", 5, 1.0), rate("long_polling", 5, 1.2, 1.0)
    fast = rate("websocket", 500, 1.0), rate("long_polling", 500, 5.0, 0.5)
    assert judged("long-polling", *slow, *fast).verdict == WITHIN_LIMITS
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
    other = overhead("short_polling", 128, 50, 100), overhead("websocket", 128, 40)
    assert judged("layers", *other).verdict == FALLS


# Bozdag, Mesbah and van Deursen


@pytest.mark.parametrize(("push_us", "verdict"), [(700.0, STANDS), (150.0, WITHIN_LIMITS), (20.0, FALLS)])
def test_push_against_pull(push_us: float, verdict: str) -> None:
    found = judged(
        "push-and-pull",
        load("short_polling", 100.0, 5, poll_interval_s=0.5),
        load("websocket", push_us),
        load("websocket_aiohttp", push_us),
    )
    assert found.verdict == verdict
    assert "by the same library" in found.ours


def test_push_against_pull_that_asks_seldom_is_not_at_equal_rates() -> None:
    seldom = load("short_polling", 100.0, 50, poll_interval_s=5.0), load("websocket", 700.0)
    assert judged("push-and-pull", *seldom).verdict == NOT_JUDGED


# Van de Vyvere, Colpaert and Verborgh


def polls(request_us: float, tick_us: float) -> list[dict[str, Any]]:
    return [
        load("short_polling", request_us / ticks + tick_us, ticks, poll_interval_s=ticks / 10)
        for ticks in (1, 5, 25)
    ]


def test_the_cost_of_a_poll_is_found_again() -> None:
    cost = poll_costs(synthetic_run(*polls(300, 4)).trials)["short_polling"]
    assert cost.request_s == pytest.approx(300e-6)
    assert cost.tick_s == pytest.approx(4e-6)


def test_the_crossover_is_where_the_model_has_it() -> None:
    found = judged("live-open-data", *polls(300, 4), load("websocket", 16))
    assert found.verdict == WITHIN_LIMITS
    assert f"{0.99 * 300 / (5 * 12):.3g} s" in found.ours
    assert judged("live-open-data", *polls(600, 4), load("websocket", 16)).ours != found.ours


def test_the_crossover_by_one_library_and_never() -> None:
    two_libraries = load("websocket", 16), load("websocket_picows", 3)
    some = judged("live-open-data", *polls(300, 4), *two_libraries)
    assert some.verdict == WITHIN_LIMITS
    assert "By 1 of 2 pairs of libraries it never does" in some.ours
    assert judged("live-open-data", *polls(300, 20), load("websocket", 16)).verdict == FALLS


def test_two_intervals_are_no_line_to_follow() -> None:
    assert judged("live-open-data", *polls(300, 4)[:2], load("websocket", 16)).verdict == NOT_JUDGED


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
    reference = Run.open(Path(__file__).parent.parent / "results" / REFERENCE)
    for publication in PUBLICATIONS:
        found = publication.judged_by(Evidence(reference.trials))
        assert found.verdict in (STANDS, WITHIN_LIMITS, FALLS, NOT_JUDGED)
        assert all(len(row) == len(found.headings) for row in found.rows)
        record = literature.as_record(publication, found)
        assert all(
            record[name] for name in ("authors", "year", "title", "where", "figure", "obtained", "trap")
        )
