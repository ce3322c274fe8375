"""Figures of a run: what is read from it, reduced to tidy tables, and drawn; None where the trials lack."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.columns.cells import is_set
from bench.columns.words import field_words
from bench.experiments.base import poll_cycle_s
from bench.experiments.catalogue import EXPERIMENTS
from bench.judge.choice import Chart
from bench.report.plots.base import figure_of, in_order, new_figure, rows_height_in, styled
from bench.report.plots.choice_map import plot_decision
from bench.report.plots.cost import plot_frontier, plot_layers, plot_scaling
from bench.report.plots.latency import plot_age, plot_latency_ecdf, plot_prediction, plot_repeats
from bench.report.plots.server import plot_capacity, plot_libraries
from bench.report.plots.tables import capacity_table, layer_table, polling_frontier
from bench.results.estimates import (
    estimate,
    estimates,
    kept_quantiles,
    main_trials,
    valid_trials,
    wire_bytes_per_client_s,
)
from bench.results.evidence import Evidence, NotMeasured
from bench.results.run import Run
from bench.results.scenarios import varied_axes
from bench.results.trials import search_steps
from bench.theory.distribution import Link
from bench.theory.latency import short_polling_latency
from bench.transports import TRANSPORTS

AGE_SECONDS, AGE_CYCLES = 2.0, 3.0
"""How long a piece of a client's time is drawn: at least so many seconds, and so many polls."""
TITLE_LETTERS = 46
"""What fits in a line of a title."""


def _first_push(table: pd.DataFrame) -> str:
    """Return the first transport that pushes, which theory builds upon; empty if a table has none."""
    names = in_order(table["transport"].tolist())
    return next((name for name in names if TRANSPORTS[name].family == "push"), "")


# How late


def ecdf(run: Run, experiment: str = "freshness") -> Figure | None:
    """Draw the distribution of latencies per transport, with polling's uniform wait as the model."""
    trials = main_trials(run, experiment)
    frames = [
        pd.DataFrame(
            {"transport": row["transport"], "repeat": row["repeat"], "quantile": own.index, "latency_ms": own}
        )
        for row in trials.to_dict("records")
        if (own := kept_quantiles(run, row)) is not None
    ]
    if not frames:
        return None
    quantiles = pd.concat(frames, ignore_index=True)
    push = quantiles[
        (quantiles["transport"] == _first_push(quantiles)) & (quantiles["quantile"].between(0.495, 0.505))
    ]
    push_ms = float(np.exp(np.log(push["latency_ms"]).mean())) if len(push) else 0.0
    shares = np.array([0.001, 0.01, *np.linspace(0.02, 1, 50)])
    models = []
    for name, interval_s in trials.groupby("transport")["poll_interval_s"].first().dropna().items():
        latency = short_polling_latency(interval_s, Link(down_s=push_ms / 1e3))
        late_ms = [latency.quantile_ms(share) for share in shares]
        models.append(pd.DataFrame({"transport": name, "quantile": shares, "latency_ms": late_ms}))
    return figure_of(plot_latency_ecdf(quantiles, model=pd.concat(models) if models else None))


@styled
def age(run: Run, experiment: str = "freshness") -> Figure | None:
    """Draw the age of what one client of each transport holds, from trials whose deliveries were kept.

    The mean beside it is the table's: over all clients, the whole window and all trials.
    """
    chosen = {}
    trials = main_trials(run, experiment)
    rows: list[Any] = trials.to_dict("records")
    for row in rows:
        deliveries = run.deliveries(row)
        if row["transport"] not in chosen and deliveries is not None and len(deliveries):
            chosen[row["transport"]] = deliveries[deliveries["client"] == deliveries["client"].min()]
    if not chosen:
        return None
    longest_s = max((poll_cycle_s(row) for row in rows if is_set(row["poll_interval_s"])), default=0.0)
    wanted_s = max(AGE_SECONDS, AGE_CYCLES * longest_s)
    seconds = min([wanted_s, *(float(np.ptp(own["arrived_ns"])) / 1e9 for own in chosen.values())])
    figure, panels = new_figure(len(chosen), 1, sharex=True, sharey=True, squeeze=False)
    for name, ax in zip(in_order(list(chosen)), panels[:, 0], strict=True):
        # Polling's first delivery may come an interval after the window's first tick was due.
        start_ns = int(chosen[name]["arrived_ns"].min())
        mean_ms = estimate(trials, "age_mean_ms", transport=name).estimate
        plot_age(chosen[name], name, start_ns=start_ns, seconds=seconds, mean_ms=mean_ms, ax=ax)
    share_labels(panels[:, 0], "How old is what a client holds?")
    return figure


