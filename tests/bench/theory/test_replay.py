"""A replay: what a scenario makes of a recording, what it refuses beforehand, and what it says it played."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from bench.columns.catalogue import COLUMNS
from bench.commands.arguments import parse_overrides
from bench.measure.processes import TrialFailed
from bench.measure.schedule import plan_run
from bench.measure.trial import choose_window, judge, observe
from bench.report.tables import replayed_rows_notes
from bench.results.deliveries import WindowTicks
from bench.results.figures import rows_played
from bench.scenario import Scenario, ScenarioError
from bench.theory.replay import most_within
from bench.transports import TRANSPORTS
from clients.load.stream import Arrival
from servers import __main__ as server
from servers.options import ServerOptions
from servers.wire import Tick, encode_tick, now_ns
from servers.workloads.plan import due_times
from servers.workloads.recording import RecordingError, read_recording
from tests.bench.measure.test_trial import FakeLoad, FakeSubject, FakeTime, observe_fakes

S = 1_000_000_000


def market(tmp_path: Path, *times: object, name: str = "market.csv") -> str:
    path = tmp_path / name
    path.write_text("time,symbol,price\n" + "".join(f"{each},ACME,1\n" for each in times), encoding="utf-8")
    return str(path)


def replay(recording: str, **fields) -> Scenario:
    return Scenario("websocket", plan="replay", recording=recording, **fields)


def test_the_busiest_stretch_of_a_recording_is_known(tmp_path):
    path = market(tmp_path, *(step / 2000 for step in range(200)), 8)
    recording = read_recording(Path(path), payload_bytes=128)
    assert most_within(recording, 1.0) == 201  # the last tick, and the next lap's burst
    assert most_within(recording, 0.01) == 21
    assert most_within(recording, 100.0) >= 201 * 12


# What cannot be measured is refused before anything starts


@pytest.mark.parametrize(
    ("times", "fields", "gap", "speed"),
    [
        (
            ["2024-01-02", "2024-01-03", "2024-01-04"],
            {},
            "from row 1 to row 2 no tick comes for 86,400 s",
            "22000",
        ),
        (
            ["2024-01-02", "2024-01-03"],
            {"window_s": 40},
            "for 86,400 s, longer than the window of 40 s",
            "2200",
        ),
        (["2024-01-02", "2024-01-03"], {"speed": 100}, "for 864 s at speed 100, longer", "22000"),
        ([0, 1, 61], {}, "from row 2 to row 3 no tick comes for 60 s", "15"),
        ([0, 1, 5.5], {"window_s": 4}, "for 4.5 s, longer than the window of 4 s", "1.2"),
    ],
)
def test_a_gap_longer_than_the_window_is_refused_with_the_speed_that_fits(
    tmp_path, times, fields, gap, speed
):
    path = market(tmp_path, *times)
    with pytest.raises(RecordingError) as refusal:
        replay(path, **fields)
    assert gap in str(refusal.value)
    assert f"speed={speed} would fit" in str(refusal.value)
    replay(path, **fields | {"speed": float(speed)})


def test_the_speed_that_is_offered_fits_the_weekends_too(tmp_path):
    days = [f"2024-01-{day:02}" for day in range(1, 32) if day % 7 not in (6, 0)]
    path = market(tmp_path, *days)
    with pytest.raises(RecordingError, match=r"for 86,400 s, .* speed=65000 would fit"):
        replay(path)
    replay(path, speed=65_000)


def test_the_window_that_is_offered_fits_too(tmp_path):
    path = market(tmp_path, 0, 1, 61)
    with pytest.raises(RecordingError, match="or a window_s of at least 60"):
        replay(path)
    replay(path, window_s=60)


def test_where_no_speed_fits_that_is_said(tmp_path):
    path = market(tmp_path, *(step / 1e5 for step in range(20_000)), 30)
    with pytest.raises(RecordingError, match="no speed fits"):
        replay(path, window_s=1.0)


def test_times_whose_unit_was_guessed_may_be_in_another(tmp_path):
    path = market(tmp_path, 0, 250, 500)
    with pytest.raises(RecordingError, match="or say by time_unit what its times are in: s, ms, us, ns"):
        replay(path)
    assert replay(path, time_unit="ms").rate_hz == pytest.approx(4)
    with pytest.raises(RecordingError) as refusal:
        replay(path, time_unit="s")
    assert "time_unit" not in str(refusal.value)


def test_a_gap_that_no_trial_comes_to_is_no_matter(tmp_path):
    replay(market(tmp_path, *range(200), 10_000))


def test_a_trial_that_comes_to_a_gap_fails_instead_of_sleeping(tmp_path):
    scenario = replay(market(tmp_path, *range(200), 10_000))
    offsets_ns = scenario.read_recording().offsets_ns
    window = choose_window(scenario, 0, 0, 100 * S, offsets_ns)
    assert window.start_ns - 100 * S <= S
    with pytest.raises(TrialFailed, match=r"no tick for 9,7.* s after the clients were connected"):
        choose_window(scenario, 0, 0, 250 * S, offsets_ns)


def test_one_instant_needs_a_window_of_a_second(tmp_path):
    path = market(tmp_path, 5, 5)
    replay(path, window_s=1.0)
    with pytest.raises(RecordingError, match="window_s of 1 or more"):
        replay(path, window_s=0.5)


def test_a_recording_that_is_too_fast_is_refused(tmp_path):
    path = market(tmp_path, *(step / 100 for step in range(100)))
    with pytest.raises(RecordingError, match="at most 10,000 are possible: lower speed"):
        replay(path, speed=1_000)


def test_a_time_unit_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="time_unit is 'h'; choose one of s, ms, us, ns"):
        replay(market(tmp_path, 0, 1), time_unit="h")


# What is set


def test_a_name_with_a_comma_is_one_value_if_it_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [market(tmp_path, 0, 1, name=name) for name in ("A, 60.csv", "A", "B.csv")]
    assert parse_overrides([f"recording={names[0]}"]) == {"recording": [names[0]]}
    assert parse_overrides(["recording=A, 60.csv"]) == {"recording": ["A, 60.csv"]}
    assert parse_overrides(["recording=A,B.csv"]) == {"recording": ["A", "B.csv"]}
    assert parse_overrides(["recording=C,D.csv"]) == {"recording": ["C", "D.csv"]}


def test_the_unit_reaches_scenario_server_and_results(tmp_path):
    path = market(tmp_path, 0, 250, 500)
    overrides = {"plan": ["replay"], "recording": [path], "time_unit": ["ms"]}
    (scenario,) = {each.scenario for each in plan_run(["freshness"], ["websocket"], "quick", 1, overrides)}
    assert scenario.time_unit == scenario.server_options().time_unit == "ms"
    assert "--time-unit=ms" in scenario.server_options().arguments()
    assert "time_unit" in COLUMNS


# Harness and server agree on when a tick is due, however long the reading takes


def test_a_server_starts_its_plan_when_it_has_read(tmp_path, monkeypatch):
    read = []

    def slowly(*arguments, **options):
        recording = read_recording(*arguments, **options)
        read.append(now_ns())
        return recording

    monkeypatch.setattr(server, "read_recording", slowly)
    path = market(tmp_path, 0, 0.5, 1)
    feed, start_ns = server.build_feed(ServerOptions(plan="replay", recording=path))
    assert start_ns >= read[0]
    assert feed.next_due_ns == start_ns


def test_a_window_begins_after_the_clients_are_connected(tmp_path, start_server):
    scenario = replay(market(tmp_path, 0, 0.1, 0.3, 0.6), window_s=1.0)
    started = start_server(TRANSPORTS["websocket"], **_options(scenario))
    connected_ns = now_ns()
    window = choose_window(
        scenario, 0, started.ready["start_ns"], connected_ns, scenario.read_recording().offsets_ns
    )
    assert connected_ns <= window.start_ns <= connected_ns + S


def test_reading_that_takes_long_moves_the_window_and_not_into_the_past(tmp_path, monkeypatch):
    time = FakeTime()

    class WatchingLoad(FakeLoad):
        def watch(self, window):
            super().watch(window)
            assert window.counters_at_ns >= time.now_ns
            assert window.end_ns - S >= time.now_ns

    scenario = replay(market(tmp_path, *(step / 10 for step in range(25))), clients=3, window_s=1.0)
    at_once = scenario.read_recording()

    def slowly(self: Scenario):
        time.now_ns += 3 * S
        return at_once

    monkeypatch.setattr(Scenario, "_read", slowly)
    row = judge(
        observe(scenario, FakeSubject(time), WatchingLoad(time), seed=1, wait_until=time.wait_until)
    ).row
    assert (row["recording_rows"], row["time_unit"]) == (25, None)
    assert (row["recording_last_row"] - row["recording_first_row"]) % 25 + 1 == row["expected"] / 3 == 10


def test_a_recording_whose_rate_changes_while_a_run_goes_on_ends_it(tmp_path):
    scenario = replay(market(tmp_path, 0, 1, 2))
    market(tmp_path, 0, 0.5, 1)
    with pytest.raises(RecordingError, match="has changed since the run was planned"):
        observe_fakes(scenario)


def _options(scenario: Scenario) -> dict[str, object]:
    options = scenario.server_options()
    return {name: getattr(options, name) for name in ("plan", "recording", "speed", "open_after_s")}


# What was played


def test_a_window_says_its_rows(tmp_path):
    path = market(tmp_path, *range(10))
    recording = read_recording(Path(path), payload_bytes=128)
    due = due_times("replay", rate_hz=1, seed=0, start_ns=0, offsets_ns=recording.offsets_ns)
    assert next(due) == 0
    assert rows_played(len(recording.offsets_ns), WindowTicks(3, 6, 0, 0)) == {
        "recording_rows": 10, "recording_first_row": 3, "recording_last_row": 6,
    }  # fmt: skip
    again = rows_played(len(recording.offsets_ns), WindowTicks(19, 22, 0, 0))
    assert (again["recording_first_row"], again["recording_last_row"]) == (9, 2)


def rows(*windows: tuple[int, int, int]) -> pd.DataFrame:
    trials = [
        {"recording": "big.csv", "clients": 5, "expected": 5 * ticks, "recording_rows": 1_000}
        | {"recording_first_row": first, "recording_last_row": last}
        for first, last, ticks in windows
    ]
    return pd.DataFrame([*trials, {"clients": 5}], columns=COLUMNS)


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ([(8, 47, 40), (9, 50, 42)], "of the 1,000 rows of big.csv: rows 8 to 50."),
        ([(8, 47, 40), (990, 29, 40)], "from the last on to the first again"),
        ([(8, 47, 1_040)], "from the last on to the first again"),
    ],
)
def test_a_report_says_which_rows_were_played(windows, told):
    (sentence,) = replayed_rows_notes(rows(*windows))
    assert told in sentence


def test_where_nothing_was_replayed_nothing_is_said():
    assert not list(replayed_rows_notes(rows()))


# Prices


@pytest.mark.parametrize(
    ("price", "shown"),
    [(8.6e-06, "0.0000086"), (128.0, "128.00"), (1.5, "1.50"), (1.09412, "1.09412"), (-37.63, "-37.63"),
     (0.0, "0.00"), (90100.1, "90100.10"), (1e22, "10000000000000000000000.00"), (1.5e-30, "1.5e-30")],
)  # fmt: skip
def test_a_price_is_shown_with_all_its_digits(price, shown):
    encoded = encode_tick(7, 10, "PEPE", price, 128)
    assert len(encoded) == 128
    assert json.loads(encoded)["price"] == price
    tick = Tick(7, 10, "PEPE", price, "")
    text = Arrival(tick, 20, 128, 1).price_text
    assert float(text) == price
    assert text == shown or re.fullmatch(r"1e\+22", text)


def test_a_scenario_without_its_recording_is_refused():
    with pytest.raises(ScenarioError, match="plan replay and recording go together"):
        Scenario("websocket", plan="replay")
