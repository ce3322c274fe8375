"""The search for capacity: it finds what a server bears, from any start, in few steps, and can be resumed."""

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.columns.catalogue import COLUMNS
from bench.experiments import clients
from bench.measure.processes import TrialFailed
from bench.measure.schedule import Planned, execute
from bench.measure.trial import Trial
from bench.report.doubts import doubts
from bench.results.capacity import Search, Tried, capacities, fit, next_clients, ratio_of, tried
from bench.results.estimates import estimate
from bench.results.run import Run
from bench.results.statistics import Interval
from bench.results.trials import single_trials
from bench.scenario import Scenario

FACTS: dict[str, Any] = {
    "profile": "quick", "seed": 3, "experiments": ["clients"], "transports": ["websocket"], "overrides": {},
}  # fmt: skip


ALMOST = 0.99
"""The interval leaves out the outermost 2.5 %: it may end just below a number that was too many."""


def search_for(capacity: int, search: Search, headroom: float = 1.0) -> list[Tried]:
    """Search a server that bears so many clients, and seems to bear ``headroom`` times as many."""
    steps: list[Tried] = []
    while (count := next_clients(search, steps)) is not None:
        steps.append(Tried(count, 0.0 if count <= capacity else 0.5, headroom * capacity / count))
        assert len(steps) <= search.steps
    return steps


@given(
    capacity=st.integers(1, 60_000),
    start=st.sampled_from([10, 300, 5_000]),
    headroom=st.sampled_from([0.3, 0.9, 1.0, 1.2, 4.0, math.nan]),
    steps=st.sampled_from([2, 6, 8, 14]),
)
@example(capacity=1010, start=10, headroom=math.nan, steps=14)  # took 40 steps, when they had no number
@example(capacity=3060, start=300, headroom=1.0, steps=2)  # 3,100 is too many, and the interval ends at 3,059
def test_the_interval_holds_the_capacity_and_is_as_narrow_as_the_steps_allow(
    capacity: int, start: int, headroom: float, steps: int
) -> None:
    search = Search(start=start, most=10_000, steps=steps)
    taken = search_for(capacity, search, headroom)
    found = fit(taken)
    assert found.low <= capacity + 1
    assert found.high >= min(capacity, 10_000) * ALMOST
    if steps == 14 and 1 < found.high < math.inf:
        assert found.high / max(found.low, 1.0) < 2.0


def test_an_estimate_is_within_its_interval_and_more_steps_narrow_it() -> None:
    few, many = (fit(search_for(7_300, Search(steps=steps))) for steps in (5, 10))
    for found in (few, many):
        assert found.low < found.estimate < found.high
    assert many.high / many.low < few.high / few.low


def test_a_server_that_bears_nobody_has_capacity_zero() -> None:
    steps: list[Tried] = []
    while (count := next_clients(Search(start=300), steps)) is not None:
        steps.append(Tried(count, 1.0, math.nan))
    assert steps[-1].clients == 1
    assert fit(steps).low == 0


def test_who_serves_as_many_as_possible_is_known_from_below_only() -> None:
    found = fit(search_for(10_000, Search(most=10_000)))
    assert 5_000 < found.low < 10_000
    assert found.high == math.inf


def test_one_odd_trial_does_not_decide_all() -> None:
    """Neither a lucky pass far above, nor an unlucky failure far below."""
    plain = [
        Tried(count, 0.0 if count <= 1_000 else 0.5, 1.0) for count in (300, 2_000, 800, 1_300, 900, 1_100)
    ]
    for odd in (Tried(5_000, 0.0, 1.0), Tried(200, 0.5, 1.0)):
        assert 700 < fit([*plain, odd]).estimate < 1_400


def test_the_ratio_of_two_capacities_has_both_their_doubts() -> None:
    a, b = Interval(8_000, 6_000, 10_000), Interval(2_000, 1_500, 2_500)
    ratio = ratio_of(a, b)
    assert ratio.estimate == pytest.approx(4.0)
    assert a.low / b.high < ratio.low < a.low / b.estimate
    assert a.high / b.estimate < ratio.high < a.high / b.low


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


