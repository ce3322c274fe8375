"""Synthetic runs: trials that say what a test needs, without measuring."""

import dataclasses
from pathlib import Path
from typing import Any

from bench.columns import COLUMNS
from bench.results.run import Run
from bench.scenario import Scenario

BLANK: dict[str, Any] = {
    "step": 0,
    "attempt": 1,
    "seed": 1,
    "replaced": False,
    "verdict": "ok",
    "bottleneck": None,
    "others_cpu_ratio": 0.0,
    "steal_ratio": 0.0,
}


def trial(experiment: str, transport: str, figures: dict[str, Any], **scenario: Any) -> dict[str, Any]:
    """Return a row of trials.csv: a scenario of an experiment, and the figures that it found."""
    fields = dataclasses.asdict(Scenario(transport, **scenario))
    row = dict.fromkeys(COLUMNS) | BLANK | {"experiment": experiment, "repeat": 1} | fields | figures
    return row


def synthetic_run(*rows: dict[str, Any]) -> Run:
    """Return a run of such rows, in memory; each is a trial of its own."""
    numbered = [
        {"order": order, **row} | {"order": row["order"] or order} for order, row in enumerate(rows, 1)
    ]
    return Run(Path("synthetic"), {"experiments": []}, numbered)
