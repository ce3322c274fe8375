"""``bench grade``: what is printed and written, for a student, a class and other programs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from bench.commands import app
from bench.course.grading import VERSION
from bench.course.grading.grade import FileResult
from tests.bench.course.grading import (
    NEVER,
    POLLING,
    SOLUTIONS,
    START,
    graded,
    report,
    reported,
    submit,
    write,
)

GUIDE = SOLUTIONS / "GRADING.md"
FORMATS = ["text", "json", "junit", "gradescope"]


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ([SOLUTIONS / "long_polling_client.py"], 0, "12 of 12"),
        ([START / "long_polling_client.py"], 1, "3 of 12"),
        ([START / "missing.py"], 2, f"bench: there is no file {START / 'missing.py'}"),
        ([START / "missing.py", SOLUTIONS / "long_polling_client.py"], 1, "12 of 12"),
    ],
    ids=["passed", "failed", "usage", "one_of_two"],
)
def test_the_command_says_so_by_its_exit_code(
    files: list[Path],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "grade", *map(str, files)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert (printed.out or printed.err).strip().splitlines()[-1] == said


def test_an_exception_that_breaks_several_rules_is_printed_once(tmp_path: Path) -> None:
    _, printed = graded(write(tmp_path, POLLING + NEVER))
    assert printed.count("RuntimeError: never") == 1
    assert "also breaks 10 rules: begins with the newest tick; " in printed
    assert printed.splitlines()[-1] == "0 of 11"


def test_a_bare_except_is_explained_once(tmp_path: Path) -> None:
    _, printed = graded(submit(tmp_path, "polling_ticks", "catches_everything", "ticks"))
    assert printed.count("it cannot be stopped") == 1
    assert "bare `except:`" in printed


HOSTILE = r"\x1b[1A\x1b[2K\x1b[32m\u2713\x1b[0m [/bold] [green]passed[/] :thumbs_up: \u202e\r\x07"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> list[FileResult]:
    """Return what was found in a file whose exception is hostile to terminals."""
    return report(write(tmp_path_factory.mktemp("hostile"), POLLING + NEVER.replace("never", HOSTILE)))[0]


@pytest.mark.parametrize("format_", FORMATS)
def test_texts_of_students_are_shown_and_never_obeyed(format_: str, hostile: list[FileResult]) -> None:
    printed = reported(hostile, format_=format_)
    assert not [sign for sign in printed if sign in "\x1b\u202e\r\x07"]
    assert r"\x1b[32m" in (json.loads(printed)["files"][0]["parts"][0]["verdicts"][0]["seen"]
                          if format_ == "json" else printed.replace("\\\\", "\\"))  # fmt: skip
    assert "[/bold] [green]passed[/] :thumbs_up:" in printed


@pytest.mark.parametrize("format_", FORMATS)
def test_names_of_files_are_shown_and_never_obeyed(format_: str, tmp_path: Path) -> None:
    files = [write(tmp_path, "def", f"[bold]\x1b[32m{number}.py") for number in range(3)]
    _, printed = graded(*files, format_=format_)
    assert "\x1b" not in printed
    assert "[bold]" in printed


@pytest.fixture(scope="module")
def a_class(tmp_path_factory: pytest.TempPathFactory) -> list[FileResult]:
    """Return what was found of three students: a right file, a wrong one, and one that is no Python."""
    folder = tmp_path_factory.mktemp("class")
    files = [
        write(folder, (SOLUTIONS / "long_polling_client.py").read_bytes(), "ann/client.py"),
        submit(folder / "bob", "long_polling_client", "CountsNothing", "Client"),
        write(folder, b"def", "eve/client.py"),
    ]
    return report(*files)[0]


def test_a_class_has_a_row_a_file_and_a_summary(a_class: list[FileResult]) -> None:
    printed = reported(a_class)
    rows = printed[printed.index("file ") :].splitlines()
    assert rows[1].split() == ["ann/client.py", "12", "of", "12"]
    assert rows[2].split()[:4] == ["bob/CountsNothing.py", "11", "of", "12"]
    assert "it does not count what it does" in rows[2]
    assert rows[3].startswith("eve/client.py")
    assert "line 1: invalid syntax" in rows[3]
    assert "1 keep every rule, 1 break some, 1 cannot be graded" in rows[4]
    assert rows[-1] == "23 of 24"


@pytest.mark.parametrize(("format_", "suffix"), [("text", "txt"), ("json", "json"), ("junit", "xml")])
def test_a_class_gets_a_report_each(
    a_class: list[FileResult], format_: str, suffix: str, tmp_path: Path
) -> None:
    printed = reported(a_class, format_=format_, folder=tmp_path / "reports")
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert [name.rsplit("-", 2)[1:] for name in names] == [
        ["ann", f"client.py.{suffix}"],
        ["bob", f"CountsNothing.py.{suffix}"],
        ["eve", f"client.py.{suffix}"],
    ]
    assert "✓" not in printed
    assert "1 keep every rule" in printed
    texts = [path.read_text(encoding="utf-8") for path in sorted((tmp_path / "reports").iterdir())]
    assert all(f"grader {VERSION}" in text or f'"grader": "{VERSION}"' in text for text in texts[:2])


def test_json_has_all_that_was_found(a_class: list[FileResult]) -> None:
    document = json.loads(reported(a_class, format_="json"))
    assert document["grader"] == VERSION
    assert document["passed"] is False
    assert [(file["score"], file["max_score"], file["passed"]) for file in document["files"]] == [
        (result.rules_kept, len(result.verdicts), result.passed) for result in a_class
    ]
    assert "line 1" in document["files"][2]["unusable"]
    assert [verdict["rule"] for verdict in document["files"][0]["parts"][0]["verdicts"]] == [
        verdict.rule for verdict in a_class[0].verdicts
    ]


def test_junit_has_a_suite_a_file(a_class: list[FileResult]) -> None:
    top = ElementTree.fromstring(reported(a_class, format_="junit"))
    counts = [[suite.get(name) for name in ("tests", "failures", "errors")] for suite in top]
    assert counts == [["12", "0", "0"], ["12", "1", "0"], ["1", "0", "1"]]
    assert [len(suite.findall("testcase")) for suite in top] == [12, 12, 1]
    (failure,) = top.iter("failure")
    assert failure.get("message") == "it does not count what it does"
    assert "expected: " in (failure.text or "")


def test_gradescope_gets_its_results(a_class: list[FileResult]) -> None:
    """Gradescope, Autograder Specifications: the names and values that it knows."""
    document = json.loads(reported(a_class, format_="gradescope"))
    assert set(document) <= {"score", "output", "output_format", "visibility", "stdout_visibility", "tests"}
    assert document["score"] == sum(test["score"] for test in document["tests"]) == 23
    assert sum(test["max_score"] for test in document["tests"]) == 25
    assert f"grader {VERSION}" in document["output"]
    for test in document["tests"]:
        assert test["visibility"] == "visible"
        assert test["status"] == ("passed" if test["score"] else "failed")
        assert bool(test["output"]) == (test["status"] == "failed")


@pytest.mark.parametrize("format_", ["json", "gradescope"])
def test_a_single_bad_file_has_a_document_too(format_: str, tmp_path: Path) -> None:
    passed, printed = graded(write(tmp_path, "def"), format_=format_)
    assert not passed
    assert "line 1" in json.dumps(json.loads(printed))


def test_the_guide_names_options_that_there_are() -> None:
    helped = CliRunner().invoke(app.app, ["grade", "--help"], env={"COLUMNS": "200"}).output
    options = set(re.findall(r"bench grade [^`\n]*?(--[a-z-]+)", GUIDE.read_text(encoding="utf-8")))
    assert {"--output", "--format"} <= options
    assert [option for option in options if option not in helped] == []


def test_the_examples_of_the_guide_can_be_read() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    (workflow,) = re.findall("```yaml\n(.*?)```", guide, re.S)
    steps = yaml.safe_load(workflow)["jobs"]["grade"]["steps"]
    graders = [step["id"] for step in steps if "id" in step]
    *_, reporter = steps
    assert reporter["with"]["runners"].split(",") == graders
    assert [name.removesuffix("_RESULTS").lower() for name in reporter["env"]] == graders
    for script in re.findall("```bash\n(.*?)```", guide, re.S):
        subprocess.run(["bash", "-n"], input=script, encoding="utf-8", check=True)
