"""Terminals as people have them: narrow, ASCII, and with square brackets in names."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.experiments.catalogue import EXPERIMENTS
from bench.report.tables import experiment_table
from bench.report.terminal import in_ascii, new_console, print_table, words
from bench.results.run import REFERENCE, Run
from tests import ROOT

RUN = Run.open(ROOT / "results" / REFERENCE)


def shown(table: Table, width: int, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_table(table, Console(file=file, width=width, markup=False, highlight=False))
    file.seek(0)
    return file.read()


def bench(*arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        encoding=encoding,
        timeout=100,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )


@pytest.mark.parametrize("width", [40, 60, 80, 110])
@pytest.mark.parametrize("name", RUN.facts["experiments"])
def test_no_number_and_no_name_is_cut(name: str, width: int) -> None:
    table, _ = experiment_table(EXPERIMENTS[name], RUN.trials_of(name), RUN)
    text = shown(table, width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for column in table.columns:
        for cell in column.cells:
            assert " ".join(words(cell).split()) in flat or not column.no_wrap


def test_a_row_that_does_not_fit_is_a_block_of_names_and_values() -> None:
    table = Table()
    for heading in ("transport", "latency\np50 ms", "rate\nHz"):
        table.add_column(heading, no_wrap=True)
    table.add_row(Text("WebSocket [/b]"), "0.787 ±19%", "")
    assert "latency p50 ms: 0.787 ±19%" in shown(table, 30)
    assert "rate" not in shown(table, 30)  # what is not set is left out
    assert ":" not in shown(table, 80)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_rows_share_stands_once_above_them(encoding: str) -> None:
    """Right above the first of them: a line as wide as the table does not shift, and no row is broken."""
    table, _ = experiment_table(EXPERIMENTS["network"], RUN.trials_of("network"))
    lines = [line.strip(" |") for line in shown(table, 120, encoding).splitlines()]
    shared = [words(cell) for cell in table.columns[0].cells]
    labels = [words(cell) for cell in table.columns[1].cells]
    for group, label in zip(shared, labels, strict=True):
        if group:
            assert lines.count(f"{group}:") == 1
            assert lines[lines.index(f"{group}:") + 1].startswith(label)
    narrow = shown(table, 50).splitlines()
    assert narrow.count(f"{shared[0]}:") == 1
    assert narrow.count("WebSocket") == labels.count("WebSocket")


def test_signs_that_an_encoding_lacks_are_written_in_ascii() -> None:
    assert in_ascii("17 µs × 2 → 1 ±3 % – é … ″") == '17 us x 2 -> 1 +-3 % - e ... "'
    table, _ = experiment_table(EXPERIMENTS["library"], RUN.trials_of("library"))
    text = shown(table, 110, "ascii")
    assert "us per" in text
    assert "+-" in text
    lines = text.splitlines()
    assert len({len(line) for line in lines if line.strip()}) == 1  # the columns stand under each other


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_can_show_a_run(encoding: str) -> None:
    done = bench("show", "reference", "--only", "library", encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert ("->" in done.stdout) == (encoding != "utf-8")


def test_square_brackets_are_text(tmp_path: Path) -> None:
    done = bench("show", "--results", str(tmp_path / "a[/b]"))
    assert done.returncode == 1
    assert "a[/b]" in done.stderr
    assert "Traceback" not in done.stderr
    console = new_console()
    with console.capture() as captured:
        console.print("ETH[/usd] [bold]")
    assert captured.get() == "ETH[/usd] [bold]\n"
