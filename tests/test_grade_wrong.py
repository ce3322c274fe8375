"""``bench grade`` accepts what is right and nothing else: tests/wrong_solutions/, each with its words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.grading import graded, submit
from tests.waiting import LIMIT_S
from tests.wrong_solutions.__main__ import EXERCISES, FOLDER, definitions, wrong_solutions

LEAST_WRONG = 5
CAREFUL = definitions("careful")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_wrong_solutions_are_told_what_is_wrong(exercise: str) -> None:
    words = [sys.executable, "-m", "tests.wrong_solutions", exercise]
    judged = subprocess.run(
        words, cwd=FOLDER.parent.parent, capture_output=True, encoding="utf-8", timeout=4 * LIMIT_S
    )
    assert judged.returncode == 0, judged.stderr
    found = json.loads(judged.stdout)
    expected = wrong_solutions(exercise)
    assert len(expected) >= LEAST_WRONG
    assert {name: found[name][-1][: len(said)] for name, said in expected.items()} == expected, found


@pytest.mark.parametrize("name", CAREFUL)
def test_a_more_careful_solution_passes(name: str, tmp_path: Path) -> None:
    form = "handle" if "feed" in CAREFUL[name] else "ticks"
    passed, printed = graded(submit(tmp_path, "careful", name, form, CAREFUL[name].partition(":")[0]))
    assert passed, printed


def test_each_exercise_that_is_graded_has_wrong_solutions() -> None:
    start = {path.stem for path in (FOLDER.parent.parent / "notebooks" / "exercises" / "start").glob("*.py")}
    assert {name for name in start if not name.startswith("sse_")} == set(EXERCISES)
