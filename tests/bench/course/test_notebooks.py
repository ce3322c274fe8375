"""The course, held to its own rules: every notebook runs, says what it said, and types no figure."""

import ast
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from bench.course import lesson
from bench.course.notebooks import (
    FOLDER,
    NotebooksError,
    UnknownNotebook,
    find_notebooks,
    need_extra,
    normalised,
    read,
    run_all,
)
from bench.measure.processes import TrialFailed
from tests.bench.course.prose import said, typed_figures
from tests.waiting import LIMIT_S, interruptible

NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
SECTIONS = ["Question", "Prediction", "Figure", "Reading", "Limits", "Exercise"]
LONGEST_FUNCTION_LINES = 5
LONGEST_CELL_LINES = 24
MACHINE_PATHS = re.compile(r"(?:/root|/home|/tmp|/work|/Users|/private)/|site-packages|\bat 0x[0-9a-f]+")
NOTES = ("**Time:**", "**Ask:**", "**Expect:**", "**Misconception:**")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> Iterator[Any]:
    yield from (cell for cell in read(path).cells if cell.cell_type == kind)


def slide_type(cell: Any) -> str:
    return str(cell.metadata.get("slideshow", {}).get("slide_type", "-"))


def texts(cell: Any) -> list[str]:
    """Return what a cell's outputs say in words; of figures, that there is one."""
    found = []
    for output in cell.outputs:
        found += [output.text] if output.output_type == "stream" else []
        for kind, content in sorted(output.get("data", {}).items()):
            found.append(content if kind.startswith("text/") else kind)
    return found


@each_notebook
@pytest.mark.timeout(300)
def test_runs_and_says_what_is_committed(path: Path) -> None:
    """From a clean kernel on the reference run, measuring nothing anew; without errors and warnings.

    Cells tagged ``live`` say something else each time; all others say the same. Renew: make notebooks.
    """
    (rerun,) = run_all([path], {"BENCH_LIVE": "0"})
    for notebook in (rerun, read(path)):
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                assert output.output_type != "error"
                assert output.get("name") != "stderr", output.text
            for text in texts(cell) if cell.cell_type == "code" else []:
                assert not MACHINE_PATHS.search(text), text
    for committed, again in zip(read(path).cells, rerun.cells, strict=True):
        if committed.cell_type != "code":
            continue
        if "live" in committed.metadata.get("tags", []):
            assert bool(committed.outputs) == bool(again.outputs)
        else:
            assert texts(committed) == texts(again), f"cell {committed.id} is out of date: make notebooks"


@each_notebook
def test_is_written_in_the_one_form(path: Path) -> None:
    notebook = read(path)
    written = notebook.copy()
    assert normalised(notebook) == written
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert {"title", "lecture"} <= notebook.metadata.course.keys()


@each_notebook
def test_leads_from_question_to_exercise(path: Path) -> None:
    headings = [
        match.group(1)
        for cell in cells(path, "markdown")
        for match in re.finditer(r"^## (\w+)", cell.source, re.MULTILINE)
    ]
    assert list(dict.fromkeys(headings)) == SECTIONS


@each_notebook
def test_no_figure_is_typed(path: Path) -> None:
    for cell in cells(path, "markdown"):
        assert not typed_figures(cell.source)
    for cell in cells(path, "code"):
        for text in said(cell.source):
            assert not typed_figures(text)


@each_notebook
def test_no_table_of_pandas_is_said_where_a_figure_is_meant(path: Path) -> None:
    """``{own['clients']}`` is a number of a row, and a column of a table; which one, a name does not say."""
    told = [words for cell in cells(path, "code") for words in texts(cell)]
    assert not [words for words in told if re.search(r"dtype: \w+", words)]


@each_notebook
def test_cells_are_short_and_plain(path: Path) -> None:
    for cell in cells(path, "code"):
        tree = ast.parse(cell.source)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        imported_lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in imports)
        assert len(cell.source.splitlines()) - imported_lines <= LONGEST_CELL_LINES, cell.source
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION_LINES, node.name
            if isinstance(node, ast.ImportFrom):
                assert node.names[0].name != "*"
    for cell in cells(path, "markdown"):
        assert not re.search(r"(?<!\\)\$[^$\n]+\$", cell.source), (
            "the slides cannot set TeX without a network"
        )


