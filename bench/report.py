"""What a person reads in the terminal: one table per experiment, and one sentence computed from it."""

import functools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from bench.doctor import Noise
from bench.experiments import EXPERIMENTS
from bench.experiments.base import Experiment, estimate, number
from bench.metrics import WindowTicks
from bench.replay import tell_rows
from bench.results import Run
from bench.scenario import FIELDS as SCENARIO_FIELDS
from bench.scenario import PROFILES
from bench.statistics import TRIAL_FIGURES, Interval, resampled_interval
from bench.transports import TRANSPORTS
from clients.short_polling import stratified_phases

NAMES = {
    "transport": "transport",
    "clients": "clients",
    "rate_hz": "rate\nHz",
    "payload_bytes": "payload\nB",
    "poll_interval_s": "interval\ns",
    "poll_pause_s": "pause\ns",
    "contract": "contract",
    "generator": "load\ngenerator",
    "latency_p50_ms": "latency\np50 ms",
    "latency_p90_ms": "latency\np90 ms",
    "latency_p99_ms": "latency\np99 ms",
    "latency_mean_ms": "latency\nmean ms",
    "aoi_mean_ms": "age of\ninformation\nmean ms",
    "requests_per_tick": "requests\nper tick",
    "app_bytes_per_tick_down": "HTTP or\nframe bytes\ndown per tick",
    "wire_bytes_per_tick_up": "wire bytes\nup\nper tick",
    "wire_bytes_per_tick_down": "wire bytes\ndown\nper tick",
    "server_cpu_ratio": "server\ncore used",
    "server_cpu_us_per_tick": "server CPU\nµs per\ndelivery",
    "generator_cpu_us_per_tick": "generator CPU\nµs per\ndelivery",
    "handled_p50_ms": "as client\nreports it\np50 ms",
    "generator_lag_p99_ms": "arrivals\nhandled late\np99 ms",
    "request_lag_p99_ms": "requests\nsent late\np99 ms",
    "server_rss_mb": "server\nmemory MB",
    "server_rss_kb_per_client": "server\nmemory kB\nper client",
    "generator_rss_kb_per_client": "swarm\nmemory kB\nper client",
    "server_cpu_us_per_client_s": "server CPU\nµs/s per\nclient",
    "headers": "headers",
    "cookie_bytes": "cookie\nB",
    "hold_s": "hold\ns",
    "heartbeat_s": "heartbeat\ns",
    "keep_alive": "keep-\nalive",
    "tls": "TLS",
    "compression": "com-\npressed",
    "padding": "padding",
    "latency_limit_ms": "limit\nms",
    "empty_responses_per_tick": "empty\nper tick",
    "requests_per_client_s": "requests per\nclient and s",
    "app_bytes_per_tick_up": "HTTP or\nframe bytes\nup per tick",
    "tls_bytes_per_tick_up": "TLS bytes\nup per tick",
    "tls_bytes_per_tick_down": "TLS bytes\ndown per tick",
    "framing_bytes_per_tick_up": "HTTP or\nframing\nB up",
    "framing_bytes_per_tick_down": "HTTP or\nframing\nB down",
    "tcp_ip_bytes_per_tick_up": "TCP/IP\nB up",
    "tcp_ip_bytes_per_tick_down": "TCP/IP\nB down",
    "wire_bytes_per_tick": "on the wire\nB per tick",
    "wire_bytes_per_client_s": "wire B/s\nper client",
    "connections_per_1000_ticks": "connections\nper 1,000\nticks",
    "connect_p50_ms": "connect\np50 ms",
    "first_answer_wire_bytes": "wire bytes\nuntil first\nanswer",
    "capacity_clients": "clients\nserved",
    "too_many_clients": "too\nmany",
    "ran_out": "what ran out",
}
"""Headings of the columns; a column that is not here is headed by its own name."""

