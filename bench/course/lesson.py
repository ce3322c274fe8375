"""What a notebook of the course is written with: the one module that notebooks import of ``bench``.

    from bench.course.lesson import experiment_rows, number, open_run, say

It opens a run, says what is computed, draws, and measures now. ``__all__`` lists all of it by subject; what a
name does stands where it is defined. tests/bench/course/test_lesson.py holds the list, so that what is moved
within ``bench`` breaks no lecturer's notebook.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats

from bench.columns.catalogue import COLUMNS
from bench.course.source import code_of
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.clients import FIXED as CLIENTS_SETTINGS
from bench.experiments.clients import LIMIT_MS as CLIENTS_LIMIT_MS
from bench.experiments.clients import capacity_ratio, capacity_words
from bench.experiments.idle import memory_kb as silent_client_memory_kb
from bench.experiments.idle import once_bytes as staying_in_touch_bytes
from bench.experiments.interval import wire_bytes
from bench.experiments.overhead import FIXED as OVERHEAD_SETTINGS
from bench.experiments.overhead import TYPICAL_CURSOR
from bench.experiments.rate import AS_THEY_ARE as RATE_USUAL_SETTINGS
from bench.experiments.rate import FIXED as RATE_SETTINGS
from bench.experiments.rate import turned_into_polling_words
from bench.judge.choice import ASSUMED_PERIODS as ASSUMED_PERIODS
from bench.judge.choice import cpu_chart, equal_bytes_s, wire_chart
from bench.judge.claim_judges import OPEN as CLAIM_OPEN
from bench.judge.claim_judges import vertical as judge_vertical_scaling
from bench.judge.claims import ledger as claims_ledger
from bench.judge.costs import busy_trials, delivery_costs, poll_costs
from bench.judge.literature import FALLS as PUBLICATION_FALLS
from bench.judge.literature.llm_webtransport import PUBLICATION as LLM_WEBTRANSPORT
from bench.judge.literature.lubbers_greco import FRAME_BYTES as LUBBERS_GRECO_FRAME_BYTES
from bench.judge.literature.lubbers_greco import POLLING_HEADER_BYTES as LUBBERS_GRECO_HEADER_BYTES
from bench.judge.literature.lubbers_greco import PUBLICATION as LUBBERS_GRECO
from bench.judge.literature.rfc6455 import PUBLICATION as RFC6455
from bench.judge.literature.tsaqief_sutopo import PUBLICATION as TSAQIEF_SUTOPO
from bench.judge.literature.van_de_vyvere import LATENCIES_S as VAN_DE_VYVERE_LATENCIES_S
from bench.judge.literature.van_de_vyvere import PUBLICATION as VAN_DE_VYVERE
from bench.judge.literature.van_de_vyvere import poll_clients, push_clients
from bench.judge.literature.websockets_memory import PUBLICATION as WEBSOCKETS_MEMORY
from bench.measure.conversation import record as record_conversation
from bench.measure.processes import TrialFailed
from bench.measure.subject import Server, running_server
from bench.measure.trial import run_trial
from bench.report.plots.base import (
    HOUSE,
    INK,
    MODEL_LINE,
    PAPER,
    Tag,
    colour,
    label,
    logarithmic,
    new_figure,
    tag_right,
    whiskers,
)
from bench.report.plots.base import frame as label_frame
from bench.report.plots.base import look as style
from bench.report.plots.choice_map import HARDLY_RATIO, plot_decision
from bench.report.plots.cost import plot_scaling
from bench.report.plots.figures import FIGURES
from bench.report.plots.latency import plot_age
from bench.report.plots.run_figures import share_labels
from bench.report.plots.sequence import plot_sequence
from bench.results.capacity import ALLOWED_LATE_RATIO
from bench.results.estimates import estimate, estimates, kept_quantiles, ratio
from bench.results.evidence import Evidence
from bench.results.run import Run, find_run, with_derived
from bench.results.statistics import interval as confidence_interval
from bench.results.statistics import ticks_needed
from bench.results.trials import single_trials
from bench.results.validity import Bottleneck, faults_of
from bench.scenario import Scenario
from bench.theory.age import source_age_ms
from bench.theory.break_even import break_even_hz, equal_bytes_interval_s, heartbeat_bytes_per_s
from bench.theory.cheapest import longest_interval_s, ranked
from bench.theory.distribution import Link
from bench.theory.http2 import computed_request_bytes, computed_response_bytes
from bench.theory.latency import long_polling_latency, short_polling_latency
from bench.theory.requests import long_polling_ticks_per_answer
from bench.theory.traffic import (
    SEGMENT_HEADER_BYTES,
    array_bytes,
    event_framing_bytes,
    polling_traffic,
    push_traffic,
    request_bytes,
    response_head_bytes,
    segments,
    websocket_header_bytes,
)
from bench.transports import TRANSPORTS, main_names
from bench.wording import bottleneck_words, fault_words, number, times, with_interval

__all__ = [  # the run, and what is reckoned from its trials
    "MAIN_TRANSPORTS",
    "TRANSPORTS",
    "confidence_interval",
    "estimate",
    "estimates",
    "experiment_rows",
    "fault_counts",
    "kept_quantiles",
    "measured_transports",
    "open_run",
    "ratio",
    "results_folder",
    "silent_client_memory_kb",
    "single_trials",
    "staying_in_touch_bytes",
    "ticks_needed",
    "wire_bytes",
]

MAIN_TRANSPORTS = main_names()
"""One transport for each protocol: no variants by other libraries."""
__all__ += [  # what the experiments hold fixed
    "ALLOWED_LATE_RATIO",
    "CLIENTS_LIMIT_MS",
    "CLIENTS_SETTINGS",
    "OVERHEAD_SETTINGS",
    "RATE_SETTINGS",
    "RATE_USUAL_SETTINGS",
    "TYPICAL_CURSOR",
]
__all__ += [  # words
    "Bottleneck",
    "bottleneck_words",
    "capacity_ratio",
    "capacity_words",
    "code_of",
    "experiment_finding",
    "label",
    "number",
    "say",
    "times",
    "turned_into_polling_words",
    "with_interval",
]
__all__ += [  # figures
    "INK",
    "MODEL_LINE",
    "PAPER",
    "Tag",
    "colour",
    "draw_figure",
    "label_frame",
    "logarithmic",
    "new_figure",
    "plot_age",
    "plot_decision",
    "plot_scaling",
    "plot_sequence",
    "share_labels",
    "style",
    "tag_right",
    "whiskers",
]
__all__ += [  # theory: what a figure should be
    "SEGMENT_HEADER_BYTES",
    "Link",
    "array_bytes",
    "break_even_hz",
    "computed_request_bytes",
    "computed_response_bytes",
    "equal_bytes_interval_s",
    "event_framing_bytes",
    "heartbeat_bytes_per_s",
    "long_polling_latency",
    "long_polling_ticks_per_answer",
    "longest_interval_s",
    "polling_traffic",
    "push_traffic",
    "ranked",
    "request_bytes",
    "response_head_bytes",
    "segments",
    "short_polling_latency",
    "source_age_ms",
    "websocket_header_bytes",
]
__all__ += [  # judgements: claims, publications, and the map of the cheapest
    "ASSUMED_PERIODS",
    "CLAIM_OPEN",
    "HARDLY_RATIO",
    "LLM_WEBTRANSPORT",
    "LUBBERS_GRECO",
    "LUBBERS_GRECO_FRAME_BYTES",
    "LUBBERS_GRECO_HEADER_BYTES",
    "PUBLICATION_FALLS",
    "RFC6455",
    "TSAQIEF_SUTOPO",
    "VAN_DE_VYVERE",
    "VAN_DE_VYVERE_LATENCIES_S",
    "WEBSOCKETS_MEMORY",
    "Evidence",
    "busy_trials",
    "claims_ledger",
    "cpu_chart",
    "delivery_costs",
    "equal_bytes_s",
    "judge_vertical_scaling",
    "poll_clients",
    "poll_costs",
    "push_clients",
    "wire_chart",
]
__all__ += [  # measured now
    "Scenario",
    "live",
    "live_trials",
    "record_conversation",
    "serving",
]

ROOT = Path(__file__).parent.parent.parent
LIVE_VARIABLE = "BENCH_LIVE"
NEWEST = "newest"
FIGURE_DPI = 130
"""Sharp on a projector of 1,920 pixels' width, and under 100 kB a figure."""