@each_notebook
def test_begins_with_the_run_that_it_reads(path: Path) -> None:
    first = next(cells(path, "code")).source
    assert re.search(r'^RUN = "reference"', first, re.MULTILINE)
    assert "open_run(RUN)" in first


@each_notebook
def test_measures_at_most_once(path: Path) -> None:
    calls = Counter(
        node.func.id
        for cell in cells(path, "code")
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    assert calls["live"] + calls["live_trials"] <= 1


@each_notebook
def test_has_notes_for_the_speaker(path: Path) -> None:
    notes = "\n".join(cell.source for cell in cells(path, "markdown") if slide_type(cell) == "notes")
    for heading in NOTES:
        assert heading in notes, f"the notes of {path.name} have no {heading}"


# The rule on figures


@pytest.mark.parametrize(
    "text",
    [
        "The median is 12 ms.",
        "Long polling costs 3× as much.",
        "It used 45 % of the core, or 45%.",
        "A request of 871 B.",
        "1,000 clients were served.",
        "It is 500 times smaller.",
        "A 10-fold saving",
        "> 871 bytes, says somebody.",
        "RFC 6455 defines it. We saw 14 bytes.",
        "Sent at 6.6 Mbit/s",
    ],
)
def test_typed_figures_are_found(text: str) -> None:
    assert len(typed_figures(text)) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "Half of the ticks arrive at once.",
        "Set `rate_hz=50` and `hold 30 s`.",
        "```\n12 ms\n```",
        "> 871 B for each poll ([Lubbers and Greco](https://websocket.org/quantum.html))",
        "A frame header has 2 to 14 bytes (RFC 6455, section 5.2).",
        "The 95 % interval over the repeats.",
        "See [this](https://example.org/12ms) of 2010, chapter 3, p99.",
        "1. Count. 2. Compare.",
    ],
)
def test_numbers_that_are_no_findings_may_stand(text: str) -> None:
    assert typed_figures(text) == []


def test_figures_typed_into_computed_prose_are_found() -> None:
    code = 'say(f"The median is {x:.0f} ms, " f"and p99 is 12 ms.")\nsay("plain " + f"{y} B")\nprint("12 ms")'
    assert [typed_figures(text) for text in said(code)] == [["12 ms"], []]


# What the notebooks share


def test_a_live_run_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(lesson, "say", told.append)

    def fails() -> str:
        raise TrialFailed("no server")

    monkeypatch.delenv(lesson.LIVE_VARIABLE, raising=False)
    assert lesson.live(lambda: "now", lambda: "then") == "now"
    assert lesson.live(fails, lambda: "then") == "then"
    monkeypatch.setenv(lesson.LIVE_VARIABLE, "0")
    assert lesson.live(lambda: "now", lambda: "then") == "then"
    assert [word in text for word, text in zip(("just now", "no server", "is off"), told, strict=True)]


def test_a_cell_that_fails_is_told_with_its_notebook(tmp_path: Path) -> None:
    path = tmp_path / "99_fails.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path)
    with pytest.raises(NotebooksError, match=r"99_fails(?s:.*)ZeroDivisionError"):
        run_all([path], {})


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotebooksError, match=r"pip install -e '\.\[notebooks\]'"):
        need_extra()


def test_an_unknown_notebook_is_answered_with_the_known() -> None:
    with pytest.raises(UnknownNotebook, match=r"there is no notebook '99'.*01_"):
        find_notebooks(["99"])


def test_jupyterlab_opens_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with interruptible():
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", "notebooks", "--no-browser", "--ServerApp.allow_root=True"],
            stderr=subprocess.PIPE, encoding="utf-8", env=environment,
        )  # fmt: skip
    assert process.stderr is not None
    too_late = threading.Timer(LIMIT_S, process.kill)  # it ends the lines that are waited for
    too_late.start()
    try:
        said_so = any("Jupyter Server" in line and "running at" in line for line in process.stderr)
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        too_late.cancel()
        process.send_signal(signal.SIGINT)
        complaint = process.communicate(timeout=LIMIT_S)[1]
    assert said_so
    assert children
    assert not psutil.wait_procs(children, timeout=LIMIT_S)[1]
    assert process.returncode == 0
    assert "Traceback" not in complaint
