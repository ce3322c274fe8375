"""The figure at the front door: how late a tick is by each transport, and what it costs on the wire."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.columns.cells import is_set
from bench.columns.words import field_words
from bench.report.plots.base import colour, in_order, label, logarithmic, look, new_figure, styled, whiskers
from bench.report.ways import in_short
from bench.results.estimates import estimate, main_trials
from bench.results.run import Run
from bench.results.trials import suspect_trials
from bench.transports import TRANSPORTS
from bench.wording import number

EXPERIMENT = "freshness"
CAPTION = "How late a tick is by each transport, and how many bytes it takes on the wire."
WIDTH_IN, HEIGHT_IN, ROW_IN = 10.0, 1.9, 0.62
"""At 800 pixels a letter of 14 points is 15 pixels high."""
TITLE_SIZE, NAME_SIZE, VALUE_SIZE, NOTE_SIZE = 16, 15, 14, 12
TOLD = ("clients", "rate_hz", "payload_bytes")


class Paper(NamedTuple):
    """What a figure is drawn upon: the colours of its words and of its fine lines."""

    ink: str
    pale: str
    grid: str


LIGHT = Paper(ink="#1f2328", pale="#59636e", grid="#d1d9e0")
DARK = Paper(ink="#f0f6fc", pale="#a3adb8", grid="#3d444d")
PAPERS = {"front": LIGHT, "front_dark": DARK}
"""By the name of the file. It has no ground of its own; its words keep 4.5 to 1 from that of the page."""


def front_points(run: Run) -> pd.DataFrame:
    """Return a row for each main transport: latency_p50_ms and wire_bytes_per_delivery with intervals.

    Columns: transport, in_short (how a client comes to its ticks), suspect (some of its trials are), and of
    both figures the estimate, ``_low`` and ``_high`` (NaN: measured once).
    """
    trials = main_trials(run, EXPERIMENT)
    rows = []
    for name in in_order(trials["transport"].tolist()):
        own = trials[trials["transport"] == name]
        first = own.iloc[0]
        interval_s = float(first["poll_interval_s"]) if is_set(first["poll_interval_s"]) else None
        row: dict[str, Any] = {
            "transport": name,
            "in_short": in_short(TRANSPORTS[name], float(first["rate_hz"]), interval_s),
            "suspect": len(suspect_trials(own)) > 0,
        }
        for column in ("latency_p50_ms", "wire_bytes_per_delivery"):
            row[column], row[f"{column}_low"], row[f"{column}_high"] = estimate(own, column)
        rows.append(row)
    points = pd.DataFrame(rows)
    return points.dropna(subset=["latency_p50_ms", "wire_bytes_per_delivery"]) if rows else points


def front_words(points: Iterable[Mapping[Hashable, Any]]) -> str:
    """Say what the figure shows, for those who cannot see it: rows of :func:`front_points`."""
    return "; ".join(
        f"{label(point['transport'])}: half of the ticks within {number(point['latency_p50_ms'])} ms, "
        f"{number(point['wire_bytes_per_delivery'])} bytes a tick"
        for point in points
    )


@styled
def draw_front(run: Run, paper: Paper = LIGHT, only: str = "") -> Figure | None:
    """Draw median latency and wire bytes per tick, a row for each transport; None without trials of it.

    Args:
        run: The run, with one value of each field of its experiment.
        paper: What it is drawn upon.
        only: Of which scenarios it is, where the run has others, too.
    """
    points = front_points(run)
    if not len(points):
        return None
    figure, (late, dear) = new_figure(1, 2, sharey=True, width_ratios=[3, 2])
    figure.set_size_inches(WIDTH_IN, HEIGHT_IN + ROW_IN * len(points))
    figure.patch.set_alpha(0)
    _draw_rows(late, points, "latency_p50_ms", "ms", paper)
    _draw_rows(dear, points, "wire_bytes_per_delivery", "B", paper)
    for ax, title, words in (
        (late, "How late is a tick?", "median latency (ms), logarithmic: left is fresher"),
        (dear, "What does it cost?", "bytes on the wire per tick"),
    ):
        ax.set_title(title, color=paper.ink, fontsize=TITLE_SIZE)
        ax.set_xlabel(words, color=paper.pale, fontsize=NOTE_SIZE)
    late.set_yticks(range(len(points)), [""] * len(points))
    late.set_ylim(len(points) - 0.5, -0.5)
    for row, point in enumerate(points.to_dict("records")):
        at = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}
        middle = 0 if not point["in_short"] else 7
        for text, place, size, ink in (
            (label(point["transport"]), middle, NAME_SIZE, paper.ink),
            (point["in_short"], middle - 16, NOTE_SIZE, paper.pale),
        ):
            late.annotate(text, (0, row), xytext=(-12, place), va="center", fontsize=size, color=ink, **at)
    told = [only] if only else _conditions(main_trials(run, EXPERIMENT))
    if points["latency_p50_ms_low"].notna().any():
        told.append("whiskers: 95 % interval over trials")
    if points["suspect"].any():
        told.append("?: some trials are suspect")
    figure.supxlabel("; ".join(told), fontsize=NOTE_SIZE, color=paper.pale, x=0.99, ha="right")
    return figure


def _draw_rows(ax: Axes, points: pd.DataFrame, column: str, unit: str, paper: Paper) -> None:
    """Draw a figure of each transport as a dot with its interval, and its number beside it."""
    names = [column, f"{column}_low", f"{column}_high"]
    values = [float(value) for name in names for value in points[name].dropna()]
    if column == "latency_p50_ms":
        logarithmic(ax.xaxis, values, short=True)  # the widened axis has numbers close together
        left, right = ax.get_xlim()
        ax.set_xlim(left, right * (right / left) ** 0.25)  # for the number at the last dot
    else:
        ax.set_xlim(0, max(values) * 1.5)
    for row, point in enumerate(points.to_dict("records")):
        estimated, low, high = (float(point[name]) for name in names)
        style = look(point["transport"]) | {"markersize": 9, "capsize": 6}
        if column != "latency_p50_ms":
            ax.barh(row, estimated, height=0.42, color=colour(point["transport"]))
            end = estimated
        else:
            ax.errorbar(estimated, row, xerr=whiskers(estimated, low, high), **style)
            end = max(estimated, high) if high == high else estimated
        ax.annotate(
            f"{number(estimated)} {unit}{' ?' if point['suspect'] else ''}",
            (end, row),
            xytext=(13, 0),
            textcoords="offset points",
            va="center",
            fontsize=VALUE_SIZE,
            weight="bold",
            color=paper.ink,
        )
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x", color=paper.grid)
    ax.tick_params(axis="both", which="both", colors=paper.pale, labelsize=NOTE_SIZE)
    ax.tick_params(axis="y", which="both", length=0)
    ax.patch.set_alpha(0)
    for spine in ax.spines.values():
        spine.set_color(paper.grid)


def _conditions(trials: pd.DataFrame) -> list[str]:
    """Say under which conditions all of these trials were measured, those that a newcomer asks for."""
    return [
        field_words(name, trials[name].iloc[0], alone=True)
        for name in TOLD
        if trials[name].nunique(dropna=False) == 1
    ]