@pytest.mark.parametrize(("late", "stolen", "tries"), [(0.5, 0.0, 1), (0.5, 0.4, 2), (0.0, 0.4, 2)])
def test_a_step_on_disturbed_processors_is_tried_again_whether_it_passed_or_failed(
    tmp_path: Path, late: float, stolen: float, tries: int
) -> None:
    run = Run.create(tmp_path, FACTS)

    def trial(scenario: Scenario, **options: Any) -> Trial:
        row, *_ = server_that_bears(10**6)(scenario, **options)
        row |= {
            "late_ratio": late,
            "stolen_cpu_ratio": stolen,
            "verdict": "suspect",
            "clients": scenario.clients,
        }
        return Trial(row, None, may_pass=True)

    step = next(iter(execute(run, plan(), trial=trial)))
    steps = execute(run, plan(), trial=trial)
    next(steps)
    next(steps)
    assert step.row is None
    assert [row["search_step"] for row in run.rows] == [1] * tries


# In a run


def plan(transport: str = "websocket") -> list[Planned]:
    scenario = Scenario(transport, clients=100, rate_hz=5.0)
    return [Planned(1, 1, ("clients",), scenario, 7, Search(start=300, steps=8))]


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
            "latency_mean_ms": 50 * scenario.clients / capacity, "server_cpu_us_per_delivery": 10.0,
            "verdict": "suspect" if late else "ok", "verdict_reason": "not_drained" if late else "",
            "bottleneck": "", "foreign_cpu_ratio": 0.0, "stolen_cpu_ratio": 0.0,
        }  # fmt: skip
        return Trial(row, None)

    return trial


