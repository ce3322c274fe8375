"""The page of a run: whole without a network, every sentence there, and honest about what is doubtful."""

import json
import re
import shutil
import socket
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bench.experiments.catalogue import EXPERIMENTS
from bench.report import page as page_module
from bench.report.doubts import doubt_sentences
from bench.report.page import command, environment_words, page, shown_experiments, write_page
from bench.report.summary import findings
from bench.report.tables import experiment_table
from bench.results.files import ResultsError
from bench.results.run import Run
from tests import ROOT
from tests.bench.results.test_run import FACTS, fake_deliveries, fake_row

REFERENCE = ROOT / "results" / "reference"
ENVIRONMENT = {"cpu": "a <fast> one", "cores": 2, "kernel_stamps": True, "libraries": {"aiohttp": "3.11"}}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects the words and the addresses of a page, and sees that its tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "li", "td", "th"):  # may be closed by another
            while self.open[-1] != tag:
                self.open.pop()
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert not reader.open
    return reader


def text(reader: Reader) -> str:
    return re.sub(r"\s+", " ", " ".join(reader.words))


@pytest.fixture(scope="module")
def reference_page() -> str:
    return page(Run.open(REFERENCE)).html


def small_run(folder: Path, **facts: Any) -> Run:
    return Run.create(
        folder, {**FACTS, "environment": ENVIRONMENT, "command": "bench run freshness", **facts}
    )


def test_nothing_is_fetched(reference_page: str) -> None:
    for address in read(reference_page).addresses:
        assert address.startswith(("#", "data:image/svg+xml;base64,"))
    for outside in ("<script", "<iframe", "@import", "url(", "http://", "https://", "srcset"):
        assert outside not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", reference_page)


def test_every_experiments_sentence_is_there(reference_page: str) -> None:
    run = Run.open(REFERENCE)
    words = text(read(reference_page))
    shown = shown_experiments(run)
    assert shown
    for name in shown:
        experiment = EXPERIMENTS[name]
        assert experiment.question in words
        for sentence in findings(experiment, run.trials_of(name)):
            assert " ".join(sentence.split()) in words  # it may have paragraphs
    assert f"--seed {run.facts['seed']}" in words
    assert run.facts["environment"]["cpu"] in words


def test_the_page_has_all_doubts_and_notes_of_the_terminal(reference_page: str) -> None:
    run = Run.open(REFERENCE)
    words = text(read(reference_page))
    told = doubt_sentences(run, run.facts["experiments"])
    assert told
    assert all(each in words for each in told)
    assert "Nothing: every trial" not in words
    for name in shown_experiments(run):
        notes = experiment_table(EXPERIMENTS[name], run.trials_of(name), run).notes
        assert notes[0].startswith("Fixed:")
        assert all(" ".join(note.split()) in words for note in notes)


def test_figures_are_in_the_page_with_words_for_those_who_cannot_see_them(reference_page: str) -> None:
    assert reference_page.count("data:image/svg+xml;base64,") >= 4
    assert len(re.findall(r'<img [^>]*alt="[^"]+"', reference_page)) == reference_page.count("<img ")


def test_invalid_trials_are_told_and_the_page_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "draw_all", lambda run, forms: iter(()))
    run = Run.open(REFERENCE)
    run.rows[0] |= {
        "verdict": "invalid",
        "verdict_reason": "failed",
        "verdict_note": "3 ticks <missed>",
        "retried": False,
    }
    words = text(read(page(run).html))
    assert "is invalid: 3 ticks <missed>" in words
    assert "suspect or invalid" in words


def test_a_run_of_nothing_but_invalid_trials_has_a_page(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    for order in (1, 2):
        run.add(
            fake_row(
                order,
                search_step=0,
                verdict="invalid",
                verdict_reason="failed",
                verdict_note="the server died",
                clients=3,
            ),
            None,
        )
    words = text(read(page(Run.open(run.folder)).html))
    assert words.count("the server died") == 2
    assert "2 of 2 trials are suspect or invalid" in words


def test_an_empty_run_is_one_sentence(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    reader = read(page(run).html)
    assert "This run has no trials yet" in text(reader)
    assert '<h2 id="verdicts"' not in page(run).html
    assert "a <fast> one" in text(reader)


def test_no_network_is_needed_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a page needs no socket")

    run = small_run(tmp_path)
    run.add(fake_row(1, search_step=0), fake_deliveries())
    monkeypatch.setattr(socket, "socket", refuse)
    path = write_page(Run.open(run.folder))
    assert path == run.folder / "report.html"
    assert not [each for each in run.folder.iterdir() if each.name.startswith(".")]


def test_a_page_that_cannot_be_written_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small_run(tmp_path)
    shutil.rmtree(run.folder)
    with pytest.raises(ResultsError, match="cannot write"):
        write_page(run)


def test_the_command_repeats_the_seed_once() -> None:
    assert command({"command": "bench run all", "seed": 7}) == "bench run all --seed 7"
    assert command({"command": "bench run all --seed 7", "seed": 7}) == "bench run all --seed 7"


def test_an_environment_is_told_in_words() -> None:
    told = environment_words(json.loads(json.dumps(ENVIRONMENT)))
    assert told["kernel stamps"] == "yes"
    assert told["libraries"] == "aiohttp 3.11"
