"""The figures: which experiment draws which, and how they are saved.

``plot_…`` functions (latency, cost, server, decision, sequence) take tidy tables and an axes; those of of_run
take a run.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bench.decision import cpu_chart, wire_chart
from bench.experiments import EXPERIMENTS
from bench.plots import of_run
from bench.plots.base import rendered, styled
from bench.plots.tables import valid_trials
from bench.results import ResultsError, Run

FORMS = ("png", "svg")
NOTE_SIZE = 14


class Drawing(NamedTuple):
    """A figure of an experiment: the name of its file, what it shows, and how it is drawn from a run."""

    name: str
    caption: str
    draw: Callable[[Run, str], Figure | None]


class Drawn(NamedTuple):
    """A figure drawn: whose it is, and the bytes of its file in each form (png, svg)."""

    experiment: str
    name: str
    caption: str
    content: dict[str, bytes]


REPEATS = Drawing("repeats", "Every trial, and the 95 % interval over repeats.", of_run.repeats)
FIGURES: dict[str, Sequence[Drawing]] = {
    "freshness": (
        Drawing("latency", "Which share of the deliveries had come by which latency.", of_run.ecdf),
        Drawing("age", "The age of the newest tick that one client of each transport holds.", of_run.age),
        REPEATS,
    ),
    "interval": (
        Drawing("frontier", "Median latency against the bytes on the wire.", of_run.frontier),
        Drawing("model", "Measured mean latency against half the interval beyond push.", of_run.prediction),
        REPEATS,
    ),
    "rate": (
        Drawing(
            "cost",
            "Requests, bytes and processor time against the tick rate.",
            partial(
                of_run.scaling,
                "rate_hz",
                ("requests_per_tick", "wire_bytes_per_client_s", "server_cpu_us_per_client_s"),
            ),
        ),
        Drawing(
            "decision_bytes",
            "The transport with the fewest bytes, by rate and acceptable latency.",
            partial(of_run.decision, wire_chart, "wire bytes"),
        ),
        Drawing(
            "decision_cpu",
            "The transport with the least server CPU, by rate and acceptable latency.",
            partial(of_run.decision, cpu_chart, "server CPU"),
        ),
    ),
    "clients": (
        Drawing("capacity", "The most clients that were served in time.", of_run.capacity),
        Drawing(
            "scaling",
            "Latency and the server's work as clients are added.",
            partial(of_run.scaling, "clients", ("latency_p50_ms", "server_cpu_us_per_tick")),
        ),
    ),
    "overhead": (Drawing("layers", "The bytes of one tick by layer, up and down.", of_run.layers),),
    "handshake": (
        Drawing("bytes", "Wire bytes per tick.", partial(of_run.repeats, column="wire_bytes_per_tick")),
    ),
    "idle": (
        Drawing(
            "bytes",
            "Wire bytes that a silent client takes.",
            partial(of_run.repeats, column="wire_bytes_per_client_s"),
        ),
    ),
    "compression": (
        Drawing("bytes", "Wire bytes per tick.", partial(of_run.repeats, column="wire_bytes_per_tick")),
        Drawing("cpu", "What it costs the server.", partial(of_run.repeats, column="server_cpu_us_per_tick")),
    ),
    "library": (
        Drawing("cpu", "Server CPU per delivery by library; band: a protocol's range.", of_run.libraries),
    ),
}
"""The figures of each experiment; one that is not named here has ``REPEATS``."""


@styled
def draw(drawing: Drawing, run: Run, experiment: str) -> Figure | None:
    """Draw a figure of a run, and say on it how many trials are suspect; None if it lacks the trials."""
    figure = drawing.draw(run, experiment)
    trials = valid_trials(run, experiment)
    suspect = int((trials["verdict"] == "suspect").sum())
    if figure is not None and suspect:
        told = f"{suspect} of {len(trials)} trials {'is' if suspect == 1 else 'are'} suspect"
        figure.supxlabel(told, x=0.99, ha="right", fontsize=NOTE_SIZE, style="italic")
    return figure


def draw_all(run: Run, forms: Sequence[str] = FORMS) -> Iterator[Drawn]:
    """Yield every figure that the run has the trials for, experiment by experiment."""
    plt.switch_backend("agg")  # to files only, whatever the screen
    for experiment in EXPERIMENTS:
        if experiment not in run.facts["experiments"]:
            continue
        for drawing in FIGURES.get(experiment, (REPEATS,)):
            figure = draw(drawing, run, experiment)
            if figure is None:
                continue
            try:
                content = {form: rendered(figure, form) for form in forms}
            finally:
                plt.close(figure)
            yield Drawn(experiment, drawing.name, drawing.caption, content)


def save_figures(run: Run) -> list[Path]:
    """Write every figure of a run as PNG and SVG to its folder ``figures``; return their paths.

    Raises:
        ResultsError: If they cannot be written.
    """
    folder = run.folder / "figures"
    written = []
    try:
        for drawn in draw_all(run):
            folder.mkdir(exist_ok=True)
            for form, content in drawn.content.items():
                path = folder / f"{drawn.experiment}_{drawn.name}.{form}"
                path.write_bytes(content)
                written.append(path)
    except OSError as error:
        raise ResultsError(f"cannot write figures to {folder}: {error.strerror}") from error
    return written
