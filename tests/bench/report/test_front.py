"""The figure at the front door: it is of the reference run, README shows it, and its words can be read.

``python -m tests.bench.report.test_front`` draws it anew, where only its drawing changed.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bench.report.plots.base import label
from bench.report.plots.figures import front_figures, one_scenario, write_front_figures
from bench.report.plots.front import CAPTION, PAPERS, Paper, draw_front, front_points, front_words
from bench.report.ways import in_short
from bench.results.run import Run
from bench.transports import TRANSPORTS, main_names
from bench.wording import number
from tests import ROOT
from tests.bench.report.test_plots import outside, overlapping, texts
from tests.bench.results.test_run import FACTS
from tests.commands import run_bench
from tests.synthetic import synthetic_run, trial

REFERENCE = ROOT / "results" / "reference"
PAGES = {"front": "#ffffff", "front_dark": "#0d1117"}
"""What GitHub shows a README upon."""
MADE_BY = re.compile(rb"<dc:title>Matplotlib v[^,<]*")


def words_of(svg: bytes) -> list[str]:
    """Return the texts of a figure, which matplotlib leaves as comments beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", svg.decode(), re.DOTALL)


def drawn(run: Run, paper: Paper = PAPERS["front"]) -> Figure:
    figure = draw_front(one_scenario(run)[0], paper)
    assert figure is not None
    return figure


def test_what_is_committed_is_the_reference_runs() -> None:
    for name, svg in front_figures(Run.open(REFERENCE)).items():
        committed = (REFERENCE / "figures" / f"{name}.svg").read_bytes()
        assert words_of(committed) == words_of(svg), "renew it: python -m tests.bench.report.test_front"
        if MADE_BY.findall(committed) == MADE_BY.findall(svg):  # another version draws its letters anew
            assert committed == svg


def test_the_readme_shows_it_light_and_dark() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in PAPERS:
        assert f'"results/reference/figures/{name}.svg"' in text
    assert f'alt="{CAPTION}"' in text


def test_it_says_the_figures_of_the_run() -> None:
    run = Run.open(REFERENCE)
    points = front_points(run)
    assert points["transport"].tolist() == [name for name in main_names() if name in {*points["transport"]}]
    told = " ".join(words for words, _ in texts(drawn(run)))
    for point in points.to_dict("records"):
        assert label(point["transport"]) in told
        assert f"{number(point['latency_p50_ms'])} ms" in told
        assert f"{number(point['wire_bytes_per_delivery'])} B" in told
        assert label(point["transport"]) in front_words(points.to_dict("records"))


@pytest.mark.parametrize("name", PAPERS)
def test_no_word_is_upon_another_or_cut(name: str) -> None:
    figure = drawn(Run.open(REFERENCE), PAPERS[name])
    assert overlapping(figure) == []
    assert outside(figure) == []
    plt.close(figure)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", PAPERS)
def test_words_can_be_read_on_the_page(name: str) -> None:
    figure = drawn(Run.open(REFERENCE), PAPERS[name])
    shown = {text for text, _ in texts(figure)}
    inks = {str(text.get_color()) for text in figure.findobj(plt.Text) if text.get_text() in shown}
    assert inks <= {PAPERS[name].ink, PAPERS[name].pale}
    for ink in inks:
        darker, lighter = sorted([luminance(ink), luminance(PAGES[name])])
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5
    plt.close(figure)


def test_of_several_scenarios_one_is_shown_and_named() -> None:
    def row(clients: int, latency_ms: float) -> dict[str, object]:
        figures = {
            "latency_p50_ms": latency_ms,
            "wire_bytes_per_delivery_up": 50.0,
            "wire_bytes_per_delivery_down": 150.0,
            "verdict": "ok",
            "verdict_reason": "",
            "verdict_note": "",
        }
        return trial("freshness", "websocket", figures, clients=clients)

    run = synthetic_run(row(10, 1.0), row(1000, 100.0))
    run.facts["experiments"] = ["freshness"]
    (svg,) = {*map(tuple, map(words_of, front_figures(run).values()))}
    assert "1 ms" in svg
    assert any("10 clients" in words for words in svg)


def test_export_writes_it_and_leaves_none_of_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "small"
    done = run_bench(monkeypatch, capsys, "export", str(REFERENCE), "--target", str(target))
    assert done.code == 0
    assert {path.stem for path in (target / "figures").iterdir()} == set(PAPERS)
    assert write_front_figures(Run.create(tmp_path, FACTS), target) == []
    assert list((target / "figures").iterdir()) == []


def test_who_polls_is_said_to_get_several_ticks_at_once() -> None:
    polls = TRANSPORTS[main_names("pull")[0]]
    assert in_short(polls, 50, 0.5) == "asks every 0.5 s for 25 ticks"
    assert in_short(polls, 1, 0.5) == "asks every 0.5 s"
    assert in_short(polls, 50, None) == ""


if __name__ == "__main__":
    write_front_figures(Run.open(REFERENCE), REFERENCE)