Measured = TypeVar("Measured")


def open_run(name: str) -> Run:
    """Open the run that a notebook reads, and set the style of its figures.

    Args:
        name: ``reference`` (the committed one), ``newest``, or the name of a folder in results/: of the clone
            or, if the package was installed without one, here or in the nearest folder above.

    Raises:
        ResultsError: If there is no such run.
    """
    plt.style.use(HOUSE)
    if get_ipython() is not None:
        options = {"dpi": FIGURE_DPI, "bbox_inches": None, "metadata": {"Software": None}}
        set_matplotlib_formats("png", **options)  # type: ignore[no-untyped-call]
    return Run.open(find_run(results_folder(), None if name == NEWEST else name))


def results_folder() -> Path:
    """Return the folder of the runs: of the clone, or else the nearest one here or above."""
    here = Path.cwd()
    for folder in (ROOT, here, *here.parents):
        if (folder / "results").is_dir():
            return folder / "results"
    return here / "results"


def measured_transports(trials: pd.DataFrame, *families: str) -> list[str]:
    """Return the main transports that trials are of, in the order of the registry.

    Args:
        trials: Rows with a column ``transport``.
        families: Only those that are ``pull``, ``held`` or ``push``, in this order; by default all.
    """
    measured = set(trials["transport"])
    return [name for name in main_names(*families) if name in measured]


