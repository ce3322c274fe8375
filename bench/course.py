"""What the notebooks share: the run that they read, prose with computed numbers, a server, and live runs."""

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
from matplotlib_inline.backend_inline import set_matplotlib_formats

from bench.columns import COLUMNS
from bench.measure.processes import TrialFailed
from bench.measure.subject import Server, running_server
from bench.measure.trial import run_trial
from bench.report.plots.base import HOUSE
from bench.results.run import Run, find_run
from bench.scenario import Scenario
from bench.transports import TRANSPORTS

ROOT = Path(__file__).parent.parent
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
        Rows with the columns of trials.csv.
    """
    return live(lambda: pd.DataFrame([_trial_row(scenario) for scenario in scenarios]), lambda: otherwise)


def _trial_row(scenario: Scenario) -> dict[str, Any]:
    row = {**dataclasses.asdict(scenario), **run_trial(scenario, seed=1).row}
    return {name: row.get(name) for name in COLUMNS}