WITHIN = (
    "* ± within the one trial, over its ticks and clients; of what varies between trials only repeats tell."
)
WORDS = ("ran_out",)
"""Columns that are words."""
NOT_AXES = ("transport", "congestion", "window_s", "warmup_s")
AXES = [name for name in SCENARIO_FIELDS if name not in NOT_AXES]
"""What tells scenarios apart beside the transport; a table shows those that vary in it."""


def summarise(trials: pd.DataFrame, columns: Iterable[str], run: Run | None = None) -> list[dict[str, Any]]:
    """Return one dictionary per distinct scenario: its fields, its figures as intervals, its verdicts.

    With ``run``, the latencies of a scenario that has one valid trial get the interval within it; ``within``
    names these figures.
    """
    summary = []
    order = {name: place for place, name in enumerate(TRANSPORTS)}
    for key, group in trials.groupby(["transport", *AXES], dropna=False, sort=False):
        row: dict[str, Any] = dict(zip(["transport", *AXES], key, strict=True))
        row |= {column: _reduce(group, column) for column in columns}
        valid = group[group["verdict"] != "invalid"]
        row["within"] = []
        if run is not None and len(valid) == 1:
            found = {
                column: within_trial(run, valid.iloc[0], column)
                for column in columns
                if column in TRIAL_FIGURES
            }
            row |= found
            row["within"] = [column for column, figure in found.items() if figure.low > 0]
        row["verdicts"] = group["verdict"].tolist()
        row["limits"] = sorted({limit for limit in group["limit"] if isinstance(limit, str) and limit})
        summary.append(row)
    return sorted(
        summary,
        key=lambda row: (order.get(row["transport"], 99), *(_sortable(row[axis]) for axis in AXES)),
    )


def _reduce(trials: pd.DataFrame, column: str) -> Interval | str:
    """Return the estimate of a figure, or the distinct words of a column of words."""
    if column not in WORDS:
        return estimate(trials, column)
    return ", ".join(dict.fromkeys(str(word) for word in trials[column] if _is_set(word)))


def within_trial(run: Run, trial: Any, column: str) -> Interval:
    """Return a latency of one trial with its interval over ticks and clients (see bench/statistics.py)."""
    if not _is_set(trial[column]):
        return Interval(math.nan, math.nan, math.nan)
    deliveries = run.deliveries(trial)
    if deliveries is None or not len(deliveries):
        return Interval(float(trial[column] if trial[column] is not None else math.nan), math.nan, math.nan)
    window = WindowTicks(int(deliveries["seq"].min()), int(deliveries["seq"].max()), 0, 0)
    drawn = _is_set(trial["poll_interval_s"]) and trial["generator"] == "swarm"
    phases = stratified_phases(int(trial["clients"]), int(trial["seed"])) if drawn else None
    return resampled_interval(deliveries.to_numpy(), window, column, phases=phases)


def experiment_table(experiment: Experiment, trials: pd.DataFrame, run: Run | None = None) -> Table:
    """Build the table of an experiment: what varies, then each figure with its 95 % interval."""
    columns = [*experiment.columns, *experiment.predicted_from]
    rows = experiment.rows(trials)
    summary = summarise(rows, columns, run)
    varied = varied_axes(rows)
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True)
    for name in ["transport", *varied, *experiment.columns]:
        justify: JustifyMethod = "left" if name == "transport" or name in WORDS else "right"
        table.add_column(NAMES.get(name, name), justify=justify, no_wrap=name not in WORDS)
    predicted = None
    if experiment.predict is not None:
        flat = pd.DataFrame(
            [
                {
                    name: value.estimate if isinstance(value, Interval) else value
                    for name, value in row.items()
                }
                for row in summary
            ]
        )
        predicted = list(experiment.predict(flat))
        heading = NAMES.get(experiment.predicted, experiment.predicted).replace("latency\n", "")
        table.add_column(f"theory\n{heading}", justify="right", style="dim")
    for index, row in enumerate(summary):
        cells = [Text(TRANSPORTS[row["transport"]].label, style=TRANSPORTS[row["transport"]].colour)]
        cells += [Text(_plain(row[axis])) for axis in varied]
        mark = "?" if "suspect" in row["verdicts"] else ""
        cells += [
            Text(row[column])
            if column in WORDS
            else Text(_figure(column, row[column], "*" * (column in row["within"]) + mark))
            for column in experiment.columns
        ]
        if predicted is not None:
            cells.append(Text(number(predicted[index])))
        table.add_row(*cells)
    if any(row["within"] for row in summary):
        table.caption, table.caption_justify = WITHIN, "left"
    return table


