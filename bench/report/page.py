"""A run as one page that opens without a network: what it is about, what was found, doubts, machine.

The page is written with its figures, which are drawn once: into it, and as files beside it.
"""

import base64
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.table import Table

from bench.experiments.catalogue import EXPERIMENTS
from bench.report.doubts import doubt_sentences, doubts
from bench.report.plots.figures import draw_all, front_figures, one_scenario, write_figures
from bench.report.plots.front import CAPTION, front_points, front_words
from bench.report.summary import NO_SENTENCE, findings
from bench.report.tables import experiment_table
from bench.report.terminal import words
from bench.report.ways import DEFINITIONS, FAMILY_WAYS, costs
from bench.results.files import ResultsError, write_whole
from bench.results.run import FinishedRun, Run
from bench.results.trials import stands
from bench.transports import TRANSPORTS
from bench.wording import number


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


class PageWay(NamedTuple):
    """A transport in the table of the ways."""

    name: str
    who_asks: str
    waits_for: str
    costs: str
    latency: str
    wire: str


class Opening(NamedTuple):
    """What the page opens with: a figure of all transports, if the run has it, and how each of them works."""

    figure: PageFigure | None
    alt: str
    ways: list[PageWay]


class Section(NamedTuple):
    """One experiment on the page."""

    name: str
    question: str
    findings: list[str]
    table: PageTable
    figures: list[PageFigure]


class Page(NamedTuple):
    """The page of a run: its HTML, and the figures in it as files, by their names."""

    html: str
    figures: dict[str, bytes]


def write_page(run: Run) -> Path:
    """Write the page of a run to its folder, report.html, and its figures as SVG to the folder ``figures``.

    Returns:
        The path of the page.

    Raises:
        ResultsError: If they cannot be written.
    """
    html, figures = page(run)
    try:
        path = run.folder_for_figures() / "report.html"
    except OSError as error:
        raise ResultsError(f"cannot write to {run.folder}: {error.strerror}") from error
    write_whole(path, html.encode())
    write_figures(run, figures)
    return path


def page(run: Run) -> Page:
    """Return the page of a run, and its figures."""
    run = FinishedRun(run)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    front = front_figures(run)
    files = {f"{name}.svg": svg for name, svg in front.items()}
    figures = defaultdict(list)
    for each in draw_all(run, forms=("svg",)):
        svg = each.content["svg"]
        files[f"{each.experiment}_{each.name}.svg"] = svg
        figures[each.experiment].append(PageFigure(each.caption, _base64(svg)))
    html = templates.get_template("page.html.j2").render(
        name=run.folder.name,
        facts=run.facts,
        trials=len(run.rows),
        definitions=DEFINITIONS,
        opening=_opening(run, front),
        sections=[section(run, name, figures[name]) for name in shown_experiments(run)],
        doubted_trials=len(doubts(run, EXPERIMENTS)),
        doubts=doubt_sentences(run, shown_experiments(run)),
        again=sum(not stands(row) for row in run.rows),
        environment=list(environment_words(run.facts.get("environment", {})).items()),
        command=command(run.facts),
    )
    return Page(html, files)


def _base64(svg: bytes) -> str:
    return base64.b64encode(svg).decode()


def _opening(run: Run, figures: Mapping[str, bytes]) -> Opening:
    """Return what the page opens with; figures of a way are those of the figure, and empty without it."""
    rows = front_points(one_scenario(run)[0]).to_dict("records") if figures else []
    points = {point["transport"]: point for point in rows}
    names = [name for name in TRANSPORTS if name in {row["transport"] for row in run.rows}]
    ways = []
    for transport in (TRANSPORTS[name] for name in names if TRANSPORTS[name].variant_of is None):
        way, point = FAMILY_WAYS[transport.family], points.get(transport.name)
        mark = "?" if point and point["suspect"] else ""
        ways.append(
            PageWay(
                transport.label,
                way.who_asks,
                way.waits_for,
                costs(transport),
                f"{number(point['latency_p50_ms'])} ms{mark}" if point else "",
                f"{number(point['wire_bytes_per_delivery'])} B{mark}" if point else "",
            )
        )
    figure = PageFigure(CAPTION, _base64(figures["front"])) if figures else None
    return Opening(figure, front_words(rows), ways)


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
