"""How a comparison of two runs is told: tables, a sentence, and what else differs."""

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.judge import compare as comparing
from bench.report.comparison import as_records, notes, print_comparison
from bench.results.statistics import interval
from tests.bench.judge.test_compare import compare, fake_run


def test_the_first_line_the_tables_the_sentence_and_the_notes_are_printed() -> None:
    a, b = fake_run(1), fake_run(2, speed=2.0)
    b.facts["environment"] = {"cpu": "another", "cores": 8}
    console = Console(width=110, record=True, file=io.StringIO())
    print_comparison(*comparing.compare(a, b), console, notes(a, b))
    text = console.export_text()
    assert text.lstrip().startswith("Of ")
    for words in (
        "chance alone",
        "freshness: B/A",
        "divided by WebSocket",
        "do not travel",
        "another, 8 cores",
    ):
        assert words in " ".join(text.split())


@pytest.mark.parametrize(
    ("fact", "values", "words"),
    [
        ("system", ("Linux 6.1", "Linux 6.18"), "kernel (A: Linux 6.1; B: Linux 6.18)"),
        ("python", ("3.11.7", "3.13.1"), "Python (A: 3.11.7; B: 3.13.1)"),
        ("libraries", ({"aiohttp": "3.9"}, {"aiohttp": "3.14"}), "aiohttp (A: 3.9; B: 3.14)"),
        ("git_commit", ("2aeaf25", ""), "commit of this project (A: 2aeaf25; B: not recorded)"),
        ("accept_queue", ("128", "4096"), "accept queue (A: 128; B: 4096)"),
    ],
)
def test_what_runs_were_measured_with_is_told_where_it_differs(
    fact: str, values: tuple[Any, Any], words: str
) -> None:
    runs = fake_run(1), fake_run(2)
    for run, value in zip(runs, values, strict=True):
        run.facts["environment"] |= {fact: value, "load_average": [hash(fact)]}
    (told,) = (note for note in notes(*runs) if note.startswith("The runs also differ in"))
    assert words in told
    assert "load" not in told


def test_the_event_loop_and_the_environment_of_the_processes_are_told() -> None:
    a, b = fake_run(1), fake_run(2)
    for row in a.rows:
        row["event_loop"] = "uvloop"
    for row in b.rows:
        row["event_loop"] = "asyncio"
    b.facts["process_environment"] = {"PATH": "/bin", "PYTHONMALLOC": "debug"}
    told = " ".join(notes(a, b))
    assert "event loop (A: uvloop; B: asyncio)" in told
    assert "environment variable PYTHONMALLOC (A: not set; B: debug)" in told
    assert "PATH" not in told


def test_a_run_without_an_environment_of_its_processes_is_said_to_be_older() -> None:
    a, b = fake_run(1, name="first"), fake_run(2)
    del a.facts["process_environment"]
    told = notes(a, b)
    assert [note for note in told if "older" in note] == [note for note in told if "Run A (first)" in note]
    assert not any("differ in" in note for note in told)


def test_runs_of_one_machine_are_told_that_another_hour_is_not_in_the_intervals() -> None:
    """Each run is fast or slow as a whole, by 10 %: the intervals of both cannot know it."""
    assert any("Another run of the same machine" in note for note in notes(fake_run(1), fake_run(2)))
    rng = np.random.default_rng(5)
    trials = np.exp(0.1 * rng.standard_normal((2_000, 2, 1)) + 0.1 * rng.standard_normal((2_000, 2, 5)))
    inside = [interval(a).low <= interval(b).estimate <= interval(a).high for a, b in trials]
    assert 0.45 <= np.mean(inside) <= 0.6


def test_comparisons_are_json_without_nan() -> None:
    records = as_records(compare(fake_run(1, repeats=1), fake_run(2, repeats=1)))
    told = json.loads(json.dumps(records, allow_nan=False))
    assert told[0]["ratio"].keys() == {"estimate", "low", "high"}
