"""Claims at a distance, and when something happens: what is said and judged, and where a run lacks it."""

from typing import Any

import pytest

from bench.judge.claim_judges import HOLDS, WITHIN_LIMITS
from bench.judge.claims import Entry, ledger
from tests.bench.judge.test_claims import bytes_of_overhead, connections, freshness
from tests.synthetic import synthetic_run, trial


def entry(name: str, *rows: dict[str, Any]) -> Entry:
    return next(each for each in ledger(synthetic_run(*rows)) if each.name == name)


def over_link(
    rtt_ms: float, pushed_ms: float, held_ms: float, polled_ms: float, **fields: Any
) -> list[dict[str, Any]]:
    """Mean latencies of the experiment network over one distance."""
    means_ms = {"websocket": pushed_ms, "long_polling": held_ms, "short_polling": polled_ms}
    fields = {"clients": 60, "rate_hz": 16.0, "poll_interval_s": 0.25, "rtt_ms": rtt_ms} | fields
    return [
        trial("network", name, {"latency_mean_ms": mean_ms}, **fields) for name, mean_ms in means_ms.items()
    ]


def lost(
    held_up: float, worst_ms: float, transport: str = "websocket", rtt_ms: float = 50.0
) -> dict[str, Any]:
    figures = {"held_up_p50": held_up, "worst_p50_ms": worst_ms}
    fields = {"clients": 60, "rate_hz": 16.0, "rtt_ms": rtt_ms, "incident": "packet_lost"}
    return trial("network", transport, figures, **fields)


def killed(transport: str, missed: int, resumed_ms: float, clients: int = 50) -> dict[str, Any]:
    figures = {"missed": missed, "expected": 1000, "resumed_p50_ms": resumed_ms}
    fields = {"clients": clients, "incident": "server_killed", "incident_s": 0.5}
    return trial("recovery", transport, figures, **fields)


def cut_off(incident: str, share: float, dead: int = 0, **fields: Any) -> dict[str, Any]:
    lasts = {"incident_s": 0.2} if incident == "forgotten" else {}
    figures = {"resumed_ratio": share, "sockets_open": 50, "server_sockets": 50 + dead}
    return trial(
        "recovery", "websocket", figures, incident=incident, rtt_ms=20.0, clients=50, **lasts, **fields
    )


# latency


def test_latency_is_told_by_distance_and_no_transport_saves_the_way() -> None:
    far = [*over_link(50.0, 26.0, 27.0, 151.0), *over_link(300.0, 151.0, 300.0, 425.0)]
    found = entry("latency", *freshness(1, 2, 250), *far)
    assert found.verdict == WITHIN_LIMITS  # long polling takes as long, while ticks do not come too fast
    assert "long polling 1.04 and 1.99 over a round trip of 50 and 300 ms" in found.sentence
    assert "short polling each 0.25 s 5.81 and 2.81 over a round trip of 50 and 300 ms" in found.sentence
    assert "on loopback" not in found.sentence


def test_latency_holds_where_long_polling_is_later_near_and_far() -> None:
    assert entry("latency", *freshness(1, 2, 250), *over_link(300.0, 151.0, 300.0, 425.0)).verdict == HOLDS
    without = entry("latency", *freshness(1, 2, 250))
    assert (without.verdict, "at a distance: bench run network" in without.sentence) == (HOLDS, True)


@pytest.mark.parametrize("fields", [{"loss": 0.05}, {"rate_mbit": 4.0}, {"rtt_ms": None}, {"rtt_ms": 0.0}])
def test_only_links_that_are_nothing_but_distance_tell_of_distance(fields: dict[str, Any]) -> None:
    rows = [row | fields for row in over_link(50.0, 26.0, 27.0, 151.0)]
    assert "bench run network" in entry("latency", *freshness(1, 2, 250), *rows).sentence


def test_connections_that_are_not_kept_are_no_long_polling_at_a_distance() -> None:
    rows = over_link(50.0, 26.0, 27.0, 151.0)
    renewed = over_link(50.0, 26.0, 90.0, 300.0, keep_alive=False)
    told = entry("latency", *freshness(1, 2, 250), *rows, *renewed).sentence
    assert "long polling 1.04 over a round trip of 50 ms" in told


# tcp


def test_what_is_behind_a_lost_packet_waits() -> None:
    rows = [*bytes_of_overhead(238, 905, 897), lost(2, 112.0), lost(1, 256.0, "short_polling")]
    found = entry("tcp", *rows)
    assert found.verdict == WITHIN_LIMITS
    assert "One lost packet held up 2 ticks of a WebSocket, the oldest for 112 ms" in found.sentence
    assert "at 16 ticks a second over a round trip of 50 ms (1 by short polling)" in found.sentence


def test_a_run_without_a_packet_lost_on_purpose_says_what_to_run() -> None:
    for rows in ([], over_link(50.0, 26.0, 27.0, 151.0), [lost(1, 256.0, "short_polling")]):
        told = entry("tcp", *bytes_of_overhead(238, 905, 897), *rows).sentence
        assert "What is behind a lost one: bench run network." in told


# stateless


@pytest.mark.parametrize(("missed", "verdict"), [(0, HOLDS), (3, WITHIN_LIMITS)])
def test_another_process_answers_whose_server_is_killed(missed: int, verdict: str) -> None:
    rows = [killed("short_polling", missed, 160.0), killed("websocket", 0, 90.0)]
    herd = killed("websocket", 900, 2000.0, clients=1000)
    found = entry("stateless", *connections(0, 0, 1000), *rows, herd)
    assert found.verdict == verdict
    assert (
        f"short polling's clients missed {missed} of 1,000 ticks and had the first one 160 ms after it was "
        "back; WebSocket's clients missed 0 of 1,000 ticks and had the first one 90 ms"
    ) in found.sentence


def test_a_run_that_killed_no_server_says_what_to_run() -> None:
    for rows in ([], [killed("websocket", 0, 90.0)]):
        found = entry("stateless", *connections(0, 0, 1000), *rows)
        assert (found.verdict, "if one is killed: bench run recovery." in found.sentence) == (HOLDS, True)


# persistent-ws


def test_a_websocket_ends_though_nobody_closes_it() -> None:
    rows = [
        cut_off("address_changed", 0.0, dead=50),
        cut_off("address_changed", 1.0, dead=50, silence_s=0.5),
        cut_off("forgotten", 0.0),
        cut_off("forgotten", 1.0, heartbeat_s=0.1),
    ]
    found = entry("persistent-ws", *connections(0, 0, 1000), *rows)
    assert found.verdict == WITHIN_LIMITS
    for words in (
        "after a change of the clients' address 0 %;",
        "after a change of the clients' address 100 % (with a clock that ends a silence of 0.5 s)",
        "forgot whoever was idle for 0.2 s 0 %",
        "forgot whoever was idle for 0.2 s 100 % (with a heartbeat each 0.1 s)",
        "The server did not know that up to 50 of its connections were dead.",
    ):
        assert words in found.sentence
    assert "bench run recovery" not in found.sentence


def test_no_dead_connections_are_told_where_there_were_none() -> None:
    told = entry("persistent-ws", *connections(0, 0, 1000), cut_off("forgotten", 1.0)).sentence
    assert "dead" not in told
    assert (
        "What ends it elsewhere: bench run recovery."
        in entry("persistent-ws", *connections(0, 0, 1000), killed("websocket", 0, 90.0)).sentence
    )
