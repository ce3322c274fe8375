"""The figures: which experiment draws which, and how they are saved.

``plot_…`` functions (latency, cost, server, choice_map, sequence) take tidy tables and an axes; those of
run_figures take a run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bench.columns.fields import SEARCHED
from bench.columns.words import field_words
from bench.experiments.catalogue import EXPERIMENTS
from bench.judge.choice import cpu_chart, wire_chart
from bench.network.link import LINKS
from bench.report.plots import front, over_links, run_figures
from bench.report.plots.base import rendered, styled
from bench.results.estimates import valid_trials
from bench.results.files import ResultsError
from bench.results.run import FinishedRun, Run
from bench.results.scenarios import combinations, mixed_fields
from bench.results.trials import suspect_trials

FORMS = ("png", "svg")
NOTE_SIZE = 14
ASKING = ("poll_interval_s", "poll_pause_s")
OF_LINKS = ("rtt_ms", "loss", "burst_packets", "rate_mbit", "incident", "keep_alive", "tls")
LONG_WAY_S = LINKS["transatlantic"].link.rtt_ms / 2 / 1e3
LAYERS_OF = ("payload_bytes", "headers", "cookie_bytes")


class Drawing(NamedTuple):
    """A figure of an experiment: the name of its file, what it shows, and how it is drawn from a run.

    ``apart`` are the fields of which it shows several values; of others it can show only one, as the sentence
    can. None if it shows all fields, or is of more than this experiment.
    """

    name: str
    caption: str
    draw: Callable[[Run, str], Figure | None]
    apart: Sequence[str] | None = None


class Drawn(NamedTuple):
    """A figure drawn: whose it is, and the bytes of its file in each form (png, svg)."""

    experiment: str
    name: str
    caption: str
    content: dict[str, bytes]


REPEATS = Drawing("repeats", "Every trial, and the 95 % interval over repeats.", run_figures.repeats)
FIGURES: dict[str, Sequence[Drawing]] = {
    "freshness": (
        Drawing("latency", "Which share of the deliveries had come by which latency.", run_figures.ecdf, ()),
        Drawing(
            "age", "The age of the newest tick that one client of each transport holds.", run_figures.age, ()
        ),
        REPEATS,
    ),
    "interval": (
        Drawing("frontier", "Median latency against the bytes on the wire.", run_figures.frontier, ASKING),
        Drawing(
            "model",
            "Measured mean latency against half the interval beyond push.",
            run_figures.prediction,
            ASKING,
        ),
        REPEATS,
    ),
    "rate": (
        Drawing(
            "cost",
            "Requests, bytes and processor time against the tick rate.",
            partial(
                run_figures.scaling,
                "rate_hz",
                ("requests_per_delivery", "wire_bytes_per_client_s", "server_cpu_us_per_client_s"),
            ),
            ("rate_hz",),
        ),
        Drawing(
            "decision_bytes",
            "The transport with the fewest bytes, by rate and acceptable latency.",
            partial(run_figures.choice_map, wire_chart, "wire bytes"),
        ),
        Drawing(
            "decision_cpu",
            "The transport with the least server CPU, by rate and acceptable latency.",
            partial(run_figures.choice_map, cpu_chart, "server CPU"),
        ),
    ),
    "clients": (
        Drawing("capacity", "How many clients are served in time.", run_figures.capacity, SEARCHED),
        Drawing(
            "scaling",
            "Latency and the server's work as clients are added.",
            partial(run_figures.scaling, "clients", ("latency_p50_ms", "server_cpu_us_per_delivery")),
            ("clients",),
        ),
    ),
    "overhead": (
        Drawing("layers", "The bytes of one tick by layer, up and down.", run_figures.layers, LAYERS_OF),
    ),
    "handshake": (
        Drawing(
            "bytes", "Wire bytes per tick.", partial(run_figures.repeats, column="wire_bytes_per_delivery")
        ),
    ),
    "idle": (
        Drawing(
            "bytes",
            "Wire bytes that a silent client takes.",
            partial(run_figures.repeats, column="wire_bytes_per_client_s"),
        ),
    ),
    "compression": (
        Drawing(
            "bytes", "Wire bytes per tick.", partial(run_figures.repeats, column="wire_bytes_per_delivery")
        ),
        Drawing(
            "cpu",
            "What it costs the server.",
            partial(run_figures.repeats, column="server_cpu_us_per_delivery"),
        ),
    ),
    "network": (
        Drawing(
            "distance",
            "Mean latency against the round-trip time; dashed: theory, with the step of long polling.",
            over_links.distance,
            OF_LINKS,
        ),
        Drawing(
            "lost_packet",
            "When ticks were due and when they arrived, with one packet lost; coloured: late.",
            over_links.lost_packet,
            OF_LINKS,
        ),
        Drawing(
            "decision_bytes",
            "The transport with the fewest bytes, by rate and acceptable latency, over a long way; computed.",
            partial(run_figures.choice_map, partial(wire_chart, way_s=LONG_WAY_S), "wire bytes"),
        ),
    ),
    "recovery": (
        Drawing(
            "herd",
            "Connections asked for after a server has died. Dashed: theory, in which asking takes no time.",
            over_links.herd,
        ),
        Drawing(
            "link_down",
            "What one client of each transport sees while the link is down.",
            partial(over_links.seen, "link_down"),
        ),
        Drawing(
            "address_changed",
            "What one client of each kind sees after its address has changed.",
            partial(over_links.seen, "address_changed"),
        ),
    ),
    "library": (
        Drawing(
            "cpu", "Server CPU per delivery by library; band: a protocol's range.", run_figures.libraries, ()
        ),
    ),
}
"""The figures of each experiment; one that is not named here has ``REPEATS``."""


@styled
def draw(drawing: Drawing, run: Run, experiment: str) -> Figure | None:
    """Draw a figure of a run; None if it lacks the trials.

    On it stands how many trials are suspect, and of which scenarios it is, where it cannot show all.
    """
    told = []
    if drawing.apart is not None:
        run, only = one_combination(run, experiment, drawing.apart)
        told += [f"only {only}"] if only else []
    figure = drawing.draw(run, experiment)
    trials = valid_trials(run, experiment)
    suspect = len(suspect_trials(trials))
    if suspect:
        told.append(f"{suspect} of {len(trials)} trials {'is' if suspect == 1 else 'are'} suspect")
    if figure is not None and told:
        figure.supxlabel("; ".join(told), x=0.99, ha="right", fontsize=NOTE_SIZE, style="italic")
    return figure


def one_combination(run: Run, experiment: str, apart: Sequence[str]) -> tuple[Run, str]:
    """Return the run with only one combination of the fields that a figure cannot hold apart, and its words.

    It is the first that the sentences speak of (bench/report/summary.py): the smallest values.
    """
    trials = valid_trials(run, experiment)
    if not len(trials):
        trials = run.trials_of(experiment)  # searches
    mixed = mixed_fields(trials, apart)
    first = next(combinations(trials, mixed), None) if mixed else None
    if first is None:
        return run, ""
    kept = {(row["trial_number"], row["search_step"]) for row in first.trials.to_dict("records")}
    rows = [row for row in run.rows if (row["trial_number"], row["search_step"]) in kept]
    told = ", ".join(field_words(name, value, alone=True) for name, value in first.fields.items())
    return FinishedRun(Run(run.folder, run.facts, rows, run.files)), told


def draw_all(run: Run, forms: Sequence[str] = FORMS) -> Iterator[Drawn]:
    """Yield every figure that the run has the trials for, experiment by experiment."""
    plt.switch_backend("agg")  # to files only, whatever the screen
    run = FinishedRun(run)
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


def one_scenario(run: Run) -> tuple[Run, str]:
    """Return the run with the one scenario that the front door shows, and its words: see one_combination."""
    return one_combination(FinishedRun(run), front.EXPERIMENT, ())


def front_figures(run: Run) -> dict[str, bytes]:
    """Return the figure of the front door as SVG, by the name of its file: for light paper, and for dark.

    Empty without trials of its experiment.
    """
    plt.switch_backend("agg")
    run, only = one_scenario(run)
    drawn = {}
    for name, paper in front.PAPERS.items():
        figure = front.draw_front(run, paper, only)
        if figure is not None:
            drawn[name] = rendered(figure, "svg")
            plt.close(figure)
    return drawn


def write_front_figures(run: Run, folder: Path) -> list[Path]:
    """Write the figure of the front door to the folder ``figures`` of a folder; return the paths.

    Those of a run that was there before do not stay.

    Raises:
        ResultsError: If they cannot be written.
    """
    figures = folder / "figures"
    try:
        for name in front.PAPERS:
            (figures / f"{name}.svg").unlink(missing_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot replace the figures in {figures}: {error.strerror}") from error
    return _write(figures, {f"{name}.svg": svg for name, svg in front_figures(run).items()})


def save_figures(run: Run) -> list[Path]:
    """Write every figure of a run as PNG and SVG to its folder ``figures``; return their paths.

    Raises:
        ResultsError: If they cannot be written.
    """
    contents = {
        f"{drawn.experiment}_{drawn.name}.{form}": content
        for drawn in draw_all(run)
        for form, content in drawn.content.items()
    }
    return write_figures(run, contents)


def write_figures(run: Run, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files of figures, by their names, to the folder ``figures`` of a run; return their paths.

    Raises:
        ResultsError: If they cannot be written.
    """
    try:
        folder = run.folder_for_figures() / "figures" if contents else run.folder
    except OSError as error:
        raise ResultsError(f"cannot write to {run.folder}: {error.strerror}") from error
    return _write(folder, contents)


def _write(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    try:
        if contents:
            folder.mkdir(exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ResultsError(f"cannot write figures to {folder}: {error.strerror}") from error
    return [folder / name for name in contents]
