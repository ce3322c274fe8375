"""Judges all wrong solutions of an exercise: ``python -m tests.bench.course.wrong_solutions EXERCISE``.

It prints, as JSON, for each of them what the rules found, up to what they are to find. The rule that found it
is tried first on the next solution: that is often the one, and each takes a while.
"""

import ast
import json
import sys
from pathlib import Path

from bench.course.grading import guard
from bench.course.grading.__main__ import import_file, make_student
from bench.course.grading.base import try_check
from bench.course.grading.checks import checks_of
from bench.course.grading.simulated.clock import Clock
from bench.course.grading.submission import CLASSES

FOLDER = Path(__file__).parent
FORMS = {
    "handle": "handle",
    "watchful_client": "watchful",
    "watchful_client_back": "watchful",
    "client": "client",
    "server": "serve",
}
"""The form that is graded, by an exercise's name or the end of it; all others are generators of ticks."""
EXERCISES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__main__", "careful"))


def definitions(exercise: str) -> dict[str, str]:
    """Return the docstring of each solution in a file."""
    tree = ast.parse((FOLDER / f"{exercise}.py").read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef | ast.ClassDef)]
    documented = {node.name: ast.get_docstring(node) for node in found if node.name[0] != "_"}
    return {name: text for name, text in documented.items() if text}


def wrong_solutions(exercise: str) -> dict[str, str]:
    """Return what the grader is to say to each wrong solution of an exercise."""
    return {name: text.partition("Graded: ")[2].rstrip(".") for name, text in definitions(exercise).items()}


def main(exercise: str) -> None:
    """Judge all of an exercise."""
    clock, file = Clock(), FOLDER / f"{exercise}.py"
    guard.set_clocks(clock)
    guard.keep_logged_exceptions()
    guard.refuse_to_block()
    module = import_file(file)
    form = FORMS.get(exercise) or FORMS.get(exercise.rpartition("_")[2], "ticks")
    checks = [*checks_of(form, module.TRANSPORT, file.read_bytes())]
    found = {}
    for name, said in wrong_solutions(exercise).items():
        setattr(module, CLASSES.get(form, form), getattr(module, name))
        student = make_student(form, module.TRANSPORT, clock, [module], [file])
        found[name] = ["every rule is kept"]
        for check in checks:
            verdict = try_check(check, student, file)
            if not verdict.passed:
                found[name].append(verdict.title)
                if verdict.title.startswith(said):
                    checks.remove(check)
                    checks.insert(0, check)
                    break
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