def test_a_search_is_rows_of_one_order_and_gives_one_capacity(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    list(execute(run, plan(), trial=server_that_bears(2_500)))
    trials = Run.open(run.folder).trials
    assert trials["search_step"].tolist() == list(range(1, len(trials) + 1))
    assert set(trials["trial_number"]) == {1}
    (found,) = capacities(trials).to_dict("records")
    assert found["capacity_clients_low"] < 2_500 < found["capacity_clients_high"]
    assert found["capacity_clients"] == pytest.approx(2_500, rel=0.15)
    assert found["bottleneck"] == "server_cpu_in_bursts"
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
    assert 0 < found["capacity_clients_low"] <= 20 < found["capacity_clients_high"]


@pytest.mark.parametrize(
    ("worst", "code"),
    [
        ({"bottleneck": "server_cpu"}, "server_cpu"),
        ({"bottleneck": "generator_cpu"}, "generator_cpu"),
        ({"bottleneck": ""}, "server_cpu_in_bursts"),
        ({"bottleneck": "", "generator_cpu_ratio": 0.85}, "generator_cpu"),
        ({"bottleneck": "", "poll_interval_s": 0.09}, "unknown"),
        ({"bottleneck": "server_cpu", "foreign_cpu_ratio": 0.5}, "server_cpu_disturbed"),
        ({"bottleneck": "", "server_cpu_ratio": math.nan}, "connecting"),
    ],
)
def test_the_bottleneck_of_a_search_is_named(worst: dict[str, Any], code: str) -> None:
    step = {
        "trial_number": 1, "latency_limit_ms": 100.0, "latency_mean_ms": 10.0, "server_cpu_ratio": 0.5,
        "verdict": "ok", "foreign_cpu_ratio": 0.0, "stolen_cpu_ratio": 0.0,
    }  # fmt: skip
    rows = [
        {**step, "search_step": 1, "clients": 100, "late_ratio": 0.0},
        {**step, "search_step": 2, "clients": 120, "late_ratio": 0.3, **worst},
    ]
    (found,) = capacities(pd.DataFrame(rows, columns=COLUMNS)).to_dict("records")
    assert found["bottleneck"] == code
    assert found["at_least"] == (code not in ("server_cpu", "server_cpu_in_bursts"))
    if found["at_least"]:  # a bound, and it is the lower end
        assert found["capacity_clients"] == found["capacity_clients_low"] < 100
        assert found["capacity_clients_high"] == math.inf
    else:
        assert 100 < found["capacity_clients"] < 120


def found_by_searches(**served: int) -> pd.DataFrame:
    """Return capacities by transport, each known to a quarter; a negative one is only a bound."""
    rows = [
        {
            "transport": name, "latency_limit_ms": 100.0, "verdict": "ok", "at_least": count < 0,
            "capacity_clients": float(abs(count)), "capacity_clients_low": max(-count, count / 1.25),
            "capacity_clients_high": math.inf if count < 0 else 1.25 * count,
        }
        for name, count in served.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_ratio_of_capacities_is_a_range_that_names_the_same_library() -> None:
    found = found_by_searches(
        websocket=9_000, websocket_aiohttp=6_000, long_polling=2_000, long_polling_httptools=4_000
    )
    told = clients.capacity_ratio(found, "websocket", "long_polling")
    assert told == (
        "With aiohttp for both, 3× (95 % interval 2.19 to 4.11) as many clients are served by WebSocket as "
        "by long polling; over all pairs of libraries it is 1.5× (1.09 to 2.06) to 4.5× (3.28 to 6.17)"
    )


def test_a_bound_forms_no_ratio_above_or_below_the_line() -> None:
    found = found_by_searches(
        websocket=-9_000, websocket_aiohttp=6_000, long_polling=2_000, long_polling_httptools=-4_000
    )
    told = clients.capacity_ratio(found, "websocket", "long_polling")
    assert told.startswith("With aiohttp for both, 3× (")
    assert "all pairs" not in told
    assert not clients.capacity_ratio(
        found_by_searches(websocket=-1_000, long_polling=-1_000), "websocket", "long_polling"
    )


def test_at_least_is_said_of_the_server_whose_bound_it_is(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    wide = Search(start=300, most=1_000)
    planned = [
        each._replace(order=order, search=search)
        for order, (name, search) in enumerate({"websocket": wide, "websocket_picows": Search()}.items(), 1)
        for each in plan(name)
    ]
    list(execute(run, planned, trial=server_that_bears(2_500)))
    sentence = clients.finding(run.trials)
    assert re.search(r"at least \d+ with websockets", sentence)
    bounded = re.search(r"[\d,]+ \(([\d,]+) to ([\d,]+)\) with picows", sentence)
    assert bounded
    low, high = (int(end.replace(",", "")) for end in bounded.groups())
    assert low < 2_500 < high
    assert sentence.count("at least") == 1
    for row in capacities(run.trials).to_dict("records"):
        assert row["at_least"] == (row["transport"] == "websocket")


def test_a_capacity_that_was_searched_for_in_every_block_is_averaged_over_them() -> None:
    several = pd.concat([found_by_searches(websocket=count) for count in (8_000, 9_000, 10_000)])
    found = estimate(several, "capacity_clients")
    assert found.estimate == pytest.approx(8_963, abs=1)
    assert 6_000 < found.low < 8_000 < 10_000 < found.high
    bound = estimate(pd.concat([several, found_by_searches(websocket=-9_000)]), "capacity_clients")
    assert (bound.estimate, bound.high) == (9_000, math.inf)


def test_a_search_whose_only_step_failed_has_nothing_to_tell() -> None:
    step = {
        "trial_number": 1,
        "search_step": 1,
        "clients": 1,
        "verdict": "invalid",
        "latency_limit_ms": 100.0,
    }
    (found,) = capacities(pd.DataFrame([step], columns=COLUMNS)).to_dict("records")
    assert found["capacity_clients"] == found["capacity_clients_low"] == 0
    assert math.isnan(found["clients_per_ms"])


def test_runs_of_before_are_read_and_fitted() -> None:
    """The committed reference was searched by other steps: grow, then halve the gap."""
    found = capacities(Run.open(Path("results/reference")).trials)
    assert len(found)
    bounded = found[~found["at_least"].astype(bool)]
    assert (bounded["capacity_clients_low"] < bounded["capacity_clients"]).all()
    assert (bounded["capacity_clients"] < bounded["capacity_clients_high"]).all()
    assert (found.loc[found["at_least"].astype(bool), "capacity_clients_high"] == math.inf).all()
