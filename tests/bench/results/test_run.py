"""Runs on disk: whole or not at all, readable with plain pandas, and resumable."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.columns.catalogue import COLUMNS
from bench.columns.derived import DERIVED
from bench.measure import schedule
from bench.measure.processes import TrialFailed
from bench.measure.schedule import execute, measure_beside, plan_run
from bench.measure.trial import Trial
from bench.report.doubts import doubts
from bench.results.estimates import summarise
from bench.results.export import export_folder
from bench.results.files import ResultsError
from bench.results.run import REFERENCE, TWO_WRITES, Run, find_run
from bench.scenario import Scenario
from tests.older_runs import make_older

FACTS: dict[str, Any] = {
    "profile": "quick", "seed": 3, "experiments": ["freshness"], "transports": ["websocket"], "overrides": {},
}  # fmt: skip


def fake_deliveries(count: int = 500) -> np.ndarray[Any, Any]:
    due = np.arange(count) * 20_000_000
    zeros = np.zeros(count, dtype=np.int64)
    return np.column_stack([zeros, np.arange(1, count + 1), due, due + 3_000_000, due + 3_100_000, zeros])


def fake_row(order: int, **fields: Any) -> dict[str, Any]:
    return {
        **dataclasses.asdict(Scenario("websocket")),
        "experiments": "freshness", "trial_number": order, "repeat": 1, "search_step": 0, "attempt": 1,
        "retried": False, "verdict": "ok", "latency_p50_ms": 3.0,
        "latency_p99_ms": float("nan"), **fields,
    }  # fmt: skip


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1), fake_deliveries())
    again = Run.open(run.folder)
    assert again.facts["seed"] == 3
    assert again.rows[0]["latency_p50_ms"] == 3
    assert again.rows[0]["latency_p99_ms"] is None
    assert list(again.trials.columns) == [*COLUMNS, *(column.name for column in DERIVED)]


def test_files_open_with_plain_pandas(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1), fake_deliveries())
    assert pd.read_csv(run.folder / "trials.csv")["latency_p50_ms"].tolist() == [3.0]
    (path,) = (run.folder / "deliveries").glob("*.parquet")
    deliveries = pd.read_parquet(path)
    assert list(deliveries.columns) == ["client", "seq", "due_ns", "arrived_ns", "handled_ns", "stamp_shared"]
    assert (deliveries["arrived_ns"] - deliveries["due_ns"] == 3_000_000).all()


def test_rows_are_in_the_order_of_the_run_and_written_after_each(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    for order in (1, 2, 3):
        run.add(fake_row(order))
        assert pd.read_csv(run.folder / "trials.csv")["trial_number"].tolist() == list(range(1, order + 1))


def test_a_shared_trial_belongs_to_each_of_its_experiments(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1, experiments="freshness interval"))
    run.add(fake_row(2, experiments="interval"))
    assert run.trials_of("freshness")["trial_number"].tolist() == [1]
    assert run.trials_of("interval")["trial_number"].tolist() == [1, 2]


def test_a_half_written_file_is_never_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1))

    def full_disk(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ResultsError, match="No space left"):
        run.add(fake_row(2))
    monkeypatch.undo()
    assert [row["trial_number"] for row in Run.open(run.folder).rows] == [1]
    assert not [path for path in run.folder.rglob("*") if path.name.startswith(".")]


def test_another_schema_is_refused_with_a_sentence(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    facts = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    (run.folder / "run.json").write_text(json.dumps(facts | {"schema": 0}), encoding="utf-8")
    with pytest.raises(ResultsError, match="schema 0"):
        Run.open(run.folder)


@pytest.mark.parametrize("code", ["incident", "backoff", "noticed_by", "bottleneck"])
def test_a_code_that_this_program_does_not_know_is_refused_with_a_sentence(tmp_path: Path, code: str) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1, **{code: "meteor"}), fake_deliveries())
    with pytest.raises(ResultsError, match=f"'meteor' as {code}, which this program does not know"):
        Run.open(run.folder)


def test_what_is_no_run_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no run"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    (tmp_path / "trials.csv").write_text("", encoding="utf-8")
    with pytest.raises(ResultsError, match=r"run\.json is no JSON"):
        Run.open(tmp_path)


def test_results_that_cannot_be_written_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResultsError, match="--results"):
        Run.create(tmp_path / "file", FACTS)


def test_the_newest_run_is_found_and_the_reference_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="bench run all"):
        find_run(tmp_path, None)
    old = Run.create(tmp_path, FACTS)
    shutil.copytree(old.folder, tmp_path / REFERENCE)
    assert find_run(tmp_path, None) == old.folder
    assert find_run(tmp_path, "reference") == tmp_path / "reference"
    shutil.rmtree(old.folder)
    assert find_run(tmp_path, None) == tmp_path / "reference"
    with pytest.raises(ResultsError, match="there is no run 'other'"):
        find_run(tmp_path, "other")


def test_an_export_keeps_trials_quantiles_and_some_deliveries(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    for order in (1, 2):
        run.add(fake_row(order), fake_deliveries())
    export_folder(run, tmp_path / "reference", keep_orders=[1])
    again = Run.open(tmp_path / "reference")
    assert len(again.rows) == 2
    first, second = again.rows
    assert again.deliveries(first) is not None
    assert again.deliveries(second) is None
    assert again.latency_quantiles(second).iloc[50] == pytest.approx(3.0)
    assert again.latency_quantiles(first).iloc[50] == pytest.approx(3.0)


# The schedule that fills a run


PLANNED = plan_run(["freshness"], ["websocket", "long_polling"], "standard", 1, {"window_s": [0.1]})


def fake_trial(scenario: Any, **_: Any) -> Trial:
    return Trial({"transport": scenario.transport, "verdict": "ok"}, fake_deliveries(10))


def test_execute_runs_everything_in_order_and_tells_of_blocks(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    steps = list(execute(run, PLANNED, trial=fake_trial))
    assert [row["trial_number"] for row in Run.open(run.folder).rows] == [each.order for each in PLANNED]
    assert sum(step.block_done for step in steps) == max(each.repeat for each in PLANNED) > 1
    lefts = [step.left_s for step in steps]
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[-1] == pytest.approx(0)


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    calls: list[Any] = []

    def interrupted(scenario: Any, **options: Any) -> Trial:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(scenario)
        return fake_trial(scenario)

    with pytest.raises(KeyboardInterrupt):
        list(execute(run, PLANNED, trial=interrupted))
    again = Run.open(run.folder)
    assert len(again.rows) == 3
    list(execute(again, PLANNED, trial=fake_trial))
    assert [row["trial_number"] for row in Run.open(run.folder).rows] == [each.order for each in PLANNED]


def test_what_is_measured_beside_trials_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [{"apart": True, "no_delay": False, "answered": True, "median_ms": 41.5, "sd_ms": 2.0}]
    monkeypatch.setattr(schedule, "measure_two_writes", lambda: told)
    run = Run.create(tmp_path, FACTS)
    measure_beside(run, PLANNED)
    assert TWO_WRITES not in Run.open(run.folder).facts
    planned = plan_run(["wind_sensor"], ["websocket"], "standard", 1, {})
    measure_beside(run, planned)
    again = Run.open(run.folder)
    assert again.facts[TWO_WRITES] == told
    monkeypatch.setattr(schedule, "measure_two_writes", lambda: [])
    measure_beside(again, planned)
    assert again.facts[TWO_WRITES] == told


def test_a_run_goes_on_without_what_cannot_be_measured_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise TimeoutError("a message over loopback did not arrive")

    monkeypatch.setattr(schedule, "measure_two_writes", fail)
    run = Run.create(tmp_path, FACTS)
    measure_beside(run, plan_run(["wind_sensor"], ["websocket"], "standard", 1, {}))
    assert TWO_WRITES not in run.facts


@pytest.mark.parametrize("wrong", [None, {}, [1], [{"apart": True}], [{"apart": 1, "median_ms": "41"}]])
def test_what_was_measured_beside_trials_is_refused_if_it_is_not_whole(tmp_path: Path, wrong: Any) -> None:
    run = Run.create(tmp_path, FACTS)
    run.facts[TWO_WRITES] = wrong
    run.write()
    with pytest.raises(ResultsError, match="two_writes has lost a way of writing, or its figures"):
        Run.open(run.folder)


def test_a_failed_trial_is_kept_as_invalid_and_the_run_goes_on(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)

    def sometimes(scenario: Any, **options: Any) -> Trial:
        if scenario.transport == "websocket":
            raise TrialFailed("the server died (by signal 9)")
        return fake_trial(scenario)

    list(execute(run, PLANNED, trial=sometimes))
    trials = Run.open(run.folder).trials
    assert set(trials["trial_number"]) == {each.order for each in PLANNED}
    assert set(trials.loc[trials["transport"] == "websocket", "verdict"]) == {"invalid"}
    assert set(trials.loc[trials["transport"] == "long_polling", "verdict"]) == {"ok"}


def test_a_fault_that_may_pass_gets_one_more_try_and_both_are_kept(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    tries: list[str] = []

    def unlucky_at_first(scenario: Any, **options: Any) -> Trial:
        tries.append(scenario.transport)
        row, deliveries, *_ = fake_trial(scenario)
        if tries.count(scenario.transport) == 1:
            return Trial(
                {**row, "verdict": "suspect", "verdict_reason": "stolen_cpu", "stolen_cpu_ratio": 0.1},
                deliveries,
                may_pass=True,
            )
        return Trial(row, deliveries)

    list(execute(run, PLANNED, trial=unlucky_at_first))
    again = Run.open(run.folder)
    assert len(again.trials) == len(PLANNED) + 2
    replaced = again.trials[again.trials["retried"].astype(bool)]
    assert set(replaced["verdict"]) == {"suspect"}
    assert set(replaced["attempt"]) == {1}
    assert len(again.trials_of("freshness")) == len(PLANNED)
    assert set(again.trials_of("freshness")["verdict"]) == {"ok"}
    assert all(again.deliveries(row) is not None for row in again.rows)


def test_a_fault_that_stays_is_not_tried_for_ever(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)

    def unlucky(scenario: Any, **options: Any) -> Trial:
        row, deliveries, *_ = fake_trial(scenario)
        return Trial(
            {**row, "verdict": "suspect", "verdict_reason": "stolen_cpu", "stolen_cpu_ratio": 0.1},
            deliveries,
            may_pass=True,
        )

    list(execute(run, PLANNED[:1], trial=unlucky))
    assert [(row["attempt"], row["retried"]) for row in run.rows] == [(1, True), (2, False)]


def test_a_run_of_the_schema_before_is_read(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1))
    make_older(run, 1)
    again = Run.open(run.folder)
    assert again.rows[0]["attempt"] == 1
    assert len(again.trials_of("freshness")) == 1


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Any:
    """A file system of 200 KiB, where this user may mount one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True
    )
    if mount.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_what_was_finished_stays(tiny_disk: Path) -> None:
    run = Run.create(tiny_disk, FACTS)
    rng = np.random.default_rng(1)

    def fill() -> None:
        for order in range(1, 100):
            run.add(fake_row(order), rng.integers(0, 2**62, (500, 6)))

    with pytest.raises(ResultsError, match="No space left on device; what was written before is whole"):
        fill()
    again = Run.open(run.folder)
    assert 0 < len(again.rows) < 99
    for row in again.rows:
        deliveries = again.deliveries(row)
        assert deliveries is not None
        assert len(deliveries) == 500


