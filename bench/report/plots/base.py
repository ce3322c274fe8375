"""What all figures share: the style, how a transport looks, units on axes, and labels that keep apart."""

import functools
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import context as style_context
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.transports import TRANSPORTS

STYLE = mpl.rc_params_from_file(Path(__file__).with_name("bench.mplstyle"), use_default_template=False)
HOUSE: Sequence[str | Path | dict[str, Any]] = ["default", cast(dict[str, Any], STYLE)]
"""The styles of a figure, in turn: matplotlib's own, so that no matplotlibrc leaks in, and the project's."""
INK = "#222222"
PAPER = "white"
MODEL_LINE: dict[str, Any] = {"color": INK, "linewidth": 2, "linestyle": (0, (4, 3)), "zorder": 5}
"""The theory is a thin dashed line in every figure."""
MARKERS = "osD^vPX*"
POINTS_PER_INCH = 72
LINE_HEIGHT = 1.45
"""Height of a line of text with its frame, in font sizes."""
TICK_LETTER_WIDTH = 0.75
"""Width of a digit and its share of the gap, in font sizes."""
SURE_SHARE = 0.75
"""What a panel keeps of its width at least, once its labels have been given room."""
Plot = TypeVar("Plot", bound=Callable[..., Any])


def styled(plot: Plot) -> Plot:
    """Run a drawing function in the style of the house, whatever the caller's."""

    @functools.wraps(plot)
    def in_style(*args: Any, **options: Any) -> Any:
        with style_context(HOUSE):
            return plot(*args, **options)

    return cast(Plot, in_style)


def new_axes(ax: Axes | None, height_in: float | None = None) -> Axes:
    """Return the axes given, or those of a new figure; with ticks that stay in style when drawn later."""
    if ax is None:
        _, ax = new_figure(1, 1, height_in=height_in)
        ax = cast(Axes, ax)
    ax.tick_params("x", which="major", labelsize=STYLE["xtick.labelsize"], pad=STYLE["xtick.major.pad"])
    ax.tick_params("y", which="major", labelsize=STYLE["ytick.labelsize"], pad=STYLE["ytick.major.pad"])
    return ax


@styled
def new_figure(rows: int, columns: int, height_in: float | None = None, **options: Any) -> tuple[Figure, Any]:
    """Return a figure of panels and its axes.

    Args:
        rows, columns: Of panels.
        height_in: Height in inches; by default that of a slide.
        options: See ``pyplot.subplots``.
    """
    width_in, slide_in = STYLE["figure.figsize"]
    return plt.subplots(rows, columns, figsize=(width_in, max(slide_in, height_in or 0.0)), **options)


# How a transport looks


def colour(transport: str) -> str:
    """Return a transport's colour, from the registry."""
    return TRANSPORTS[transport].colour


def label(transport: str) -> str:
    """Return a transport's name for people."""
    return TRANSPORTS[transport].label


def look(transport: str) -> dict[str, Any]:
    """Return colour and marker: a marker per protocol, hollow for a variant by another library."""
    entry = TRANSPORTS[transport]
    protocols = list(dict.fromkeys(each.protocol for each in TRANSPORTS.values()))
    return {
        "color": entry.colour,
        "marker": MARKERS[protocols.index(entry.protocol) % len(MARKERS)],
        "markerfacecolor": PAPER if entry.variant_of else entry.colour,
        "markeredgecolor": entry.colour,
        "markeredgewidth": 2,
    }


def in_order(transports: Sequence[str]) -> list[str]:
    """Return distinct transports in the order of the registry."""
    return [name for name in TRANSPORTS if name in set(transports)]


# Axes


def plain(value: float) -> str:
    """Return a number as an axis says it: 0.5, 1.5, 20, 1,000."""
    if value >= 10 or (value >= 1 and value.is_integer()):
        return f"{value:,.0f}"
    return f"{value:.6f}".rstrip("0").rstrip(".")


