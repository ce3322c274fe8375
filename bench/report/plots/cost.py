"""What freshness costs: bytes, requests, processor time; layer by layer, and as something grows."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from bench.columns.words import axis_label
from bench.report.plots.base import (
    INK,
    MODEL_LINE,
    PAPER,
    Tag,
    colour,
    in_order,
    label,
    logarithmic,
    look,
    new_axes,
    row_labels,
    rows_height_in,
    styled,
    tag_left,
    tag_right,
    ticks_at,
    whiskers,
)

LAYERS = {"payload": ("", 1.0), "framing": ("//", 0.6), "tls": ("xx", 0.4), "tcp_ip": ("..", 0.15)}
"""Layers of the wire from the inside: hatch and opacity."""
LAYER_NAMES = {"payload": "payload", "framing": "HTTP or frames", "tls": "TLS", "tcp_ip": "TCP/IP"}
NARROWEST_NUMBER = 0.07
"""Shortest segment that holds its number, as a share of the longest bar."""
NONE_LINE = 0.09
"""What a line of text below all points takes of the height of the axes."""
BELOW_AXIS_LETTERS = 4.0
"""How far a legend is from the axes whose ticks and label it stands below, in its font sizes."""


@styled
def plot_frontier(
    points: pd.DataFrame,
    *,
    cost: str = "wire_bytes_per_client_s",
    model: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw freshness against bytes: polling as a line over its intervals, push transports as points.

    Args:
        points: Columns transport, label (at the point; may be empty), cost; and of the latency, in ms,
            estimate, low, high.
        cost: What the column cost is, by its name in trials.csv, for the axis.
        model: Columns cost and latency_ms: what theory says of polling; dashed.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    logarithmic(ax.xaxis, points["cost"].tolist())
    logarithmic(ax.yaxis, [value for column in ("estimate", "low", "high") for value in points[column]])
    if model is not None and len(model):
        ax.plot(model["cost"], model["latency_ms"], **MODEL_LINE)
    ends: dict[str, Any] = {}
    for name in in_order(points["transport"].tolist()):
        own = points[points["transport"] == name].sort_values("cost")
        ends[name] = own.iloc[0]
        ax.plot(own["cost"], own["estimate"], **{**look(name), "marker": ""})
        for point in own.to_dict("records"):
            ax.errorbar(
                point["cost"],
                point["estimate"],
                yerr=whiskers(point["estimate"], point["low"], point["high"]),
                **look(name),
            )
            ax.annotate(
                point["label"],
                (point["cost"], point["estimate"]),
                xytext=(14, 4),
                textcoords="offset points",
                va="bottom",
            )
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    ax.set(
        title="What does freshness cost?",
        xlabel=f"{axis_label(cost)}, both ways, logarithmic",
        ylabel=f"{axis_label('latency_p50_ms')}, logarithmic",
        xlim=(left * (left / right) ** 0.35, right * (right / left) ** 0.15),
        ylim=(bottom, top * (top / bottom) ** 0.06),
    )
    several = points["transport"].value_counts() > 1
    tag_left(
        ax,
        [
            Tag(
                float(end["estimate"]),
                label(name) + ("\n(dashed: model)" if several[name] and model is not None else ""),
                name,
            )
            for name, end in ends.items()
        ],
        [float(end["cost"]) for end in ends.values()],
    )
    return ax


@styled
def plot_scaling(
    points: pd.DataFrame, x: str, column: str, *, tagged: bool = True, ax: Axes | None = None
) -> Axes:
    """Draw a figure against a number that was varied, both logarithmic: a line per transport, with intervals.

    Args:
        points: Columns transport, x, estimate, low, high.
        x: The column varied, such as rate_hz or clients.
        column: What the estimates are of.
        tagged: Whether lines are labelled; without, the figure needs a legend.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    shown = points[(points["estimate"] > 0) & (points[x] > 0)]
    logarithmic(ax.xaxis, shown[x].tolist())
    ticks_at(ax, shown[x].tolist())
    logarithmic(ax.yaxis, [value for column in ("estimate", "low", "high") for value in shown[column]])
    tags = []
    for name in in_order(shown["transport"].tolist()):
        own = shown[shown["transport"] == name].sort_values(x)
        ax.plot(own[x], own["estimate"], label=label(name), **look(name))
        for point in own.to_dict("records"):
            ax.errorbar(
                point[x],
                point["estimate"],
                yerr=whiskers(point["estimate"], point["low"], point["high"]),
                color=colour(name),
            )
        tags.append(Tag(float(own["estimate"].iloc[-1]), label(name), name))
    ax.set(xlabel=axis_label(x), ylabel=axis_label(column), title=f"How does it go with {_word(x)}?")
    if tagged:
        tag_right(ax, tags)
    without = [name for name in in_order(points["transport"].tolist()) if name not in set(shown["transport"])]
    if without:
        bottom, top = ax.get_ylim()
        ax.set_ylim(bottom * (bottom / top) ** (NONE_LINE * len(without)), top)  # room below the lines
        ax.text(0.03, 0.03, "\n".join(f"{label(name)}: none" for name in without), transform=ax.transAxes)
    return ax


@styled
def plot_layers(layers: pd.DataFrame, *, longest: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the bytes of one tick, layer by layer, up and down, on a linear axis that begins at zero.

    Args:
        layers: Columns transport, direction (up or down), and bytes per tick: payload, framing, tls, tcp_ip.
        longest: Bytes of the longest bar, if other panels have longer ones.
        ax: Where to draw; by default in a new figure.
    """
    names = in_order(layers["transport"].tolist())
    rows = [
        row
        for name in names
        for row in layers[layers["transport"] == name].sort_values("direction").to_dict("records")
    ]
    ax = new_axes(ax, rows_height_in(len(rows)))
    used = [layer for layer in LAYERS if any(row[layer] > 0 for row in rows)]
    longest = longest or max((sum(row[layer] for layer in used) for row in rows), default=1.0)
    for place, row in enumerate(rows):
        left = 0.0
        for layer in used:
            hatch, opacity = LAYERS[layer]
            bar = (colour(row["transport"]), opacity)
            ax.barh(place, row[layer], left=left, height=0.7, color=bar, hatch=hatch, edgecolor=INK)
            if row[layer] > NARROWEST_NUMBER * longest:
                ax.text(
                    left + row[layer] / 2,
                    place,
                    f"{row[layer]:,.0f}",
                    ha="center",
                    va="center",
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
                )
            left += row[layer]
        ax.text(
            left + longest * 0.015, place, f"{left:,.{0 if left >= 10 else 1}f} B", va="center", weight="bold"
        )
    arrows = {"up": "↑", "down": "↓"}
    row_labels(ax, [f"{label(row['transport'])} {arrows[row['direction']]}" for row in rows])
    keys = [
        Patch(
            facecolor=(INK, LAYERS[layer][1] * 0.6),
            hatch=LAYERS[layer][0],
            edgecolor=INK,
            label=LAYER_NAMES[layer],
        )
        for layer in used
    ]
    ax.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        borderaxespad=BELOW_AXIS_LETTERS,
        ncols=len(keys),
    )
    ax.set(
        title="What does one tick cost on the wire?",
        xlabel="bytes per tick (B), ↑ from the client, ↓ to it",
        xlim=(0, longest * 1.15),
    )
    return ax


def _word(x: str) -> str:
    return {"rate_hz": "the tick rate", "clients": "more clients"}.get(x, axis_label(x).partition(" (")[0])
