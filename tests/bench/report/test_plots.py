"""Figures: units on axes, no text on text, colours of the registry, nothing read from disk."""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from bench.columns.words import axis_label
from bench.measure.conversation import TickMark, TraceEvent
from bench.report.plots.base import HOUSE, look, plain, spread
from bench.report.plots.choice_map import plot_decision
from bench.report.plots.cost import plot_frontier, plot_layers, plot_scaling
from bench.report.plots.latency import plot_age, plot_latency_ecdf, plot_prediction, plot_repeats
from bench.report.plots.sequence import plot_sequence, sequence_figure
from bench.report.plots.server import plot_capacity, plot_libraries
from bench.theory.cheapest import decision_map, wire_costs
from bench.transports import TRANSPORTS, main_names
from tests import ROOT

REFERENCE = ROOT / "results" / "reference"
UNIT = re.compile(r"\((ms|s|B|Hz|µs|MB|kB|count|ratio)\)")
NAN = float("nan")
TOUCH_PX = 1.5
"""Frames of labels may come this near before they count as one on the other."""

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def quantiles() -> pd.DataFrame:
    steps = np.linspace(0.01, 0.99, 99)
    shapes = {"short_polling": 5 + 500 * steps, "long_polling": 1 + 2 * steps, "websocket": 0.5 + steps}
    return pd.concat(
        pd.DataFrame(
            {"transport": name, "repeat": repeat, "quantile": steps, "latency_ms": shape * (1 + repeat / 20)}
        )
        for name, shape in shapes.items()
        for repeat in (1, 2, 3)
    )


def deliveries() -> pd.DataFrame:
    due_ns = np.arange(100) * 20_000_000
    return pd.DataFrame({"due_ns": due_ns, "arrived_ns": due_ns // 500_000_000 * 500_000_000 + 510_000_000})


def estimates(column: str, values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"transport": name, column: value, "estimate": 10 * value, "low": 9 * value, "high": 11 * value}
            for name in main_names()
            for value in values
        ]
    )


def trials() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "transport": name,
                "scenario": scenario,
                "verdict": "suspect" if repeat == 1 else "ok",
                "latency_p50_ms": value * (1 + repeat / 10),
            }
            for name, value in zip(TRANSPORTS, itertools.count(1))
            for scenario in ("100 clients", "1,000 clients")
            for repeat in (1, 2, 3)
        ]
    )


def layers() -> pd.DataFrame:
    rows = [("up", 0, 62, 22, 52), ("down", 128, 147, 22, 78)]
    names = ["direction", "payload", "framing", "tls", "tcp_ip"]
    return pd.DataFrame(
        [{"transport": name, **dict(zip(names, row, strict=True))} for name in main_names() for row in rows]
    )


def conversation() -> list[TraceEvent]:
    return [
        TraceEvent(0.0, "up", 62, "GET", "GET /ticks HTTP/1.1"),
        TraceEvent(1.0, "down", 275, "200: tick 1", "HTTP/1.1 200 OK", (TickMark(1, -300.0),)),
        TraceEvent(1.1, "up", 62, "GET ?after=1", "GET /ticks?after=1 HTTP/1.1"),
        TraceEvent(
            500.0, "down", 404, "200: ticks 2–3", "HTTP/1.1 200 OK", (TickMark(2, 250.0), TickMark(3, 499.0))
        ),
        TraceEvent(1000.0, "down", 139, "200: nothing new", "HTTP/1.1 200 OK"),
    ]


def capacity() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("short_polling", "short polling\nevery 0.5 s", 5200, 4100, 6700, "server CPU", 6000),
            ("long_polling", "long polling", 1100, 900, 1400, "server CPU in bursts", 1150),
            ("websocket", "WebSocket", 9000, 9000, math.inf, "nothing yet", NAN),
        ],
        columns=["transport", "label", "estimate", "low", "high", "bottleneck", "extrapolated"],
    )


def frontier_points() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("short_polling", "every 2 s", 6_900, 1000, 990, 1010),
            ("short_polling", "every 0.5 s", 7_400, 250, 249, 251),
            ("short_polling", "every 0.1 s", 10_000, 50, 49, 51),
            ("long_polling", "", 22_000, 1.8, 1.5, 2.1),
            ("websocket", "", 12_000, 0.9, NAN, NAN),
        ],
        columns=["transport", "label", "cost", "estimate", "low", "high"],
    )