def logarithmic(axis: Axis, values: Sequence[float], *, short: bool = False) -> None:
    """Make an axis logarithmic with plain numbers, and more ticks the less it spans.

    Args:
        axis: ``ax.xaxis`` or ``ax.yaxis``.
        values: What is drawn along it; the limits leave room around them.
        short: Whether there is room for few numbers only.
    """
    positive = np.array([value for value in values if np.isfinite(value) and value > 0])
    if not len(positive):
        return
    low, high = float(positive.min()), float(positive.max())
    room = max((high / low) ** 0.06, 1.3)
    span = high / low * room**2
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (low / room, high * room)})  # type: ignore[attr-defined]
    steps: tuple[float, ...] = (
        (1.0,) if span > 500 else (1.0, 2.0, 5.0) if span > 5 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    )
    if short and span > 5:
        steps = (1.0,) if span > 50 else (1.0, 3.0)
    axis.set_major_locator(LogLocator(10, subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(NullFormatter())


def ticks_at(ax: Axes, values: Sequence[float]) -> None:
    """Put the ticks of a logarithmic x axis at these values, leaving out those for which there is no room."""
    width_in = figure_of(ax).get_figwidth() * ax.get_position().width * SURE_SHARE
    low, high = ax.get_xlim()
    kept: list[float] = []
    right_in = -math.inf
    for value in sorted(set(values)):
        half_in = len(plain(value)) * TICK_LETTER_WIDTH * STYLE["xtick.labelsize"] / POINTS_PER_INCH / 2
        centre_in = math.log(value / low) / math.log(high / low) * width_in
        if centre_in - half_in > right_in:
            kept.append(value)
            right_in = centre_in + half_in
    ax.xaxis.set_major_locator(FixedLocator(kept))
    ax.xaxis.set_minor_locator(NullLocator())


def whiskers(estimate: float, low: float, high: float) -> list[list[float]] | None:
    """Return the lengths of the two whiskers of an interval, as ``errorbar`` takes them; None without one."""
    return [[estimate - low], [high - estimate]] if np.isfinite(low) and np.isfinite(high) else None


# Labels beside what they name


class Tag(NamedTuple):
    """A label at the right edge: the height it belongs to, in data, its text and its transport."""

    y: float
    text: str
    transport: str


def frame(transport: str) -> dict[str, Any]:
    """Return the frame of a label: the transport's colour round dark, legible text."""
    return {"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": colour(transport), "linewidth": 2}


def tag_right(ax: Axes, tags: Sequence[Tag]) -> None:
    """Put labels to the right of the axes, at their heights or as near as they can be without touching.

    The limits and the scale of the y axis must be final.
    """
    if not tags:
        return
    ordered = sorted(tags, key=lambda tag: tag.y)
    for tag, height in zip(ordered, label_heights(ax, ordered), strict=True):
        ax.annotate(
            tag.text,
            (1.0, fraction(ax, tag.y)),
            xycoords="axes fraction",
            xytext=(1.03, height),
            textcoords="axes fraction",
            va="center",
            bbox=frame(tag.transport),
            arrowprops={"arrowstyle": "-", "color": colour(tag.transport), "linewidth": 1.5},
            annotation_clip=False,
        )


def tag_left(ax: Axes, tags: Sequence[Tag], x: Sequence[float]) -> None:
    """Put labels to the left of points, at their heights or as near as they can be without touching.

    The limits and the scale of the y axis must be final.

    Args:
        ax: The axes.
        tags: The labels.
        x: Where each has its point, in data.
    """
    ordered = sorted(zip(tags, x, strict=True), key=lambda each: each[0].y)
    heights = label_heights(ax, [tag for tag, _ in ordered])
    for (tag, point_x), height in zip(ordered, heights, strict=True):
        ax.annotate(
            tag.text,
            (point_x, tag.y),
            xytext=(-16, (height - fraction(ax, tag.y)) * tall_in(ax) * POINTS_PER_INCH),
            textcoords="offset points",
            ha="right",
            va="center",
            bbox=frame(tag.transport),
            zorder=6,
        )


def label_heights(ax: Axes, ascending: Sequence[Tag]) -> list[float]:
    """Return where labels stand, as fractions of the axes, so that none touches the next."""
    gap = mpl.rcParams["font.size"] * LINE_HEIGHT / POINTS_PER_INCH / tall_in(ax)
    lines = [tag.text.count("\n") + 1 for tag in ascending]
    return spread([fraction(ax, tag.y) for tag in ascending], [gap * count for count in lines])


def tall_in(ax: Axes) -> float:
    """Return the height of the axes in inches, as far as it is known before labels are given room."""
    return figure_of(ax).get_figheight() * ax.get_position().height


def fraction(ax: Axes, y: float) -> float:
    """Return where a height in data is, as a fraction of the axes."""
    low, high = ax.get_ylim()
    if ax.get_yscale() == "log":
        return float(np.log(y / low) / np.log(high / low))
    return (y - low) / (high - low)


def spread(heights: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Move ascending heights apart until labels of these sizes do not touch, each as little as may be.

    Labels that touch become a block around the mean of where they want to be, until no two blocks touch.
    """
    blocks = [([index], height) for index, height in enumerate(heights)]  # members, centre

    def size(members: list[int]) -> float:
        return sum(sizes[index] for index in members)

    merged = True
    while merged:
        merged = False
        for place in range(len(blocks) - 1):
            (below, centre_below), (above, centre_above) = blocks[place], blocks[place + 1]
            if centre_above - centre_below < (size(below) + size(above)) / 2 - 1e-9:
                members = below + above
                centre = sum(heights[index] for index in members) / len(members)
                blocks[place : place + 2] = [(members, centre)]
                merged = True
                break
    placed = []
    for members, centre in blocks:
        top = centre - size(members) / 2
        for index in members:
            placed.append(top + sizes[index] / 2)
            top += sizes[index]
    return placed


def row_labels(ax: Axes, labels: Sequence[str]) -> None:
    """Make the y axis a list of rows, read from the top."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)


def rows_height_in(rows: int) -> float:
    """Return the height in inches of a figure with so many rows of text."""
    return 2.0 + 0.42 * rows


def figure_of(ax: Axes) -> Figure:
    """Return the figure that an axes belongs to."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def rendered(figure: Figure, form: str) -> bytes:
    """Return a figure as the bytes of a file; the same figure always gives the same bytes."""
    file = io.BytesIO()
    with style_context(HOUSE):
        if form == "svg":
            _write_svg(figure, file)
        else:
            figure.savefig(file, format=form)
    return file.getvalue()


def _write_svg(figure: Figure, file: io.BytesIO) -> None:
    """Write a figure as SVG: the bytes of ``savefig``, which draws it all once more to give labels room."""
    canvas = FigureCanvasSVG(figure)
    figure.set_dpi(POINTS_PER_INCH)  # in an SVG a dot is a point
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine("none")
    figure.set_dpi(STYLE["savefig.dpi"])  # of pictures within it
    canvas.print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
