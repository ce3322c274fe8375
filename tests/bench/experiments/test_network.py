"""The experiment on distance and loss: what theory says of each row, what the sentence says, its figures."""

import math
from typing import Any

import pandas as pd
import pytest

from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.network import FIXED, finding
from bench.report.plots.base import label
from bench.report.plots.over_links import distance, lost_packet
from bench.results.run import Run
from bench.transports import main_names
from tests.synthetic import synthetic_run, trial

NEAR_MS, FAR_MS = 50.0, 100.0
WORKS_MS = 2.0


def network_trial(transport: str, figures: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return trial("network", transport, figures or {}, **{**FIXED, **fields})


def theory_ms(transport: str, **fields: Any) -> float:
    predict = EXPERIMENTS["network"].predict
    assert predict is not None
    (found,) = predict(pd.DataFrame([network_trial(transport, **fields)]))
    return float(found)


# Theory


def test_a_push_takes_one_transit_and_long_polling_two_where_ticks_are_faster() -> None:
    for rtt_ms in (20.0, 50.0, 300.0):
        assert theory_ms("websocket", rtt_ms=rtt_ms) == pytest.approx(rtt_ms / 2)
        assert theory_ms("server_sent_events", rtt_ms=rtt_ms) == pytest.approx(rtt_ms / 2)
        polls = rtt_ms * FIXED["rate_hz"] > 1000
        assert theory_ms("long_polling", rtt_ms=rtt_ms) == pytest.approx(rtt_ms if polls else rtt_ms / 2)
    assert theory_ms("long_polling", rtt_ms=50.0, rate_hz=40.0) == pytest.approx(50)
    assert theory_ms("long_polling", rtt_ms=100.0, rate_hz=5.0) == pytest.approx(50)


@pytest.mark.parametrize(
    ("fields", "round_trips"),
    [({}, 1), ({"keep_alive": False}, 2), ({"keep_alive": False, "tls": True}, 3)],
)
def test_a_new_connection_costs_long_polling_its_round_trips(
    fields: dict[str, Any], round_trips: int
) -> None:
    """A tick waits for half of the time in which nobody asks, and takes a transit down."""
    expected_ms = (round_trips + 1) / 2 * FAR_MS
    assert theory_ms("long_polling", rtt_ms=FAR_MS, **fields) == pytest.approx(expected_ms)


def test_a_new_connection_costs_short_polling_nothing_until_it_outlasts_the_interval() -> None:
    def polled_ms(**fields: Any) -> float:
        return theory_ms("short_polling", rtt_ms=FAR_MS, **fields)

    assert polled_ms(keep_alive=False) == polled_ms() == pytest.approx(125 + 50)
    assert polled_ms(keep_alive=False, tls=True) == pytest.approx(
        250 + 50
    )  # 300 ms: each other poll is left out
    assert polled_ms(keep_alive=False, tls=True, poll_interval_s=0.5) == pytest.approx(250 + 50)
    assert polled_ms(keep_alive=False, poll_pause_s=0.25) == pytest.approx((250 + 200) / 2 + 50)


@pytest.mark.parametrize("transport", main_names())
def test_loss_costs_more_the_more_is_lost_and_one_packet_less_the_longer_the_window(transport: str) -> None:
    lossy_ms = [theory_ms(transport, loss=loss) for loss in (0.0, 0.01, 0.05)]
    assert lossy_ms == sorted(set(lossy_ms))
    short, long = (theory_ms(transport, incident="packet_lost", window_s=window_s) for window_s in (1.0, 2.0))
    assert lossy_ms[0] < long < short
    assert (short - lossy_ms[0]) == pytest.approx(2 * (long - lossy_ms[0]))


def test_a_narrow_link_sends_the_ticks_of_all_clients_in_turn() -> None:
    at_once_ms = theory_ms("websocket")
    few, many = (theory_ms("websocket", rate_mbit=4.0, clients=clients) for clients in (10, 60))
    assert at_once_ms < few < many
    assert (many - at_once_ms) / (few - at_once_ms) == pytest.approx(61 / 11)
    assert math.isnan(theory_ms("websocket", rate_mbit=1.0))  # more than it carries


@pytest.mark.parametrize("transport", main_names())
@pytest.mark.parametrize(
    "fields",
    [
        {"contract": "latest"},
        {"plan": "bursty"},
        {"rate_hz": 0.0},
        {"jitter_ms": 5.0},
        {"payload_bytes": 4096},
        {"mss": 536},
        {"incident": "link_down"},
        {"incident": "packet_lost", "loss": 0.01},
        {"plan": "poisson", "loss": 0.01},
        {"loss": 0.01, "rate_mbit": 8.0},
    ],
)
def test_theory_says_nothing_of_what_it_does_not_cover(transport: str, fields: dict[str, Any]) -> None:
    assert math.isnan(theory_ms(transport, **{"window_s": 5.0, **fields}))


def test_theory_says_nothing_on_loopback() -> None:
    row = {**network_trial("websocket"), "rtt_ms": None, "loss": None, "jitter_ms": None}
    predict = EXPERIMENTS["network"].predict
    assert predict is not None
    assert math.isnan(predict(pd.DataFrame([row, network_trial("websocket")])).iloc[0])


# The sentence


def measured(transport: str, requests: float = 0.0, **fields: Any) -> dict[str, Any]:
    """Return a trial that found what theory says, and some work."""
    found_ms = theory_ms(transport, **fields) + WORKS_MS
    figures = {"latency_mean_ms": found_ms, "requests_per_delivery": requests, "connect_p50_ms": 101.0}
    return network_trial(transport, figures, **fields)


def said(*rows: dict[str, Any]) -> str:
    return finding(synthetic_run(*rows).trials)


def test_the_sentence_tells_between_which_products_long_polling_turns() -> None:
    near, far = (
        measured("long_polling", requests, rtt_ms=rtt_ms) for rtt_ms, requests in ((50.0, 1.0), (100.0, 0.6))
    )
    told = said(near, far)
    assert "turns into polling between RTT × rate = 0.6 and 1.2" in told
    assert "fall from 1 to 0.6, its transits rise from 1.08 to 2.04" in told
    assert "no polling yet at RTT × rate = 0.6" in said(near)
    assert "polling already at RTT × rate = 1.2" in said(far)
    assert "turns" not in said(measured("websocket"))


def test_lossy_trials_say_nothing_of_turning() -> None:
    """Time-outs, too, make several ticks share an answer."""
    told = said(measured("long_polling", 1.0), measured("long_polling", 0.8, loss=0.05))
    assert "no polling yet" in told
    assert "already" not in told


def test_the_sentence_tells_what_loss_adds_and_to_which_link() -> None:
    rows = [measured(name, loss=loss) for name in ("websocket", "long_polling") for loss in (0.0, 0.01)]
    told = said(*rows)
    for name in ("websocket", "long_polling"):
        more_ms = theory_ms(name, loss=0.01) - theory_ms(name)
        assert f"by {label(name)} (+{more_ms:.3g} ms)" in told
    elsewhere = said(measured("websocket"), measured("websocket", rtt_ms=100.0, loss=0.01))
    assert "(+" not in elsewhere  # of another distance nothing is compared


def test_the_sentence_counts_the_ticks_behind_one_packet() -> None:
    figures = {"held_up_p50": 2.0, "worst_p50_ms": 158.0}
    lost = network_trial("websocket", figures, incident="packet_lost")
    assert "so many ticks late, at an RTT of 50 ms" in said(lost)
    assert "2 by WebSocket (the oldest 158 ms)" in said(lost)


def test_the_sentence_tells_what_a_new_connection_costs() -> None:
    kept = measured("long_polling", 1.0, rtt_ms=FAR_MS)
    renewed = measured("long_polling", 0.5, rtt_ms=FAR_MS, keep_alive=False, tls=True)
    told = said(kept, renewed)
    assert "each poll opens a new connection with TLS, a tick takes, at an RTT of 100 ms" in told
    assert "202 ms by long polling (kept: 102 ms, connecting: 101 ms)" in told


# Figures


def test_the_step_of_long_polling_is_drawn() -> None:
    rows = [measured(name, 1.0, rtt_ms=rtt_ms) for name in main_names() for rtt_ms in (NEAR_MS, FAR_MS)]
    figure = distance(synthetic_run(*rows))
    assert figure is not None
    dashed = [
        line for line in figure.axes[0].lines if line.get_linestyle() == "--" and len(line.get_xdata()) > 2
    ]
    assert len(dashed) == len(main_names())
    assert any(
        abs(steps).max() > 30 for line in dashed for steps in [pd.Series(line.get_ydata()).diff().dropna()]
    )
    assert distance(synthetic_run(*rows[:1])) is None  # one distance is no line


def test_late_ticks_are_those_later_than_any_before_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    due_ms = [tick * 83.0 - 200 for tick in range(12)]
    taken_ms = [25.0] * 3 + [158.0, 75.0] + [26.0] * 7  # 26 is later than before, by a hair: late, too
    kept = pd.DataFrame(
        {"client": 0, "due_ns": due_ms, "arrived_ns": [a + b for a, b in zip(due_ms, taken_ms, strict=True)]}
    )
    kept[["due_ns", "arrived_ns"]] *= 1e6
    monkeypatch.setattr(Run, "deliveries", lambda run, row: kept)
    figure = lost_packet(
        synthetic_run(network_trial("websocket", {"incident_at_ns": 0}, incident="packet_lost"))
    )
    assert figure is not None
    written = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert "late, up to 158 ms" in written
    assert lost_packet(synthetic_run(network_trial("websocket"))) is None
