"""Runs among others: the newest, the reference, exports, what is gone on with, and whose commit it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from bench.commands.app import main
from bench.course import lesson
from bench.measure import machine
from bench.measure.schedule import digests, plan_again, plan_run
from bench.report.summary import print_run
from bench.results import run as run_module
from bench.results.export import export_folder
from bench.results.files import ResultsError
from bench.results.run import Run, find_run, reference_folder
from clients.sockets.events import SOCKET_FIELDS
from tests import ROOT
from tests.bench.results.test_run import FACTS, fake_deliveries, fake_row

MARKET = "time,symbol,price\n0,ACME,1\n1,ACME,2\n2,ACME,3\n"


def bench(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line here; return its exit code."""
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def run_started(folder: Path, name: str, started: Any) -> Path:
    run = Run.create(folder, FACTS)
    run.facts["started"] = started
    run.write()
    return run.folder.rename(folder / name)


def test_the_newest_run_is_the_newest_by_its_start(tmp_path: Path) -> None:
    run_started(tmp_path, "z_my_run", "2026-01-01T00:00:00+00:00")
    newest = run_started(tmp_path, "a_renamed_one", "2026-03-01T12:00:00+01:00")
    run_started(tmp_path, "m_elsewhere", "2026-03-01T10:59:59+00:00")
    assert find_run(tmp_path, None) == newest
    broken = run_started(tmp_path, "b_broken", "2026-02-01T00:00:00+00:00")
    (broken / "run.json").write_text("[]", encoding="utf-8")
    assert find_run(tmp_path, None) == broken  # just written: that it is broken is told, not passed over
    os.utime(broken / "run.json", (0, 0))
    assert find_run(tmp_path, None) == newest


# Export


def test_export_writes_a_zip_here_and_replaces_nothing_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run.create(tmp_path / "results", FACTS)
    run.add(fake_row(1, delivered=500, duplicates=0), fake_deliveries())
    shutil.copytree(run.folder, tmp_path / "results" / "reference")
    name = run.folder.name
    before = (tmp_path / "results" / "reference" / "run.json").read_bytes()
    assert bench("export", name, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.startswith(f"{name}.zip: 1 trials")
    assert bench("export", name, monkeypatch=monkeypatch) == 1
    assert "is there already" in capsys.readouterr().err
    assert bench("export", name, "--force", monkeypatch=monkeypatch) == 0
    assert bench("export", name, "--target", "results/reference", monkeypatch=monkeypatch) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "results" / "reference" / "run.json").read_bytes() == before
    assert bench("export", name, "--target", "results/reference", "--force", monkeypatch=monkeypatch) == 0
    assert bench("export", name, "--target", f"results/{name}", "--force", monkeypatch=monkeypatch) == 1
    assert "is the run itself" in capsys.readouterr().err
    assert bench("show", f"{name}.zip", monkeypatch=monkeypatch) == 0
    assert f"Run {name} ·" in capsys.readouterr().out
    assert bench("report", f"{name}.zip", monkeypatch=monkeypatch) == 0
    assert (tmp_path / name / "report.html").exists()
    assert bench("run", "--resume", f"{name}.zip", monkeypatch=monkeypatch) == 2
    assert "unpack it" in capsys.readouterr().err


def test_what_stands_beside_a_replaced_run_stays(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "results", FACTS)
    run.add(fake_row(1), fake_deliveries())
    (tmp_path / "target" / "deliveries").mkdir(parents=True)
    for name in ("thesis.tex", "deliveries/0009_websocket.parquet"):
        (tmp_path / "target" / name).write_bytes(b"x")
    export_folder(run, tmp_path / "target", [1], force=True)
    assert (tmp_path / "target" / "thesis.tex").exists()
    assert [path.name for path in (tmp_path / "target" / "deliveries").iterdir()] == [
        "0001_websocket.parquet"
    ]


