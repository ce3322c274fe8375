"""Published figures of what a server spends on a delivery and on a connection: verdicts on runs by which they
stand, and by which they do not.
"""

from typing import Any

import pytest

from bench.judge.costs import busy_trials, poll_costs
from bench.judge.literature import FALLS, NOT_JUDGED, STANDS, WITHIN_LIMITS
from bench.results.evidence import Evidence
from bench.wording import number
from tests.synthetic import judged, synthetic_run, trial


def load(transport: str, cpu_us_per_tick: float, ticks: float = 0, **scenario: Any) -> dict[str, Any]:
    """A trial under load: the server's CPU of a delivery, and the ticks of an answer."""
    scenario = {"clients": 500, "rate_hz": 10.0, **scenario}
    figures = {
        "server_cpu_us_per_delivery": cpu_us_per_tick,
        "server_cpu_us_per_client_s": cpu_us_per_tick * scenario["rate_hz"],
        "requests_per_delivery": 1 / ticks if ticks else 0.0,
        "server_cpu_ratio": scenario.pop("server_cpu_ratio", 0.5),
    }
    return trial(scenario.pop("experiments", "library"), transport, figures, **scenario)


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
        load("long_polling_httptools", 100.0, 1, **size),
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
    rows[1]["server_cpu_us_per_delivery"] *= 1.4
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
        f"at 10 ticks a second polling serves more clients per core than WebSocket once they accept "
        f"{0.99 * 310 / 120:.3g} s" in (judged("live-open-data", *rows).ours)
    )
    steps = [
        load("websocket", 16, experiments="clients", rate_hz=20.0, clients=clients)
        | {"search_step": step, "late_ratio": late, "bottleneck": "server_cpu", "trial_number": 77}
        for step, (clients, late) in enumerate([(2000, 0.0), (2500, 0.5)], 1)
    ]
    found = judged("live-open-data", *rows, *steps)
    assert (
        f"at 20 ticks a second polling serves more clients per core than WebSocket once they accept "
        f"{0.99 * 310 / 240:.3g} s" in (found.ours)
    )
    assert found.verdict == judged("live-open-data", *rows).verdict


def test_the_crossover_by_one_library_and_never() -> None:
    two_libraries = load("websocket", 16), load("websocket_picows", 3)
    some = judged("live-open-data", *polls(25, 4), *two_libraries)
    assert some.verdict == STANDS
    assert "By 1 of 2 pairs of libraries it never does" in some.ours
    assert judged("live-open-data", *polls(300, 20), load("websocket", 16)).verdict == FALLS


def test_the_crossover_is_of_server_sent_events_where_the_run_has_them() -> None:
    """Theirs is of them; WebSocket stands in the table, and decides nothing."""
    alone = judged("live-open-data", *polls(25, 4), load("server_sent_events", 16))
    found = judged("live-open-data", *polls(25, 4), load("server_sent_events", 16), load("websocket", 300))
    assert (found.verdict, found.ours) == (STANDS, alone.ours)
    assert "more clients per core than server-sent events once they accept" in found.ours
    assert "WebSocket\nwebsockets" in found.headings


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
