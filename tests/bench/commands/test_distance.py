"""Commands over a link: what they say, what they refuse, and that they are really far away."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.measure.conversation import record
from bench.measure.doctor import GOOD, LIMITED, examine
from bench.network.namespaces import FAR_HOST, NEAR_HOST
from tests import ROOT
from tests.bench.network.boxes import need_box, started_by, wait_until_gone
from tests.commands import Done, run_bench
from tests.waiting import LIMIT_S, interruptible

BENCH = [sys.executable, "-m", "bench"]
REASON = "this system forbids users to make namespaces; allow them with: sudo sysctl -w a.b=0"


@pytest.fixture
def bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    monkeypatch.chdir(tmp_path)
    return partial(run_bench, monkeypatch, capsys)


def bench_apart(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run bench in a process of its own, whose children write where it writes."""
    return subprocess.run(
        [*BENCH, *arguments], capture_output=True, encoding="utf-8", timeout=LIMIT_S * 3, cwd=ROOT
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["link", "4g"], "say what to run: bench link 4g -- ping"),
        (["link", "5g", "--", "true"], "there is no link '5g'; choose lan"),
        (["link", "lan", "--set", "clients=3", "--", "true"], "leave out clients"),
        (["link", "lan", "--set", "loss=5", "--", "true"], "loss is 5; it must be from 0 to 0.5"),
        (["link", "12", "--serve", "websocket", "--", "true"], "that link runs already"),
        (["serve", "websocket", "--set", "rate_hz=4"], "leave out rate_hz"),
        (["watch", "websocket", "--set", "link=5g"], "there is no link '5g'"),
        (["run", "freshness", "--set", "rtt_ms=-1"], "rtt_ms is -1"),
        (["watch", "websocket", "--url", "localhost:1", "--set", "rtt_ms=3"], "leave out --set rtt_ms"),
    ],
)
def test_what_cannot_be_is_one_sentence(bench: Callable[..., Done], arguments: list[str], said: str) -> None:
    done = bench(*arguments)
    assert done.code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_box_scenarios_with_a_link_are_skipped_and_told(
    bench: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.box.unavailable", lambda: REASON)
    done = bench("run", "freshness", "websocket", "--quick", "--set", "rtt_ms=10,20")
    assert done.code == 1
    told = " ".join(done.stderr.split())
    assert f"2 of 2 trials have a link and are skipped: {REASON}" in told
    (finding,) = (each for each in examine() if each.what == "network in a box")
    assert finding.state == LIMITED
    assert finding.found in REASON
    assert "sudo sysctl -w a.b=0" in finding.advice


def test_doctor_says_that_there_can_be_a_box() -> None:
    need_box()
    (finding,) = (each for each in examine() if each.what == "network in a box")
    assert finding.state == GOOD


def test_any_command_runs_at_the_end_of_a_link_and_keeps_its_exit_code() -> None:
    need_box()
    code = "import socket; s = socket.create_connection((%r, 8000)); print(s.getsockname()[0]); exit(7)"
    done = bench_apart("link", "lan", "--serve", "websocket", "--", sys.executable, "-c", code % FAR_HOST)
    assert (done.returncode, done.stdout) == (7, f"{NEAR_HOST}\n")
    assert "Link: RTT 2 ms, 30 Mbit/s; measured RTT" in done.stderr
    assert f"WebSocket at http://{FAR_HOST}:8000/ticks" in done.stderr


def test_a_watched_tick_is_as_old_as_its_way() -> None:
    need_box()
    done = bench_apart("watch", "websocket", "--set", "rtt_ms=300", "--set", "rate_hz=20", "--ticks", "3")
    assert done.returncode == 0, done.stderr
    ages_ms = [float(line.split()[3]) for line in done.stdout.splitlines()[1:]]
    assert len(ages_ms) == 3
    assert min(ages_ms) >= 150


def test_a_conversation_takes_round_trips() -> None:
    need_box()
    events = record("short_polling", 0.5, {"rtt_ms": 100.0})
    question, answer = events[:2]
    assert (question.direction, answer.direction) == ("up", "down")
    assert answer.at_ms - question.at_ms >= 100
    assert answer.ticks


def test_a_server_far_away_is_reached_from_another_terminal() -> None:
    need_box()
    with interruptible():
        serving = subprocess.Popen(
            [*BENCH, "serve", "long_polling", "--port", "8000", "--set", "link=lan"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            cwd=ROOT,
        )
    try:
        assert serving.stdout is not None
        ready = json.loads(serving.stdout.readline())
        assert ready["url"] == f"http://{FAR_HOST}:8000/ticks"
        others = started_by(serving.pid)
        code = f"import urllib.request; print(urllib.request.urlopen('{ready['url']}?after=0').status)"
        done = bench_apart("link", str(others["bench.network"].pid), "--", sys.executable, "-c", code)
        assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
    finally:
        serving.terminate()
        serving.communicate(timeout=LIMIT_S)
    wait_until_gone(others.values(), set())
