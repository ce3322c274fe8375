"""A network in a box: the link between load and subject. Its router is a process of its own, always stopped.

The router makes two network namespaces, one for each, and is all that is between them (bench/network). What
it has counted it tells on its standard output, when asked on its standard input.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from bench.measure.environment import process_environment, python_command
from bench.measure.place import ANYWHERE, Place, Places
from bench.measure.processes import START_TIMEOUT_S, Process, TrialFailed
from bench.network.link import Link
from bench.network.namespaces import FAR, FAR_HOST, NEAR, BoxUnavailable, EndCounts
from bench.network.way import Counts
from bench.results.observation import LinkReading

PROBE_TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.2


class Box(Process):
    """A running network in a box.

    Args:
        link: What it is like.
        seed: Which packets are lost.
        place: Where the router runs.

    Attributes:
        host: The address of the server's end.
        rtt_ms: The round trip as it was measured last; None before.

    Raises:
        BoxUnavailable: If this system allows none.
        TrialFailed: If the router does not start.
    """

    host = FAR_HOST

    def __init__(self, link: Link, *, seed: int = 0, place: Place = ANYWHERE) -> None:
        self._carried: list[Process] = []
        self.rtt_ms: float | None = None
        core = [] if place.core is None else [str(place.core)]
        words = json.dumps(dataclasses.asdict(link))
        super().__init__("router of the link", "bench.network", words, str(seed), *core, place=place)
        try:
            said = self._read()
            if said["event"] == "unavailable":
                raise BoxUnavailable(said["reason"])
        except BaseException:
            self.kill()
            raise

    def _read(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.read_line(START_TIMEOUT_S))
        return said

    def carry(self, process: Process) -> None:
        """Let a process end if the router does: without a link it would wait for what cannot come."""
        self._carried.append(process)

    def _read_lines(self) -> None:
        super()._read_lines()
        for process in self._carried:
            if process.is_running():
                os.kill(process.pid, signal.SIGKILL)

    def prefix(self, end: str) -> tuple[str, ...]:
        """Return what a command begins with that is to run at an end, ``NEAR`` or ``FAR``."""
        return enter_command(self.pid, end)

    def inside(self, places: Places) -> Places:
        """Return these places, with the subject at the far end and the load at the near end."""
        ends = {"subject": (places.subject, FAR), "load": (places.load, NEAR)}
        return places._replace(
            **{
                name: place._replace(prefix=(*self.prefix(end), *place.prefix))
                for name, (place, end) in ends.items()
            }
        )

    def reading(self) -> LinkReading:
        """Ask the router what it has counted.

        Raises:
            TrialFailed: If it has died.
        """
        self.write_line(b"")
        said = self._read()
        return LinkReading(
            said["at_ns"],
            Counts(*said["up"]),
            Counts(*said["down"]),
            dict(said["lags"]),
            EndCounts(*said["near"]),
            EndCounts(*said["far"]),
            dict(said["stopped"]),
        )

    def cut(self) -> int:
        """Cut the link at the clients' end. This and the next return when the router did it, in ns.

        All of them raise TrialFailed if it has died; what each does: bench/network/middle_box.py.
        """
        return self._do("cut")

    def mend(self) -> int:
        """Let packets pass again."""
        return self._do("mend")

    def change_address(self) -> int:
        """Let the server see all clients at another address from now on."""
        return self._do("change_address")

    def forget_idle(self, seconds: float) -> int:
        """Forget connections that are idle for longer than that, and stop what comes on them."""
        return self._do("forget_idle", seconds=seconds)

    def lose_next_data(self) -> int:
        """Lose the next packet with data to the client, of each connection that there is."""
        return self._do("lose_next_data")

    def _do(self, what: str, **more: float) -> int:
        self.write_line(json.dumps({"do": what, **more}).encode())
        said = self._read()
        if said["event"] != "done":
            raise TrialFailed(said["reason"])
        return int(said["at_ns"])

    def measured_rtt_ms(self) -> float:
        """Return the smallest of ten round trips, as a program at the near end measures them.

        Raises:
            TrialFailed: If none comes back.
        """
        place = Place(self.place.core, self.prefix(NEAR))
        probe = Process("probe of the link", "bench.network.probe", self.host, place=place)
        try:
            self.rtt_ms = float(probe.read_line(PROBE_TIMEOUT_S))
            return self.rtt_ms
        except ValueError:
            raise TrialFailed("no packet came back over the link; is its loss too high?") from None
        finally:
            probe.stop()

    def run(self, end: str, command: Sequence[str]) -> int:
        """Run a command of somebody's at an end, in this terminal, and return its exit code.

        Ctrl-C is the command's to obey, which the terminal gives it too.

        Raises:
            TrialFailed: If the router dies.
        """
        with command_at(self.pid, end, command) as process:
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                        return process.wait(LOOK_EVERY_S)
                    self.check()
            finally:
                process.kill()


def enter_command(pid: int, end: str) -> tuple[str, ...]:
    """Return what a command begins with that is to run at an end of the box of a router."""
    return (*python_command("bench.network.enter"), str(pid), end)


@contextlib.contextmanager
def running_box(link: Link, *, seed: int = 0, place: Place = ANYWHERE) -> Iterator[Box]:
    """Run a network in a box while the context is open."""
    box = Box(link, seed=seed, place=place)
    try:
        yield box
    finally:
        box.stop()


def command_at(pid: int, end: str, command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a command of somebody's at an end of the box of a router, with this process's environment."""
    ours = {name: text for name, text in process_environment().items() if name == "PYTHONPATH"}
    return subprocess.Popen([*enter_command(pid, end), *command], env={**os.environ, **ours})


def unavailable() -> str:
    """Return why no network in a box can be had here, and what to do; '' if it can be."""
    try:
        with running_box(Link()):
            return ""
    except (BoxUnavailable, TrialFailed) as error:
        return str(error)
