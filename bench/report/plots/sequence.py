"""Who says what, and when: a recorded conversation as a sequence diagram."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.measure.conversation import TraceEvent
from bench.report.plots.base import (
    INK,
    POINTS_PER_INCH,
    colour,
    label,
    new_axes,
    new_figure,
    rendered,
    styled,
)

ARROW_GAP = 2.0
"""Least distance between two arrows, in font sizes."""
LABEL_SIZE = 14


@styled
def plot_sequence(
    events: Sequence[TraceEvent], transport: str, *, until_ms: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a conversation: time runs downwards, the client on the left, the server on the right.

    A diamond on the server's line is the instant at which a tick was due; the thick line below it is how long
    it waits until it is sent. Arrows too close to be told apart are drawn one below the other, which the axis
    says; ``bench wire`` lists the instants.

    Args:
        events: What was recorded (see bench/measure/conversation.py).
        transport: Whose it is.
        until_ms: Show what happens until then; by default all.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    shown = [event for event in events if until_ms is None or event.at_ms <= until_ms]
    span_ms = until_ms or max((event.at_ms for event in shown), default=1.0) * 1.05
    top_ms, bottom_ms = -0.06 * span_ms, span_ms * 1.02
    figure = ax.get_figure(root=True)
    assert figure is not None
    tall_in = figure.get_figheight() * ax.get_position().height
    gap_ms = LABEL_SIZE * ARROW_GAP / POINTS_PER_INCH / tall_in * (bottom_ms - top_ms)
    places = below_each_other([event.at_ms for event in shown], gap_ms)
    lowest_ms = max([bottom_ms, *(place + gap_ms / 2 for place in places)])
    highest_ms = min([top_ms, *(place - gap_ms for place in places)])
    for x in (0, 1):
        ax.plot([x, x], [highest_ms, lowest_ms], color=INK, linewidth=2, zorder=1)
    for event, place in zip(shown, places, strict=True):
        start, end = (0, 1) if event.direction == "up" else (1, 0)
        carries = bool(event.ticks)
        ax.annotate(
            "",
            (end, place),
            xytext=(start, place),
            arrowprops={
                "arrowstyle": "-|>",
                "mutation_scale": 20,
                "color": colour(transport) if carries else INK,
                "linewidth": 3.5 if carries else 2,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        ax.annotate(
            f"{event.label} · {event.size_bytes:,} B",
            (0.5, place),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=LABEL_SIZE,
        )
        for tick in event.ticks:
            if tick.due_ms >= highest_ms:
                waited = [tick.due_ms, event.at_ms]
                ax.plot([1, 1], waited, color=colour(transport), linewidth=7, alpha=0.6, zorder=2)
                ax.plot(1, tick.due_ms, marker="D", markersize=9, color=INK, zorder=3)
    sums = {
        direction: sum(event.size_bytes for event in shown if event.direction == direction)
        for direction in ("up", "down")
    }
    ax.set(
        title=label(transport),
        xlabel=f"in all ↑ {sums['up']:,} B  ↓ {sums['down']:,} B",
        ylabel="time (ms); what would touch is drawn lower",
        xlim=(-0.12, 1.12),
        ylim=(lowest_ms, highest_ms),
    )
    ax.set_xticks([0, 1], ["client", "server"])
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False)
    ax.spines[["bottom"]].set_visible(False)
    return ax


def below_each_other(times_ms: Sequence[float], gap_ms: float) -> list[float]:
    """Return where arrows are drawn: each at its time, or later, so that it is below the one before."""
    places: list[float] = []
    for time_ms in times_ms:
        places.append(max([time_ms, *(place + gap_ms for place in places[-1:])]))
    return places


@styled
def sequence_figure(traces: Mapping[str, Sequence[TraceEvent]], *, until_ms: float | None = None) -> Figure:
    """Draw several conversations side by side on one axis of time.

    Args:
        traces: What was recorded, by transport.
        until_ms: Show what happens until then; by default all.
    """
    last_ms = max((event.at_ms for events in traces.values() for event in events), default=1.0)
    figure, panels = new_figure(1, len(traces), sharey=True, squeeze=False)
    for ax, (transport, events) in zip(panels[0], traces.items(), strict=True):
        plot_sequence(events, transport, until_ms=until_ms or last_ms, ax=ax)
    lowest_ms = max(ax.get_ylim()[0] for ax in panels[0])
    panels[0][0].set_ylim(bottom=lowest_ms)
    for ax in panels[0][1:]:
        ax.set_ylabel("")
    figure.suptitle("Who says what, and when?", x=0.01, ha="left")
    return figure


def save_sequence(traces: Mapping[str, Sequence[TraceEvent]], path: Path) -> None:
    """Write the conversations as a figure; the end of the name says in which form."""
    plt.switch_backend("agg")
    figure = sequence_figure(traces)
    try:
        path.write_bytes(rendered(figure, path.suffix.removeprefix(".")))
    finally:
        plt.close(figure)
