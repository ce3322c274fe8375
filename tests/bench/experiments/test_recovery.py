"""What is said of recovery: theory and sentences follow each field of the incident, and figures show it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.recovery import finding
from bench.measure.schedule import plan_run, planned_s
from bench.report.plots.figures import FIGURES, draw
from bench.results.run import Run
from bench.theory.traffic import Bounds
from bench.transports import main_names
from clients.sockets.events import SocketEvent
from tests.bench.report.test_plots import outside, texts
from tests.bench.results.test_run import FACTS
from tests.synthetic import synthetic_run, trial

S = 1_000_000_000
DOWN: dict[str, Any] = {
    "incident": "link_down",
    "incident_s": 1.2,
    "rtt_ms": 20.0,
    "hold_s": 0.3,
    "window_s": 20.0,
}
MOVED: dict[str, Any] = {
    **DOWN,
    "incident": "address_changed",
    "incident_s": None,
    "poll_interval_s": 0.3,
    "rate_hz": 5.0,
}
KILLED: dict[str, Any] = {"incident": "server_killed", "incident_s": 0.5, "window_s": 20.0}
FORGOTTEN: dict[str, Any] = {
    **DOWN,
    "incident": "forgotten",
    "incident_s": 0.2,
    "rate_hz": 2.0,
    "poll_interval_s": 0.1,
}


@pytest.mark.parametrize(("profile", "budget_s"), [("quick", 12), ("standard", 90)])
def test_the_plan_keeps_its_budget(profile: str, budget_s: float) -> None:
    assert planned_s(plan_run(["recovery"], main_names(), profile, 1, {})) <= budget_s


# Theory


def predicted(transport: str, outage_s: float = math.nan, **fields: Any) -> Bounds:
    """Return what theory says of a scenario, as two bounds."""
    rows = [trial("recovery", transport, {"outage_s": outage_s}, **fields)]
    own = EXPERIMENTS["recovery"]
    assert own.predict is not None
    found = own.predict(synthetic_run(*rows).trials).iloc[0]
    return found if isinstance(found, Bounds) else Bounds(found, found)


def test_theory_of_a_link_that_was_down_is_that_of_tcps_timer() -> None:
    """The first lost tick is due after 50 ms, the timer 220 ms: 50 + 7 × 220, and alone 50 + 8 × 220."""
    assert predicted("websocket", **DOWN).low == pytest.approx(400, abs=2)
    assert predicted("long_polling", **DOWN).low == pytest.approx(620, abs=2)
    assert predicted("websocket", **DOWN).high > predicted("websocket", **DOWN).low


@pytest.mark.parametrize(
    ("transport", "base", "field", "value", "less"),
    [
        ("websocket", DOWN, "incident_s", 1.4, True),  # the timer does not know of it
        ("websocket", DOWN, "incident_s", 2.0, False),  # it has doubled
        ("websocket", DOWN, "rtt_ms", 22.0, False),
        ("websocket", DOWN, "rate_hz", 8.0, False),  # the first lost tick is sent later
        ("websocket", DOWN | {"incident_s": 2.0}, "silence_s", 0.5, True),
        ("long_polling", MOVED | {"silence_s": 0.5}, "silence_s", 0.7, False),
        ("websocket", MOVED | {"silence_s": 0.5}, "rtt_ms", 40.0, False),
        ("websocket", MOVED | {"silence_s": 0.5}, "rate_hz", 20.0, False),
        ("websocket", MOVED | {"silence_s": 0.5}, "tls", True, False),
        ("websocket", MOVED | {"silence_s": 0.5}, "backoff", "none", False),  # always 50 ms, not half of it
        ("short_polling", MOVED, "poll_interval_s", 0.5, False),
        ("short_polling", MOVED, "rtt_ms", 40.0, False),
        ("short_polling", MOVED, "rate_hz", 20.0, True),  # who asks again so soon finds a tick
        ("short_polling", MOVED | {"rate_hz": 20.0}, "backoff", "doubling", False),
        ("short_polling", MOVED, "tls", True, False),
        ("websocket", KILLED, "incident_s", 2.0, False),
        ("websocket", KILLED, "backoff", "none", True),
        ("short_polling", KILLED, "poll_interval_s", 2.0, False),
        ("websocket", FORGOTTEN | {"heartbeat_s": 0.1}, "rate_hz", 1.0, False),
        ("short_polling", FORGOTTEN, "poll_interval_s", 0.15, False),
    ],
)
def test_theory_reads_each_field(
    transport: str, base: dict[str, Any], field: str, value: Any, less: bool
) -> None:
    before, after = predicted(transport, **base), predicted(transport, **base | {field: value})
    assert (after.high < before.low) if less else (after.low > before.low)


def test_theory_takes_the_outage_as_it_was() -> None:
    assert predicted("websocket", 0.5, **KILLED) == predicted("websocket", **KILLED)
    assert predicted("websocket", 1.2, **KILLED) != predicted("websocket", **KILLED)


@pytest.mark.parametrize(
    ("transport", "fields"),
    [
        ("websocket", MOVED),  # who only listens never knows
        ("long_polling", MOVED),
        ("websocket", FORGOTTEN),
        ("short_polling", FORGOTTEN | {"poll_interval_s": 0.3}),
        ("long_polling", MOVED | {"silence_s": 0.5, "rate_hz": 10.0}),  # its question may not be acknowledged
        ("websocket", DOWN | {"loss": 0.01}),
        ("websocket", DOWN | {"jitter_ms": 5.0}),
        ("websocket", DOWN | {"plan": "poisson"}),
        ("websocket", DOWN | {"user_timeout_s": 1.0}),
        ("websocket", DOWN | {"rate_hz": 50.0}),  # ticks come faster than probes
        ("websocket", DOWN | {"incident_s": 0.2}),
        ("websocket", DOWN | {"incident": "packet_lost", "incident_s": None}),
    ],
)
def test_theory_says_nothing_of_what_it_does_not_cover(transport: str, fields: dict[str, Any]) -> None:
    assert math.isnan(predicted(transport, **fields).low)


# Sentences


def found(transport: str, resumed_ms: float, missed: int = 0, /, **fields: Any) -> dict[str, Any]:
    """Return a trial of 50 clients; who never had a tick again noticed nothing."""
    noticed = resumed_ms == resumed_ms and fields.get("incident") != "link_down"
    figures = {
        "outage_s": 0.93, "resumed_p50_ms": resumed_ms, "missed": missed, "expected": 1000,
        "noticed_ratio": float(noticed), "noticed_p50_ms": 170.0 if noticed else math.nan,
        "noticed_by": "reset" if noticed else "nobody", "sockets_asked": 500.0, "asked_peak_per_s": 700.0,
    }  # fmt: skip
    return trial("recovery", transport, figures, **{"clients": 50, **fields})


def said(*rows: dict[str, Any]) -> str:
    return finding(synthetic_run(*rows).trials)


def test_a_sentence_tells_who_had_ticks_again_who_noticed_and_what_was_lost() -> None:
    told = said(
        found("short_polling", 235.0, **MOVED),
        found("websocket", math.nan, 600, **MOVED),
        found("websocket", 530.0, **MOVED, silence_s=0.5),
    )
    assert "The clients' address changed (50 clients, 5 Hz)." in told
    assert "short polling (every 0.3 s) 235 ms" in told
    assert "WebSocket (silence 0.5 s) 530 ms" in told
    assert "60 % of those by WebSocket" in told
    assert "short polling (every 0.3 s) after 170 ms by a reset" in told
    assert "silence 0.5 s) after 170" in told


def test_a_sentence_says_that_nothing_was_lost_and_that_nobody_noticed() -> None:
    told = said(found("websocket", 480.0, **DOWN), found("long_polling", 740.0, **DOWN))
    assert "The link was down for 1.2 s" in told
    assert "No tick was lost. No client noticed." in told
    told = said(found("websocket", math.nan, 700, **MOVED))
    assert "No client had a tick again" in told


def test_where_all_noticed_in_the_same_way_one_range_tells_it() -> None:
    told = said(found("websocket", 300.0, **KILLED), found("long_polling", 300.0, **KILLED))
    assert "All noticed by a reset, half of them after 170 to 170 ms." in told
    some = found("long_polling", 300.0, **KILLED) | {"noticed_ratio": 0.5}
    told = said(found("websocket", 300.0, **KILLED), some)
    assert "50 % of long polling after 170 ms by a reset" in told


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("incident", ["link_down", "packet_lost"], ["link was down", "lost a packet"]),
        ("incident_s", [1.2, 2.0], ["down for 1.2 s", "down for 2 s"]),
        ("silence_s", [0.5, 0.7], ["silence 0.5 s", "silence 0.7 s"]),
        ("user_timeout_s", [1.0, 2.0], ["user timeout 1 s", "user timeout 2 s"]),
        ("backoff", ["none", "doubling"], ["back-off none", "back-off doubling"]),
        ("rate_hz", [5.0, 10.0], ["5 Hz", "10 Hz"]),
        ("clients", [50, 70], ["50 clients", "70 clients"]),
        ("heartbeat_s", [3.0, 4.0], ["heartbeat each 3 s", "heartbeat each 4 s"]),
    ],
)
def test_what_differs_is_told_apart_and_never_averaged(
    field: str, values: list[Any], words: list[str]
) -> None:
    rows = []
    for place, value in enumerate(values):
        fields = DOWN | {field: value}
        if value == "packet_lost":
            fields["incident_s"] = None
        rows.append(found("websocket", 100.0 * (place + 1), **fields))
    told = said(*rows)
    assert all(word in told for word in [*words, "100 ms", "200 ms"])
    assert "150 ms" not in told


def test_the_herd_is_told_where_clients_wait_in_several_ways() -> None:
    rows = [found("websocket", 100.0, **KILLED, backoff=each) for each in ("jittered", "none")]
    assert "back-off jittered) 700 (10 attempts a client in all" in said(*rows)
    assert "connections a second" not in said(rows[0])


# Figures


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run of a few trials of 4 clients, a tick each 0.1 s, with deliveries and sockets."""
    run = Run.create(tmp_path, {**FACTS, "experiments": ["recovery"]})
    began_ns, clients = 10 * S, 4
    due = began_ns - S // 4 + np.arange(20) * S // 10
    scenarios = [("websocket", DOWN), ("websocket", MOVED), ("short_polling", MOVED)]
    scenarios += [("websocket", KILLED | {"backoff": each}) for each in ("none", "jittered")]
    for order, (transport, fields) in enumerate(scenarios, 1):
        is_deaf = transport == "websocket" and fields["incident"] == "address_changed"
        ticks = [
            (client, seq, at, at + 20_000_000, at + 21_000_000, 0)
            for client in range(clients)
            for seq, at in enumerate(due)
            if at < began_ns or not is_deaf
        ]
        sockets = [
            (client, began_ns + round(at_s * S), what)
            for client in range(clients if not is_deaf else 0)
            for at_s, what in (
                (0.1, SocketEvent.RESET),
                (0.15, SocketEvent.ASKED),
                (0.17, SocketEvent.OPENED),
            )
        ]
        figures = {
            "incident_at_ns": began_ns, "outage_s": 0.0 if fields is MOVED else 0.5, "missed": 0,
            "expected": 20 * clients, "delivered": len(ticks), "duplicates": 0,
        }  # fmt: skip
        row = trial("recovery", transport, figures, **{**fields, "clients": clients}) | {
            "trial_number": order
        }
        run.add(
            row,
            np.array(ticks, dtype=np.int64).reshape(-1, 6),
            np.array(sockets, dtype=np.int64).reshape(-1, 3),
        )
    return run


def test_figures_show_the_herd_and_what_one_client_sees(run: Run) -> None:
    drawn = {}
    for drawing in FIGURES["recovery"]:
        figure = draw(drawing, run, "recovery")
        assert figure is not None, drawing.name
        assert outside(figure) == [], drawing.name
        drawn[drawing.name] = " ".join(words for words, _ in texts(figure))
    assert "back-off jittered: 1.0 attempts a client" in drawn["herd"]
    assert "back-off none" in drawn["herd"]
    assert "WebSocket" in drawn["link_down"]
    assert "short polling (every 0.3 s)" in drawn["address_changed"]


def test_a_run_without_incidents_has_none_of_these_figures(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {**FACTS, "experiments": ["recovery"]})
    run.add(trial("recovery", "websocket", {"missed": 0}) | {"trial_number": 1})
    assert [draw(drawing, run, "recovery") for drawing in FIGURES["recovery"]] == [None, None, None]
