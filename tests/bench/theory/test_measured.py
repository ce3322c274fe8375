"""The theory against measured runs: the committed reference, and two short trials made here."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.measure.trial import run_trial
from bench.results.deliveries import ARRIVED_NS, DUE_NS
from bench.results.run import QUANTILES_KEPT, REFERENCE, Run
from bench.scenario import Scenario
from bench.theory.age import source_age_ms
from bench.theory.distribution import Latency, Link
from bench.theory.latency import paused_polling_latency, polling_latency, short_polling_latency
from bench.theory.requests import long_polling_ticks_per_answer, polling_ticks_per_answer
from bench.theory.traffic import (
    DELAYED_ACK_S,
    Traffic,
    long_polling_traffic,
    polling_traffic,
    push_traffic,
    request_bytes,
)
from bench.transports import TRANSPORTS
from bench.wording import validity_sentence
from servers.wire import MAX_BATCH_BYTES
from tests import ROOT

KS_TOLERANCE = 0.05
MEAN_TOLERANCE = 0.10
COUNT_TOLERANCE = 0.02
DIGITS_BYTES = 4
"""By so much a message may be longer or shorter: cursors, ports and lengths have more or fewer digits."""
PLAIN = {
    "verdict": "ok",
    "retried": False,
    "generator": "swarm",
    "plan": "steady",
    "contract": "every",
    "stamped_by": "kernel",
    "search_step": 0,
}
UNUSUAL = ("bottleneck", "tls", "compression", "rtt_ms", "loss_ratio", "loss", "heartbeat_s", "incident")
"""Columns that must say nothing, where a run has them: these tests are about a plain link."""
TICKS_UNDER_WAY = 1.5
"""The counters of many sockets are not read at one instant: so many ticks may come meanwhile."""
MOST_LAG_MS = 10.0
"""A machine that is later than this cannot make a trial of a tenth of a second's interval."""
SHORTEST_CYCLE_S = 0.05
"""Below it the answer's way, which a run does not tell, is no small part of the latency."""
FIXED_WAY_RATIO = 0.02
"""Models take a way of fixed length. Where more ticks than this took longer than that allows, it was none."""
FEWEST_CLIENTS = 40
"""Fewer phases than this lie so far apart that they alone come near the distance that is allowed."""

pytestmark = pytest.mark.alone

RUN = Run.open(ROOT / "results" / REFERENCE)


def plain_rows(protocol: str, keep: Callable[[dict[str, Any]], bool] = lambda row: True) -> list[Any]:
    """Return the reference's trials of a protocol that the models are about, as parameters of a test."""
    rows = [
        row
        for row in RUN.rows
        if TRANSPORTS[row["transport"]].protocol == protocol
        and all(row.get(name) == value for name, value in PLAIN.items())
        and not any(row.get(name) for name in UNUSUAL)
        and row.get("keep_alive") in (True, None)
        and row["rate_hz"]
        and row["rate_hz"] * cycle_s(row) * row["payload_bytes"] < MAX_BATCH_BYTES / 2
        and keep(row)
    ]
    return [
        pytest.param(row, id=f"{row['trial_number']}-{row['transport']}-{row['rate_hz']:g}Hz") for row in rows
    ]


def cycle_s(row: dict[str, Any]) -> float:
    """Return the time between a client's polls, as far as the scenario tells it; 0 if it does not poll."""
    return float(row["poll_interval_s"] or row["poll_pause_s"] or 0)


def reads_one_by_one(row: dict[str, Any]) -> bool:
    """Tell whether every delivery had long arrived when the next was due."""
    return bool(row["latency_max_ms"] < 0.5e3 / row["rate_hz"])


SHORT_POLLING = plain_rows(
    "short_polling", lambda row: cycle_s(row) >= SHORTEST_CYCLE_S and row["clients"] >= FEWEST_CLIENTS
)
LONG_POLLING = plain_rows("long_polling", reads_one_by_one)
WEBSOCKET = plain_rows("websocket")


def test_the_reference_has_trials_of_every_kind() -> None:
    assert SHORT_POLLING
    assert LONG_POLLING
    assert WEBSOCKET


# Times