ASKED = wire_costs(128, "minimal", hold_s=24, heartbeat_s=15)

PLOTS: dict[str, Callable[..., Axes]] = {
    "ecdf": lambda **to: plot_latency_ecdf(
        quantiles(), model=quantiles()[lambda table: table["transport"] == "short_polling"], **to
    ),
    "age": lambda **to: plot_age(deliveries(), "short_polling", start_ns=510_000_000, **to),
    "repeats": lambda **to: plot_repeats(trials(), "latency_p50_ms", **to),
    "prediction": lambda **to: plot_prediction(
        estimates("predicted_ms", [50, 500])[lambda table: table["transport"] == "short_polling"], **to
    ),
    "frontier": lambda **to: plot_frontier(
        frontier_points(), model=pd.DataFrame({"cost": [6900, 9000], "latency_ms": [1000, 70]}), **to
    ),
    "rate": lambda **to: plot_scaling(
        estimates("rate_hz", [0.5, 5, 50, 500]), "rate_hz", "requests_per_delivery", **to
    ),
    "clients": lambda **to: plot_scaling(
        estimates("clients", [10, 30, 100, 300, 1000, 3000]), "clients", "latency_p50_ms", **to
    ),
    "layers": lambda **to: plot_layers(layers(), **to),
    "libraries": lambda **to: plot_libraries(
        pd.DataFrame(
            [(name, 9 * place, 8 * place, 10 * place) for place, name in enumerate(TRANSPORTS, start=1)],
            columns=["transport", "estimate", "low", "high"],
        ),
        **to,
    ),
    "capacity": lambda **to: plot_capacity(capacity(), **to),
    "decision": lambda **to: plot_decision(
        decision_map(ASKED, np.geomspace(0.01, 500, 30).tolist(), np.geomspace(0.02, 100, 30).tolist()),
        pd.DataFrame([(50.0, 1.0, "short_polling")], columns=["rate_hz", "latency_s", "transport"]),
        pd.DataFrame(
            [(name, rate_hz, 30 / rate_hz) for name in ("else", "or else") for rate_hz in (1.0, 10.0, 100.0)],
            columns=["name", "rate_hz", "latency_s"],
        ),
        cost="wire bytes",
        note="for a way that takes no time; over 6.51 ms each way the border lies 10 % later",
        **to,
    ),
    "sequence": lambda **to: plot_sequence(conversation(), "long_polling", **to),
}
every_plot = pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())


def off_limits(ax: Axes) -> set[Text]:
    """Return the labels of ticks beyond the limits: they are there, but not drawn."""
    found: set[Text] = set()
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                found |= {tick.label1, tick.label2}
    return found


def texts(figure: Figure) -> list[tuple[str, Any]]:
    """Return every text of a figure that is drawn, and its box in pixels."""
    with mpl.style.context(HOUSE):
        figure.canvas.draw()
        hidden = set().union(*(off_limits(ax) for ax in figure.axes))
        return [
            (text.get_text(), Text.get_window_extent(text))  # of an annotation, without its arrow
            for text in figure.findobj(Text)
            if text.get_visible() and text.get_text().strip() and text not in hidden
        ]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    return [
        (a, b)
        for (a, box_a), (b, box_b) in itertools.combinations(texts(figure), 2)
        if min(box_a.x1, box_b.x1) - max(box_a.x0, box_b.x0) > TOUCH_PX
        and min(box_a.y1, box_b.y1) - max(box_a.y0, box_b.y0) > TOUCH_PX
    ]


def outside(figure: Figure) -> list[str]:
    width, height = figure.bbox.width, figure.bbox.height
    return [
        words
        for words, box in texts(figure)
        if box.x0 < -TOUCH_PX or box.y0 < -TOUCH_PX or box.x1 > width + TOUCH_PX or box.y1 > height + TOUCH_PX
    ]


@every_plot
def test_a_plot_is_drawn_on_new_axes_or_on_those_given(plot: Callable[..., Axes]) -> None:
    assert isinstance(plot(), Axes)
    _, ax = plt.subplots()
    assert plot(ax=ax) is ax


