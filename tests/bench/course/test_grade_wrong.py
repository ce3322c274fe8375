"""``bench grade`` accepts what is right and nothing else: wrong_solutions/, each with its words."""

import json
import subprocess
import sys
from pathlib import Path

from tests import ROOT
from tests.bench.course.grading import START, report, submit
from tests.bench.course.wrong_solutions.__main__ import EXERCISES, definitions, wrong_solutions
from tests.waiting import LIMIT_S

LEAST_WRONG = 5


def test_wrong_solutions_are_told_what_is_wrong() -> None:
    """A process for each exercise, all at once: what takes the time is waiting, a millisecond each time."""
    judges = {
        exercise: subprocess.Popen(
            [sys.executable, "-m", "tests.bench.course.wrong_solutions", exercise],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )
        for exercise in EXERCISES
    }  # fmt: skip
    try:
        for exercise, judge in judges.items():
            printed, complaint = judge.communicate(timeout=4 * LIMIT_S)
            assert judge.returncode == 0, complaint
            found, expected = json.loads(printed), wrong_solutions(exercise)
            assert len(expected) >= LEAST_WRONG
            assert {name: found[name][-1][: len(said)] for name, said in expected.items()} == expected, found
    finally:
        for judge in judges.values():
            judge.kill()
            judge.communicate()


def test_more_careful_solutions_pass(tmp_path: Path) -> None:
    files = [
        submit(tmp_path, "careful", name, form=text.split(":")[0].split()[1], transport=text.split()[0])
        for name, text in definitions("careful").items()
    ]
    results, printed = report(*files)
    assert all(result.passed for result in results), printed


def test_each_exercise_that_is_graded_has_wrong_solutions() -> None:
    assert {path.stem for path in START.glob("*.py")} <= set(EXERCISES)