def test_of_two_attempts_the_quantiles_are_those_of_the_one_that_stands(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "results", FACTS)
    good, late = fake_deliveries(), fake_deliveries()
    late[:, 3] += 50_000_000
    run.add(fake_row(1, verdict="suspect"), good)
    run.add(fake_row(1, attempt=2, verdict="invalid"), late)
    export_folder(run, tmp_path / "small", [])
    first, second = Run.open(tmp_path / "small").rows
    small = Run.open(tmp_path / "small")
    assert small.latency_quantiles(first).iloc[50] == pytest.approx(3.0)
    with pytest.raises(KeyError):
        small.latency_quantiles(second)


# Going on


def begun(folder: Path, recording: Path) -> Run:
    overrides = {"plan": ["replay"], "recording": [str(recording)], "window_s": [1.0], "payload_bytes": [128]}
    facts = {**FACTS, "overrides": overrides}
    return Run.create(folder, {**facts, "digests": digests(planned_of(facts))})


def planned_of(facts: dict[str, Any]) -> list[Any]:
    return plan_run(*(facts[name] for name in ("experiments", "transports", "profile", "seed", "overrides")))


def test_a_run_goes_on_with_the_recording_and_the_plan_that_it_began_with(tmp_path: Path) -> None:
    recording = tmp_path / "market.csv"
    recording.write_text(MARKET, encoding="utf-8")
    run = begun(tmp_path / "results", recording)
    assert plan_again(Run.open(run.folder)) == planned_of(run.facts)


def test_another_recording_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    recording = tmp_path / "market.csv"
    recording.write_text(MARKET, encoding="utf-8")
    run = begun(tmp_path / "results", recording)
    recording.write_text(MARKET.replace("ACME,2", "ACME,9"), encoding="utf-8")
    assert bench("run", "--resume", str(run.folder), monkeypatch=monkeypatch) == 1
    assert (
        f"{recording} is not the recording that run {run.folder.name} began with" in capsys.readouterr().err
    )
    recording.unlink()
    assert bench("run", "--resume", str(run.folder), monkeypatch=monkeypatch) == 2
    assert str(recording) in capsys.readouterr().err


def test_another_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path, {**FACTS, "digests": digests(planned_of(FACTS))})
    run.facts["seed"] += 1
    run.write()
    with pytest.raises(ResultsError, match="was begun with other trials than this program plans"):
        plan_again(Run.open(run.folder))


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("experiments", ["astrology"]),
        ("transports", ["pigeon"]),
        ("overrides", {"colour": ["red"]}),
        ("overrides", {"clients": ["many"]}),
        ("overrides", {"clients": [[1]]}),
        ("overrides", {"rate_hz": [{}]}),
    ],
)
def test_a_run_that_asks_for_what_there_is_not_is_refused(tmp_path: Path, fact: str, value: Any) -> None:
    run = Run.create(tmp_path, {**FACTS, fact: value})
    with pytest.raises(ResultsError, match=rf"run\.json: {fact}"):
        plan_again(Run.open(run.folder))


def test_an_older_run_without_digests_goes_on(tmp_path: Path) -> None:
    assert plan_again(Run.open(Run.create(tmp_path, FACTS).folder)) == planned_of(FACTS)


def test_an_experiment_that_the_program_does_not_have_is_said(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {**FACTS, "experiments": ["astrology"]})
    run.add(fake_row(1, experiments="astrology", verdict="suspect", verdict_reason="not_drained"))
    console = Console(record=True, width=110)
    print_run(Run.open(run.folder), console)
    assert "astrology: this program has no such experiment" in console.export_text()


# The reference, and the commit


def test_the_reference_is_found_in_a_clone_and_where_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_run(tmp_path, "reference") == ROOT / "results" / "reference"
    monkeypatch.setattr(run_module, "INSTALLED", tmp_path / "site-packages" / "bench")
    assert reference_folder(tmp_path / "results") is None
    shutil.copytree(ROOT / "results" / "reference", tmp_path / "site-packages" / "bench" / "reference")
    found = find_run(tmp_path / "results", "reference")
    assert found == tmp_path / "site-packages" / "bench" / "reference"
    assert Run.open(found).rows
    own = Run.create(tmp_path / "results", FACTS).folder.rename(tmp_path / "results" / "reference")
    assert find_run(tmp_path / "results", "reference") == own


