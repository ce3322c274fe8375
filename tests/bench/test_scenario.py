"""Scenarios: what is filled in, what is refused, and how long the window is."""

import dataclasses
from collections import Counter
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.experiments.base import Design
from bench.experiments.catalogue import EXPERIMENTS
from bench.measure.schedule import plan_run, planned_s
from bench.measure.trial import choose_window, earliest_start_ns
from bench.scenario import FIELDS, PROFILES, Scenario, ScenarioError, parse_value
from bench.transports import TRANSPORTS, main_names
from servers.workloads.plan import due_times


def test_fields_that_a_transport_does_not_know_are_empty() -> None:
    websocket = Scenario("websocket", poll_interval_s=0.3, hold_s=10, keep_alive=False)
    assert websocket == Scenario("websocket")
    assert websocket.poll_interval_s is websocket.hold_s is websocket.keep_alive is None


def test_polling_has_an_interval_or_a_pause() -> None:
    assert Scenario("short_polling").poll_interval_s == 0.5
    paused = Scenario("short_polling", poll_pause_s=0.1)
    assert (paused.poll_interval_s, paused.poll_pause_s) == (None, 0.1)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"transport": "pigeon"}, "pigeon"),
        ({"clients": 0}, "clients"),
        ({"rate_hz": -1}, "rate_hz"),
        ({"payload_bytes": 95}, "payload_bytes"),
        ({"payload_bytes": 70_000}, "payload_bytes"),
        ({"plan": "sometimes"}, "plan"),
        ({"plan": "replay"}, "recording"),
        ({"contract": "some"}, "contract"),
        ({"headers": "many"}, "headers"),
        ({"cookie_bytes": 10_000}, "cookie_bytes"),
        ({"window_s": 0}, "window_s"),
        ({"warmup_s": -1}, "warmup_s"),
        ({"poll_interval_s": -1}, "poll_interval_s"),
        ({"poll_interval_s": 0}, "poll_interval_s"),
        ({"transport": "long_polling", "hold_s": 0}, "hold_s"),
        ({"recording": "market.csv"}, "plan=replay"),
        ({"plan": "replay", "recording": "market.csv", "speed": -1}, "speed"),
        ({"time_unit": "ms"}, "plan=replay"),
        ({"mss": 65_483}, "mss"),
        ({"poll_pause_s": -1}, "poll_pause_s"),
        ({"transport": "long_polling", "hold_s": 1000}, "hold_s"),
        ({"payload_bytes": 65_536, "rate_hz": 500}, "history"),
        ({"poll_interval_s": 300, "rate_hz": 500}, "interval"),
        ({"transport": "websocket", "heartbeat_s": 0}, "heartbeat_s"),
    ],
)
def test_impossible_scenarios_are_refused_with_the_field_named(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(ScenarioError, match=word):
        Scenario(**{"transport": "short_polling", **fields})


@given(
    rate_hz=st.sampled_from([0.5, 1, 3, 7, 10, 50, 60, 333.3, 500]),
    interval_s=st.sampled_from([0.05, 0.1, 0.15, 0.25, 0.3, 0.5, 1, 2, 7]),
    window_s=st.floats(0.1, 20),
)
@example(rate_hz=3, interval_s=0.05, window_s=0.125)
def test_window_is_whole_intervals_and_not_shorter_than_asked(
    rate_hz: float, interval_s: float, window_s: float
) -> None:
    try:
        scenario = Scenario("short_polling", rate_hz=rate_hz, poll_interval_s=interval_s, window_s=window_s)
    except ScenarioError as refusal:  # it would be longer than four times what was asked for
        assert "window" in str(refusal)  # noqa: PT017
        assert window_s < max(interval_s, 1 / rate_hz)  # one that holds a poll and a tick is long enough
        return
    window = scenario.exact_window_s
    assert window <= 4 * Fraction(str(window_s))
    assert window >= Fraction(str(window_s))
    assert (window / Fraction(str(interval_s))).denominator == 1
    if window * Fraction(str(rate_hz)) % 1 == 0:
        due = due_times("steady", rate_hz=rate_hz, seed=0, start_ns=0)
        in_window = 0
        while next(due) < window * 10**9:
            in_window += 1
        assert in_window == window * Fraction(str(rate_hz))


def test_the_history_outlasts_the_slowest_honest_client() -> None:
    scenario = Scenario("long_polling", rate_hz=50, hold_s=30)
    assert scenario.server_options().history_ticks >= 50 * (30 + 5)


def test_a_recording_gives_its_rate_and_is_checked_beforehand(tmp_path: Path) -> None:
    path = tmp_path / "market.csv"
    path.write_text("time,symbol,price\n0,ACME,1\n0.5,ACME,2\n1,ACME,3\n", encoding="utf-8")
    scenario = Scenario("websocket", plan="replay", recording=str(path))
    assert scenario.rate_hz == pytest.approx(2)
    path.write_text("time,symbol,price\n0,ACME,1\n0.5,ACME,zwei\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 3: price 'zwei'"):
        Scenario("websocket", plan="replay", recording=str(path))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("clients", "7", 7), ("rate_hz", "2.5", 2.5), ("keep_alive", "no", False), ("mss", "none", None),
     ("recording", "a.csv", "a.csv"), ("contract", "latest", "latest")],
)  # fmt: skip
def test_values_are_read_by_their_type(name: str, text: str, value: Any) -> None:
    assert parse_value(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("clients", "many"), ("rate_hz", "fast"), ("rate_hz", "nan"), ("window_s", "inf"), ("keep_alive", "7")],
)
def test_values_of_the_wrong_type_are_refused(name: str, text: str) -> None:
    with pytest.raises(ScenarioError, match=name):
        parse_value(name, text)


