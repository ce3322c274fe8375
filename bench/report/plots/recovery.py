"""What happens when the plug is pulled: the herd that comes back, and what one client sees of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from bench.report.plots.base import (
    INK,
    MODEL_LINE,
    PAPER,
    colour,
    figure_of,
    new_axes,
    row_labels,
    rows_height_in,
    styled,
)
from clients.sockets.events import SocketEvent

BIN_S = 0.05
AWAY: dict[str, Any] = {"color": "#dddddd", "linewidth": 0, "zorder": 0}
"""How the time is drawn in which nothing is there."""
INCIDENT_WORDS = {
    "link_down": "The link is down (grey)",
    "server_killed": "The server is dead (grey)",
    "address_changed": "Its address changes at 0",
    "forgotten": "From 0 on, idle connections are forgotten",
    "packet_lost": "It loses a packet after 0",
}
DUE_ABOVE = 0.32
"""How far above its arrivals a client's ticks are drawn at the instants at which they were due, in rows."""
HOLLOW: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": PAPER}
EDGED: dict[str, Any] = {"markersize": 11, "markeredgecolor": PAPER, "zorder": 4}
MARKS: dict[str, list[dict[str, Any]]] = {
    "due": [HOLLOW],
    "never came": [HOLLOW | {"markersize": 11}, {"marker": "x", "markersize": 7, "markeredgewidth": 2}],
    "arrived": [{"marker": "o", "markersize": 9}],
    "connection lost": [EDGED | {"marker": "X"}],
    "connection asked for": [EDGED | {"marker": ">"}],
    "connection open": [EDGED | {"marker": "D"}],
}
"""What a client sees, each drawn by one mark or several, one upon the other."""
CONNECTION_MARKS = [mark for mark in MARKS if mark.startswith("connection")]


@styled
def plot_herd(
    asked_s: Sequence[float],
    transport: str,
    *,
    return_s: float,
    until_s: float,
    title: str,
    model: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many connections were asked for in each 50 ms after a server had died.

    Args:
        asked_s: When each was, from the begin on.
        transport: Whose they are.
        return_s: When the server was back; until then all are refused, and drawn hollow.
        until_s: The end of what is drawn.
        title: What the clients do.
        model: What theory says of each 50 ms from the begin on; dashed.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax)
    edges = np.arange(0, until_s + BIN_S, BIN_S)
    counts, _ = np.histogram(asked_s, edges)
    back = edges[:-1] + BIN_S / 2 >= return_s
    for chosen, face in ((~back, PAPER), (back, colour(transport))):
        ax.bar(
            edges[:-1][chosen],
            counts[chosen],
            BIN_S,
            align="edge",
            facecolor=face,
            edgecolor=PAPER if face != PAPER else colour(transport),
            linewidth=1.5,
        )
    if model is not None:
        ax.stairs(model[: len(edges) - 1], edges[: len(model[: len(edges) - 1]) + 1], **MODEL_LINE)
    ax.axvspan(0, return_s, **AWAY)
    ax.set_title(title, fontweight="normal")
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set(
        xlabel="time since the server died (s); grey: it is dead, and refuses all",
        xlim=(0, until_s),
    )
    ax.set_ylabel("connections asked\nfor per 50 ms (count)")
    return ax


class Seen(NamedTuple):
    """What one client saw of an incident, in s from its begin on.

    Attributes:
        label: What it is called.
        transport: Its transport.
        due_s, arrived_s: The ticks that it got.
        missed_s: When those were due that it never got.
        sockets: What happened to its connection: instants, and SocketEvents.
        return_s: When all was as before.
    """

    label: str
    transport: str
    due_s: Sequence[float]
    arrived_s: Sequence[float]
    missed_s: Sequence[float]
    sockets: Sequence[tuple[float, SocketEvent]]
    return_s: float


@styled
def plot_seen(
    clients: Sequence[Seen], *, from_s: float, until_s: float, title: str, ax: Axes | None = None
) -> Axes:
    """Draw what a client of each kind saw: each tick from the instant at which it was due until it was there.

    Args:
        clients: One of each kind.
        from_s, until_s: What is drawn of the time.
        title: What happens.
        ax: Where to draw; by default in a new figure.
    """
    ax = new_axes(ax, rows_height_in(2 * len(clients)) + 0.6)
    for place, seen in enumerate(clients):
        _one_row(seen, place, ax)
    row_labels(ax, [seen.label for seen in clients])
    ax.axvline(0, color=INK, linewidth=2)
    ax.set(title=title, xlabel="time since the incident began (s)", xlim=(from_s, until_s))
    _explain_marks(clients, ax)
    return ax


