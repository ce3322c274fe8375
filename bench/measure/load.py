"""The load of a trial: a load generator in a process of its own, told what to do by lines, always stopped."""

import contextlib
from collections.abc import Iterator

import msgspec

from bench.measure.processes import Process, TrialFailed
from bench.scenario import GENERATORS
from clients.load import orders


class SwarmProcess(Process):
    """A load generator in a process of its own, told what to do by orders (clients/load/orders.py)."""

    def __init__(self, generator: str) -> None:
        super().__init__("swarm", GENERATORS[generator])

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


@contextlib.contextmanager
def running_swarm(generator: str) -> Iterator[SwarmProcess]:
    """Run a load generator while the context is open."""
    swarm = SwarmProcess(generator)
    try:
        yield swarm
    finally:
        swarm.stop()
