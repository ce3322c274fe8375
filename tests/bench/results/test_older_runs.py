"""Runs as older versions wrote them: a few trials of each schema, of the reference runs of their time."""

import csv
from pathlib import Path

import pytest

from bench.columns.catalogue import COLUMNS, SCHEMA_VERSION
from bench.report.summary import print_run
from bench.report.terminal import PlainConsole
from bench.results.run import Run
from bench.results.validity import OK, faults_of
from bench.transports import TRANSPORTS
from bench.wording import validity_sentence

OLDER = sorted((Path(__file__).parent / "older_runs").iterdir())


@pytest.fixture(params=OLDER, ids=lambda folder: folder.name)
def older(request: pytest.FixtureRequest) -> Path:
    return request.param


def as_written(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").read_text(encoding="utf-8").splitlines()))


def test_there_is_one_of_each_older_schema() -> None:
    assert [folder.name for folder in OLDER] == [f"schema_{schema}" for schema in range(1, SCHEMA_VERSION)]


def test_figures_are_read_under_the_names_of_today(older: Path) -> None:
    run = Run.open(older)
    assert set(COLUMNS) <= set(run.trials.columns)
    for row, written in zip(run.rows, as_written(older), strict=True):
        renamed = "trial_number" in written
        assert row["trial_number"] == int(written["trial_number" if renamed else "order"])
        assert row["experiments"] == written["experiments" if renamed else "experiment"]
        assert row["transport"] in TRANSPORTS
        for old, new in (
            ("aoi_mean_ms", "age_mean_ms"),
            ("requests_per_tick", "requests_per_delivery"),
            ("wire_bytes_per_tick_down", "wire_bytes_per_delivery_down"),
            ("latency_p50_ms", "latency_p50_ms"),
        ):
            if written.get(old):
                assert row[new] == pytest.approx(float(written[old]))


def test_reasons_stay_the_sentences_that_they_were(older: Path) -> None:
    run = Run.open(older)
    for row, written in zip(run.rows, as_written(older), strict=True):
        if "verdict_note" not in written:  # there were no codes yet
            assert validity_sentence(row) == written["verdict_reason"]
        else:
            assert faults_of(row) == faults_of(written)
        assert (row["verdict"] == OK) == (not faults_of(row))


def test_an_older_run_is_shown(older: Path) -> None:
    console = PlainConsole(width=110)
    with console.capture() as capture:
        print_run(Run.open(older), console)
    assert "freshness" in capture.get()
