"""The figures of a run: all of the reference run is drawn, nothing beyond its edge, and only what it has."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from bench.experiments.catalogue import EXPERIMENTS
from bench.report.plots.base import rendered
from bench.report.plots.cost import plot_layers
from bench.report.plots.figures import FIGURES, REPEATS, draw, draw_all, one_combination, save_figures
from bench.report.tables import experiment_table
from bench.report.terminal import words
from bench.results.run import FinishedRun, Run
from tests.bench.report.test_plots import REFERENCE, layers, outside, overlapping, texts
from tests.bench.results.test_run import FACTS
from tests.synthetic import synthetic_run, trial


def test_the_reference_run_is_drawn_without_text_on_text() -> None:
    run = Run.open(REFERENCE)
    shared = next(row for row in run.rows if row["experiments"] == "freshness interval")
    shared |= {"verdict": "suspect", "retried": False}
    run = FinishedRun(run)
    drawn = set()
    for experiment in EXPERIMENTS:
        for drawing in FIGURES.get(experiment, (REPEATS,)):
            figure = draw(drawing, run, experiment)
            if figure is None:
                continue
            drawn.add(experiment)
            assert outside(figure) == [], (experiment, drawing.name)
            if experiment in ("freshness", "interval"):
                assert overlapping(figure) == []
                assert any(words.endswith("suspect") for words, _ in texts(figure))
            plt.close(figure)
    assert drawn == set(EXPERIMENTS)


def test_the_same_figure_is_the_same_bytes() -> None:
    first, second = (rendered(plot_layers(layers()).get_figure(root=True), "svg") for _ in range(2))  # type: ignore[arg-type]
    assert first == second


def test_an_empty_run_has_no_figures(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {**FACTS, "experiments": list(EXPERIMENTS)})
    assert list(draw_all(run)) == []
    assert save_figures(run) == []
    assert not (run.folder / "figures").exists()


def test_the_age_figure_says_the_tables_mean() -> None:
    run = Run.open(REFERENCE)
    figure = draw(FIGURES["freshness"][1], run, "freshness")
    assert figure is not None
    table = experiment_table(EXPERIMENTS["freshness"], run.trials_of("freshness")).table
    heads = [words(column.header).replace("\n", " ") for column in table.columns]
    cells = list(table.columns[heads.index("age of information mean ms")].cells)
    told = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert all(f"mean {words(cell).split()[0]} ms" in told for cell in cells)


def test_a_figure_that_can_show_one_scenario_only_says_which() -> None:
    def row(hold_s: float, requests: float) -> dict[str, Any]:
        figures = {
            "requests_per_delivery": requests,
            "verdict": "ok",
            "verdict_reason": "",
            "verdict_note": "",
        }
        return trial("rate", "long_polling", figures, rate_hz=requests, hold_s=hold_s)

    run = synthetic_run(*(row(hold_s, requests) for hold_s in (1.0, 5.0) for requests in (1.0, 2.0)))
    only, told = one_combination(run, "rate", ["rate_hz"])
    assert told == "hold 1 s"
    assert [each["hold_s"] for each in only.rows] == [1.0, 1.0]
    assert one_combination(only, "rate", ["rate_hz"]) == (only, "")
    run.facts["experiments"] = ["rate"]
    figure = draw(FIGURES["rate"][0], run, "rate")
    assert figure is not None
    assert figure.get_supxlabel() == "only hold 1 s"


def test_figures_belong_to_experiments_that_exist() -> None:
    assert set(FIGURES) <= set(EXPERIMENTS)
