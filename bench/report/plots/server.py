"""What a server can do: CPU per delivery by library, and how many clients it carries."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from bench.experiments.clients import capacity_words
from bench.report.plots.base import (
    INK,
    MODEL_LINE,
    colour,
    in_order,
    logarithmic,
    look,
    new_axes,
    row_labels,
    rows_height_in,
    styled,
    whiskers,
)
from bench.results.statistics import Interval
from bench.transports import TRANSPORTS

ROOM_FOR_WORDS = 1.75


@styled
def plot_libraries(points: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw server CPU per delivery by library, grouped by protocol, with each protocol's range.

    Args:
        points: Columns transport, estimate, low, high (µs).
        ax: Where to draw; by default in a new figure.
    """
    names = sorted(
        in_order(points["transport"].tolist()),
        key=lambda name: list(TRANSPORTS).index(TRANSPORTS[name].protocol),
    )
    ax = new_axes(ax, rows_height_in(len(names)))
    by_name = {row["transport"]: row for row in points.to_dict("records")}
    logarithmic(ax.xaxis, [*points["estimate"], *points["low"], *points["high"]])
    for protocol in dict.fromkeys(TRANSPORTS[name].protocol for name in names):
        places = [place for place, name in enumerate(names) if TRANSPORTS[name].protocol == protocol]
        own = [by_name[names[place]]["estimate"] for place in places]
        ax.fill_betweenx(
            [places[0] - 0.42, places[-1] + 0.42],
            min(own),
            max(own),
            color=colour(protocol),
            alpha=0.18,
            linewidth=0,
        )
    for place, name in enumerate(names):
        found = by_name[name]
        ax.errorbar(
            found["estimate"],
            place,
            xerr=whiskers(found["estimate"], found["low"], found["high"]),
            **look(name),
            linewidth=2,
        )
        ax.annotate(
            f"{found['estimate']:.3g} µs",
            (found["estimate"], place),
            xytext=(0, 12),
            textcoords="offset points",
            ha="center",
        )
    row_labels(ax, [f"{TRANSPORTS[name].protocol_label}, {TRANSPORTS[name].library}" for name in names])
    ax.set(
        title="Is it the protocol or the library?",
        xlabel="server CPU per delivery (µs), logarithmic; band: range over libraries",
    )
    return ax


@styled
def plot_capacity(capacity: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many clients a server carries: a bar to the estimate with its interval, or an open bound.

    Args:
        capacity: Columns transport, label, estimate, low, high (the 95 % interval; infinite above: it bears
            at least so many), bottleneck (in words); and extrapolated, if there is one (clients; dashed).
        ax: Where to draw; by default in a new figure.
    """
    rows = capacity.to_dict("records")
    ax = new_axes(ax, rows_height_in(len(rows)))
    longest = max(max(_ends(row)) for row in rows)
    for place, row in enumerate(rows):
        bounded = row["high"] < math.inf
        ax.barh(
            place,
            row["estimate"],
            height=0.6,
            color=(colour(row["transport"]), 0.45),
            edgecolor=INK,
            linewidth=1.5,
        )
        if bounded:
            ax.errorbar(
                row["estimate"],
                place,
                xerr=whiskers(row["estimate"], row["low"], row["high"]),
                color=INK,
                linewidth=2.5,
                capsize=12,
                capthick=2.5,
            )
        else:
            ax.plot(row["estimate"], place, marker=">", markersize=12, color=INK)
        if pd.notna(row.get("extrapolated")):
            ax.plot([row["extrapolated"]] * 2, [place - 0.42, place + 0.42], **MODEL_LINE)
        told = capacity_words(Interval(row["estimate"], row["low"], row["high"]))
        ax.text(
            max(_ends(row)) + longest * 0.03,
            place,
            f"{told}\n{row['bottleneck']}",
            va="center",
        )
    row_labels(ax, [str(row["label"]) for row in rows])
    ax.set(
        title="How many clients does one process serve?",
        xlabel="clients (count) with 95 % interval; arrow: at least"
        + ("; dashed: extrapolated" if "extrapolated" in capacity else ""),
        xlim=(0, longest * ROOM_FOR_WORDS),
    )
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return ax


def _ends(row: Mapping[Any, Any]) -> list[float]:
    """Return what is drawn of a capacity, and has its words to the right of it."""
    ends = [row["estimate"], row["high"], row.get("extrapolated", math.nan)]
    return [float(end) for end in ends if math.isfinite(end)]
