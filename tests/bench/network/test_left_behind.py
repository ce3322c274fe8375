"""Nothing is left of a box: after Ctrl-C or kill -9 of any part, as root or an ordinary user, two at once."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.results.run import Run, find_run
from tests import ROOT
from tests.bench.network.boxes import (
    devices_and_routes,
    need_box,
    networks_of,
    started_by,
    wait_until_gone,
)
from tests.waiting import LIMIT_S, interruptible, wait_until

ROUTER, SERVER, SWARM = "bench.network", "servers", "clients.load"
LONG_RUN = ["run", "freshness", "websocket", "--quick", "--set", "clients=3", "--set", "rtt_ms=10"]
RUN = [*LONG_RUN, "--set", "window_s=0.4", "--set", "warmup_s=0"]
ORDINARY = ("--bounding-set=-sys_admin,-net_admin", "--inh-caps=-sys_admin,-net_admin")
"""Of setpriv(1): with these, root may not have networks of its own but by a user namespace, as others."""


class Started:
    """A bench that runs, and what it has started."""

    def __init__(self, folder: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        with interruptible():
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "bench", *arguments],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.others: dict[str, psutil.Process] = {}
        self.networks: set[int] = set()

    def wait_for(self, *modules: str) -> None:
        def all_there() -> bool:
            self.others = started_by(self.process.pid)
            return set(modules) <= set(self.others)

        wait_until(all_there, f"{modules} run")
        wait_until(self._two_networks, "the processes are in the box")

    def _two_networks(self) -> bool:
        self.networks |= networks_of(process for process in self.others.values() if process.is_running())
        return len(self.networks) == 2

    def end(self) -> str:
        """Wait for the end of it and of all that it has started, and return what it said."""
        said, _ = self.process.communicate(timeout=LIMIT_S * 3)
        wait_until_gone(self.others.values(), self.networks)
        return said.decode()


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    need_box()
    before = devices_and_routes()
    yield
    assert devices_and_routes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_after_the_end_of_bench_nothing_is_left(tmp_path: Path, number: int) -> None:
    started = Started(tmp_path, *LONG_RUN, "--set", "warmup_s=60")
    started.wait_for(ROUTER, SERVER, SWARM)
    started.process.send_signal(number)
    started.end()


@pytest.mark.parametrize("victim", [ROUTER, SERVER, SWARM])
def test_a_trial_of_which_a_part_was_killed_is_tried_again_and_nothing_is_left(
    tmp_path: Path, victim: str
) -> None:
    started = Started(tmp_path, *RUN)
    started.wait_for(ROUTER, SERVER, SWARM)
    started.others[victim].kill()
    said = started.end()
    assert "Traceback" not in said
    first, second = Run.open(find_run(tmp_path / "results", None)).rows
    assert (first["verdict_reason"], first["retried"]) == ("failed", True)
    word = {ROUTER: "router of the link died", SERVER: "died", SWARM: "swarm died"}[victim]
    assert word in first["verdict_note"]
    assert second["delivered"] == second["expected"] > 0


def test_a_command_that_outlives_its_box_is_ended(tmp_path: Path) -> None:
    started = Started(tmp_path, "link", "lan", "--", sys.executable, "-c", "import time; time.sleep(600)")
    started.wait_for(ROUTER, sys.executable)
    started.process.kill()
    started.end()


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    runs = [Started(folder, *RUN) for folder in folders]
    for run in runs:
        run.wait_for(ROUTER, SERVER, SWARM)
    assert not runs[0].networks & runs[1].networks
    for run, folder in zip(runs, folders, strict=True):
        run.end()
        row = Run.open(find_run(folder / "results", None)).rows[-1]
        assert row["delivered"] == row["expected"] > 0
        assert row["link_rtt_ms"] >= 10


def test_an_ordinary_user_has_a_box_too(tmp_path: Path) -> None:
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0 and setpriv is None:
        pytest.skip("there is no setpriv here; it is of util-linux")
    prefix = (str(setpriv), *ORDINARY) if os.geteuid() == 0 else ()
    started = Started(tmp_path, *RUN, prefix=prefix)
    started.wait_for(ROUTER, SERVER, SWARM)
    inside = {os.stat(f"/proc/{process.pid}/ns/user").st_ino for process in started.others.values()}
    assert inside != {os.stat("/proc/self/ns/user").st_ino}
    started.end()
    row = Run.open(find_run(tmp_path / "results", None)).rows[-1]
    assert row["delivered"] == row["expected"] > 0