def test_a_notebook_without_a_clone_finds_the_runs_that_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "ROOT", tmp_path / "site-packages")
    (tmp_path / "work" / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "notebooks")
    assert lesson.results_folder() == tmp_path / "work" / "notebooks" / "results"
    run = Run.create(tmp_path / "work" / "results", FACTS)
    assert lesson.open_run("newest").folder == run.folder
    assert lesson.open_run("reference").rows


def test_a_built_package_holds_the_reference(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for package in ("servers", "clients", "bench", "results/reference"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build", "--build-lib", "built"],
        cwd=tmp_path, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "built" / "bench" / "reference")
    assert any(run.deliveries(row) is not None for row in run.rows)


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_this_project_s_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a student's repository, into which the program was installed or copied, no commit is told."""
    git(tmp_path, "init")
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "mine")

    def commit_of(root: Path) -> str:
        (root / "bench" / "measure").mkdir(parents=True, exist_ok=True)
        (root / "bench" / "measure" / "machine.py").touch()
        monkeypatch.setattr(machine, "__file__", str(root / "bench" / "measure" / "machine.py"))
        return machine._git_commit()

    assert commit_of(tmp_path / ".venv" / "lib" / "site-packages") == ""
    assert commit_of(tmp_path) == ""  # at its top, but no file of it
    git(tmp_path, "add", "bench/measure/machine.py")
    git(tmp_path, "commit", "-m", "the project")
    assert commit_of(tmp_path) != ""


# The README's lines


def test_the_lines_of_the_readme_choose_trials_of_one_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [each for each in text.split("\n\n") if each.startswith("    import pandas as pd")]
    code = "\n".join(line[4:] for line in block.splitlines())
    *lines, last = code.splitlines()
    run = Run.create(tmp_path / "results", FACTS)
    for fields in (
        {},
        {"transport": "long_polling", "latency_p50_ms": 5.0},
        {"experiments": "interval", "latency_p50_ms": 900.0},
        {"experiments": "interval freshness"},
        {"verdict": "invalid", "latency_p50_ms": 900.0},
        {"verdict": "suspect", "retried": True, "latency_p50_ms": 900.0},
        {"search_step": 1, "latency_p50_ms": 900.0},
    ):
        run.add(fake_row(len(run.rows) + 1, server_cpu_us_per_delivery=10.0, **fields))
    run.folder.rename(tmp_path / "results" / "reference")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    medians: pd.DataFrame = eval(last, names)
    assert medians["latency_p50_ms"].to_dict() == {"websocket": 3.0, "long_polling": 5.0}


def test_what_happened_to_connections_is_kept_beside_the_deliveries(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    happened = np.array([[1, 70, 10], [0, 5, 0], [1, 5, 0], [0, 9, 1]], dtype=np.int64)
    run.add(fake_row(1, incident="link_down", incident_at_ns=10**15 + 1), fake_deliveries(), happened)
    run.add(fake_row(2), fake_deliveries())
    export_folder(run, tmp_path / "all", [1, 2])
    export_folder(run, tmp_path / "one", [2])
    for folder in (run.folder, tmp_path / "all"):
        again = Run.open(folder)
        first, second = again.rows
        kept = again.sockets(first)
        assert kept is not None
        assert tuple(kept.columns) == SOCKET_FIELDS
        assert kept.to_numpy().tolist() == sorted(happened.tolist())
        assert again.sockets(second) is None
        assert first["incident_at_ns"] == 10**15 + 1  # to the ns
        assert len(again.deliveries(first)) == 500  # type: ignore[arg-type]
    assert Run.open(tmp_path / "one").sockets(fake_row(1)) is None
