"""Presets: each can be measured, says where it is from, and is no second way of saying what --set says."""

import pytest

from bench.measure.schedule import plan_run
from bench.network.presets import PRESETS
from bench.scenario import FIELDS
from bench.transports import main_names


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_measured_over_each_of_its_links(name: str) -> None:
    overrides = {field: list(values) for field, values in PRESETS[name].overrides.items()}
    assert overrides.keys() <= FIELDS.keys()
    planned = plan_run(["network"], main_names(), "standard", 1, overrides)
    for field, values in overrides.items():
        assert {getattr(each.scenario, field) for each in planned} == set(values)
    assert {each.scenario.transport for each in planned} == set(main_names())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_its_source_and_what_is_meant_there(name: str) -> None:
    source = PRESETS[name].source
    assert "github.com/" in source
    assert "netem" in source
    assert not source.endswith(".")


def test_netem_at_both_ends_makes_a_round_trip_of_two_delays() -> None:
    crossover = PRESETS["aintec-crossover"]
    assert [rtt_ms / 2 for rtt_ms in crossover.overrides["rtt_ms"]] == [20, 50]
    for delay in ("20 and 50 ms", "twice the delay"):
        assert delay in crossover.source


def test_losses_in_a_row_are_those_of_the_gilbert_model() -> None:
    """tc-netem(8): gemodel p r goes bad by p and good again by r; a bad time lasts 1/r packets."""
    turns_bad, turns_good = 0.0105, 0.2
    burst = PRESETS["aintec-burst"].overrides
    assert burst["burst_packets"] == [1 / turns_good]
    assert burst["loss"] == [pytest.approx(turns_bad / (turns_bad + turns_good), rel=0.01)]
