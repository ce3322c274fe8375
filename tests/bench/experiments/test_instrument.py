"""The experiment on load generators: both get the same load, and the sentence is computed from both."""

import pandas as pd
import pytest

from bench.experiments.instrument import EXPERIMENT
from bench.scenario import PROFILES
from bench.transports import TRANSPORTS


@pytest.mark.parametrize("profile", PROFILES)
def test_both_generators_get_the_same_scenarios(profile: str) -> None:
    scenarios = [
        scenario
        for design in EXPERIMENT.designs(PROFILES[profile])
        for scenario in design.scenarios(list(TRANSPORTS), {})
    ]
    assert {"websocket", "long_polling"} <= {scenario.transport for scenario in scenarios}
    for scenario in scenarios:
        same = [other for other in scenarios if other.transport == scenario.transport]
        assert {other.generator for other in same} == {"swarm", "asyncio"}
        assert len(same) == 2


def fake_trials(verdict: str = "suspect") -> pd.DataFrame:
    figures = {
        ("swarm", "ok"): (5.0, 5.5, 10.0),
        ("asyncio", verdict): (6.0, 36.0, 40.0),
        ("asyncio", "invalid"): (999.0, 999.0, 999.0),
    }
    return pd.DataFrame(
        {
            "transport": "websocket", "clients": 1000, "rate_hz": 10.0, "repeat": 1,
            "generator": generator, "verdict": told, "latency_p50_ms": kernel_ms,
            "client_reported_p50_ms": handled_ms, "generator_cpu_us_per_delivery": cpu_us,
        }
        for (generator, told), (kernel_ms, handled_ms, cpu_us) in figures.items()
    )  # fmt: skip


def test_the_finding_is_computed_from_suspect_trials_and_not_from_invalid_ones() -> None:
    assert EXPERIMENT.finding(fake_trials()) == (
        "With 1000 WebSocket clients × 10 Hz ordinary asyncio clients report a median of 36 ms where the "
        "kernel of the same sockets says 6 ms, and the swarm's run says 5 ms; their CPU over the swarm's: "
        "4×."
    )


def test_no_finding_without_both_generators() -> None:
    trials = fake_trials()
    assert EXPERIMENT.finding(trials[trials["generator"] == "swarm"]) == ""
    assert EXPERIMENT.finding(fake_trials(verdict="invalid")) == ""
