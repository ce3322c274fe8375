"""What distance and loss do: latency against the round trip, and the ticks behind one lost packet."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.columns.words import axis_label
from bench.report.plots.base import (
    INK,
    MODEL_LINE,
    PAPER,
    Tag,
    colour,
    frame,
    in_order,
    label,
    look,
    new_axes,
    new_figure,
    styled,
    tag_right,
    whiskers,
)
from bench.wording import number

ON_TIME = "#9a9a9a"
DUE, ARRIVED = 1.0, 0.0
"""The heights of the two time lines."""
BEFORE_MS, AFTER_MS = 150.0, 100.0
"""How much is shown before the loss, and after the last late tick of all has arrived."""


@styled
def plot_distance(
    points: pd.DataFrame, model: pd.DataFrame, *, turns_at_ms: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw mean latency against the round-trip time, with theory dashed: a line or a step per transport.

    Args:
        points: Columns transport, rtt_ms, estimate, low, high (ms).
        model: What theory says: transport, rtt_ms, latency_ms.
        turns_at_ms: From which round trip on a client that asks at once asks too late, if that is shown.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    for name in in_order(model["transport"].tolist()):
        own = model[model["transport"] == name]
        ax.plot(own["rtt_ms"], own["latency_ms"], **MODEL_LINE)
    tags = []
    for name in in_order(points["transport"].tolist()):
        own = points[points["transport"] == name].sort_values("rtt_ms")
        for point in own.to_dict("records"):
            ax.errorbar(
                point["rtt_ms"],
                point["estimate"],
                yerr=whiskers(point["estimate"], point["low"], point["high"]),
                linestyle="none",
                zorder=6,
                **look(name),
            )
        tags.append(Tag(float(own["estimate"].iloc[-1]), label(name), name))
    longest_ms = max(points["rtt_ms"].max(), model["rtt_ms"].max() if len(model) else 0.0)
    ax.set(
        title="Who suffers from distance?",
        xlabel=axis_label("rtt_ms"),
        ylabel=axis_label("latency_mean_ms"),
        xlim=(0, longest_ms),
    )
    ax.set_ylim(bottom=0)
    if turns_at_ms is not None and turns_at_ms < longest_ms:
        ax.axvline(turns_at_ms, color=INK, linewidth=1.2, linestyle=":")
        ax.annotate(
            "RTT × rate = 1: from here on\nticks come faster than round trips",
            (turns_at_ms, ax.get_ylim()[1]),
            xytext=(8, -6),
            textcoords="offset points",
            va="top",
        )
    ax.text(0.98, 0.03, "dashed: theory, the work left out", transform=ax.transAxes, ha="right")
    tag_right(ax, tags)
    return ax


@styled
def plot_lost_packet(ticks: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw when ticks were due and when they arrived, of one client of each transport that lost a packet.

    Args:
        ticks: By transport, a row for each tick: due_ms and arrived_ms, since the loss; and late, whether it
            took longer than any before the loss.
    """
    late_ms = [own.loc[own["late"], "arrived_ms"].max() for own in ticks.values() if own["late"].any()]
    until_ms = max(late_ms, default=BEFORE_MS) + AFTER_MS
    figure, panels = new_figure(len(ticks), 1, sharex=True, squeeze=False)
    for name, ax in zip(in_order(list(ticks)), panels[:, 0], strict=True):
        _time_lines(ticks[name][ticks[name]["arrived_ms"] < until_ms], name, ax)
        ax.set_xlim(-BEFORE_MS, until_ms)
        ax.axvline(0, color=INK, linewidth=1.5, linestyle=":")
        if ax is panels[-1, 0]:
            ax.set_xlabel("time (ms); dotted: from here on, the next packet with a tick is lost")
    panels[0, 0].set_title("What does one lost packet do to the next ticks?")
    return figure


def _time_lines(ticks: pd.DataFrame, name: str, ax: Axes) -> None:
    """Draw one client's ticks: a dot where each was due, a dot where it arrived, and the way between them."""
    new_axes(ax)
    for height in (DUE, ARRIVED):
        ax.axhline(height, color=INK, linewidth=1, zorder=1)
    for late in (False, True):
        own = ticks[ticks["late"] == late]
        look_of: dict[str, Any] = {"color": colour(name) if late else ON_TIME, "zorder": 3 + late}
        ax.plot(
            own[["due_ms", "arrived_ms"]].to_numpy().T,
            np.tile([[DUE], [ARRIVED]], len(own)),
            linewidth=2 if late else 1,
            **look_of,
        )
        ax.plot(own["due_ms"], np.full(len(own), DUE), "o", **look_of)
        ax.plot(own["arrived_ms"], np.full(len(own), ARRIVED), "o", **look_of)
    late_ms = (ticks["arrived_ms"] - ticks["due_ms"])[ticks["late"]]
    told = (
        f"\n{len(late_ms)} late, up to {number(float(late_ms.max()))} ms" if len(late_ms) else "\nnone late"
    )
    ax.set_ylim(-0.4, 1.4)
    ax.set_yticks([DUE, ARRIVED], ["due", "arrived"])
    ax.tick_params("y", length=0)
    ax.grid(visible=False, axis="y")
    ax.spines["bottom"].set_visible(False)
    ax.text(
        1.02,
        0.5,
        label(name) + told,
        transform=ax.transAxes,
        va="center",
        bbox={**frame(name), "facecolor": PAPER},
    )