def share_labels(panels: Sequence[object], title: str) -> None:
    """Keep the title on the first of stacked panels and the x label on the last."""
    for ax in panels:
        ax.set(title="", xlabel=ax.get_xlabel() if ax is panels[-1] else "")  # type: ignore[attr-defined]
    panels[0].set_title(title)  # type: ignore[attr-defined]


def repeats(run: Run, experiment: str, column: str = "") -> Figure | None:
    """Draw every trial of a figure, by default the first of the experiment's table, and what repeats say."""
    own = EXPERIMENTS[experiment]
    column = column or own.columns[0]
    trials = valid_trials(run, experiment)
    if not len(trials):
        return None
    trials = own.rows(trials)
    if column not in trials or trials[column].isna().all():
        return None
    trials = trials[trials[column].notna()]
    if len(trials) < 2:
        return None
    varied = varied_axes(trials)
    order = {name: place for place, name in enumerate(in_order(trials["transport"].tolist()))}
    trials = trials.assign(
        scenario=[
            ", ".join(field_words(axis, row[axis]) for axis in varied if pd.notna(row[axis]))
            for row in trials.to_dict("records")
        ],
        place=trials["transport"].map(order),
    ).sort_values(["place", *varied])
    return figure_of(plot_repeats(trials, column, title=textwrap.fill(own.question, TITLE_LETTERS)))


def prediction(run: Run, experiment: str = "interval") -> Figure | None:
    """Draw measured mean latency of polling against half its interval beyond push."""
    trials = main_trials(run, experiment)
    push = estimate(trials[trials["transport"] == _first_push(trials)], "latency_mean_ms").estimate
    polls = estimates(
        trials.dropna(subset=["poll_interval_s"]), ["transport", "poll_interval_s"], "latency_mean_ms"
    )
    if not len(polls) or not np.isfinite(push):
        return None
    link = Link(down_s=push / 1e3)
    polls["predicted_ms"] = [
        short_polling_latency(interval_s, link).mean_ms for interval_s in polls["poll_interval_s"]
    ]
    return figure_of(plot_prediction(polls))


# What it costs


def frontier(run: Run, experiment: str = "interval") -> Figure | None:
    """Draw median latency against wire bytes: polling over its intervals, push as its end points."""
    trials = main_trials(run, experiment)
    if not len(trials):
        return None
    trials = trials.assign(wire_bytes_per_client_s=wire_bytes_per_client_s(trials))
    by = ["transport", "poll_interval_s"]
    points = estimates(trials, by, "latency_p50_ms")
    costs = estimates(trials, by, "wire_bytes_per_client_s")
    points["cost"] = costs["estimate"]
    points = points.dropna(subset=["cost"])
    if not len(points):
        return None
    asked = points["poll_interval_s"]
    points["label"] = [f"every {seconds:g} s" if pd.notna(seconds) else "" for seconds in asked]
    push = points.loc[points["transport"] == _first_push(points), "estimate"]
    model = polling_frontier(trials, float(push.iloc[0])) if len(push) else None
    return figure_of(plot_frontier(points, model=model))