def _one_row(seen: Seen, place: int, ax: Axes) -> None:
    """Draw one client: a tick's two instants and the way between, and below them its connections."""
    own, above = colour(seen.transport), place - DUE_ABOVE
    ax.fill_between([0, seen.return_s], place - 0.45, place + 0.3, **AWAY)
    for due_s, arrived_s in zip(seen.due_s, seen.arrived_s, strict=True):
        ax.plot([due_s, arrived_s], [above, place], color=own, linewidth=1.5, alpha=0.6, zorder=2)
    for mark in ("due", "arrived", "never came"):
        at_s, height = {
            "due": (seen.due_s, above),
            "arrived": (seen.arrived_s, place),
            "never came": (seen.missed_s, above),
        }[mark]
        for style in MARKS[mark]:
            ax.plot(at_s, [height] * len(at_s), linestyle="", color=own, **style)
    for mark in CONNECTION_MARKS:
        at_s = [instant for instant, event in seen.sockets if _mark(event) == mark]
        for style in MARKS[mark]:
            ax.plot(at_s, [place + 0.2] * len(at_s), linestyle="", color=INK, **style)


def _explain_marks(clients: Sequence[Seen], ax: Axes) -> None:
    """Put a legend below: of the marks that are there."""
    there = {"due", "arrived"} | {_mark(event) for seen in clients for _, event in seen.sockets}
    if any(len(seen.missed_s) for seen in clients):
        there.add("never came")
    shown = [mark for mark in MARKS if mark in there]
    handles: Any = [  # matplotlib lays the marks of a tuple one upon the other
        tuple(ax.plot([], [], linestyle="", color=INK, **style)[0] for style in MARKS[mark]) for mark in shown
    ]
    figure_of(ax).legend(
        handles, shown, loc="outside lower left", ncols=3, columnspacing=1.2, handletextpad=0.2
    )


def one_client(words: str, row: Any, deliveries: pd.DataFrame, sockets: pd.DataFrame) -> Seen:
    """Return what the client of a trial saw that had a tick again as soon as most; or else its first client.

    Args:
        words: What it is called.
        row: The trial.
        deliveries, sockets: What was kept of it (``Run.deliveries``, ``Run.sockets``).
    """
    begin_ns, return_ns = row["incident_at_ns"], row["incident_at_ns"] + row["outage_s"] * 1e9
    again = deliveries[(deliveries["arrived_ns"] >= return_ns) & (deliveries["due_ns"] >= begin_ns)]
    first = again.groupby("client")["arrived_ns"].min().sort_values()
    client = first.index[(len(first) - 1) // 2] if len(first) else int(deliveries["client"].min())
    own = deliveries[deliveries["client"] == client].sort_values("seq")
    period_ns = 1e9 / row["rate_hz"]
    expected = own["due_ns"].iloc[0] + np.arange(int(row["expected"] // row["clients"])) * period_ns
    missed = expected[~np.isin(np.rint(expected / 1e3), np.rint(own["due_ns"] / 1e3))]
    events = sockets[(sockets["client"] == client) & (sockets["at_ns"] >= begin_ns)]

    def since_begin_s(instants_ns: Any) -> list[float]:
        return [float(seconds) for seconds in (np.asarray(instants_ns) - begin_ns) / 1e9]

    what = map(SocketEvent, events["what"])
    return Seen(
        words,
        row["transport"],
        since_begin_s(own["due_ns"]),
        since_begin_s(own["arrived_ns"]),
        since_begin_s(missed),
        list(zip(since_begin_s(events["at_ns"]), what, strict=True)),
        float(row["outage_s"]),
    )


def _mark(event: SocketEvent) -> str:
    """Return how what happened to a connection is marked; empty for an end that was meant."""
    if event.is_end:
        return "" if event is SocketEvent.DONE else "connection lost"
    return "connection asked for" if event is SocketEvent.ASKED else "connection open"
