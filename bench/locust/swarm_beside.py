"""The swarm beside a Locust worker: a process of its own, because Locust patches the process that imports it.

The worker says which clients come and go, and hears once a second how it goes. It never touches a delivery.
This file imports nothing of Locust: its threads are greenlets where Locust has patched them.
"""

import threading
from collections.abc import Callable

import msgspec

from bench.locust.due import AHEAD_NS, DueTicks
from bench.locust.host import Host
from bench.measure.processes import Process, TrialFailed
from bench.results.validity import LATE_MS
from bench.scenario import Scenario
from bench.transports import TRANSPORTS
from clients.load import orders
from servers.wire import now_ns

GATHER_S = 0.02
"""Those who come or go within so long are told to the swarm together."""
SILENCE_S = 60.0
"""A swarm that says nothing for so long is given up: it tells each second."""
LAST_WORDS_S = 30.0
"""How much longer than the drain the swarm may take to tell for the last time."""


def van_der_corput(number: int, base: int = 2) -> float:
    """Return term 0, 1, 2 … of the sequence that fills [0, 1) evenly, however many terms are taken.

    Source: J. G. van der Corput, Verteilungsfunktionen (1935): the number's digits, mirrored at the point.
    """
    value, scale = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        scale /= base
        value += digit * scale
    return value


def phase_of(number: int, worker_index: int) -> float:
    """Return when in the interval a user polls, 0 to 1: evenly in each worker, and the workers apart."""
    return (van_der_corput(number) + van_der_corput(worker_index, base=3)) % 1.0


class SwarmBeside:
    """One worker's swarm.

    Args:
        scenario: What its clients are: transport, and their settings.
        host: The server.
        worker_index: Which worker this is: 0, 1, 2 …
        ca: The PEM file of the authority that an encrypted server's certificate is checked by; None is the
            system's.
        due: What the server's plan has due; None if it is not known.
        core: The processor that it is pinned to; None for any.
        heard: Called with each telling.
        failed: Called with a sentence, if the swarm fails or dies.
    """

    def __init__(
        self,
        scenario: Scenario,
        host: Host,
        ca: str | None,
        *,
        worker_index: int,
        due: DueTicks | None,
        core: int | None,
        heard: Callable[[orders.Telling], None],
        failed: Callable[[str], None],
    ) -> None:
        self.drain_s = scenario.drain_s
        self._worker_index = worker_index
        self._heard, self._failed = heard, failed
        self._due, self._clock_offset_ns = due, host.clock_offset_ns
        self._given = 0
        self._come: list[float] = []
        self._leave: list[int] = []
        self._gathering = False
        self._over = threading.Event()  # nothing more is to be heard
        self._told_last = False
        self._process = Process("swarm", "clients.load.changing")
        self._say(
            orders.Opening(
                client=TRANSPORTS[scenario.transport].client,
                host=host.address.host,
                port=host.address.port,
                path=host.address.path,
                settings=scenario.client_settings(),
                mss=scenario.mss,
                congestion=scenario.congestion,
                tls=host.encrypted,
                ca=ca,
                core=core,
                clock_offset_ns=host.clock_offset_ns,
                drain_s=self.drain_s,
                late_ms=LATE_MS,
            )
        )
        self._tell_what_is_due()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def asked(self) -> int:
        """How many clients have been asked for since the start."""
        return self._given

    def come(self) -> int:
        """Add a client; return its number."""
        number = self._given
        self._given += 1
        self._come.append(phase_of(number, self._worker_index))
        self._gather()
        return number

    def leave(self, number: int) -> None:
        """Let a client go."""
        self._leave.append(number)
        self._gather()

    def finish(self) -> bool:
        """Let all leave, and wait until each has what it is owed; return whether the swarm told its last."""
        self._tell_changes()
        self._tell_what_is_due()
        self._say(orders.Finish())
        self._over.wait(self.drain_s + LAST_WORDS_S)
        return self._told_last

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._process.stop()

    def _gather(self) -> None:
        if not self._gathering:
            self._gathering = True
            timer = threading.Timer(GATHER_S, self._tell_changes)
            timer.daemon = True
            timer.start()

    def _tell_changes(self) -> None:
        self._gathering = False
        come, self._come, leave, self._leave = self._come, [], self._leave, []
        if come or leave:
            self._say(orders.Change(come, leave))

    def _tell_what_is_due(self) -> None:
        if self._due is not None:
            self._say(self._due.until(now_ns() - self._clock_offset_ns + AHEAD_NS))

    def _say(self, message: orders.Message) -> None:
        try:
            self._process.write_line(orders.encode(message))
        except TrialFailed:
            return  # the listener hears why

    def _listen(self) -> None:
        try:
            while not self._told_last:
                message = orders.decode(self._process.read_line(SILENCE_S))
                if isinstance(message, orders.Failed):
                    raise TrialFailed(f"the swarm: {message.reason}")
                assert isinstance(message, orders.Telling)
                self._tell_what_is_due()
                self._heard(message)
                self._told_last = message.last
        except (TrialFailed, msgspec.MsgspecError) as error:
            self._failed(str(error))
        finally:
            self._over.set()
