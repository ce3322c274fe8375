"""Which transport, when: the cheapest that keeps a promise, over acceptable latency and tick rate."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from bench.columns.words import axis_label
from bench.report.plots.base import (
    INK,
    MODEL_LINE,
    PAPER,
    colour,
    frame,
    in_order,
    label,
    logarithmic,
    look,
    new_axes,
    styled,
)
from bench.transports import TRANSPORTS

NOTE_LETTERS = 76
"""What fits in a line below the map."""
HARDLY_RATIO = 1.5
"""Where the next costs less than so many times the cheapest, it hardly matters which: drawn pale."""
HATCHES = {"pull": "//", "held": "..", "push": ""}
STRONG, PALE = 0.62, 0.25
HIGHEST_NAME, NAME_STEP, NAMES_FROM = 0.94, 0.075, 0.42
"""Where the names of the borders stand, as fractions of the axes."""
FAR_DEARER = 50.0
"""The logarithm of infinitely many times, for drawing."""
LABEL_CELLS = 6
"""How far, in cells of the map, a label keeps from measured points and lines."""


@styled
def plot_decision(
    chart: pd.DataFrame,
    points: pd.DataFrame,
    borders: pd.DataFrame,
    *,
    cost: str,
    note: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw which transport is the cheapest by acceptable latency and tick rate, both logarithmic.

    Args:
        chart: What each costs on a full grid: columns latency_s, rate_hz, and one of each transport.
        points: Where it was measured: columns latency_s, rate_hz, transport (the cheapest).
        borders: Where short polling begins under other assumptions: name, latency_s, rate_hz; dashed.
        cost: What is cheap, such as ``wire bytes``.
        note: What the map assumes, in a line below it.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    grid = chart.set_index(["rate_hz", "latency_s"]).sort_index()
    rates_hz, latencies_s = (level.to_numpy(float) for level in grid.index.levels)  # type: ignore[attr-defined]
    shape = len(rates_hz), len(latencies_s)
    costs = {name: grid[name].to_numpy(float).reshape(shape) for name in in_order(list(grid.columns))}
    logarithmic(ax.xaxis, latencies_s.tolist())
    logarithmic(ax.yaxis, rates_hz.tolist())
    ax.set(xlim=(latencies_s[0], latencies_s[-1]), ylim=(rates_hz[0], rates_hz[-1]))
    ax.grid(visible=False)
    taken = _taken(points, latencies_s, rates_hz) | _border_lines(ax, borders, latencies_s, rates_hz)
    for name, own in costs.items():
        dearer = _how_much_dearer(own, [other for each, other in costs.items() if each != name])
        _fill(ax, latencies_s, rates_hz, dearer, name)
        _name_region(ax, name, (dearer > 0) & ~taken, latencies_s, rates_hz)
    for name in in_order(points["transport"].tolist()):
        own_points = points[points["transport"] == name]
        marker = {**look(name), "markeredgecolor": INK, "linestyle": "none", "markersize": 15}
        ax.plot(own_points["latency_s"], own_points["rate_hz"], **marker, zorder=7)
    ax.set(
        title=f"Which is the cheapest in {cost}?",
        xlabel="acceptable latency of 99 % of the ticks (s), logarithmic\n"
        + ("markers: measured; " if len(points) else "")
        + f"pale: the next costs less than {HARDLY_RATIO:g} times as much"
        + "".join(f"\n{line}" for line in textwrap.wrap(note, NOTE_LETTERS)),
        ylabel=f"{axis_label('rate_hz')}, logarithmic",
    )
    return ax


def _how_much_dearer(own: NDArray[np.float64], others: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the logarithm of what the cheapest of the others costs, in multiples of a transport's own cost.

    Who cannot keep a promise costs infinitely much, and is nowhere the cheapest.
    """
    with np.errstate(invalid="ignore"):
        dearer = np.log(np.min(others, axis=0)) - np.log(own)
    bounded: NDArray[np.float64] = np.nan_to_num(dearer, nan=-FAR_DEARER)
    return bounded.clip(-FAR_DEARER, FAR_DEARER)


def _fill(
    ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], dearer: NDArray[np.float64], name: str
) -> None:
    """Fill where a transport is the cheapest, in its colour and hatch, pale where it hardly matters.

    ``dearer`` is the logarithm of what the next costs, in multiples of it; below 0 where another is cheaper.
    """
    if dearer.max() <= 0:
        return
    hatch = HATCHES[TRANSPORTS[name].family]
    for low, high, opacity in ((0, np.log(HARDLY_RATIO), PALE), (np.log(HARDLY_RATIO), np.inf, STRONG)):
        if ((dearer >= low) & (dearer < high)).any():
            high = min(high, max(float(dearer.max()), low) + 1)
            ax.contourf(
                x, y, dearer, levels=[low, high], colors=[colour(name)], alpha=opacity, hatches=[hatch]
            )
    if dearer.min() < 0:
        ax.contour(x, y, dearer, levels=[0], colors=INK, linewidths=2)


def _border_lines(
    ax: Axes, borders: pd.DataFrame, latencies_s: NDArray[np.float64], rates_hz: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Draw the borders, each with its name beside it, one below the other; return the cells taken."""
    taken = np.zeros((len(rates_hz), len(latencies_s)), dtype=bool)
    for place, name in enumerate(dict.fromkeys(borders["name"])):
        own = borders[borders["name"] == name].dropna().sort_values("rate_hz")
        if not len(own):
            continue
        ax.plot(own["latency_s"], own["rate_hz"], **MODEL_LINE)
        height = HIGHEST_NAME - NAME_STEP * place
        rate_hz = rates_hz[0] * (rates_hz[-1] / rates_hz[0]) ** height
        at = own.iloc[int(np.argmin(abs(np.log(own["rate_hz"].to_numpy() / rate_hz))))]
        ax.annotate(
            name,
            (at["latency_s"], at["rate_hz"]),
            xytext=(NAMES_FROM, height),
            textcoords="axes fraction",
            va="center",
            bbox={"facecolor": PAPER, "edgecolor": INK, "boxstyle": "round,pad=0.2"},
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 1.5},
            zorder=8,
        )
        row, column = int(height * len(rates_hz)), int(NAMES_FROM * len(latencies_s))
        taken[max(row - LABEL_CELLS, 0) :, column - LABEL_CELLS :] = True
    return taken


def _taken(
    points: pd.DataFrame, latencies_s: NDArray[np.float64], rates_hz: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the cells around measured points."""
    taken = np.zeros((len(rates_hz), len(latencies_s)), dtype=bool)
    for point in points.to_dict("records"):
        row = int(np.argmin(abs(np.log(rates_hz / point["rate_hz"]))))
        column = int(np.argmin(abs(np.log(latencies_s / point["latency_s"]))))
        taken[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    return taken


def _name_region(
    ax: Axes,
    name: str,
    free: NDArray[np.bool_],
    latencies_s: NDArray[np.float64],
    rates_hz: NDArray[np.float64],
) -> None:
    """Put a transport's name where it is farthest from all that is not free for it."""
    if not free.any():
        return
    depth = distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1]
    if depth.max() <= 1:  # a strip of single cells is a border, no region
        return
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    at = latencies_s[column], rates_hz[row]
    ax.annotate(label(name), at, ha="center", va="center", bbox=frame(name), zorder=8, weight="bold")
