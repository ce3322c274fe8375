"""Real trials with an incident: who is cut off, who notices, and who gets every tick nevertheless."""

from collections.abc import Mapping
from typing import Any

import pytest

from bench.measure.trial import Trial, run_trial
from bench.scenario import Scenario
from tests.bench.network.boxes import need_box
from tests.waiting import LIMIT_S

pytestmark = [pytest.mark.alone, pytest.mark.timeout(LIMIT_S * 3)]

CLIENTS = 4
LINK = {"rtt_ms": 20.0}


def trial_of(transport: str, incident: str, **fields: Any) -> Trial:
    usual = {"clients": CLIENTS, "rate_hz": 20, "warmup_s": 0.1, "window_s": 2.0}
    scenario = Scenario(transport, incident=incident, **(usual | fields))
    if scenario.rtt_ms is not None:
        need_box()
    return run_trial(scenario, seed=1)


def assert_all_came(row: Mapping[str, Any]) -> None:
    assert (row["missed"], row["duplicates"], row["out_of_order"]) == (0, 0, 0)
    assert row["delivered"] == row["expected"]
    assert row["resumed_ratio"] == 1
    assert row["verdict"] != "invalid"


def assert_all_found_out(row: Mapping[str, Any], *reasons: str) -> None:
    assert row["noticed_ratio"] == 1
    assert row["noticed_by"] in reasons
    assert row["sockets_lost"] >= CLIENTS
    assert row["sockets_asked"] >= CLIENTS
    assert row["asked_peak_per_s"] >= 10


def assert_nobody_noticed(row: Mapping[str, Any]) -> None:
    assert (row["noticed_ratio"], row["noticed_by"]) == (0, "nobody")
    assert (row["sockets_lost"], row["sockets_asked"], row["asked_peak_per_s"]) == (0, 0, 0)
    assert row["sockets_open"] == row["server_sockets"] == CLIENTS


def test_a_lost_packet_holds_up_what_comes_behind_it() -> None:
    row = trial_of("websocket", "packet_lost", **LINK).row
    assert_all_came(row)
    assert_nobody_noticed(row)
    assert row["outage_s"] == 0
    assert row["held_up_p50"] >= 1
    assert row["worst_p50_ms"] > row["latency_p50_ms"] + LINK["rtt_ms"]  # it was sent again


def test_tcp_outlives_a_link_that_is_down_for_a_while() -> None:
    row = trial_of("websocket", "link_down", incident_s=0.5, **LINK).row
    assert_all_came(row)
    assert_nobody_noticed(row)
    assert row["outage_s"] == pytest.approx(0.5, rel=0.1)
    assert row["held_up_p50"] >= 9  # of 20 a second
    assert row["worst_p50_ms"] >= 450


@pytest.mark.parametrize(
    ("transport", "more"),
    [("short_polling", {"poll_interval_s": 0.1}), ("long_polling", {"hold_s": 1.0}), ("websocket", {})],
)
def test_a_server_that_was_killed_comes_back_and_nothing_is_lost(
    transport: str, more: dict[str, float]
) -> None:
    row = trial_of(transport, "server_killed", incident_s=0.3, window_s=3.0, **more).row
    assert_all_came(row)
    assert_all_found_out(row, "ended", "reset")
    assert row["outage_s"] >= 0.3
    assert row["held_up_p50"] >= 5
    assert row["server_cpu_ratio"] != row["server_cpu_ratio"]  # NaN
    assert "server_cpu_us_per_delivery" not in row


def test_push_never_hears_again_of_a_server_that_knows_an_old_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Scenario, "drain_s", 1.0)
    row = trial_of("websocket", "address_changed", window_s=1.0, **LINK).row
    assert_nobody_noticed(row)
    assert row["resumed_ratio"] == 0
    assert row["missed"] >= CLIENTS * 10
    assert row["verdict"] != "invalid"  # it is a finding
    assert row["held_up_p50"] == 0


def test_who_gives_up_silent_connections_gets_every_tick() -> None:
    row = trial_of("websocket", "address_changed", silence_s=0.4, **LINK).row
    assert_all_came(row)
    assert_all_found_out(row, "silent")
    assert row["noticed_p50_ms"] >= 300  # less the half period since the last tick
    assert row["sockets_open"] == CLIENTS
    assert row["server_sockets"] >= 2 * CLIENTS  # it does not know that the old ones are dead


@pytest.mark.parametrize("heartbeat_s", [None, 0.1])
def test_a_heartbeat_keeps_a_connection_from_being_forgotten(
    heartbeat_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scenario, "drain_s", 1.0)
    fields = {"rate_hz": 1, "window_s": 3.0, "incident_s": 0.4, "heartbeat_s": heartbeat_s}
    row = trial_of("websocket", "forgotten", **fields, **LINK).row
    assert_nobody_noticed(row)
    assert row["resumed_ratio"] == (0 if heartbeat_s is None else 1)
    assert row["missed"] == (2 * CLIENTS if heartbeat_s is None else 0)
