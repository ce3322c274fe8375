"""The command line as its users meet it: right words, wrong words, Ctrl-C, and kill -9.

What is about the process itself is tested with processes of their own, all else in this one: it has imported
what a command needs.
"""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from bench.measure import schedule
from bench.network.presets import PRESETS
from bench.results.run import Run
from tests import ROOT
from tests.commands import Done, run_bench
from tests.waiting import LIMIT_S, interruptible, wait_until

SERVE = [sys.executable, "-m", "bench", "serve", "short_polling"]
FAST = ["--quick", "--set", "window_s=0.2", "--set", "clients=3", "--set", "warmup_s=0"]

Bench = Callable[..., Done]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Bench:
    """Run commands in an empty folder, ``tmp_path``; a trial that other tests disturb is not tried again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(schedule, "ATTEMPTS", 1)
    return partial(run_bench, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "frshness"], "did you mean freshness?"),
        (["run", "all", "websockets"], "did you mean websocket?"),
        (["run", "all", "--set", "client=3"], "did you mean clients?"),
        (["run", "all", "--set", "clients=many"], "clients is a whole number, not 'many'"),
        (["run", "all", "--set", "clients"], "--set takes field=value"),
        (["run", "all", "--set", "payload_bytes=10"], "payload_bytes is 10"),
        (["run", "all", "--set", "plan=replay", "--set", "recording=none.csv"], "none.csv"),
        (["run", "all", "--quick", "--full"], "choose one"),
        (["run"], "bench run all"),
        (["watch", "websockt"], "did you mean websocket?"),
        (["watch", "websocket", "--silence-s", "0"], "--silence-s is 0; it must be from 0.001 to 86,400"),
        (["watch", "websocket", "--silence-s", "nan"], "--silence-s is nan; it must be from 0.001"),
        (["watch", "websocket", "--url", "http://127.0.0.1:abc"], "no address of a server"),
        (["run", "instrument", "short_polling", "--quick"], "nothing to measure"),
        (["run", "wind_sensor", "--quick"], "a quick run has nothing of wind_sensor; leave out --quick"),
        (["run", "all", "--set", "poll_interval_s=0"], "poll_interval_s is 0"),
        (["serve", "websocket", "--rate-hz=-1"], "rate_hz is -1"),
        (
            ["serve", "websocket", "--plan=replay", "--recording=/dev/zero"],
            "there is no such file",
        ),
        (["watch", "websocket", "--set", "plan=replay", "--set", "recording=/dev/zero"], "no such file"),
        (["run", "all", "--set", "time_unit=ms"], "add plan=replay"),
        (["run", "all", "--set", "clients=3", "--set", "clients=4"], "clients is given twice"),
        (["run", "all", "--set", "recording=a.csv", "--set", "rate_hz=5"], "set speed in place of rate_hz"),
        (["run", "all", "--set", "rate_hz=0.001"], "ask for window_s=1000"),
        (["run", "network", "--preset", "aintec-bursts"], "did you mean aintec-burst?"),
        (
            ["run", "network", "--preset", "thesis-loss", "--set", "loss=0.1"],
            "leave out --set loss, or the preset",
        ),
        (["run", "--resume", "x", "--preset", "thesis-loss"], "give nothing else with it"),
    ],
)
def test_wrong_words_get_one_sentence_and_exit_code_2(
    bench: Bench, arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = bench(*arguments)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["show"], ["show", "nothing"], ["run", "--resume", "nothing"]])
def test_a_run_that_is_not_there_is_exit_code_1(bench: Bench, arguments: list[str]) -> None:
    done = bench(*arguments)
    assert done.code == 1
    assert "Traceback" not in done.stderr
    assert "there is no run" in done.stderr


def test_list_names_everything_that_run_takes(bench: Bench) -> None:
    done = bench("list")
    assert done.code == 0
    for word in ("freshness", "interval", "clients", "short_polling", "long_polling", "websocket", "rate_hz"):
        assert word in done.stdout
    assert all(name in done.stdout for name in PRESETS)


def test_a_preset_is_expanded_and_its_source_told(bench: Bench, tmp_path: Path) -> None:
    """What is kept is what it expands to, so that --resume needs no preset."""
    done = bench("run", "network", "websocket", "--preset", "thesis-delay", *FAST)
    assert "Preset thesis-delay: --set rtt_ms=100" in done.stderr
    assert PRESETS["thesis-delay"].source in done.stderr
    if done.code == 1:
        pytest.skip("no network in a box can be had here")
    (facts,) = (json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("results/*/run.json"))
    assert facts["overrides"]["rtt_ms"] == [100.0]


@pytest.mark.alone
def test_a_run_measures_writes_and_tells(bench: Bench, tmp_path: Path) -> None:
    done = bench("run", "freshness", "interval", "overhead", *FAST, "--seed", "5")
    assert done.code in (0, 3), done.stderr
    for word in ("freshness", "interval", "overhead", "→", "WebSocket"):
        assert word in done.stdout
    (folder,) = (tmp_path / "results").iterdir()
    run = Run.open(folder)
    assert run.facts["seed"] == 5
    assert run.facts["environment"]["libraries"]["websockets"]
    trials = run.trials
    assert (trials["delivered"] == trials["expected"]).all()
    assert (trials[["missed", "duplicates", "out_of_order"]] == 0).all(axis=None)
    assert (trials["verdict"] != "invalid").all()
    assert all(run.deliveries(row) is not None for row in run.rows)
    shown = bench("show")
    assert shown.code == 0
    assert "freshness" in shown.stdout
    assert len(json.loads(bench("show", "--json").stdout)) == len(trials)


@pytest.mark.alone
def test_polling_waits_half_an_interval_longer_than_push(bench: Bench) -> None:
    done = bench(
        "run", "freshness", "short_polling", "websocket", "--quick", "--json",
        "--set", "rate_hz=50", "--set", "clients=20", "--set", "window_s=1.2", "--set", "poll_interval_s=0.4",
    )  # fmt: skip
    trials = {trial["transport"]: trial for trial in json.loads(done.stdout)}
    push_ms = trials["websocket"]["latency_p50_ms"]
    assert trials["short_polling"]["latency_p50_ms"] == pytest.approx(200 + push_ms, rel=0.05)
    frame_bytes = 128 + 2 + 4  # the tick, brackets, a header of 4 B above 125 B (RFC 6455, 5.2)
    assert trials["websocket"]["app_bytes_per_delivery_down"] == pytest.approx(frame_bytes, rel=0.01)


def test_compare_tells_what_two_runs_have_in_common(bench: Bench, tmp_path: Path) -> None:
    same = ["run", "freshness", "websocket", *FAST, "--seed", "1"]
    for _ in range(2):
        assert bench(*same).code in (0, 3)
    first, second = sorted(path.name for path in (tmp_path / "results").iterdir())
    compared = bench("compare", first, second)
    assert compared.code == 0, compared.stderr
    assert "latency" in compared.stdout
    missing = bench("compare", first, "other")
    assert missing.code == 1
    assert "there is no run 'other'" in missing.stderr


def test_show_can_be_limited_to_an_experiment(bench: Bench) -> None:
    reference = "show", "reference", "--results", str(ROOT / "results")
    shown = bench(*reference, "--only", "interval")
    assert "interval:" in shown.stdout
    assert "freshness:" not in shown.stdout
    assert "did you mean interval?" in bench(*reference, "--only", "intervall").stderr


def test_doctor_examines_this_machine(bench: Bench) -> None:
    done = bench("doctor", "--no-noise")
    assert done.code in (0, 3)
    assert "kernel arrival times" in done.stdout
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_is_measured_and_resume_goes_on(bench: Bench, tmp_path: Path) -> None:
    with interruptible():
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", "run", "freshness", "interval", *FAST],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=tmp_path,
        )  # fmt: skip
    wait_for_trials(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "bench run --resume" in complaint
    assert "Traceback" not in complaint
    (folder,) = (tmp_path / "results").iterdir()
    kept = len(Run.open(folder).rows)
    assert kept >= 2
    resumed = bench("run", "--resume", folder.name)
    assert resumed.code in (0, 3)
    measured = Run.open(folder).rows
    orders = {row["trial_number"] for row in measured}  # a trial that was disturbed is there twice
    assert orders == set(range(1, len(orders) + 1))
    assert len(measured) > kept


def test_kill_9_leaves_readable_trials_and_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "freshness", "interval", *FAST],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    wait_for_trials(tmp_path, 1)
    running = psutil.Process(process.pid)
    children: list[psutil.Process] = []
    wait_until(lambda: children.extend(running.children(recursive=True)) or children, "it has children")
    process.kill()
    process.wait(LIMIT_S)
    _, alive = psutil.wait_procs(children, timeout=LIMIT_S)
    assert not alive
    (folder,) = (tmp_path / "results").iterdir()
    assert Run.open(folder).rows


def wait_for_trials(folder: Path, count: int) -> None:
    def written() -> bool:
        tables = list(folder.glob("results/*/trials.csv"))
        return bool(tables) and len(tables[0].read_text(encoding="utf-8").splitlines()) > count

    wait_until(written, f"{count} trials")


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")
def test_serve_stops_at_ctrl_c_with_code_0() -> None:
    with interruptible():
        process = subprocess.Popen(SERVE, stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    with process, process.stdout:
        assert json.loads(first_line(process))["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 0


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")
def test_serve_in_the_background_is_left_alone_by_ctrl_c_and_stopped_by_sigterm() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for `bench serve … &` in a script
    try:
        process = subprocess.Popen(SERVE, stdout=subprocess.PIPE, encoding="utf-8")
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert first_line(process)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0


def first_line(process: "subprocess.Popen[str]") -> str:
    """Return the first line that a process prints; kill it, and fail, if it prints none in time."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], LIMIT_S)[0]:
        process.kill()
        raise AssertionError("it prints nothing in time")
    return process.stdout.readline()


def test_watch_shows_ticks_with_age_bytes_and_carrier(bench: Bench) -> None:
    done = bench("watch", "short_polling", "--ticks", "3", "--set", "rate_hz=20")
    assert done.code == 0
    assert "answer 1" in done.stdout
    assert " ms " in done.stdout
    done = bench("watch", "websocket", "--ticks", "3", "--set", "rate_hz=20")
    assert "frame 3" in done.stdout


def test_watch_of_nothing_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.load.stream.CONNECT_TIMEOUT_S", 0.5)
    done = bench("watch", "websocket", "--url", "http://127.0.0.1:9/ticks")
    assert done.code == 1
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