@pytest.mark.parametrize("row", SHORT_POLLING)
def test_latency_of_short_polling(row: dict[str, Any]) -> None:
    latencies_ms = RUN.latency_quantiles(row)
    if latencies_ms.iloc[0] > KS_TOLERANCE * cycle_s(row) * 1e3:
        pytest.skip(f"the answer's way, {latencies_ms.iloc[0]:.1f} ms, is no small part of the interval")
    model = polling_latency(cycle_s(row), Link())
    assert row["latency_mean_ms"] == pytest.approx(model.mean_ms, rel=MEAN_TOLERANCE)
    if row["latency_p50_ms"] is not None:  # a few ticks do not carry a median
        assert row["latency_p50_ms"] == pytest.approx(model.quantile_ms(0.5), rel=MEAN_TOLERANCE)
    assert np.abs(model.cdf(latencies_ms.to_numpy()) - np.array(QUANTILES_KEPT)).max() <= KS_TOLERANCE


@pytest.mark.parametrize("row", [*SHORT_POLLING, *LONG_POLLING, *WEBSOCKET])
def test_age_of_steady_ticks_is_their_latency_and_half_a_period(row: dict[str, Any]) -> None:
    """Little's law (bench/theory/age.py): whatever the transport, and however slow the machine was."""
    assert row["age_mean_ms"] == pytest.approx(
        row["latency_mean_ms"] + source_age_ms(row["rate_hz"]), rel=COUNT_TOLERANCE
    )


# Requests


@pytest.mark.parametrize("row", [*SHORT_POLLING, *LONG_POLLING])
def test_requests_per_tick(row: dict[str, Any]) -> None:
    if TRANSPORTS[row["transport"]].protocol == "short_polling":
        answers = polling_ticks_per_answer(row["rate_hz"], cycle_s(row))
        tolerance = COUNT_TOLERANCE if row["poll_interval_s"] else MEAN_TOLERANCE
    else:
        gap_s = 2 * row["latency_max_ms"] / 1e3
        answers = long_polling_ticks_per_answer(row["rate_hz"], gap_s, hold_s=row["hold_s"])
        tolerance = COUNT_TOLERANCE
    assert row["requests_per_delivery"] == pytest.approx(answers.requests_per_delivery, rel=tolerance)


# Bytes and packets


def head_bytes(row: dict[str, Any]) -> float:
    """Return the length of the heads of answers: what is left of an answer without its array of ticks."""
    ticks = round(1 / row["requests_per_delivery"], 3)
    return float(row["app_bytes_per_delivery_down"] * ticks - ticks * (row["payload_bytes"] + 1) - 1)


def asking_traffic(row: dict[str, Any]) -> Traffic:
    protocol = TRANSPORTS[row["transport"]].protocol
    settings = {"headers": row["headers"], "cookie_bytes": row["cookie_bytes"]}
    if protocol == "long_polling":
        settings["hold_s"] = row["hold_s"]
    sizes: dict[str, Any] = {
        "payload_bytes": row["payload_bytes"],
        "request_bytes": request_bytes(protocol, 100, **settings),
        "response_head_bytes": round(head_bytes(row)),
    }
    if protocol == "long_polling":
        return long_polling_traffic(row["rate_hz"], hold_s=row["hold_s"], **sizes)
    return polling_traffic(row["rate_hz"], cycle_s(row), **sizes)


def is_near_the_delayed_ack(row: dict[str, Any]) -> bool:
    """Tell whether the kernel may send a pure ACK or not: Linux waits for 40 to 200 ms."""
    waiting_s = 1 / row["rate_hz"] if row["hold_s"] else cycle_s(row)
    return bool(0.5 * DELAYED_ACK_S < waiting_s < 2 * DELAYED_ACK_S)


FREQUENT_ENOUGH = [
    parameter
    for parameter in (*SHORT_POLLING, *LONG_POLLING)
    if parameter.values[0]["requests_per_delivery"] <= 1 + COUNT_TOLERANCE
]
"""Trials without empty answers."""