def test_every_field_can_be_set_on_every_transport() -> None:
    for transport in TRANSPORTS:
        default = asdict(Scenario(transport))
        assert set(FIELDS) == set(default) - {"transport"}


# Plans of whole runs


ALL = list(EXPERIMENTS), main_names()


BEFORE_AND_AFTER_S = {"quick": 12, "standard": 25}
"""What is not of any trial: the start, the conversation of two lines, tables, and the page."""
AGAIN_RATIO = 0.02
"""As much of a usual run are trials that are tried once more."""


@pytest.mark.parametrize(("profile", "budget_s"), [("quick", 110), ("standard", 900)])
def test_the_whole_run_keeps_the_budget(profile: str, budget_s: float) -> None:
    trials_s = planned_s(plan_run(*ALL, profile, 1, {}))
    assert trials_s * (1 + AGAIN_RATIO) + BEFORE_AND_AFTER_S[profile] <= budget_s


def test_a_window_waits_for_the_first_tick_of_a_slow_market_and_the_plan_knows_it() -> None:
    slow = Scenario("websocket", rate_hz=0.5, window_s=2.0)
    earliest_ns = earliest_start_ns(slow, 0, round(slow.connect_s * 1e9))
    window = choose_window(slow, 1, plan_start_ns=0, earliest_ns=earliest_ns)
    brisk = Scenario("websocket", rate_hz=50.0, window_s=2.0)
    waited_s = (window.start_ns - earliest_ns) / 1e9
    assert waited_s > 1
    assert slow.planned_s - brisk.planned_s == pytest.approx(waited_s, abs=0.01)


FIRST_TABLES_S = 180


def test_each_distinct_scenario_is_measured_once_per_repeat() -> None:
    planned = plan_run(*ALL, "standard", 1, {})
    assert [each.order for each in planned] == list(range(1, len(planned) + 1))
    repeats = PROFILES["standard"].repeats
    blocks = [[each for each in planned if each.repeat == repeat] for repeat in range(1, repeats + 1)]
    often = Counter((each.scenario, each.search) for each in planned)
    for block in blocks:
        scenarios = [(each.scenario, each.search) for each in block]
        assert len(scenarios) == len(set(scenarios))
        assert {what for what, times in often.items() if times == repeats} <= set(scenarios)
    assert not any(each.search for block in blocks[:-1] for each in block)
    assert any(each.search for each in blocks[-1])
    assert any({"freshness", "interval"} <= set(each.experiments) for each in planned)


def test_what_is_measured_once_is_dealt_out_so_that_the_first_tables_come_early() -> None:
    planned = plan_run(*ALL, "standard", 1, {})
    often = Counter(each.scenario for each in planned)
    once: dict[str, set[int]] = {}
    for each in planned:
        if often[each.scenario] == 1 and each.search is None:
            once.setdefault(each.experiments[0], set()).add(each.repeat)
    assert len(once) > 5
    assert all(len(blocks) == 1 for blocks in once.values())  # an experiment's together
    assert list(once) == sorted(once, key=lambda name: min(once[name]))  # in the order of teaching
    assert planned_s([each for each in planned if each.repeat == 1]) <= FIRST_TABLES_S


