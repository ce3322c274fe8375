"""Doubts: all of them by one function, and outliers that are hardly ever ordinary noise."""

import re
from typing import Any

import numpy as np
import pytest

from bench.experiments.catalogue import EXPERIMENTS
from bench.report.doubts import doubt_sentence, doubt_sentences, doubts, far_from_others
from bench.report.summary import print_run
from bench.report.tables import experiment_table
from bench.report.terminal import Console, words
from bench.results.run import REFERENCE, Run
from tests import ROOT
from tests.synthetic import synthetic_run, trial

REFERENCE_RUN = ROOT / "results" / REFERENCE
ORDINARY = {"verdict": "ok", "verdict_reason": "", "verdict_note": ""}
LATE = {
    "verdict": "suspect",
    "verdict_reason": "generator_cpu",
    "verdict_note": "",
    "generator_cpu_ratio": 0.95,
}


def of_five(*medians_ms: float, **figures: Any) -> list[dict[str, Any]]:
    return [
        trial("freshness", "websocket", {"latency_p50_ms": median, **ORDINARY, **figures})
        | {"repeat": repeat}
        for repeat, median in enumerate(medians_ms, start=1)
    ]


def told_of(run: Run) -> list[str]:
    run.facts["experiments"] = list(dict.fromkeys(row["experiments"] for row in run.rows))
    return doubt_sentences(run, run.facts["experiments"])


def printed(run: Run, width: int = 110) -> str:
    console = Console(width=width, file=None, record=True, markup=False, highlight=False)
    with console.capture() as captured:
        print_run(run, console)
    return captured.get()


def step(**fields: Any) -> dict[str, Any]:
    figures = {
        "late_ratio": 0.0,
        "latency_mean_ms": 9.0,
        "server_cpu_ratio": 0.5,
        "server_cpu_us_per_delivery": 5.0,
    }
    return trial("clients", "websocket", {**figures, **ORDINARY} | fields) | {"trial_number": 7} | fields


def test_an_outlier_is_named_though_its_verdict_is_ok() -> None:
    (told,) = told_of(synthetic_run(*of_five(19, 22, 113, 20, 19)))
    assert told.startswith("! trial 3 (websocket, 100 clients, repeat 3)")
    assert "latency p50 ms 113 (median of all 20)" in told


@pytest.mark.parametrize(
    "figures",
    [
        (19, 22, 25, 20, 19),  # noise
        (10, 10, 10, 10, 10.4),  # far by deviations, and nothing in effect
        (10, 10, 113, 10),  # four are too few
        (1, 2, 4, 8, 16),  # all differ
        (10, 0, 10, 10, 113),  # no logarithm
    ],
)
def test_what_is_no_outlier(figures: tuple[float, ...]) -> None:
    assert far_from_others(figures) == []


def test_an_outlier_may_be_too_good_and_does_not_need_any_spread() -> None:
    assert far_from_others([10, 10, 10, 10, 113]) == [4]
    assert far_from_others([10, 10.5, 2, 10, 9.8]) == [2]


@pytest.mark.parametrize(("noise", "most"), [(0.1, 0.001), (0.2, 0.01)])
def test_five_ordinary_trials_hardly_ever_have_an_outlier(noise: float, most: float) -> None:
    rng = np.random.default_rng(1)
    alarms = sum(bool(far_from_others(np.exp(rng.normal(0, noise, 5)).tolist())) for _ in range(4_000))
    assert alarms / 4_000 <= most


@pytest.mark.parametrize("factor", [4.0, 5.8])
def test_a_stalled_trial_among_five_is_nearly_always_found(factor: float) -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(1_000):
        figures = np.exp(rng.normal(0, 0.1, 5))
        figures[2] *= factor
        found += far_from_others(figures.tolist()) == [2]
    assert found / 1_000 >= 0.95


def test_a_suspect_trial_is_told_once_and_is_no_outlier_as_well() -> None:
    rows = of_five(19, 22, 113, 20, 19)
    rows[2] |= LATE
    (told,) = told_of(synthetic_run(*rows))
    assert told.startswith("? trial 3")


def test_a_capacity_on_a_suspect_step_is_doubted_and_marked() -> None:
    rows = [step(search_step=1, clients=900, **LATE), step(search_step=2, clients=1_100, late_ratio=0.5)]
    run = synthetic_run(*rows)
    table, _ = experiment_table(EXPERIMENTS["clients"], run.trials_of("clients"))
    cells = [words(cell) for column in table.columns for cell in column.cells]
    assert any(re.fullmatch(r"9\d\d ×[\d.]+\?", cell) for cell in cells)
    (told,) = told_of(run)
    assert "the capacity of WebSocket" in told
    assert re.search(r"9\d\d clients", told)
    assert "the load generator used 95% of its core" in told
    assert doubts(run, ["clients"]) == []  # no trial has to be measured again


def test_what_is_suspect_by_design_is_explained_but_not_doubted() -> None:
    row = trial("instrument", "websocket", {"latency_p50_ms": 9.0, **LATE}, generator="asyncio")
    run = synthetic_run(row)
    (told,) = told_of(run)
    assert "of what the experiment asks for" in told
    assert doubts(run, ["instrument"]) == []


def test_a_run_that_has_only_begun_or_has_an_unknown_experiment_has_no_other_doubts() -> None:
    run = synthetic_run(*of_five(19.0), trial("yesterdays", "websocket", LATE))
    (told,) = doubt_sentences(run, [*EXPERIMENTS, "yesterdays"])
    assert "trial 2" in told


def test_every_mark_in_the_terminal_has_its_doubt() -> None:
    run = Run.open(REFERENCE_RUN)
    told = doubt_sentences(run, run.facts["experiments"])
    said = " ".join(printed(run, 10_000).split())
    marked = re.search(r"[\d%]\?", said)
    assert bool(marked) == any(each.startswith("?") for each in told)
    assert all(each in said for each in told)


def test_one_client_is_said_as_one() -> None:
    row = {"trial_number": 3, "transport": "websocket", "repeat": 1, **LATE}
    assert "(websocket, 1 client, repeat 1)" in doubt_sentence(row | {"clients": 1})
    assert "(websocket, 2 clients, repeat 1)" in doubt_sentence(row | {"clients": 2})