def experiment_rows(run: Run, experiment: str) -> pd.DataFrame:
    """Return the rows that an experiment's table is made of: its trials, and the columns that it derives."""
    return EXPERIMENTS[experiment].rows(run.trials_of(experiment))


def experiment_finding(run: Run, experiment: str) -> str:
    """Return the sentence that a run says at an experiment's end."""
    return EXPERIMENTS[experiment].finding(run.trials_of(experiment))


def draw_figure(run: Run, experiment: str, name: str) -> Figure | None:
    """Draw a figure of an experiment; None if the run lacks the trials.

    Args:
        run: The run that it is of.
        experiment: Whose figure it is, such as ``interval``.
        name: The name of its file in the run's folder figures/ without the experiment, such as ``frontier``.

    Raises:
        ValueError: If the experiment has no such figure.
    """
    drawings = {drawing.name: drawing for drawing in FIGURES[experiment]}
    if name not in drawings:
        raise ValueError(f"{experiment} has no figure {name!r}; it has: {', '.join(drawings)}")
    return drawings[name].draw(run, experiment)


def fault_counts(trials: pd.DataFrame) -> pd.DataFrame:
    """Return how many trials have each fault, the commonest first.

    Returns:
        The columns fault (a code), trials (how many have it), and example: the words for the first of them.
    """
    examples: dict[str, list[str]] = {}
    for row in trials.to_dict("records"):
        for fault in faults_of(row):
            examples.setdefault(fault, []).append(fault_words(fault, row))
    found = [(fault, len(words), words[0]) for fault, words in examples.items()]
    table = pd.DataFrame(found, columns=["fault", "trials", "example"])
    return table.sort_values("trials", ascending=False, kind="stable", ignore_index=True)


def say(text: str) -> None:
    """Show Markdown, such as an f-string whose numbers are computed."""
    display(Markdown(text))  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def serving(transport: str, **fields: Any) -> Iterator[Server]:
    """Run a server of a scenario while the context is open; ``server.url`` is where.

    Args:
        transport: A name of the registry, such as ``websocket``.
        fields: Fields of the scenario, such as ``rate_hz=5``; see ``bench list``.

    Raises:
        ScenarioError: If there is no such scenario.
        TrialFailed: If the server does not start.
    """
    scenario = Scenario(transport, **{"clients": 1, **fields})
    with running_server(TRANSPORTS[transport].server, scenario.server_options()) as server:
        yield server


def live(measure: Callable[[], Measured], otherwise: Callable[[], Measured]) -> Measured:
    """Measure now, on this machine; or else take what is known, and say which it was.

    Nothing is measured with BENCH_LIVE=0, nor if measuring fails.

    Args:
        measure: A short measurement: some seconds.
        otherwise: What stands in for it, from the run that the notebook reads.
    """
    if os.environ.get(LIVE_VARIABLE) == "0":
        say(f"*Not measured now ({LIVE_VARIABLE} is off): what follows stands in for it.*")
        return otherwise()
    try:
        measured = measure()
    except (TrialFailed, OSError, TimeoutError) as error:
        say(f"*Measuring failed here ({error}): what follows stands in for it.*")
        return otherwise()
    say("*Measured just now, on this machine.*")
    return measured


def live_trials(*scenarios: Scenario, otherwise: pd.DataFrame) -> pd.DataFrame:
    """Measure scenarios now, one trial each; or else return the rows of the run that the notebook reads.

    Args:
        scenarios: What to measure; keep the windows short.
        otherwise: The rows that stand in for them.

    Returns:
        Rows with the columns of trials.csv, and those that are derived.
    """
    return live(
        lambda: with_derived(pd.DataFrame([_trial_row(scenario) for scenario in scenarios])),
        lambda: otherwise,
    )


def _trial_row(scenario: Scenario) -> dict[str, Any]:
    row = {**dataclasses.asdict(scenario), **run_trial(scenario, seed=1).row}
    return {name: row.get(name) for name in COLUMNS}
