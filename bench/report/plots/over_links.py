"""Figures of runs over links: how far, how lossy, and the plug. Each takes a run."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.columns.words import field_words
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.network import over_calm_links
from bench.experiments.recovery import BACKOFFS, cases, comeback
from bench.network.incident_fields import Incident
from bench.report.plots.base import figure_of, label, new_figure, styled
from bench.report.plots.distance import AFTER_MS, BEFORE_MS, plot_distance, plot_lost_packet
from bench.report.plots.recovery import BIN_S, INCIDENT_WORDS, one_client, plot_herd, plot_seen
from bench.results.estimates import estimates, main_trials, valid_trials
from bench.results.incident_figures import LATE_NS
from bench.results.run import Run
from bench.transports import TRANSPORTS
from clients.sockets.events import SocketEvent

MODEL_POINTS = 400
HERD_S = 2.1
"""How long after the return of a server its herd is drawn: as long as the longest back-off."""


# How far, and how lossy


def distance(run: Run, experiment: str = "network") -> Figure | None:
    """Draw mean latency against the round trip over links that do nothing else, with theory between."""
    trials = main_trials(run, experiment)
    calm = over_calm_links(trials) if len(trials) else trials
    calm = calm[calm["rtt_ms"].notna() & (calm["tls"] == calm["tls"].min())]
    if calm["rtt_ms"].nunique() < 2:
        return None
    longest_ms = float(calm["rtt_ms"].max()) * 1.05
    rows = calm.drop_duplicates("transport")
    own = EXPERIMENTS[experiment]
    assert own.predict is not None
    rtts_ms = pd.DataFrame({"rtt_ms": np.linspace(0, longest_ms, MODEL_POINTS)})
    there = rtts_ms.merge(rows.drop(columns="rtt_ms"), how="cross")
    models = there[["transport", "rtt_ms"]].assign(latency_ms=own.predict(there).astype(float))
    return figure_of(
        plot_distance(
            estimates(calm, ["transport", "rtt_ms"], "latency_mean_ms"),
            models,
            turns_at_ms=_turns_at_ms(rows),
        )
    )


def _turns_at_ms(rows: pd.DataFrame) -> float | None:
    """Return the round trip in which one tick comes, if some transport holds requests; None if not."""
    holds = any(TRANSPORTS[name].family == "held" for name in rows["transport"])
    rate_hz = float(rows["rate_hz"].iloc[0])
    return 1e3 / rate_hz if holds and rate_hz else None


def lost_packet(run: Run, experiment: str = "network") -> Figure | None:
    """Draw the ticks round one lost packet: of each transport the client whose worst is the median."""
    trials = main_trials(run, experiment)
    chosen: dict[str, pd.DataFrame] = {}
    rows: list[Any] = trials[trials["incident"] == Incident.PACKET_LOST].to_dict("records")
    for row in rows:
        deliveries = run.deliveries(row)
        if row["transport"] in chosen or deliveries is None or not len(deliveries):
            continue
        since_ms = (deliveries[["due_ns", "arrived_ns"]] - row["incident_at_ns"]) / 1e6
        ticks = since_ms.set_axis(["due_ms", "arrived_ms"], axis=1).assign(client=deliveries["client"])
        taken_ms = ticks["arrived_ms"] - ticks["due_ms"]
        usual_ms = taken_ms[ticks["arrived_ms"] < 0].max()
        ticks["late"] = (taken_ms > usual_ms + LATE_NS / 1e6) & (ticks["arrived_ms"] >= 0)
        worst = taken_ms.groupby(ticks["client"]).max().sort_values()
        own = ticks[ticks["client"] == worst.index[len(worst) // 2]]
        shown = (own["due_ms"] > -BEFORE_MS) & (own["arrived_ms"] < AFTER_MS)
        chosen[str(row["transport"])] = own[shown]
    return plot_lost_packet(chosen) if chosen else None


# What happens when the plug is pulled


@styled
def herd(run: Run, experiment: str = "recovery") -> Figure | None:
    """Draw the connections asked for after a server was killed, a panel for each back-off, with theory.

    Of the transport and the number of clients of which most ways to wait were measured.
    """
    trials = valid_trials(run, experiment)
    trials = trials[trials["incident"] == "server_killed"]
    alike = trials.groupby(["transport", "clients"], sort=False)
    groups = [own for _, own in alike if own["backoff"].nunique() > 1]
    if not groups:
        return None
    own = max(groups, key=len).drop_duplicates("backoff").set_index("backoff", drop=False)
    rows: list[Any] = own.loc[[name for name in BACKOFFS if name in own.index]].to_dict("records")
    kept = [(row, sockets) for row in rows if (sockets := run.sockets(row)) is not None]
    if not kept:
        return None
    figure, panels = new_figure(len(kept), 1, 3.4 * len(kept), sharex=True, sharey=True, squeeze=False)
    for ax, (row, sockets) in zip(panels[:, 0], kept, strict=True):
        asked = sockets.loc[sockets["what"] == SocketEvent.ASKED, "at_ns"]
        words = field_words("backoff", row["backoff"])
        asked_s = (asked[asked >= row["incident_at_ns"]] - row["incident_at_ns"]) / 1e9
        plot_herd(
            asked_s.tolist(),
            row["transport"],
            return_s=row["outage_s"],
            until_s=float(row["outage_s"]) + HERD_S,
            title=f"{words}: {asked_s.size / row['clients']:.1f} attempts a client",
            model=[share * row["clients"] for share in comeback(row).asked.in_bins(BIN_S)],
            ax=ax,
        )
    for place, ax in enumerate(panels[:, 0]):
        ax.set_xlabel(ax.get_xlabel() if place == len(kept) - 1 else "")
        ax.set_ylabel(ax.get_ylabel() if place == len(kept) // 2 else "")
    clients, name = kept[0][0]["clients"], label(kept[0][0]["transport"])
    figure.suptitle(f"How do {clients:,} clients of {name} come back? Dashed: theory", x=0.01, ha="left")
    return figure


def seen(incident: str, run: Run, experiment: str = "recovery") -> Figure | None:
    """Draw what one client of each kind saw of an incident: the one that had a tick again as soon as most."""
    trials = valid_trials(run, experiment)
    trials = trials[trials["incident"] == incident]
    found = []
    for words, own in cases(trials):
        row: Any = own.iloc[0]
        deliveries, sockets = run.deliveries(row), run.sockets(row)
        if deliveries is not None and sockets is not None:
            found.append(one_client(words, row, deliveries, sockets))
    if not found:
        return None
    until_s = max(max((*each.arrived_s, *each.missed_s), default=0.0) for each in found)
    title = f"What does one client see? {INCIDENT_WORDS[incident]}"
    return figure_of(plot_seen(found, from_s=-0.35, until_s=until_s + 0.1, title=title))
