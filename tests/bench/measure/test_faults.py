"""Faults provoked in real trials, processes that die or stop, cores that are taken."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from bench.measure.load import SwarmProcess
from bench.measure.place import choose_places
from bench.measure.processes import TrialFailed
from bench.measure.subject import Server
from bench.measure.trial import Trial, judge, observe, run_trial, sleep_until, started
from bench.scenario import Scenario
from bench.wording import validity_sentence

pytestmark = pytest.mark.alone

Act = Callable[[Server, SwarmProcess], None]


def trial_disturbed_by(act: Act, scenario: Scenario) -> Trial:
    """Run a trial, and do something to its processes in the middle of its window."""
    waits: list[int] = []
    with started(scenario, seed=1, places=choose_places()) as (server, swarm, _):

        def wait_until(at_ns: int) -> None:
            waits.append(at_ns)
            if len(waits) == 2:  # the first wait is for the window to begin, the second for it to end
                sleep_until((waits[0] + at_ns) // 2)
                act(server, swarm)
            sleep_until(at_ns)

        observation = observe(scenario, server, swarm, seed=1, wait_until=wait_until)
    return judge(observation)


SCENARIO = Scenario("websocket", clients=5, rate_hz=50, window_s=1.0, warmup_s=0)


def stall(process: Any, seconds: float) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize("victim", ["server", "swarm"])
def test_kill_9_fails_the_trial_with_a_sentence_and_leaves_no_process(victim: str) -> None:
    pids: list[int] = []

    def kill(server: Server, swarm: SwarmProcess) -> None:
        pids.extend([server.pid, swarm.pid])
        os.kill({"server": server, "swarm": swarm}[victim].pid, signal.SIGKILL)

    with pytest.raises(TrialFailed, match=rf"the {victim} died \(by signal 9\)"):
        trial_disturbed_by(kill, SCENARIO)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_server_that_was_stopped_while_it_had_time_is_found_out() -> None:
    row, _, passing, _ = trial_disturbed_by(lambda server, swarm: stall(server, 0.3), SCENARIO)
    assert row["delivered"] == row["expected"]
    assert row["verdict"] == "suspect"
    assert "published" in validity_sentence(row)
    assert row["latency_max_ms"] > 200  # from the planned instant: the stall is not hidden
    assert passing


def test_a_swarm_that_was_stopped_is_found_out_and_the_kernels_stamps_are_not_fooled() -> None:
    row, deliveries, *_ = trial_disturbed_by(lambda server, swarm: stall(swarm, 0.3), SCENARIO)
    assert deliveries is not None
    assert row["delivered"] == row["expected"]
    assert row["verdict"] == "suspect"
    assert "upper bounds" in validity_sentence(row)  # what came meanwhile was read at once
    assert row["latency_p50_ms"] < 100


def test_cores_that_others_take_are_found_out() -> None:
    burners = [
        subprocess.Popen(
            [sys.executable, "-c", "import time; t = time.time() + 30\nwhile time.time() < t: pass"]
        )
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    try:
        row, _, passing, _ = trial_disturbed_by(lambda server, swarm: time.sleep(0.5), SCENARIO)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert row["verdict"] in ("suspect", "invalid")
    assert "other processes took" in validity_sentence(row)
    assert passing


def test_a_saturated_server_is_a_finding() -> None:
    scenario = Scenario("long_polling", clients=2_000, rate_hz=10, window_s=1.0, hold_s=5, warmup_s=0)
    for _ in range(3):
        row, *_ = run_trial(scenario, seed=1, places=choose_places())
        assert row["delivered"] == row["expected"]
        if "took" not in validity_sentence(row):
            break
    else:
        pytest.skip(f"no server gets a whole core here: {validity_sentence(row)}")
    assert row["bottleneck"] == "server_cpu"
    assert "server" not in validity_sentence(row)


def test_a_saturated_generator_is_a_fault() -> None:
    scenario = Scenario(
        "long_polling", clients=400, rate_hz=20, window_s=1.0, hold_s=5, warmup_s=0, generator="asyncio"
    )
    row, *_ = run_trial(scenario, seed=1, places=choose_places())
    assert row["verdict"] == "suspect"
    assert "the load generator" in validity_sentence(row)
