"""The end of a run: its page and figures are there, and whatever goes wrong with them loses nothing."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.commands import finish
from bench.commands.finish import why_not_opened
from bench.results.run import Run
from tests.commands import Done, run_bench

Bench = Callable[..., Done]
ONE_TRIAL = ("overhead", "websocket", "--quick", "--set", "payload_bytes=128", "--set", "headers=minimal")
DISPLAY = {"DISPLAY": ":0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Bench:
    """Run commands in a folder that all tests here share."""
    monkeypatch.chdir(folder)
    return partial(run_bench, monkeypatch, capsys)


@pytest.fixture
def name(bench: Bench, folder: Path) -> str:
    """The name of a run of one trial, measured once for all tests: to resume it measures nothing."""
    if not (folder / "results").exists():
        assert bench("run", *ONE_TRIAL).code in (0, 3)
    (run,) = (folder / "results").iterdir()
    return run.name


def unwritten(run: Path) -> None:
    (run / "report.html").unlink(missing_ok=True)


def test_a_run_ends_with_its_page_and_figures(bench: Bench, name: str, folder: Path) -> None:
    run = folder / "results" / name
    unwritten(run)
    done = bench("run", "--resume", name)
    assert done.code in (0, 3)
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"{name}/report.html")
    html = (run / "report.html").read_text(encoding="utf-8")
    figures = list((run / "figures").iterdir())
    assert figures
    assert {path.suffix for path in figures} == {".svg"}
    assert html.count("data:image/svg+xml") == len(figures)


def test_the_page_is_told_on_standard_error_only(bench: Bench, name: str) -> None:
    done = bench("run", "--resume", name, "--json")
    assert json.loads(done.stdout)
    assert "report.html" in done.stderr


@pytest.mark.parametrize(
    "fault", [ValueError("a font [/b] is broken"), ImportError("no such library"), OSError(28, "full")]
)
def test_a_broken_figure_loses_neither_run_nor_exit_code(
    fault: Exception, bench: Bench, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise fault

    usual = bench("run", "--resume", name).code
    rows = Run.open(folder / "results" / name).rows  # two, if the trial was disturbed and tried again
    monkeypatch.setattr("bench.report.page.write_page", broken)
    done = bench("run", "--resume", name)
    assert done.code == usual
    assert "Traceback" not in done.stderr
    assert (
        done.stderr.splitlines()[-1]
        == f"No page: {fault}; the run is whole; its page is written by: bench report results/{name}"
    )
    assert Run.open(folder / "results" / name).rows == rows


def test_ctrl_c_while_figures_are_drawn_ends_with_130(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.report.page.write_page", interrupted)
    done = bench("run", "--resume", name)
    assert done.code == 130
    assert "the run is whole" in done.stderr


@pytest.mark.parametrize("command", [["run", "--resume"], ["report"]])
def test_the_page_is_opened_if_asked_for(
    command: list[str], bench: Bench, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(finish, "why_not_opened", lambda *_: None)
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    bench(*command, name)
    assert opened == []
    done = bench(*command, name, "--open")
    assert opened == [(folder / "results" / name / "report.html").resolve().as_uri()]
    assert "not opened" not in done.stderr
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert "The page is not opened: no browser was found" in bench(*command, name, "--open").stderr


@pytest.mark.parametrize(
    ("environment", "platform", "said"),
    [
        ({"CI": "true", **DISPLAY}, "linux", "CI"),
        ({"SSH_CONNECTION": "10.0.0.1"}, "linux", "ssh"),
        ({"SSH_TTY": "/dev/pts/0"}, "darwin", "ssh"),
        ({}, "linux", "no display"),
    ],
)
def test_where_nobody_could_see_it_nothing_is_opened(
    environment: dict[str, str], platform: str, said: str
) -> None:
    assert said in (why_not_opened(environment, platform) or "")


@pytest.mark.parametrize(
    ("environment", "platform"),
    [
        (DISPLAY, "linux"),
        ({"SSH_CONNECTION": "10.0.0.1", **DISPLAY}, "linux"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux"),
        ({"BROWSER": "lynx"}, "linux"),
        ({}, "darwin"),
    ],
)
def test_where_a_browser_can_be_seen_it_is_opened(environment: dict[str, str], platform: str) -> None:
    assert why_not_opened(environment, platform) is None
