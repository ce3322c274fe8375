"""What has got another name goes on under its old one: on the command line, and in runs of before."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.commands.arguments import sort_names
from bench.measure.schedule import digests, plan_again, plan_run
from bench.results.export import export_folder
from bench.results.run import REFERENCE, Run
from bench.transports import TRANSPORTS
from servers.__main__ import main as serve
from servers.options import ServerOptions
from servers.variants import FORMER_NAMES, all_names
from tests import ROOT
from tests.bench.results.test_run import FACTS, fake_deliveries, fake_row
from tests.commands import Done, run_bench

FORMER, NAME = next(iter(FORMER_NAMES.items()))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    return partial(run_bench, monkeypatch, capsys)


def test_every_former_name_is_of_a_transport_and_none_is_in_use() -> None:
    assert set(FORMER_NAMES.values()) <= set(TRANSPORTS)
    assert not set(FORMER_NAMES) & set(TRANSPORTS)


# On the command line


def test_a_run_is_asked_for_by_either_name() -> None:
    assert sort_names(["library", FORMER]) == sort_names(["library", NAME]) == (["library"], [NAME])


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_watch_and_wire_take_the_former_name(bench: Callable[..., Done], former: str) -> None:
    said = bench("watch", former, "--ticks", "1")
    assert (said.code, TRANSPORTS[FORMER_NAMES[former]].label in said.stderr) == (0, True)
    said = bench("wire", former, "--seconds", "0.1")
    assert (said.code, TRANSPORTS[FORMER_NAMES[former]].label in said.stdout) == (0, True)


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_a_server_is_started_by_the_former_name(monkeypatch: pytest.MonkeyPatch, former: str) -> None:
    started: list[tuple[str, ServerOptions]] = []
    monkeypatch.setattr("servers.__main__.run", lambda *what: started.append(what))
    assert serve([former]) == 0
    assert started == [(FORMER_NAMES[former], ServerOptions())]


# In runs of before


def older(folder: Path, run: Run) -> Run:
    """Write a run as it would have been written when its transports had their first names."""
    rows = [{**row, "transport": all_names(row["transport"])[0]} for row in run.rows]
    facts = {**run.facts, "transports": [all_names(name)[0] for name in run.facts["transports"]]}
    folder.mkdir()
    old = Run(folder, facts, rows)
    old.write()
    return old


def begun_before(folder: Path) -> Run:
    run = Run.create(
        folder, {**FACTS, "profile": "standard", "experiments": ["library"], "transports": [FORMER]}
    )
    run.add(fake_row(1, transport=FORMER, experiments="library", delivered=500), fake_deliveries())
    assert (run.folder / "deliveries" / f"0001_{FORMER}.parquet").exists()
    return run


def test_a_run_is_read_by_the_names_of_today(tmp_path: Path) -> None:
    run = Run.open(begun_before(tmp_path).folder)
    assert (run.facts["transports"], [row["transport"] for row in run.rows]) == ([NAME], [NAME])
    deliveries = run.deliveries(run.rows[0])
    assert deliveries is not None
    assert len(deliveries) == 500
    export_folder(run, tmp_path / "small", [1])
    assert [path.name for path in (tmp_path / "small" / "deliveries").iterdir()] == [f"0001_{NAME}.parquet"]
    assert Run.open(tmp_path / "small").deliveries(run.rows[0]) is not None


def test_a_run_goes_on_under_the_names_of_today(tmp_path: Path) -> None:
    run = begun_before(tmp_path)
    planned = plan_run(["library"], [NAME], "standard", FACTS["seed"], {})
    assert {each.scenario.transport for each in planned} == {NAME}
    as_then: list[Any] = [
        [
            *each[:3],
            {**dataclasses.asdict(each.scenario), "transport": FORMER},
            each.seed,
            each.search and dataclasses.asdict(each.search),
        ]
        for each in planned
    ]
    plan = hashlib.sha256(json.dumps(as_then).encode()).hexdigest()
    assert digests(planned)["plan"] == plan
    run.facts["digests"] = {"plan": plan, "recordings": {}}
    run.write()
    again = Run.open(run.folder)
    assert plan_again(again) == planned
    again.add(fake_row(2, transport=NAME, experiments="library", delivered=500), fake_deliveries())
    both = Run.open(run.folder)
    assert all(both.deliveries(row) is not None for row in both.rows)


def test_a_run_is_shown_compared_and_plotted_as_if_it_were_of_today(
    tmp_path: Path, bench: Callable[..., Done]
) -> None:
    run = Run.open(ROOT / "results" / REFERENCE)
    run.rows = [row for row in run.rows if "library" in row["experiments"].split()]
    run.facts["experiments"] = ["library"]
    run.facts.pop("digests", None)
    assert {row["transport"] for row in run.rows} >= set(FORMER_NAMES.values())
    old = older(tmp_path / "old", run)
    assert FORMER in (old.folder / "trials.csv").read_text(encoding="utf-8")
    today = Run(tmp_path / "today", dict(run.facts), run.rows)
    today.folder.mkdir()
    today.write()
    shown = {name: bench("show", name, "--results", str(tmp_path)) for name in ("old", "today")}
    assert shown["old"].code == shown["today"].code == 0
    assert shown["old"].stdout.splitlines()[1:] == shown["today"].stdout.splitlines()[1:]
    assert FORMER not in shown["old"].stdout
    compared = bench("compare", "old", "today", "--json", "--results", str(tmp_path))
    transports = {each["scenario"]["transport"] for each in json.loads(compared.stdout)}
    assert transports >= set(FORMER_NAMES.values())
    assert bench("plot", "old", "--results", str(tmp_path)).code == 0
    assert list((old.folder / "figures").glob("library*.svg"))