def test_a_read_only_folder_is_one_sentence(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    with pytest.raises(ResultsError, match="Read-only file system; choose another folder with --results"):
        Run.create(tiny_disk, FACTS)


def test_what_is_suspect_by_design_is_marked_but_not_doubted(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    late = {"verdict": "suspect", "verdict_reason": "generator_cpu", "generator_cpu_ratio": 0.99}
    run.add(fake_row(1, experiments="instrument", generator="asyncio", **late))
    run.add(fake_row(2, experiments="instrument", generator="swarm", **late))
    run.add(fake_row(3, experiments="freshness", generator="asyncio", **late))
    run.add(fake_row(4, experiments="instrument freshness", generator="asyncio", **late))
    run.add(
        fake_row(
            5,
            experiments="instrument",
            generator="asyncio",
            verdict="invalid",
            verdict_reason="failed",
            verdict_note="x",
        )
    )
    stolen = {
        "verdict": "suspect",
        "verdict_reason": "generator_lag stolen_cpu",
        "generator_lag_p99_ms": 50.0,
        "stolen_cpu_ratio": 0.09,
    }
    run.add(fake_row(6, experiments="instrument", generator="asyncio", **stolen))
    assert [row["trial_number"] for row in doubts(run, ["instrument", "freshness"])] == [2, 3, 4, 5, 6]
    assert [row["trial_number"] for row in doubts(run, ["freshness"])] == [3, 4]


def test_the_better_of_two_attempts_stands(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1, verdict="suspect"))
    run.add(fake_row(1, attempt=2, verdict="invalid"))
    assert [row["verdict"] for row in run.rows if not row["retried"]] == ["suspect"]


def test_under_latest_a_single_trial_has_no_latency_either(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(1, contract="latest", latency_p50_ms=float("nan"), clients=1, seed=1), fake_deliveries())
    (row,) = summarise(run.trials_of("freshness"), ["latency_p50_ms"], run)
    assert np.isnan(row["latency_p50_ms"].estimate)


def test_different_scenarios_are_different_rows(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    for order, headers in enumerate(["minimal", "browser"], start=1):
        run.add(fake_row(order, headers=headers))
    assert len(summarise(run.trials_of("freshness"), ["latency_p50_ms"])) == 2