@every_plot
def test_axes_say_their_units_and_the_title_asks(plot: Callable[..., Axes]) -> None:
    ax = plot()
    rows = any(
        isinstance(tick.get_text(), str) and tick.get_text()[:1].isalpha() for tick in ax.get_yticklabels()
    )
    columns = any(tick.get_text()[:1].isalpha() for tick in ax.get_xticklabels())
    assert rows or UNIT.search(ax.get_ylabel())
    assert columns or UNIT.search(ax.get_xlabel())
    assert columns or ax.get_title(loc="left").endswith("?")


@every_plot
def test_no_text_lies_on_another_or_outside_and_all_is_seen_from_the_last_row(
    plot: Callable[..., Axes],
) -> None:
    ax = plot()
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    assert overlapping(figure) == []
    assert outside(figure) == []
    assert figure.get_figwidth() == pytest.approx(12.8)
    assert figure.get_figheight() >= 7.2
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 14
    strong = [line for line in ax.get_lines() if line.get_alpha() is None and line.get_linestyle() != "None"]
    assert all(line.get_linewidth() >= 2 for line in strong)


@every_plot
def test_nothing_is_read_from_disk(plot: Callable[..., Axes], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a plot reads nothing from disk")

    for place in ("builtins.open", "pathlib.Path.open", "pandas.read_csv", "pandas.read_parquet"):
        monkeypatch.setattr(place, refuse)
    plot()


@every_plot
def test_colours_are_those_of_the_registry_and_greys(plot: Callable[..., Axes]) -> None:
    known = {transport.colour.lower() for transport in TRANSPORTS.values()}
    ax = plot()
    used = {to_hex(line.get_color()) for line in ax.get_lines()}
    used |= {to_hex(patch.get_facecolor()) for patch in ax.patches}
    for colour in used - known:
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        assert red == green == blue, f"{colour} is neither a transport's nor a grey"


def test_transports_differ_without_colour() -> None:
    looks = [look(name) for name in main_names()]
    assert len({each["marker"] for each in looks}) == len(main_names())
    hollow = [look(name)["markerfacecolor"] == "white" for name in TRANSPORTS]
    assert hollow == [TRANSPORTS[name].variant_of is not None for name in TRANSPORTS]


def test_the_mean_age_is_the_tables_whatever_piece_is_drawn() -> None:
    # An answer every 0.5 s: the mean of a piece depends on where it is cut, and is no mean of the trial.
    ax = plot_age(deliveries(), "short_polling", start_ns=510_000_000, seconds=0.3, mean_ms=280.0)
    assert any("mean 280 ms" in text.get_text() for text in ax.texts)


def test_arrows_run_downwards_and_never_before_their_time() -> None:
    ax = plot_sequence(conversation(), "long_polling")
    arrows = [text for text in ax.texts if isinstance(text, Annotation) and text.arrow_patch is not None]
    heights = [arrow.xy[1] for arrow in arrows]
    assert heights == sorted(set(heights))
    assert all(height >= event.at_ms for height, event in zip(heights, conversation(), strict=True))


def test_conversations_stand_side_by_side() -> None:
    figure = sequence_figure(dict.fromkeys(main_names(), conversation()), until_ms=1200)
    assert len(figure.axes) == len(main_names())
    assert overlapping(figure) == []


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("server_rss_mb", "server rss (MB)"),
        ("app_bytes_per_delivery_down", "app bytes per delivery down (B)"),
        ("server_cpu_ratio", "server cpu (ratio)"),
        ("retransmits", "retransmits (count)"),
    ],
)
def test_any_column_has_an_axis_label_with_its_unit(column: str, said: str) -> None:
    assert axis_label(column) == said


@pytest.mark.parametrize(("value", "said"), [(1000, "1,000"), (0.5, "0.5"), (20, "20"), (0.001, "0.001")])
def test_numbers_on_axes_are_plain(value: float, said: str) -> None:
    assert plain(value) == said


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.01, 0.2))
def test_labels_are_spread_in_order_and_apart(heights: list[float], size: float) -> None:
    placed = spread(sorted(heights), [size] * len(heights))
    assert all(b - a >= size * (1 - 1e-6) for a, b in itertools.pairwise(placed))
    assert np.mean(placed) == pytest.approx(np.mean(heights))
