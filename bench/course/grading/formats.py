"""Marks for other programs: JSON, JUnit's XML, and the results.json of Gradescope."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import msgspec

from bench.course.grading import VERSION
from bench.course.grading.base import Verdict
from bench.course.grading.grade import FileResult
from bench.wording import shown


def as_json(results: Sequence[FileResult]) -> str:
    """Return all that was found as JSON."""
    return _encode(
        {
            "grader": VERSION,
            "passed": all(result.passed for result in results),
            "files": [
                {
                    "file": shown(result.name),
                    "score": result.rules_kept,
                    "max_score": len(result.verdicts),
                    "passed": result.passed,
                    "unusable": result.unusable,
                    "parts": result.parts,
                }
                for result in results
            ],
        }
    )


def as_junit(results: Sequence[FileResult]) -> str:
    """Return a test suite a file, as JUnit's XML; a file that cannot be graded is an error."""
    top = ElementTree.Element("testsuites", name=f"bench grade, grader {VERSION}")
    for result in results:
        cases = list(_cases(result))
        suite = ElementTree.SubElement(
            top,
            "testsuite",
            name=shown(result.name),
            tests=str(len(cases)),
            failures=str(sum(not verdict.passed for _, _, verdict in cases) - bool(result.unusable)),
            errors=str(int(bool(result.unusable))),
        )
        for _, rule, verdict in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=shown(result.name), name=rule)
            if not verdict.passed:
                kind = "error" if result.unusable else "failure"
                element = ElementTree.SubElement(case, kind, message=shown(verdict.title))
                element.text = _output(verdict)
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"


def as_gradescope(results: Sequence[FileResult]) -> str:
    """Return Gradescope's results.json: a test a rule, one point each.

    Source: Gradescope, Autograder Specifications, Output format
    (https://gradescope-autograders.readthedocs.io/en/latest/specs/).
    """
    tests = [
        {
            "name": f"{shown(what)}: {rule}",
            "score": int(verdict.passed),
            "max_score": 1,
            "status": "passed" if verdict.passed else "failed",
            "output": _output(verdict),
            "output_format": "text",
            "visibility": "visible",
        }
        for result in results
        for what, rule, verdict in _cases(result)
    ]
    return _encode(
        {
            "score": sum(result.rules_kept for result in results),
            "output": f"bench grade, grader {VERSION}",
            "output_format": "text",
            "visibility": "visible",
            "stdout_visibility": "hidden",
            "tests": tests,
        }
    )


FORMATS: dict[str, Callable[[Sequence[FileResult]], str]] = {
    "json": as_json,
    "junit": as_junit,
    "gradescope": as_gradescope,
}
"""How results are written, by the name of the format; ``text`` is printed by report.py."""


def details(verdict: Verdict) -> list[tuple[str, str]]:
    """Return what is told of a broken rule, as pairs of a label and a text that can be shown."""
    texts = (
        ("seen", verdict.seen),
        ("expected", verdict.expected),
        ("look at", verdict.where),
        ("hint", verdict.hint),
    )
    return [(label, shown(text)) for label, text in texts]


def _cases(result: FileResult) -> Iterator[tuple[str, str, Verdict]]:
    """Yield what was checked, the rule and the verdict; one for a file that cannot be graded."""
    if result.unusable:
        yield result.name, "can be graded", Verdict(False, result.unusable)
    for part in result.parts:
        for verdict in part.verdicts:
            yield part.what, verdict.rule, verdict


def _output(verdict: Verdict) -> str:
    """Return what a student is told of a rule; nothing if it is kept."""
    if verdict.passed:
        return ""
    lines = [f"{label}: {text}" for label, text in details(verdict) if text]
    return "\n".join([shown(verdict.title), *lines])


def _encode(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