def varied_axes(rows: pd.DataFrame) -> list[str]:
    """Return the scenario fields, beside the transport, that tell these rows apart.

    They have several values, or are set and not set for the same transport.
    """
    return [
        axis
        for axis in AXES
        if rows[axis].dropna().nunique() > 1
        or rows.groupby("transport")[axis].nunique(dropna=False).max() > 1
    ]


def print_run(
    run: Run, console: Console, *, only: Sequence[str] = (), provisional: bool = False, brief: bool = False
) -> None:
    """Print the experiments of a run, or only some: table, sentence, and what is doubtful.

    Args:
        run: The run.
        console: Where to.
        only: Names of experiments; none are all.
        provisional: Say that the figures are.
        brief: Print no tables, and how many trials are doubtful instead of which.
    """
    names = [name for name in run.facts["experiments"] if name in (only or run.facts["experiments"])]
    for name in names:
        trials = run.trials_of(name)
        if not len(trials):
            continue
        experiment = EXPERIMENTS[name]
        note = " (provisional, after one block)" if provisional else ""
        console.print(Text.assemble((f"\n{name}: {experiment.question}", "bold"), note))
        if not brief:
            console.print(experiment_table(experiment, trials, run))
        if experiment.note and not brief:
            console.print(experiment.note, style="dim", highlight=False)
        if sentence := finding(experiment, trials):
            console.print(f"→ {sentence}", highlight=False)
        for told in () if brief else tell_rows(trials):
            console.print(told, style="dim", highlight=False, markup=False)
    doubted = doubts(run, names)
    if brief and doubted:
        told = f"{len(doubted)} trials are suspect or invalid; bench show says which, and why"
        console.print(f"\n? {told}", style="yellow", highlight=False)
    for row in () if brief else doubted:
        console.print(tell_doubt(row), style="yellow", highlight=False, markup=False)
    again = sum(bool(row["replaced"]) for row in run.rows if _belongs(row, names))
    if again and not brief:
        console.print(
            f"{again} trial{'s were' if again > 1 else ' was'} measured again, in case the fault would pass; "
            "both attempts are in trials.csv",
            style="dim",
            highlight=False,
        )


def finding(experiment: Experiment, trials: pd.DataFrame) -> str:
    """Return the sentence of an experiment over its valid trials; empty where it has nothing to say.

    The steps of a search are all valid: one whose clients were not let in says that they were too many.
    """
    valid = trials[(trials["verdict"] != "invalid") | (trials["step"] > 0)]
    return experiment.finding(valid) if len(valid) and not _unnamed_axes(experiment, valid) else ""


def tell_doubt(row: Mapping[str, Any]) -> str:
    """Say which trial is suspect or invalid, and why."""
    return (
        f"{'?' if row['verdict'] == 'suspect' else '✗'} trial {row['order']} ({row['transport']}, "
        f"{row['clients']} clients, repeat {row['repeat']}) is {row['verdict']}: {row['verdict_reason']}"
    )


def doubts(run: Run, experiments: Collection[str]) -> list[dict[str, Any]]:
    """Return the trials whose figures are suspect or invalid: not measured again, and not so by design.

    The steps of a search are not among them: half of them are there to fail, and at thousands of clients the
    load generator itself is often late.
    """
    return [
        row
        for row in run.rows
        if row["verdict"] != "ok"
        and not row["step"]
        and not row["replaced"]
        and _belongs(row, experiments)
        and not (row["verdict"] == "suspect" and _by_design(row))
    ]


