"""What a delivery costs does not depend on how long one looks."""

import pytest

from bench.measure.place import choose_places
from bench.measure.trial import run_trial
from bench.scenario import Scenario
from bench.wording import validity_sentence

pytestmark = pytest.mark.alone

ATTEMPTS = 4


def cost_us(column: str, window_s: float, **fields: object) -> float:
    """Measure one trial; again if others took the cores meanwhile."""
    row: dict[str, float] = {}
    for _ in range(ATTEMPTS):
        scenario = Scenario(**{"transport": "websocket", "window_s": window_s, **fields})
        row = run_trial(scenario, seed=1, places=choose_places(), fewest_ticks=1).row
        assert row["delivered"] == row["expected"]
        if "took" not in validity_sentence(row):
            break
    return row[column]


@pytest.mark.parametrize("transport", ["websocket", "long_polling"])
def test_short_and_long_windows_give_one_cost_of_a_delivery(transport: str) -> None:
    load = {"transport": transport, "clients": 1000, "rate_hz": 4.0, "hold_s": 30.0}
    short_us = cost_us("server_cpu_us_per_delivery", 0.5, **load)  # two ticks
    long_us = cost_us("server_cpu_us_per_delivery", 2.5, **load)
    assert 0.7 < short_us / long_us < 1.4


def test_the_cost_of_a_silent_client_is_the_same_over_short_and_long_windows() -> None:
    load = {"clients": 250, "rate_hz": 0.0, "heartbeat_s": 0.05}
    short_us = cost_us("server_cpu_us_per_client_s", 0.5, **load)
    long_us = cost_us("server_cpu_us_per_client_s", 2.0, **load)
    assert 0.7 < short_us / long_us < 1.4
