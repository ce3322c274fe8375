"""What can go wrong between a master and its workers: it is named and counted; nothing hangs or is left."""

import contextlib
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bench.measure.subject import Server, running_server
from servers.options import ServerOptions
from tests import ROOT
from tests.bench.locust.running import ALL_ARE_THERE, Locust, free_port, locust
from tests.waiting import wait_until

USERS = 30


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server("websocket", ServerOptions(rate_hz=20)) as running:
        yield running


class Team:
    """A master, and as many workers as are asked for."""

    def __init__(
        self, stack: contextlib.ExitStack, server: Server, folder: Path, workers: int, run_time_s: int = 600
    ):
        self._stack = stack
        self._port = free_port()
        self._file = folder / "figures"
        self.master = stack.enter_context(
            locust(
                "--master", f"--master-bind-port={self._port}", f"--expect-workers={workers}", "--headless",
                f"--host=http://{server.host}:{server.port}", f"--users={USERS}", f"--spawn-rate={USERS}",
                f"--run-time={run_time_s}", f"--json-file={self._file}",
            )
        )  # fmt: skip
        self.workers = [self.hire() for _ in range(workers)]
        self.master.wait_for(ALL_ARE_THERE)

    def hire(self, path: Path = ROOT, locustfile: Path | None = None) -> Locust:
        locustfile = locustfile or path / "bench" / "locust" / "locustfile.py"
        return self._stack.enter_context(
            locust("--worker", f"--master-port={self._port}", locustfile=locustfile, path=path)
        )

    def counted(self) -> int:
        """Return the deliveries in the figures that the master wrote."""
        entries = json.loads(self._file.with_suffix(".json").read_text(encoding="utf-8"))
        return sum(entry["num_requests"] for entry in entries if entry["method"] == "TICK")


@pytest.fixture
def team(server: Server, tmp_path: Path) -> Iterator[Callable[..., Team]]:
    with contextlib.ExitStack() as stack:
        yield lambda **options: Team(stack, server, tmp_path, **options)


def swarm_of(worker: Locust) -> psutil.Process:
    wait_until(lambda: len(worker.children()) == 1, f"a worker's swarm; it says:\n{worker.said}")
    return worker.children()[0]


OLD_LOCUST = """import locust

locust.__version__ = "0.1"
from bench.locust.locustfile import *
"""
"""A locustfile: ours, of another version of Locust."""


def test_one_comes_late_two_are_of_other_versions_and_one_is_stopped(team, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for folder in ("bench", "clients", "servers"):
        shutil.copytree(ROOT / folder, other / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "clients" / "base.py").open("a", encoding="utf-8") as file:
        file.write("# another version\n")
    working = team(workers=1)
    first, late = working.workers[0], working.hire()
    swarm_of(late)
    (tmp_path / "old.py").write_text(OLD_LOCUST, encoding="utf-8")
    for stranger in working.hire(other), working.hire(locustfile=tmp_path / "old.py"):
        assert stranger.wait() == 2, stranger.said
        assert "install the same on both" in stranger.said
    assert "has Locust 0.1 and" in stranger.said
    first.send(signal.SIGSTOP)
    working.master.wait_for("failed to send heartbeat")
    first.send(signal.SIGCONT)
    first.wait_for("it was held up; the swarm went on")
    working.master.wait_for("self-healed")
    working.master.send(signal.SIGINT)
    assert working.master.wait() == 0, working.master.said
    for worker in (first, late):
        assert worker.wait() == 0, worker.said
    assert f"{working.counted()} deliveries, 0 missed, 0 repeated" in working.master.said


def test_one_is_killed_and_the_swarm_of_another(team) -> None:
    working = team(workers=3)
    first, second, third = working.workers
    working.master.wait_for("TICK")
    swarm = swarm_of(first)
    first.send(signal.SIGKILL)
    assert psutil.wait_procs([swarm], timeout=10)[1] == [], "its swarm goes with it"
    swarm_of(second).kill()
    working.master.send(signal.SIGINT)
    assert working.master.wait() == 1, working.master.said
    assert [second.wait(), third.wait()] == [0, 0], second.said + third.said
    assert "was lost" in working.master.said
    assert "the swarm died (by signal 9)" in working.master.said
    assert working.counted() > 0


def test_the_master_is_killed(team) -> None:
    working = team(workers=1, run_time_s=3)
    swarm = swarm_of(working.workers[0])
    working.master.send(signal.SIGKILL)
    assert working.workers[0].wait() == 1, working.workers[0].said
    assert "this worker ends by itself" in working.workers[0].said
    assert psutil.wait_procs([swarm], timeout=10)[1] == []