def _belongs(row: Mapping[str, Any], experiments: Collection[str]) -> bool:
    return not set(row["experiment"].split()).isdisjoint(experiments)


def _unnamed_axes(experiment: Experiment, trials: pd.DataFrame) -> list[str]:
    """Return what varies (by --set) beyond what the experiment varies itself, and its sentence speaks of."""
    return [
        axis
        for axis in AXES
        if axis not in _varied_by_design(experiment.name)
        and len({_sortable(value) for value in trials[axis] if _is_set(value)}) > 1
    ]


@functools.cache
def _varied_by_design(name: str) -> frozenset[str]:
    """Return the fields that have several values in an experiment's designs of some profile."""
    varied = set()
    for profile in PROFILES.values():
        designs = EXPERIMENTS[name].designs(profile)
        for field in {field for design in designs for field in (*design.fixed, *design.axes)}:
            values = [design.axes.get(field, [design.fixed.get(field)]) for design in designs]
            if len({_sortable(value) for several in values for value in several}) > 1:
                varied.add(field)
        if any(design.search for design in designs):
            varied.add("clients")
    return frozenset(varied)


def _by_design(row: Mapping[str, Any]) -> bool:
    """Return whether a trial is suspect of nothing but what its experiments ask for: a late generator."""
    if not all(reason.startswith("the load generator") for reason in row["verdict_reason"].split("; ")):
        return False
    designs = [EXPERIMENTS[name].doubtful for name in row["experiment"].split()]
    return all(fields and all(row[name] == fields[name] for name in fields) for fields in designs)


def print_noise(noise: Noise, console: Console) -> None:
    """Print the noise floor: how far the same scenario differs from itself, and what that means."""
    for name, ratio in noise.ratios.items():
        verdict = (
            "no difference, as it should be" if ratio.low <= 1 <= ratio.high else "differs by chance or drift"
        )
        console.print(
            f"  {NAMES.get(name, name).replace(chr(10), ' '):32} B/A {ratio.estimate:.2f}, "
            f"95 % interval {ratio.low:.2f} to {ratio.high:.2f}: {verdict}",
            highlight=False,
        )
    widest = max(math.sqrt(ratio.high / ratio.low) - 1 for ratio in noise.ratios.values())
    console.print(
        f"→ With as many repeats, differences below {widest:.0%} are not to be seen here.", highlight=False
    )
    for doubt in dict.fromkeys(noise.doubts):
        console.print(f"? one of these trials is suspect: {doubt}", style="yellow", highlight=False)


def spread(run: Run, experiment: Experiment) -> float:
    """Return the median relative half-width of the intervals of an experiment's first figure, or NaN."""
    widths = [
        (row[experiment.columns[0]].high / row[experiment.columns[0]].low) ** 0.5 - 1
        for row in summarise(experiment.rows(run.trials_of(experiment.name)), experiment.columns[:1])
        if row[experiment.columns[0]].low > 0
    ]
    return float(pd.Series(widths, dtype=float).median()) if widths else math.nan


def _figure(column: str, figure: Interval, mark: str) -> str:
    """Write an estimate and its 95 % interval: ± in percent, × where it reaches beyond double."""
    if math.isnan(figure.estimate):
        return "–"
    told = f"{number(figure.estimate * 100)}%" if column.endswith("_ratio") else number(figure.estimate)
    factor = math.sqrt(figure.high / figure.low) if figure.low > 0 else 1.0
    if factor >= 1.0005:
        told += f" ×{number(factor)}" if factor > 2 else f" ±{_percent(factor - 1)}%"
    return told + mark


def _percent(share: float) -> str:
    """Return a share in percent, with one digit after the point below ten."""
    return f"{share * 100:.0f}" if share >= 0.095 else f"{share * 100:.1f}"


def _plain(value: Any) -> str:
    if not _is_set(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_set(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _sortable(value: Any) -> Any:
    return value if _is_set(value) else -1.0