def test_a_design_may_ask_for_few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    few = Design({"clients": 1}, {"rate_hz": [1.0, 2.0]}, repeats=2)
    many = Design({"clients": 1, "rate_hz": 2.0})
    both = dataclasses.replace(EXPERIMENTS["freshness"], designs=lambda profile: [few, many])
    monkeypatch.setitem(EXPERIMENTS, "freshness", both)
    planned = plan_run(["freshness"], ["websocket"], "standard", 1, {})
    assert [each.repeat for each in planned if each.scenario.rate_hz == 1.0] == [1, 2]
    assert [each.repeat for each in planned if each.scenario.rate_hz == 2.0] == [1, 2, 3, 4, 5]


def test_blocks_are_shuffled_by_the_seed_alone() -> None:
    one, again, other = (plan_run(*ALL, "standard", seed, {}) for seed in (1, 1, 2))
    assert one == again
    assert [each.scenario for each in one] != [each.scenario for each in other]
    often = Counter(each.scenario for each in one)
    repeated = [each for each in one if often[each.scenario] == PROFILES["standard"].repeats]
    blocks = [[each.scenario for each in repeated if each.repeat == repeat] for repeat in (4, 5)]
    assert blocks[0] != blocks[1]
    assert set(blocks[0]) == set(blocks[1])


def test_set_replaces_a_whole_axis() -> None:
    planned = plan_run(["clients"], list(TRANSPORTS), "standard", 1, {"clients": [7]})
    assert {each.scenario.clients for each in planned} == {7}
    assert {each.search for each in planned} == {None}


def test_variants_are_measured_where_they_are_named() -> None:
    def names(experiment: str, transports: list[str]) -> set[str]:
        return {each.scenario.transport for each in plan_run([experiment], transports, "standard", 1, {})}

    assert names("freshness", main_names()) == set(main_names())
    assert names("freshness", ["websocket_picows"]) == {"websocket_picows"}
    assert names("library", main_names()) == set(TRANSPORTS)
    assert names("library", ["websocket"]) == {"websocket", "websocket_aiohttp", "websocket_picows"}
    assert names("library", ["long_polling_httptools"]) == {"long_polling_httptools"}


def test_a_silent_market_has_a_window_without_ticks() -> None:
    scenario = Scenario("websocket", rate_hz=0, window_s=2.0)
    window = choose_window(scenario, 1, plan_start_ns=0, earliest_ns=700)
    assert window.ticks == 0
    assert window.end_ns - window.start_ns == 2 * 10**9


NOT_IN_QUICK = {"wind_sensor", "unread_answer"}
"""Of published figures at a distance a quick run has nothing."""


def test_every_experiment_asks_something_of_every_profile() -> None:
    for name, experiment in EXPERIMENTS.items():
        assert experiment.question.endswith("?")
        for profile in PROFILES:
            asks = bool(plan_run([name], list(TRANSPORTS), profile, 1, {}))
            assert asks != (profile == "quick" and name in NOT_IN_QUICK)


@pytest.mark.parametrize("window_s", [1.5, 2.0, 8.0])
def test_a_bursty_window_holds_whole_cycles_and_so_the_mean_rate(window_s: float) -> None:
    counts = []
    for seed in range(40):
        scenario = Scenario("websocket", plan="bursty", rate_hz=50, window_s=window_s)
        window = choose_window(scenario, seed, plan_start_ns=0, earliest_ns=800_000_000)
        counts.append(window.ticks / float(scenario.exact_window_s))
    assert sum(counts) / len(counts) == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rate_hz": 0.001}, "whole ticks at 0.001 Hz; ask for window_s=1000"),
        ({"rate_hz": 1e-300}, "choose shorter ones"),
        (
            {"rate_hz": 0.0, "heartbeat_s": 1.0},
            "10 polls, holds or heartbeats, one each 1 s; ask for window_s=10",
        ),
        ({"plan": "bursty", "window_s": 1.0}, "cycles of the bursty plan; ask for window_s=5"),
    ],
)
def test_a_window_that_would_be_stretched_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScenarioError, match="too short") as refused:
        Scenario("websocket", **{"window_s": 2.0, **fields})
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("transport", "fields", "window_s"),
    [
        ("websocket", {"heartbeat_s": 0.3}, 3.0),
        ("long_polling", {"hold_s": 0.35}, 3.5),
        ("short_polling", {"poll_interval_s": 0.15}, 2.1),
        ("short_polling", {"poll_pause_s": 0.25}, 2.5),
        ("websocket", {}, 2.0),  # nothing is done
        ("long_polling", {"hold_s": 30.0}, 2.0),  # no hold ends in the window
    ],
)
def test_a_silent_window_holds_ten_of_what_clients_do(
    transport: str, fields: dict[str, Any], window_s: float
) -> None:
    assert Scenario(transport, rate_hz=0.0, window_s=2.0, **fields).exact_window_s == Fraction(str(window_s))
