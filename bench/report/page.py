"""A run as one page that opens without a network: sentences, figures, tables, doubts, machine, command."""

import base64
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.table import Table

from bench.experiments.catalogue import EXPERIMENTS
from bench.report.doubts import doubt_sentences, doubts
from bench.report.plots.figures import draw_all
from bench.report.summary import NO_SENTENCE, findings
from bench.report.tables import experiment_table
from bench.report.terminal import words
from bench.results.files import ResultsError
from bench.results.run import Run
from bench.results.trials import stands


class Column(NamedTuple):
    """A column of a table: its heading, and whether it is words, to be set to the left."""

    heading: str
    left: bool


class PageTable(NamedTuple):
    """A table of the terminal, for the page."""

    columns: list[Column]
    rows: list[tuple[str, ...]]
    notes: list[str]


class PageFigure(NamedTuple):
    """A figure, ready to be put into the page."""

    caption: str
    svg_base64: str


class Section(NamedTuple):
    """One experiment on the page."""

    name: str
    question: str
    findings: list[str]
    table: PageTable
    figures: list[PageFigure]


def write_page(run: Run) -> Path:
    """Write the page of a run to its folder, report.html; return its path.

    Raises:
        ResultsError: If it cannot be written.
    """
    path = run.folder / "report.html"
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        run.folder_for_figures()
        aside.write_text(page(run), encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ResultsError(f"cannot write {path}: {error.strerror}") from error
    return path


def page(run: Run) -> str:
    """Return the page of a run as HTML."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = defaultdict(list)
    for drawn in draw_all(run, forms=("svg",)):
        figures[drawn.experiment].append(
            PageFigure(drawn.caption, base64.b64encode(drawn.content["svg"]).decode())
        )
    return templates.get_template("page.html.j2").render(
        name=run.folder.name,
        facts=run.facts,
        trials=len(run.rows),
        sections=[section(run, name, figures[name]) for name in shown_experiments(run)],
        doubted_trials=len(doubts(run, EXPERIMENTS)),
        doubts=doubt_sentences(run, shown_experiments(run)),
        again=sum(not stands(row) for row in run.rows),
        environment=list(environment_words(run.facts.get("environment", {})).items()),
        command=command(run.facts),
    )


def shown_experiments(run: Run) -> list[str]:
    """Return the experiments that a run has trials of, in the order in which they are taught."""
    return [name for name in EXPERIMENTS if name in run.facts["experiments"] and len(run.trials_of(name))]


def section(run: Run, name: str, figures: list[PageFigure]) -> Section:
    """Return what the page says of one experiment."""
    experiment, trials = EXPERIMENTS[name], run.trials_of(name)
    return Section(
        name=name,
        question=experiment.question,
        findings=findings(experiment, trials) or [NO_SENTENCE],
        table=page_table(*experiment_table(experiment, trials, run)),
        figures=figures,
    )


def page_table(table: Table, notes: list[str]) -> PageTable:
    """Return the words of a terminal's table, and of the lines below it."""
    columns = [Column(words(column.header), column.justify == "left") for column in table.columns]
    cells = [[words(cell) for cell in column.cells] for column in table.columns]
    return PageTable(columns, list(zip(*cells, strict=True)), notes)


def environment_words(environment: dict[str, Any]) -> dict[str, str]:
    """Return the facts of a machine in words: the first name, then the value."""
    told = {}
    for name, value in environment.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items() if one)
        elif isinstance(value, list):
            value = " ".join(str(one) for one in value)
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        told[name.replace("_", " ")] = str(value)
    return told


def command(facts: dict[str, Any]) -> str:
    """Return the command that repeats a run: its own, with the seed."""
    own = str(facts.get("command", "bench run all"))
    return own if "--seed" in own else f"{own} --seed {facts['seed']}"
