"""Figures of incidents, from observations that are told by hand; and which faults an incident excuses."""

import math
from typing import Any

import numpy as np
import pytest

from bench.columns.catalogue import COLUMNS
from bench.columns.incident import INCIDENT
from bench.results.deliveries import WindowTicks
from bench.results.incident_figures import (
    incident_figures,
    lateness_figures,
    most_within,
    notice_figures,
    open_sockets,
    resumption_figures,
    socket_figures,
)
from bench.results.observation import Outage
from bench.results.validity import Fault, find_faults
from bench.scenario import Scenario
from clients.sockets.events import SocketEvent
from tests.bench.measure.test_trial import GOOD, SCENARIO, S, observe_fakes, trial_of

MS = 1_000_000
OUTAGE = Outage(1_050 * MS, 2_050 * MS)
WINDOW = WindowTicks(1, 40, 0, 4_000 * MS)
PERIOD_MS = 100
OPENED = [(0, SocketEvent.ASKED), (5, SocketEvent.OPENED)]


def delivered(*clients: dict[int, float]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return what clients got: of each the latency in ms by the tick's number; tick 0 is due at 0."""
    rows = [
        (number, seq, seq * PERIOD_MS * MS, round((seq * PERIOD_MS + latency_ms) * MS), 0, 0)
        for number, ticks in enumerate(clients)
        for seq, latency_ms in ticks.items()
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 6)


def happened(*clients: list[tuple[float, SocketEvent]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return what happened to clients' connections: of each the instants in ms, and what."""
    rows = [(number, round(at * MS), what) for number, own in enumerate(clients) for at, what in own]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def held_up(until_ms: float, *, usual_ms: float = 5.0) -> dict[int, float]:
    """Return the latencies of a client that gets what was due in the outage at an instant, all together."""
    return {
        seq: usual_ms if due < 1_050 or due + usual_ms >= until_ms else until_ms - due
        for seq in range(1, 41)
        for due in [seq * PERIOD_MS]
    }


def test_a_client_that_resumes_is_told_by_its_first_tick_after_the_return() -> None:
    found = resumption_figures(delivered(held_up(2_350), held_up(2_150)), OUTAGE, clients=2)
    assert found["resumed_ratio"] == 1
    assert (found["resumed_p50_ms"], found["resumed_max_ms"]) == (200, 300)


def test_a_client_that_never_resumes_is_left_out_and_counted() -> None:
    gone = {seq: 5.0 for seq in range(1, 11)}
    found = resumption_figures(delivered(held_up(2_350), gone), OUTAGE, clients=2)
    assert (found["resumed_ratio"], found["resumed_max_ms"]) == (0.5, 300)
    found = resumption_figures(delivered(gone, gone), OUTAGE, clients=2)
    assert found["resumed_ratio"] == 0
    assert math.isnan(found["resumed_p50_ms"])


def test_a_tick_that_was_on_its_way_is_no_resumption() -> None:
    at_once = Outage(1_050 * MS, 1_050 * MS)
    far = {seq: 80.0 for seq in range(1, 11)}  # the tenth is due before the begin and comes after it
    assert resumption_figures(delivered(far), at_once, clients=1)["resumed_ratio"] == 0
    assert resumption_figures(delivered(far | {11: 80.0}), at_once, clients=1)["resumed_ratio"] == 1


def test_late_is_what_took_longer_than_any_tick_before() -> None:
    found = lateness_figures(delivered(held_up(2_350), held_up(2_150)), OUTAGE, clients=2)
    assert found["held_up_p50"] == pytest.approx((13 + 11) / 2)  # due from 1,100 on
    assert (found["caught_up_p50_ms"], found["caught_up_max_ms"]) == (200, 300)
    assert found["worst_p50_ms"] == pytest.approx((1_250 + 1_050) / 2)


def test_a_stall_long_after_the_incident_is_not_held_up_by_it() -> None:
    stalled, in_time = held_up(2_350) | {35: 90.0}, {seq: 5.0 for seq in range(1, 41)} | {35: 24.0}
    found = lateness_figures(delivered(stalled, in_time), OUTAGE, clients=2)
    assert (found["held_up_p50"], found["caught_up_max_ms"]) == (13 / 2, 300)


def test_a_late_tick_before_the_incident_makes_fewer_of_them_late() -> None:
    found = lateness_figures(delivered(held_up(2_350) | {3: 700.0}), OUTAGE, clients=1)
    assert found["held_up_p50"] == 6  # due from 1,100 to 1,600
    assert found["caught_up_max_ms"] == 300
    assert found["worst_p50_ms"] == 1_250


def test_where_nothing_was_late_nobody_has_to_catch_up() -> None:
    found = lateness_figures(delivered({seq: 5.0 for seq in range(1, 41)}), OUTAGE, clients=1)
    assert found["held_up_p50"] == 0
    assert math.isnan(found["caught_up_p50_ms"])


def test_where_no_tick_came_before_nobody_knows_what_is_late() -> None:
    found = lateness_figures(delivered({20: 800.0}), OUTAGE, clients=1)
    assert set(found) == {"worst_p50_ms"}
    assert all(math.isnan(each) for each in lateness_figures(delivered(), OUTAGE, clients=1).values())


def test_who_noticed_is_told_by_the_first_end_of_each() -> None:
    reset = [*OPENED, (1_250, SocketEvent.RESET), (1_300, SocketEvent.ASKED), (1_301, SocketEvent.REFUSED)]
    silent = [*OPENED, (2_050, SocketEvent.SILENT)]
    found = notice_figures(happened(reset, reset, silent, OPENED), OUTAGE, clients=4)
    assert found == {"noticed_ratio": 0.75, "noticed_p50_ms": 200, "noticed_by": "reset"}


@pytest.mark.parametrize(
    "nothing",
    [
        OPENED,
        [*OPENED, (1_000, SocketEvent.RESET), (1_010, SocketEvent.ASKED), (1_020, SocketEvent.OPENED)],
        [*OPENED, (1_200, SocketEvent.DONE)],
    ],
    ids=["nothing", "before the begin", "as it should"],
)
def test_nobody_noticed(nothing: list[tuple[float, SocketEvent]]) -> None:
    found = notice_figures(happened(nothing), OUTAGE, clients=1)
    assert (found["noticed_ratio"], found["noticed_by"]) == (0, "nobody")
    assert math.isnan(found["noticed_p50_ms"])


def test_a_client_that_reconnects_thrice() -> None:
    tries = [
        (at + later, what)
        for at in (1_100, 1_200, 1_400)
        for later, what in ((0, SocketEvent.RESET), (50, SocketEvent.ASKED), (60, SocketEvent.OPENED))
    ]
    found = socket_figures(happened([*OPENED, *tries], OPENED), OUTAGE, WINDOW)
    assert (found["sockets_asked"], found["sockets_lost"], found["sockets_open"]) == (3, 3, 2)
    assert notice_figures(happened([*OPENED, *tries]), OUTAGE, clients=1)["noticed_p50_ms"] == 50


def test_connections_are_counted_at_the_end_of_the_window() -> None:
    ends = [*OPENED, (3_000, SocketEvent.SILENT), (3_100, SocketEvent.ASKED)]
    assert open_sockets(happened(ends, OPENED), 2_999 * MS) == 2
    assert open_sockets(happened(ends, OPENED), WINDOW.end_ns) == 1  # asked for is not open
    assert open_sockets(happened([*ends, (4_100, SocketEvent.OPENED)]), WINDOW.end_ns) == 0
    assert open_sockets(happened(), WINDOW.end_ns) == 0


@pytest.mark.parametrize(
    ("at_ms", "most"), [([], 0), ([3], 1), ([0, 99, 100], 2), ([500, 0, 40, 80], 3), ([7, 7, 7], 3)]
)
def test_the_herd_is_the_most_within_a_tenth_of_a_second(at_ms: list[int], most: int) -> None:
    assert most_within(np.array(at_ms, dtype=np.int64) * MS, 100 * MS) == most
    asked = [(2_050 + at, SocketEvent.ASKED) for at in at_ms]
    asked += [(1_100, SocketEvent.ASKED)] * 9  # nobody was there yet
    assert socket_figures(happened(asked), OUTAGE, WINDOW)["asked_peak_per_s"] == 10 * most


def test_in_a_silent_market_nobody_has_to_resume() -> None:
    silent = Scenario("websocket", clients=3, rate_hz=0, heartbeat_s=0.2, window_s=2.0)
    observation, _, _ = observe_fakes(silent)
    observation.__dict__.update(
        outage=Outage(observation.window.start_ns + S, observation.window.start_ns + S)
    )
    row = incident_figures(observation)
    assert "resumed_ratio" not in row
    assert row["noticed_by"] == "nobody"


def test_every_figure_is_a_column_and_a_trial_without_incident_has_none() -> None:
    observation, _, _ = observe_fakes(SCENARIO)
    assert incident_figures(observation) == {}
    assert not {column.name for column in INCIDENT} & set(trial_of(SCENARIO).row)
    window = observation.window
    began_ns = (window.start_ns + window.end_ns) // 2
    observation.__dict__.update(outage=Outage(began_ns, began_ns))
    assert set(incident_figures(observation)) == {column.name for column in INCIDENT} <= set(COLUMNS)


@pytest.mark.parametrize(
    ("change", "incident", "fault"),
    [
        ({"missed": 3}, None, Fault.WRONG_TICKS),
        ({"missed": 3}, "link_down", None),
        ({"duplicates": 1}, "link_down", Fault.WRONG_TICKS),
        ({"out_of_order": 1}, "server_killed", Fault.WRONG_TICKS),
        ({"drained": False}, "address_changed", None),
        ({"stamp_shared_ratio": 0.4}, None, Fault.SHARED_STAMPS),
        ({"stamp_shared_ratio": 0.4}, "link_down", None),
        ({"request_lag_p99_ms": 900.0}, "server_killed", None),
        ({"request_lag_p99_ms": 900.0}, "link_down", None),  # a connection for each request: none was lost
        ({"request_lag_p99_ms": 900.0}, "packet_lost", Fault.REQUEST_LAG),
        ({"publish_lag_p99_ms": 40.0, "server_cpu_ratio": math.nan}, "server_killed", None),
        ({"publish_lag_p99_ms": 40.0}, "link_down", Fault.PUBLISH_LAG),
        ({"generator_lag_p99_ms": 50.0}, "link_down", Fault.GENERATOR_LAG),
        ({"foreign_cpu_ratio": 0.5}, "server_killed", Fault.FOREIGN_CPU),
        ({"clock_shift_ns": 60_000}, "forgotten", Fault.CLOCK_STEP),
    ],
)
def test_an_incident_makes_findings_of_some_faults(
    change: dict[str, Any], incident: str | None, fault: Fault | None
) -> None:
    found = find_faults({**GOOD, **change, "incident": incident})
    assert found == (() if fault is None else (fault,))
