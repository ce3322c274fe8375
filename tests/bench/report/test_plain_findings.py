"""What a run found, in plain sentences: only what it measured, in order, and by the row's own fields."""

from typing import Any

import pytest

from bench.report.plain_findings import plain_findings
from tests.synthetic import synthetic_run, trial


def fresh(transport: str, p50_ms: float, **scenario: Any) -> dict[str, Any]:
    return trial("freshness", transport, {"latency_p50_ms": p50_ms}, **scenario)


def sent(experiment: str, transport: str, wire_bytes: float, **scenario: Any) -> dict[str, Any]:
    ways = {f"wire_bytes_per_delivery_{way}": wire_bytes / 2 for way in ("up", "down")}
    return trial(experiment, transport, ways, **scenario)


def test_a_run_of_one_transport_compares_nothing() -> None:
    assert plain_findings(synthetic_run(fresh("websocket", 1.0))) == []


def test_the_freshest_comes_first_and_a_poll_says_how_often_it_asks() -> None:
    (sentence,) = plain_findings(
        synthetic_run(fresh("short_polling", 500.0, poll_interval_s=1.0), fresh("websocket", 2.0))
    )
    assert sentence.endswith("within 2 ms by WebSocket and 500 ms by short polling each 1 s.")


def test_two_scenarios_of_a_transport_are_not_averaged() -> None:
    polls = [fresh("short_polling", 500.0 * each_s, poll_interval_s=each_s) for each_s in (1.0, 2.0)]
    assert plain_findings(synthetic_run(*polls, fresh("websocket", 2.0))) == []
    clients = [fresh("websocket", 2.0, clients=count) for count in (10, 1_000)]
    assert plain_findings(synthetic_run(*clients, fresh("long_polling", 2.0))) == []


def test_invalid_trials_say_nothing() -> None:
    wrong = fresh("websocket", 2.0) | {"verdict": "invalid"}
    assert plain_findings(synthetic_run(wrong, fresh("long_polling", 2.0))) == []


@pytest.mark.parametrize("headers", ["browser", "minimal"])
def test_bytes_are_of_the_latencies_trials_and_of_the_smallest_tick_alone(headers: str) -> None:
    rows = [
        sent("freshness", "websocket", 238.0),
        sent("freshness", "short_polling", 149.0),
        sent("overhead", "websocket", 204.0, payload_bytes=96),
        sent("overhead", "websocket", 1_100.0, payload_bytes=1_024),
        sent("overhead", "short_polling", 889.0, payload_bytes=96, headers=headers),
    ]
    (sentence,) = plain_findings(synthetic_run(*rows))
    assert "Such a tick of 128 B takes 149 B by short polling and 238 B by WebSocket on the wire" in sentence
    alone = (
        "a tick of 96 B that a browser asks for alone takes 204 B by WebSocket and 889 B by short polling."
    )
    assert (alone in sentence) == (headers == "browser")
