"""The load of a trial: whatever asks. Here, a load generator in a process of its own, always stopped.

It is told what to do by lines on its standard input (clients/load/orders.py).
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.measure.place import ANYWHERE, Place
from bench.measure.processes import STOP_TIMEOUT_S, Process, TrialFailed
from bench.results.observation import Samples, Usage
from bench.scenario import Scenario
from bench.transports import TRANSPORTS
from clients.base import Address
from clients.load import orders
from clients.load.catalogue import GENERATORS
from clients.load.generator import DELIVERY_FIELDS
from clients.sockets.events import SOCKET_FIELDS
from servers.wire import now_ns

CONNECT_GRACE_S = 30.0
"""How much longer than it may take to connect a load generator may take to say so."""
REPORT_GRACE_S = 60.0
"""How long after the drain a load generator may take to report."""


class Load(Protocol):
    """Whatever asks, ready to connect. Each method raises TrialFailed if the load fails or dies."""

    @property
    def place(self) -> Place:
        """Where it runs."""

    def connect(
        self, scenario: Scenario, address: Address, *, seed: int, patience_s: float
    ) -> orders.Connected:
        """Connect all clients of a scenario, and return when each has been answered."""

    def watch(self, window: orders.Window) -> None:
        """Be told what to watch, and return at once."""

    def report(self) -> tuple[orders.Report, Samples]:
        """Return, when the window is drained, the counters and all that was written down."""

    def usage(self) -> Usage:
        """Read what it has used, from outside."""


class SwarmProcess(Process):
    """A load generator in a process of its own, which writes its samples into a folder."""

    def __init__(self, generator: str, folder: Path, place: Place = ANYWHERE, ca: str | None = None) -> None:
        super().__init__("swarm", GENERATORS[generator].module, place=place)
        self._folder, self._ca = folder, ca
        self._until_ns = 0

    def connect(
        self, scenario: Scenario, address: Address, *, seed: int, patience_s: float
    ) -> orders.Connected:
        """Connect all clients of a scenario, and return when each has been answered.

        Raises:
            TrialFailed: If it cannot, or does not in time.
        """
        self.send(
            orders.Order(
                client=TRANSPORTS[scenario.transport].client,
                host=address.host,
                port=address.port,
                path=address.path,
                clients=scenario.clients,
                folder=str(self._folder),
                settings=scenario.client_settings(),
                seed=seed,
                mss=scenario.mss,
                congestion=scenario.congestion,
                core=self.place.core,
                ca=self._ca,
                lossy=scenario.may_lose,
                silence_s=scenario.silence_s,
                user_timeout_s=scenario.user_timeout_s,
                backoff=scenario.backoff,
                herd=scenario.incident is not None,
                connect_timeout_s=patience_s,
            )
        )
        connected = self.receive(patience_s + CONNECT_GRACE_S)
        assert isinstance(connected, orders.Connected)
        return connected

    def watch(self, window: orders.Window) -> None:
        """Tell it what to watch."""
        self._until_ns = window.until_ns
        self.send(window)

    def report(self) -> tuple[orders.Report, Samples]:
        """Wait for the end of the drain; return the counters and the samples.

        Raises:
            TrialFailed: If it failed, died, or does not report in time.
        """
        report = self.receive(max(self._until_ns - now_ns(), 0) / 1e9 + REPORT_GRACE_S)
        assert isinstance(report, orders.Report)
        return report, Samples(
            deliveries=self._samples("deliveries", len(DELIVERY_FIELDS)),
            request_lags_ns=self._samples("request_lags", 2),
            connects_ns=self._samples("connects", 1)[:, 0],
            sockets=self._samples("sockets", len(SOCKET_FIELDS)),
        )

    def usage(self) -> Usage:
        """Read what it has used, from outside.

        Raises:
            TrialFailed: If it has failed or died; with what it said last.
        """
        if not self.is_running():
            self.receive(STOP_TIMEOUT_S)
        return super().usage()

    def send(self, message: orders.Message) -> None:
        """Give an order."""
        self.write_line(orders.encode(message))

    def receive(self, timeout_s: float) -> orders.Message:
        """Return what the swarm answers.

        Raises:
            TrialFailed: If it failed, died, or does not answer in time.
        """
        line = self.read_line(timeout_s)
        try:
            message = orders.decode(line)
        except msgspec.MsgspecError:
            raise TrialFailed(f"the swarm said something unexpected: {line[:200]!r}") from None
        if isinstance(message, orders.Failed):
            raise TrialFailed(f"the swarm: {message.reason}")
        return message

    def _samples(self, name: str, columns: int) -> NDArray[np.int64]:
        samples = np.fromfile(self._folder / f"{name}.int64", dtype=np.int64).reshape(-1, columns)
        samples.flags.writeable = False
        return samples


@contextlib.contextmanager
def running_swarm(
    generator: str, place: Place = ANYWHERE, *, ca: str | None = None
) -> Iterator[SwarmProcess]:
    """Run a load generator while the context is open.

    Args:
        generator: A name of ``GENERATORS``.
        place: Where it runs.
        ca: The PEM file of the authority that servers' certificates are checked by; without it, no TLS.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        swarm = SwarmProcess(generator, Path(folder), place, ca)
        try:
            yield swarm
        finally:
            swarm.stop()
