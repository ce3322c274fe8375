"""How late ticks are: distributions, the age of what a client holds, repeats, and theory against them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench.columns.words import axis_label
from bench.report.plots.base import (
    INK,
    MODEL_LINE,
    colour,
    frame,
    in_order,
    label,
    logarithmic,
    look,
    new_axes,
    plain,
    row_labels,
    rows_height_in,
    styled,
    whiskers,
)
from bench.results.statistics import interval
from bench.wording import number

SUSPECT = {"marker": "$?$", "markersize": 17}
LONG_NAME_LETTERS = 32
"""Names of rows that are longer leave little room for the numbers of the axis."""
NEAR_MODEL_RATIO = 0.1
"""The band round equality in ``plot_prediction``."""


@styled
def plot_latency_ecdf(
    quantiles: pd.DataFrame, *, model: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Draw which share of the deliveries has come by which latency, for each transport; thin: each repeat.

    The strong line is the geometric mean of the repeats' quantiles.

    Args:
        quantiles: Columns transport, repeat, quantile (0 to 1), latency_ms.
        model: What theory says: transport, quantile, latency_ms; dashed.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    positive = quantiles[quantiles["latency_ms"] > 0].assign(
        quantile=lambda table: table["quantile"].round(4)
    )
    logarithmic(ax.xaxis, positive["latency_ms"].tolist())
    middles = {}
    for name in in_order(positive["transport"].tolist()):
        own = positive[positive["transport"] == name]
        for _, repeat in own.groupby("repeat"):
            ax.plot(repeat["latency_ms"], repeat["quantile"], color=colour(name), linewidth=1, alpha=0.4)
        logs = np.log(own["latency_ms"]).groupby(own["quantile"]).mean()
        ax.plot(np.exp(logs), logs.index, **look(name), markevery=10)
        middles[name] = float(np.exp(np.interp(0.5, logs.index, logs)))
    dashed = [] if model is None else in_order(model["transport"].tolist())
    for name in dashed:
        assert model is not None
        own = model[model["transport"] == name]
        ax.plot(own["latency_ms"], own["quantile"], **MODEL_LINE)
    step = min(0.2, 0.34 / max(len(middles) - 2, 1))  # from 0.5 down to where two lines have room
    for place, name in enumerate(sorted(middles, key=lambda name: middles[name])):
        own = positive[positive["transport"] == name]
        height = 0.62 if place == 0 else 0.5 - step * (place - 1)
        logs = np.log(own["latency_ms"]).groupby(own["quantile"]).mean()
        ax.annotate(
            label(name) + ("\n(dashed: model)" if name in dashed else ""),
            (float(np.exp(np.interp(height, logs.index, logs))), height),
            xytext=(-18 if place == 0 else 18, 0),
            textcoords="offset points",
            ha="right" if place == 0 else "left",
            va="center" if place == 0 else "top",
            bbox=frame(name),
            zorder=6,
        )
    left, right = ax.get_xlim()
    ax.set(
        title="How old is a tick when it arrives?",
        xlabel="delivery latency (ms), logarithmic",
        ylabel="share of deliveries (ratio)",
        xlim=(left / 2.5, right * 1.4),
        ylim=(0, 1.02),
    )
    return ax


@styled
def plot_age(
    deliveries: pd.DataFrame,
    transport: str,
    *,
    start_ns: int,
    seconds: float = 2.0,
    mean_ms: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how old the newest tick is that one client holds: it grows with time, and falls at each arrival.

    Args:
        deliveries: Columns due_ns and arrived_ns, of one client.
        transport: Whose they are.
        start_ns: Where the figure begins, on the bench clock.
        seconds: Its length in s.
        mean_ms: The mean age that the trials have, to be written beside it: what is drawn here is a piece of
            one client's time, and its own mean depends on where the piece is cut.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    own = deliveries.sort_values(["arrived_ns", "due_ns"])
    due_s = (own["due_ns"].to_numpy() - start_ns) / 1e9
    arrived_s = (own["arrived_ns"].to_numpy() - start_ns) / 1e9
    newest_s = np.maximum.accumulate(due_s) if len(due_s) else due_s
    ends_s = np.append(arrived_s[1:], seconds)
    times_s = np.clip(np.column_stack([arrived_s, ends_s]), 0, seconds)
    lasts = times_s[:, 1] > times_s[:, 0]  # of ticks that come at once, only the newest is held
    times_s, newest_s = times_s[lasts], newest_s[lasts]
    ages_ms = (times_s - newest_s[:, None]) * 1e3
    ax.fill_between(times_s.ravel(), ages_ms.ravel(), color=colour(transport), alpha=0.25, linewidth=0)
    ax.plot(times_s.ravel(), ages_ms.ravel(), color=colour(transport), linewidth=2)
    ax.text(
        1.02,
        0.5,
        label(transport) + ("" if mean_ms is None else f"\nmean {number(mean_ms)} ms"),
        transform=ax.transAxes,
        va="center",
        bbox=frame(transport),
    )
    ax.set(title="How old is what a client holds?", xlabel="time (s)", ylabel="age (ms)", xlim=(0, seconds))
    ax.set_ylim(bottom=0)
    return ax


@styled
def plot_repeats(
    trials: pd.DataFrame, column: str, *, title: str = "How much do repeats differ?", ax: Axes | None = None
) -> Axes:
    """Draw a figure of every repeat as a dot, or ? if it is suspect, and the 95 % interval over them.

    Args:
        trials: Columns transport, scenario (its words), verdict and the figure; valid trials only.
        column: The figure.
        title: The question.
        ax: Where to draw; by default in a new figure.
    """
    shown = trials.dropna(subset=[column])
    rows = list(shown.groupby(["transport", "scenario"], sort=False))
    ax = new_axes(ax, rows_height_in(len(rows)))
    names = [f"{label(str(name))}{', ' * bool(scenario)}{scenario}" for (name, scenario), _ in rows]
    values = shown[column].astype(float).tolist()
    if values and min(values) > 0:
        logarithmic(ax.xaxis, values, short=max(map(len, names)) > LONG_NAME_LETTERS)
        left, right = ax.get_xlim()
        ax.set_xlim(left, right * (right / left) ** 0.08)  # for the number at the last dot
    elif values:
        ax.set_xlim(0, max(values) * 1.1 or 1)
    for row, ((name, _), own) in enumerate(rows):
        figures = own[column].astype(float).to_numpy()
        found = interval(figures.tolist())
        if len(figures) == 1:
            _plot_dots(ax, figures, row, own["verdict"], str(name))
            ax.annotate(
                plain(found.estimate) if found.estimate >= 10 else f"{found.estimate:.2g}",
                (found.estimate, row),
                xytext=(14, 0),
                textcoords="offset points",
                va="center",
            )
            continue
        ax.errorbar(
            found.estimate,
            row + 0.16,
            xerr=whiskers(*found),
            color=INK,
            marker="|",
            markersize=16,
            markeredgewidth=2.5,
            linewidth=2,
        )
        _plot_dots(ax, figures, row - 0.16, own["verdict"], str(name))
    row_labels(ax, names)
    bar = "; bar: 95 % interval" if len(shown) > len(rows) else ""
    told = "; ?: suspect" if (shown["verdict"] == "suspect").any() else ""
    ax.set_title(title, wrap=True)  # long labels of rows leave little room for it
    ax.set_xlabel(f"{axis_label(column)}{told}{bar}")
    return ax


def _plot_dots(
    ax: Axes, figures: Iterable[float], row: float, verdicts: Iterable[str], transport: str
) -> None:
    for figure, verdict in zip(figures, verdicts, strict=True):
        suspect = SUSPECT | {"markerfacecolor": colour(transport)} if verdict == "suspect" else {}
        ax.plot(figure, row, linestyle="none", **{**look(transport), **suspect}, alpha=0.8)


@styled
def plot_prediction(points: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw measured mean latency against what the model says, with equality dashed and ±10 % as a band.

    Args:
        points: Columns transport, predicted_ms, estimate, low, high (measured, ms; NaN bounds: none).
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    values = [*points["predicted_ms"], *points["estimate"]]
    logarithmic(ax.xaxis, values)
    logarithmic(ax.yaxis, values)
    low, high = ax.get_xlim()
    line = np.array([low, high * 2])
    ax.fill_between(line, line * (1 - NEAR_MODEL_RATIO), line * (1 + NEAR_MODEL_RATIO), color="#e8e8e8")
    ax.plot(line, line, **MODEL_LINE)
    for name in in_order(points["transport"].tolist()):
        own = points[points["transport"] == name]
        for point in own.to_dict("records"):
            ax.errorbar(
                point["predicted_ms"],
                point["estimate"],
                yerr=whiskers(point["estimate"], point["low"], point["high"]),
                linestyle="none",
                **look(name),
            )
        last = own.sort_values("predicted_ms").iloc[-1]
        ax.annotate(
            label(name),
            (last["predicted_ms"], last["estimate"]),
            xytext=(18, -22),
            textcoords="offset points",
            bbox=frame(name),
        )
    ax.set(
        title="Does the model hold?",
        xlabel="mean delivery latency, model (ms)",
        ylabel="mean delivery latency, measured (ms)",
        xlim=(low, high * 1.6),
        ylim=(low, high),
    )
    ax.text(0.03, 0.94, "dashed: measured = model; band: ±10 %", transform=ax.transAxes)
    return ax
