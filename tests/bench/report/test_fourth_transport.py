"""Room for one transport more: with a second that pushes, no figure has text on text or beyond its edge."""

import shutil
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pyarrow.parquet as pq
import pytest

from bench.experiments.catalogue import EXPERIMENTS
from bench.report.plots.figures import FIGURES, REPEATS, draw, one_scenario
from bench.report.plots.front import draw_front
from bench.results.run import QUANTILES_PARQUET, FinishedRun, Run
from bench.transports import TRANSPORTS
from tests import ROOT
from tests.bench.report.test_plots import outside, overlapping, texts
from tests.bench.test_fake_transports import LATER, registered

REFERENCE = ROOT / "results" / "reference"
TWIN, FOURTH, LABEL = "websocket", "fourth", "server-sent events"
A_LITTLE_MORE = 1.1
"""So near to its twin that labels have to make room for each other."""
MORE = ("latency_p50_ms", "latency_mean_ms", "wire_bytes_per_delivery_down", "server_cpu_us_per_delivery")


@pytest.fixture(scope="module")
def fourth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return the reference run with one transport more, which costs a little more than its twin."""
    folder = tmp_path_factory.mktemp("fourth") / "reference"
    shutil.copytree(REFERENCE, folder)
    kept = next((folder / "deliveries").glob(f"*_{TWIN}.parquet"))
    number = int(kept.stem.partition("_")[0]) + LATER
    shutil.copy(kept, kept.with_name(f"{number:04d}_{FOURTH}.parquet"))
    quantiles = pq.read_table(folder / QUANTILES_PARQUET)
    for name in quantiles.schema.names[1:]:
        quantiles = quantiles.append_column(str(int(name) + LATER), quantiles[name])
    pq.write_table(quantiles, folder / QUANTILES_PARQUET)
    run = Run.open(REFERENCE)
    copies = [
        {
            **row,
            **{column: row[column] * A_LITTLE_MORE for column in MORE if row[column]},
            "transport": FOURTH,
            "trial_number": row["trial_number"] + LATER,
        }
        for row in run.rows
        if row["transport"] == TWIN
    ]
    look = {"name": FOURTH, "label": LABEL, "colour": "#009E73"}
    yield from (
        FinishedRun(Run(folder, run.facts, [*run.rows, *copies]))
        for _ in registered(TRANSPORTS | {FOURTH: TRANSPORTS[TWIN]._replace(**look)})
    )


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_figure_has_room_for_one_more(experiment: str, fourth: Run) -> None:
    for drawing in FIGURES.get(experiment, (REPEATS,)):
        figure = draw(drawing, fourth, experiment)
        if figure is not None:
            assert overlapping(figure) == [], drawing.name
            assert outside(figure) == [], drawing.name
            plt.close(figure)


def test_the_front_door_has_room_for_one_more(fourth: Run) -> None:
    figure = draw_front(one_scenario(fourth)[0])
    assert figure is not None
    assert LABEL in [words for words, _ in texts(figure)]
    assert overlapping(figure) == []
    assert outside(figure) == []
    plt.close(figure)
