"""One place chooses which trials count; nothing else in bench looks at what decides it."""

import re

import pandas as pd
import pytest

from bench.results.evidence import Evidence, NotMeasured
from bench.results.run import Run
from bench.results.trials import (
    averageable,
    belongs,
    is_averageable,
    is_step,
    is_suspect,
    search_steps,
    single_trials,
    standing_trials,
    stands,
    suspect_trials,
    telling,
    trials_of,
)
from tests import ROOT
from tests.synthetic import synthetic_run, trial

KINDS = {
    "good": {},
    "marked": {"verdict": "suspect"},
    "failed": {"verdict": "invalid"},
    "replaced": {"retried": True},
    "step": {"search_step": 1},
    "failed step": {"search_step": 2, "verdict": "invalid"},
}


def run_of_all_kinds() -> Run:
    rows = [trial("clients", "websocket", {"verdict_note": name, **kind}) for name, kind in KINDS.items()]
    return synthetic_run(*rows, trial("library idle", "websocket", {"verdict_note": "another"}))


def names(trials: pd.DataFrame) -> list[str]:
    return list(trials["verdict_note"])


RUN = run_of_all_kinds()
TRIALS = trials_of(RUN.trials, ["clients"])


def test_each_choice_leaves_out_its_own() -> None:
    assert names(TRIALS) == list(KINDS)
    assert names(standing_trials(TRIALS)) == [name for name in KINDS if name != "replaced"]
    assert names(single_trials(TRIALS)) == ["good", "marked", "failed", "replaced"]
    assert names(search_steps(TRIALS)) == ["step", "failed step"]
    assert names(averageable(TRIALS)) == ["good", "marked", "replaced", "step"]
    assert names(telling(TRIALS)) == ["good", "marked", "replaced", "step", "failed step"]
    assert names(suspect_trials(TRIALS)) == ["marked"]


def test_a_row_is_judged_as_a_table_is() -> None:
    rows = [row for row in RUN.rows if belongs(row, ["clients"])]
    for choose, holds in (
        (standing_trials, stands),
        (search_steps, is_step),
        (averageable, is_averageable),
        (suspect_trials, is_suspect),
    ):
        assert names(choose(TRIALS)) == [row["verdict_note"] for row in rows if holds(row)]


@pytest.mark.parametrize(
    ("experiments", "found"), [(["library"], 1), (["idle", "library"], 1), (["librar"], 0), ([], 0)]
)
def test_a_trial_of_several_experiments_belongs_to_each(experiments: list[str], found: int) -> None:
    assert len(trials_of(RUN.trials, experiments)) == found
    assert sum(belongs(row, experiments) for row in RUN.rows) == found


def test_of_nothing_nothing_is_chosen() -> None:
    nothing = TRIALS.iloc[:0]
    for choose in (standing_trials, single_trials, search_steps, averageable, telling, suspect_trials):
        assert not len(choose(nothing))
    assert not len(trials_of(nothing, ["clients"]))


def test_evidence_takes_steps_of_any_experiment_that_searched() -> None:
    figures = {"late_ratio": 0.0, "search_step": 1, "clients": 100}
    searched = synthetic_run(trial("rate", "websocket", figures))
    assert len(Evidence(searched.trials).passed_steps()) == len(Evidence(searched.trials).searched()) == 1
    with pytest.raises(NotMeasured):
        Evidence(synthetic_run(trial("clients", "websocket", {})).trials).searched()


CHOOSES = re.compile(
    r"""\["(retried|search_step)"\]\s*(\.astype|==|!=|>|<)   # a column of a table is looked at
    | (not|if)\s+row\["(retried|search_step)"\]            # or a cell of a row
    | \["verdict"\]\s*!=\s*("invalid"|INVALID)             # or what may be averaged""",
    re.VERBOSE,
)


def test_nothing_else_in_bench_chooses_trials() -> None:
    chooses = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "bench").rglob("*.py"))
        if CHOOSES.search(path.read_text(encoding="utf-8"))
    ]
    assert chooses == ["bench/results/trials.py"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('trials[~trials["retried"].astype(bool)]', True),
        ('trials[trials["search_step"] == 0]', True),
        ('if not row["search_step"]', True),
        ('[row for row in rows if row["retried"]]', True),
        ('own[own["verdict"] != "invalid"]', True),
        ('row["retried"] = True', False),
        ('(row["trial_number"], row["search_step"])', False),
    ],
)
def test_the_rule_finds_what_it_should(source: str, found: bool) -> None:
    assert bool(CHOOSES.search(source)) is found
