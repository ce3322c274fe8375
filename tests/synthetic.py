"""Synthetic runs: trials that say what a test needs, without measuring."""

import dataclasses
from pathlib import Path
from typing import Any

from bench.columns.catalogue import COLUMNS
from bench.judge.literature import PUBLICATIONS, Judgement
from bench.results.evidence import Evidence
from bench.results.run import Run
from bench.scenario import Scenario

BLANK: dict[str, Any] = {
    "search_step": 0,
    "attempt": 1,
    "seed": 1,
    "retried": False,
    "verdict": "ok",
    "bottleneck": None,
    "foreign_cpu_ratio": 0.0,
    "stolen_cpu_ratio": 0.0,
}


def trial(experiment: str, transport: str, figures: dict[str, Any], **scenario: Any) -> dict[str, Any]:
    """Return a row of trials.csv: a scenario of an experiment, and the figures that it found."""
    fields = dataclasses.asdict(Scenario(transport, **scenario))
    row = dict.fromkeys(COLUMNS) | BLANK | {"experiments": experiment, "repeat": 1} | fields | figures
    return row


def synthetic_run(*rows: dict[str, Any]) -> Run:
    """Return a run of such rows, in memory; each is a trial of its own."""
    numbered = [
        {"trial_number": order, **row} | {"trial_number": row["trial_number"] or order}
        for order, row in enumerate(rows, 1)
    ]
    return Run(Path("synthetic"), {"experiments": []}, numbered)


def judged(publication: str, *rows: dict[str, Any], **facts: Any) -> Judgement:
    """Return how a published figure is judged by a run of such rows, and with more facts in its run.json."""
    (held,) = (each for each in PUBLICATIONS if each.name == publication)
    return held.judged_by(Evidence(synthetic_run(*rows).trials, facts))