def scaling(x: str, columns: Sequence[str], run: Run, experiment: str) -> Figure | None:
    """Draw figures against what an experiment varied, a panel each, polling at its default interval."""
    trials = main_trials(run, experiment)
    if not len(trials) or trials[x].nunique() < 2:
        return None
    trials = trials[trials["generator"] == "swarm"].assign(
        wire_bytes_per_client_s=wire_bytes_per_client_s(trials)
    )
    tables = {column: estimates(trials, ["transport", x], column) for column in columns}
    tables = {column: points for column, points in tables.items() if (points["estimate"] > 0).any()}
    return _small_multiples(tables, x, EXPERIMENTS[experiment].question) if tables else None


@styled
def _small_multiples(tables: dict[str, pd.DataFrame], x: str, title: str) -> Figure:
    figure, panels = new_figure(1, len(tables), squeeze=False)
    few = len(tables) <= 2
    named: dict[str, Any] = {}
    for ax, (column, points) in zip(panels[0], tables.items(), strict=True):
        plot_scaling(points, x, column, tagged=few, ax=ax)
        words, _, unit = ax.get_ylabel().partition(" (")
        ax.set(title="", ylabel=f"{words.replace(' per ', chr(10) + 'per ')} ({unit}")
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            named[name] = handle
    if not few:
        figure.legend(named.values(), named.keys(), loc="outside lower left", ncols=len(named))
    figure.suptitle(textwrap.fill(title, TITLE_LETTERS), x=0.01, ha="left")
    return figure


@styled
def layers(run: Run, experiment: str = "overhead") -> Figure | None:
    """Draw the layers of a tick's bytes, a panel per header set, at the experiment's smallest payload."""
    trials = valid_trials(run, experiment)
    if not len(trials):
        return None
    trials = trials[
        (trials["payload_bytes"] == trials["payload_bytes"].min()) & (trials["cookie_bytes"] == 0)
    ]
    table = layer_table(trials[~trials["compression"].astype(bool)] if "compression" in trials else trials)
    if not len(table):
        return None
    sets = list(dict.fromkeys(table["headers"]))
    push = table["transport"].map(lambda name: TRANSPORTS[name].family == "push")  # frames have no headers
    longest = float(table[["payload", "framing", "tls", "tcp_ip"]].sum(axis=1).max())
    height_in = sum(rows_height_in(len(table) // len(sets)) for _ in sets)
    figure, panels = new_figure(len(sets), 1, height_in, squeeze=False, sharex=True)
    for ax, headers in zip(panels[:, 0], sets, strict=True):
        plot_layers(table[(table["headers"] == headers) | push], longest=longest, ax=ax)
        ax.set_title(f"What does one tick cost on the wire? Headers: {headers}")
        if ax is not panels[-1, 0]:
            ax.set_xlabel("")
            ax.get_legend().remove()
    return figure


def libraries(run: Run, experiment: str = "library") -> Figure | None:
    """Draw server CPU per delivery by library, where an experiment measured more than one."""
    trials = valid_trials(run, experiment)
    points = estimates(trials, ["transport"], "server_cpu_us_per_delivery")
    return figure_of(plot_libraries(points)) if len(points) else None


def capacity(run: Run, experiment: str) -> Figure | None:
    """Draw the capacities that were searched for, with their intervals."""
    trials = run.trials_of(experiment)
    if not len(search_steps(trials)):
        return None
    return figure_of(plot_capacity(capacity_table(trials)))


def choice_map(
    chart: Callable[[Evidence], Chart], cost: str, run: Run, experiment: str = "rate"
) -> Figure | None:
    """Draw which transport is the cheapest for a tick rate and an acceptable latency, where the run can say.

    Args:
        chart: By which cost: ``wire_chart`` or ``cpu_chart`` of bench/judge/choice.py.
        cost: Its name for the title.
        run: The run.
        experiment: Whose figure it is; the trials are of several.
    """
    try:
        found = chart(Evidence(run.trials))
    except NotMeasured:
        return None
    if not len(found.points) and not found.way_s:
        return None
    return figure_of(
        plot_decision(found.map(), found.points, found.borders(), cost=cost, note=found.way_note())
    )
