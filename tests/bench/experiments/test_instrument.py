"""The experiment on load generators: all get the same load, and the sentence is computed from all."""

import pandas as pd
import pytest

from bench.experiments.instrument import EXPERIMENT
from bench.measure.schedule import plan_run
from bench.scenario import PROFILES, ScenarioError
from bench.transports import main_names
from clients.load.catalogue import GENERATORS


def planned(profile: str, *transports: str, **overrides: list) -> set[tuple[str, int, str]]:
    """Return what is measured: transport, number of clients, and load generator."""
    asked = list(transports or main_names())
    scenarios = [each.scenario for each in plan_run(["instrument"], asked, profile, 1, overrides)]
    return {(each.transport, each.clients, each.generator) for each in scenarios}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_generator_has_the_swarm_beside_it(profile: str) -> None:
    asked = planned(profile)
    assert {"websocket", "long_polling"} <= {transport for transport, _, _ in asked}
    assert {generator for _, _, generator in asked} == set(GENERATORS)
    for transport, clients, _ in asked:
        same = {each[2] for each in asked if each[:2] == (transport, clients)}
        assert same > {"swarm"}


def test_a_chosen_generator_loads_what_it_has_clients_for() -> None:
    assert planned("quick", generator=["locust"], clients=[70]) == {("websocket", 70, "locust")}
    both = planned("standard", generator=["locust"], clients=[70])
    assert both == {("websocket", 70, "locust"), ("short_polling", 70, "locust")}
    ordinary = planned("standard", generator=["asyncio"], clients=[70])
    assert {transport for transport, _, _ in ordinary} == set(main_names())  # pull: beside Locust's users
    with pytest.raises(ScenarioError, match="generator locust has no clients for long_polling"):
        planned("quick", "long_polling", generator=["locust"])


def test_what_locusts_users_do_not_obey_is_measured_without_them() -> None:
    for field, value in GENERATORS["locust"].only.items():
        if field in GENERATORS["asyncio"].only:
            continue
        other = {"headers": "browser"}.get(field, not value)
        assert {each[2] for each in planned("standard", **{field: [other]})} == {"swarm", "asyncio"}


def fake_trials(verdict: str = "suspect", shared: float = 0.0, **fields: object) -> pd.DataFrame:
    figures = {
        ("swarm", "ok"): (5.0, 5.5, 10.0),
        ("locust", verdict): (7.0, 47.0, 90.0),
        ("asyncio", verdict): (6.0, 36.0, 40.0),
        ("asyncio", "invalid"): (999.0, 999.0, 999.0),
    }
    return pd.DataFrame(
        {
            "transport": "websocket", "clients": 1000, "rate_hz": 10.0, "repeat": 1,
            "generator": generator, "verdict": told, "latency_p50_ms": kernel_ms,
            "client_reported_p50_ms": handled_ms, "generator_cpu_us_per_delivery": cpu_us,
            "stamp_shared_ratio": shared, "requests_per_client_s": 1.5, "request_lag_p99_ms": 80.0,
            "poll_interval_s": float("nan"), **fields,
        }
        for (generator, told), (kernel_ms, handled_ms, cpu_us) in figures.items()
    )  # fmt: skip


def test_the_finding_is_computed_from_suspect_trials_and_not_from_invalid_ones() -> None:
    assert EXPERIMENT.finding(fake_trials()) == (
        "With 1000 WebSocket clients × 10 Hz ordinary asyncio clients report a median of 36 ms where the "
        "kernel of the same sockets says 6 ms, and the swarm's run says 5 ms; their CPU over the swarm's: "
        "4×. With 1000 WebSocket clients × 10 Hz the Locust users that one writes first report a median of "
        "47 ms where the kernel of the same sockets says 7 ms, and the swarm's run says 5 ms; their CPU over "
        "the swarm's: 9×."
    )


def test_a_stamp_that_ticks_share_is_the_most_that_it_can_be() -> None:
    assert "the kernel of the same sockets says at most 7 ms" in EXPERIMENT.finding(fake_trials(shared=0.3))


def test_those_who_poll_are_told_how_often_they_did() -> None:
    told = EXPERIMENT.finding(fake_trials(transport="short_polling", poll_interval_s=0.5))
    assert told.count("Their requests leave 80 ms late (p99), 1.5 a second each; 2 were meant.") == 2


def test_no_finding_without_the_swarm_and_another() -> None:
    trials = fake_trials()
    assert EXPERIMENT.finding(trials[trials["generator"] == "swarm"]) == ""
    assert EXPERIMENT.finding(fake_trials(verdict="invalid")) == ""
