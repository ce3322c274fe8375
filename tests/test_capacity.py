"""The search for capacity: it finds what a server bears, from any start, in few steps, and can be resumed."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity import Search, Tried, bracket, capacities, next_clients, tried
from bench.doubts import doubts
from bench.experiments import clients
from bench.experiments.base import single_trials
from bench.processes import TrialFailed
from bench.results import COLUMNS, Run
from bench.scenario import Scenario
from bench.schedule import Planned, execute
from bench.trial import Trial

FACTS: dict[str, Any] = {
    "profile": "quick", "seed": 3, "experiments": ["clients"], "transports": ["websocket"], "overrides": {},
}  # fmt: skip


def search_for(capacity: int, search: Search, headroom: float = 1.0) -> list[Tried]:
    """Search a server that bears so many clients, and seems to bear ``headroom`` times as many."""
    steps: list[Tried] = []
    while (count := next_clients(search, steps)) is not None:
        steps.append(Tried(count, 0.0 if count <= capacity else 0.5, headroom * capacity / count))
        assert len(steps) < 40
    return steps


@given(
    capacity=st.integers(1, 60_000),
    start=st.sampled_from([10, 300, 5_000]),
    headroom=st.sampled_from([0.3, 0.9, 1.0, 1.2, 4.0, math.nan]),
    tolerance=st.sampled_from([1.08, 1.25, 2.0]),
)
def test_the_bracket_holds_the_capacity_and_is_as_narrow_as_asked(
    capacity: int, start: int, headroom: float, tolerance: float
) -> None:
    search = Search(start=start, most=10_000, tolerance=tolerance)
    passed, failed = bracket(search_for(capacity, search, headroom))
    assert passed <= capacity
    if failed is None:
        assert passed == 10_000 <= capacity
    else:
        assert capacity < failed
        assert failed <= max(passed, 1) * tolerance * 1.12 or failed - passed <= 1  # two digits are kept


def test_a_good_guess_makes_a_short_search() -> None:
    assert len(search_for(7_300, Search())) <= 6


def test_a_server_that_bears_nobody_has_capacity_zero() -> None:
    steps: list[Tried] = []
    while (count := next_clients(Search(start=100), steps)) is not None:
        steps.append(Tried(count, 1.0, math.nan))
    assert bracket(steps) == (0, 1)


def test_a_failure_below_a_success_is_believed() -> None:
    """A server that fails at 100 does not bear 200, whatever one lucky trial said."""
    assert bracket([Tried(200, 0.0, 1.0), Tried(100, 0.5, 1.0)]) == (0, 100)


@pytest.mark.parametrize(
    ("row", "headroom"),
    [
        ({"server_cpu_ratio": 0.25, "latency_mean_ms": 5.0}, 3.4),  # the core is the nearer bound
        ({"server_cpu_ratio": 0.01, "latency_mean_ms": 5.0}, 6.0),  # the last has it at twice the mean
        ({"server_cpu_ratio": 0.01, "latency_mean_ms": 45.0, "poll_interval_s": 0.09}, 85.0),  # it waits
    ],
)
def test_headroom_is_by_the_core_and_by_the_latency(row: dict[str, Any], headroom: float) -> None:
    full = {"clients": 300, "late_ratio": 0.0, "latency_limit_ms": 100.0, "verdict": "ok", **row}
    assert tried(full) == Tried(300, 0.0, pytest.approx(headroom))


def test_a_trial_that_failed_did_not_pass() -> None:
    failed = {"clients": 300, "latency_limit_ms": 100.0, "verdict": "invalid", "late_ratio": None}
    assert not tried(failed).passed


@pytest.mark.parametrize(("late", "stolen", "tries"), [(0.5, 0.0, 1), (0.5, 0.4, 2), (0.0, 0.4, 1)])
def test_only_a_failure_on_disturbed_processors_is_tried_again(
    tmp_path: Path, late: float, stolen: float, tries: int
) -> None:
    run = Run.create(tmp_path, FACTS)

    def trial(scenario: Scenario, **options: Any) -> Trial:
        row, _, _ = server_that_bears(10**6)(scenario, **options)
        row |= {"late_ratio": late, "steal_ratio": stolen, "verdict": "suspect", "clients": scenario.clients}
        return Trial(row, None, passing=True)

    step = next(iter(execute(run, plan(), trial=trial)))
    steps = execute(run, plan(), trial=trial)
    next(steps)
    next(steps)
    assert step.row is None
    assert [row["step"] for row in run.rows] == [1] * tries


# In a run


def plan(transport: str = "websocket") -> list[Planned]:
    scenario = Scenario(transport, clients=100, rate_hz=5.0)
    return [Planned(1, 1, ("clients",), scenario, 7, Search(start=300, tolerance=1.25))]


def server_that_bears(capacity: int, calls: list[int] | None = None, stop_after: int = 99) -> Any:
    def trial(scenario: Scenario, **options: Any) -> Trial:
        assert options["connect_patience_s"] > scenario.connect_s
        if calls is not None:
            calls.append(scenario.clients)
            if len(calls) > stop_after:
                raise KeyboardInterrupt
        late = scenario.clients > capacity
        if scenario.clients > 10 * capacity:
            raise TrialFailed("the swarm: 9 of 10 clients did not get through to the server in time")
        row = {
            "transport": scenario.transport, "clients": scenario.clients, "rate_hz": scenario.rate_hz,
            "latency_limit_ms": 100.0, "late_ratio": 0.4 if late else 0.0, "server_cpu_ratio": 0.5,
            "latency_mean_ms": 50 * scenario.clients / capacity, "server_cpu_us_per_tick": 10.0,
            "verdict": "suspect" if late else "ok", "limit": "", "others_cpu_ratio": 0.0, "steal_ratio": 0.0,
            "verdict_reason": "the last tick did not reach every client in the time for it" if late else "",
        }  # fmt: skip
        return Trial(row, None)

    return trial


def test_a_search_is_rows_of_one_order_and_gives_one_capacity(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    list(execute(run, plan(), trial=server_that_bears(2_500)))
    trials = Run.open(run.folder).trials
    assert trials["step"].tolist() == list(range(1, len(trials) + 1))
    assert set(trials["order"]) == {1}
    (found,) = capacities(trials).to_dict("records")
    assert found["capacity_clients"] <= 2_500 < found["too_many_clients"]
    assert found["ran_out"] == "server CPU in bursts"
    assert not len(single_trials(trials))
    assert doubts(run, ["clients"]) == []  # half of the steps are there to fail


def test_an_interrupted_search_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = Run.create(tmp_path, FACTS)
    list(execute(whole, plan(), trial=server_that_bears(2_500)))
    cut = Run.create(tmp_path, FACTS)
    with pytest.raises(KeyboardInterrupt):
        list(execute(cut, plan(), trial=server_that_bears(2_500, [], stop_after=2)))
    again = Run.open(cut.folder)
    assert len(again.rows) == 2
    list(execute(again, plan(), trial=server_that_bears(2_500)))
    assert [row["clients"] for row in again.rows] == [row["clients"] for row in whole.rows]


def test_a_server_that_lets_nobody_in_has_failed_that_step(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    list(execute(run, plan(), trial=server_that_bears(20)))
    (found,) = capacities(run.trials).to_dict("records")
    assert 0 < found["capacity_clients"] <= 20 < found["too_many_clients"]


@pytest.mark.parametrize(
    ("worst", "words"),
    [
        ({"limit": "server_cpu"}, "server CPU"),
        ({"limit": "generator_cpu"}, "load generator"),
        ({"limit": ""}, "server CPU in bursts"),
        ({"limit": "", "generator_cpu_ratio": 0.85}, "load generator"),
        ({"limit": "", "poll_interval_s": 0.09}, "not known"),
        ({"limit": "server_cpu", "others_cpu_ratio": 0.5}, "server CPU (disturbed)"),
        ({"limit": "", "server_cpu_ratio": math.nan}, "clients not let in in time"),
    ],
)
def test_what_ran_out_is_named(worst: dict[str, Any], words: str) -> None:
    step = {
        "order": 1, "latency_limit_ms": 100.0, "latency_mean_ms": 10.0, "server_cpu_ratio": 0.5,
        "verdict": "ok", "others_cpu_ratio": 0.0, "steal_ratio": 0.0,
    }  # fmt: skip
    rows = [
        {**step, "step": 1, "clients": 100, "late_ratio": 0.0},
        {**step, "step": 2, "clients": 120, "late_ratio": 0.3, **worst},
    ]
    (found,) = capacities(pd.DataFrame(rows, columns=COLUMNS)).to_dict("records")
    assert found["ran_out"] == words
    assert found["at_least"] == (words not in ("server CPU", "server CPU in bursts"))
    assert (found["capacity_clients"], found["too_many_clients"]) == (100, 120)


def test_a_ratio_of_capacities_is_a_range_that_names_the_same_library() -> None:
    served = {
        "websocket": 9_000,
        "websocket_aiohttp": 6_000,
        "long_polling": 2_000,
        "long_polling_lean": 4_000,
    }
    found = pd.DataFrame(
        [
            {
                "transport": name,
                "capacity_clients": count,
                "too_many_clients": 1.2 * count,
                "latency_limit_ms": 100.0,
            }
            for name, count in served.items()
        ]
    )
    told = clients.capacity_ratio(found, "websocket", "long_polling")
    assert told == (
        "1.5× to 4.5× by choice of library, 3× if both are by aiohttp (2.5 to 3.6 by the searches' brackets)"
    )


def test_a_search_whose_only_step_failed_has_nothing_to_tell() -> None:
    step = {"order": 1, "step": 1, "clients": 1, "verdict": "invalid", "latency_limit_ms": 100.0}
    (found,) = capacities(pd.DataFrame([step], columns=COLUMNS)).to_dict("records")
    assert (found["capacity_clients"], found["too_many_clients"]) == (0, 1)
    assert math.isnan(found["told_per_ms"])