@pytest.mark.parametrize("row", FREQUENT_ENOUGH)
def test_bytes_of_requests_and_heads(row: dict[str, Any]) -> None:
    model = asking_traffic(row)
    request_bytes = row["app_bytes_per_delivery_up"] / row["requests_per_delivery"]
    assert request_bytes == pytest.approx(model.app_bytes_up / row["requests_per_delivery"], abs=DIGITS_BYTES)
    same = [other.values[0] for other in FREQUENT_ENOUGH]
    usual_bytes = np.median([head_bytes(other) for other in same if other["transport"] == row["transport"]])
    assert head_bytes(row) == pytest.approx(usual_bytes, abs=DIGITS_BYTES)


@pytest.mark.parametrize("row", FREQUENT_ENOUGH)
def test_packets_of_asking(row: dict[str, Any]) -> None:
    if is_near_the_delayed_ack(row):
        pytest.skip("whether the kernel sends a pure ACK is open")
    model = asking_traffic(row)
    assert row["packets_per_delivery_down"] == pytest.approx(model.packets_down.low, rel=MEAN_TOLERANCE)
    low, high = model.packets_up
    assert low * (1 - COUNT_TOLERANCE) <= row["packets_per_delivery_up"] <= high * (1 + COUNT_TOLERANCE)


@pytest.mark.parametrize("row", WEBSOCKET)
def test_bytes_and_packets_of_websocket(row: dict[str, Any]) -> None:
    model = push_traffic(row["payload_bytes"])
    tolerance = max(COUNT_TOLERANCE, TICKS_UNDER_WAY / (row["rate_hz"] * row["window_s"]))
    if reads_one_by_one(row):
        assert row["app_bytes_per_delivery_down"] == pytest.approx(model.app_bytes_down, rel=1e-4)
        assert row["packets_per_delivery_down"] == pytest.approx(model.packets_down.low, rel=tolerance)
        assert row["packets_per_delivery_up"] >= model.packets_up.low * (1 - tolerance)
    assert row["packets_per_delivery_up"] <= model.packets_up.high * (1 + tolerance)


# Here and now


@pytest.mark.parametrize("loop", [{"poll_interval_s": 0.1}, {"poll_pause_s": 0.1}], ids=["open", "closed"])
def test_a_short_trial(loop: dict[str, float]) -> None:
    """The shortest latency is that of a tick that waited for nothing: what the way takes.

    A client that pauses after each answer asks the less often the longer answers take, on a busy machine tens
    of ms: the way there and back is what its requests leave of the time beside the pauses. Where the pause
    holds whole periods of the feed, ticks come at the same place of it each time; at 47 Hz they do not. And
    such clients all ask at once: with many of them, some wait for the server.
    """
    clients = FEWEST_CLIENTS if "poll_interval_s" in loop else FEWEST_CLIENTS // 5
    scenario = Scenario("short_polling", clients=clients, rate_hz=47.0, warmup_s=0.1, window_s=3.0, **loop)
    trial = run_trial(scenario, seed=1)
    lag_ms = max(trial.row["publish_lag_p99_ms"], trial.row["request_lag_p99_ms"])
    if lag_ms > MOST_LAG_MS:
        pytest.skip(f"this machine was {lag_ms:.1f} ms late")
    assert trial.row["verdict"] != "invalid", validity_sentence(trial.row)
    assert trial.deliveries is not None
    latencies_ms = np.sort((trial.deliveries[:, ARRIVED_NS] - trial.deliveries[:, DUE_NS]) / 1e6)
    link = Link(down_s=latencies_ms[0] / 1e3)
    model: Latency
    if scenario.poll_interval_s:
        model = short_polling_latency(scenario.poll_interval_s, link)
    else:
        requests_per_client = trial.row["requests"] / scenario.clients
        cycle_s = trial.row["window_s"] / requests_per_client
        link = Link(up_s=max(cycle_s - scenario.pause_s - link.down_s, 0.0), down_s=link.down_s)
        model = paused_polling_latency(scenario.pause_s, link)
    assert latencies_ms.mean() == pytest.approx(model.mean_ms, rel=MEAN_TOLERANCE)
    beyond = float(np.mean(model.cdf(latencies_ms) >= 1))
    if beyond > FIXED_WAY_RATIO:
        pytest.skip(
            f"{beyond:.0%} of the ticks took longer than theory allows: the way was not the same for all"
        )
    shares = (np.arange(len(latencies_ms)) + 0.5) / len(latencies_ms)
    assert np.abs(model.cdf(latencies_ms) - shares).max() <= KS_TOLERANCE
