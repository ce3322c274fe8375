"""``bench grade`` accepts what is right and nothing else: tests/wrong_solutions/, each with its words."""

import ast
import itertools
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.grading.base import Verdict
from bench.grading.submission import read_parts
from bench.grading.supervise import grade
from tests.conftest import LIMIT_S
from tests.grading import WRONG_SOLUTIONS, submit

FORM_OF = {"long_polling_handle": "handle", "long_polling_client": "Client"}
"""What a submission's function or class is called, by exercise; elsewhere it is ``ticks``."""
CAREFUL = "careful"
LEAST_WRONG = 5


class Wrong(NamedTuple):
    """A wrong solution: its exercise, its name there, and what the grader is to say."""

    exercise: str
    name: str
    said: str


def definitions(exercise: str) -> dict[str, str]:
    """Return the docstring of each solution in a file."""
    tree = ast.parse((WRONG_SOLUTIONS / f"{exercise}.py").read_text())
    found = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef | ast.ClassDef)]
    return {node.name: ast.get_docstring(node) or "" for node in found if node.name[0] != "_"}


EXERCISES = sorted(path.stem for path in WRONG_SOLUTIONS.glob("*.py") if path.stem != CAREFUL)
WRONG = [
    Wrong(exercise, name, doc.partition("Graded: ")[2].rstrip("."))
    for exercise in EXERCISES
    for name, doc in definitions(exercise).items()
    if "Graded: " in doc
]


def verdicts_until(file: Path, said: str) -> list[Verdict]:
    """Grade a file until one verdict begins with these words."""
    found: list[Verdict] = []
    for part in read_parts(file):
        with closing(grade(part, time_limit_s=LIMIT_S)) as coming:
            for verdict in coming:
                found.append(verdict)
                if not verdict.passed and verdict.title.startswith(said):
                    return found
    return found


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.exercise}-{wrong.name}")
def test_a_wrong_solution_is_told_what_is_wrong(wrong: Wrong, tmp_path: Path) -> None:
    file = submit(tmp_path, wrong.exercise, wrong.name, FORM_OF.get(wrong.exercise, "ticks"))
    found = verdicts_until(file, wrong.said)
    assert wrong.said
    assert not found[-1].passed
    assert found[-1].title.startswith(wrong.said), [verdict.title for verdict in found]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_graded_exercise_has_enough_of_them(exercise: str) -> None:
    assert sum(wrong.exercise == exercise for wrong in WRONG) >= LEAST_WRONG


@pytest.mark.parametrize(("name", "doc"), definitions(CAREFUL).items() - {("Tick", "")})
def test_a_more_careful_solution_passes(name: str, doc: str, tmp_path: Path) -> None:
    form = "handle" if "feed" in doc else "ticks"
    file = submit(tmp_path, CAREFUL, name, form, doc.partition(":")[0])
    verdicts = list(
        itertools.chain.from_iterable(grade(part, time_limit_s=LIMIT_S) for part in read_parts(file))
    )
    assert [verdict for verdict in verdicts if not verdict.passed] == []
