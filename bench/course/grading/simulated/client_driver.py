"""Drives a sans-I/O client without a network: it moves the bytes and the clock, as the swarm does."""

from typing import Any

from bench.course.grading.base import Fault, describe
from bench.course.grading.simulated.server_connections import CONNECTIONS, ServerConnection
from bench.course.grading.simulated.service import Service
from clients.base import Address, ServerError, TickClient
from servers.wire import Tick, TickStamp

ADDRESS = Address("127.0.0.1", 8000)
POLL_INTERVAL_S = 0.5
HOLD_S = 2.0
RECONNECT_NS = 100_000_000
MOST_EXCHANGES = 10_000
"""Exchanges at one instant; more are an endless conversation."""


def build_client(client_class: type[TickClient], clock_ns: int, address: Address = ADDRESS) -> TickClient:
    """Build a student's client with those settings that it says it obeys."""
    settings: dict[str, Any] = {}
    if "poll_interval_s" in client_class.settings:
        settings.update(poll_interval_s=POLL_INTERVAL_S, epoch_ns=clock_ns, phase=0.0)
    if "hold_s" in client_class.settings:
        settings["hold_s"] = HOLD_S
    return client_class(address, **settings)


class ClientDriver:
    """One client and the server it talks to, in simulated time.

    Args:
        client_class: The student's class.
        transport: What it speaks.
        service: The feed and the clock.
        read_bytes: Length of each read; None, all that is there.

    Attributes:
        ticks: What the client has returned, in order.
        refusals: Sentences of the ServerErrors that it has raised.
        cut_after_bytes: Cut the connection when so many bytes of the next answer or message have come.
        expects_refusal: Whether a ServerError is right; otherwise it is let through to the check.
    """

    def __init__(
        self, client_class: type[TickClient], transport: str, service: Service, read_bytes: int | None = None
    ) -> None:
        self.service = service
        self.client = build_client(client_class, service.clock())
        self.ticks: list[Tick | TickStamp] = []
        self.refusals: list[str] = []
        self.cut_after_bytes: int | None = None
        self.expects_refusal = False
        self.connection: ServerConnection | None = None
        self._make_connection = CONNECTIONS[transport]
        self._read_bytes = read_bytes
        self._connect_ns = service.clock()

    @property
    def seqs(self) -> list[int]:
        """The ``seq`` of every tick that the client has returned."""
        return [tick.seq for tick in self.ticks]

    def run(self, seconds: float) -> None:
        """Let simulated time pass."""
        clock, feed, client = self.service.clock, self.service.feed, self.client
        until_ns = clock.now_ns + round(seconds * 1e9)
        while True:
            self._converse()
            reconnect_ns = self._connect_ns if self._to_connect else None
            answer_ns = self.connection.wake_ns if self.connection else None
            waking = (client.deadline_ns, reconnect_ns, answer_ns, feed.next_due_ns)
            next_ns = max(min(at for at in waking if at is not None), clock.now_ns)
            if next_ns >= until_ns:
                clock.now_ns = until_ns
                return
            clock.now_ns = next_ns
            feed.publish_due()
            if client.deadline_ns is not None and client.deadline_ns <= next_ns:
                client.on_deadline(next_ns)
                if client.deadline_ns is not None and client.deadline_ns <= next_ns - round(60e9):
                    raise Fault(
                        "its deadline stands still",
                        seen=f"deadline_ns is {client.deadline_ns} at {next_ns}",
                        expected="a later instant, or None, after on_deadline",
                        hint="the next is whole intervals after the last",
                    )
            if self.connection is not None:
                self.connection.wake()

    def finish(self) -> int:
        """Let no more ticks come, and the client get what there is; return the last tick."""
        self.service.close_market()
        self.run(HOLD_S + 1)
        return self.service.feed.newest_seq

    def cut(self) -> None:
        """Cut the connection now."""
        if self.connection is not None:
            self._disconnect()

    @property
    def _to_connect(self) -> bool:
        return self.connection is None and self.client.wants_connection

    def _converse(self) -> None:
        """Exchange bytes until both have nothing to say at this instant."""
        for _ in range(MOST_EXCHANGES):
            if self._to_connect and self._connect_ns <= self.service.clock():
                self.connection = self._make_connection(self.service)
                self.client.connected(self.service.clock())
            if self.connection is None:
                return
            outgoing = self.client.data_to_send()
            if outgoing:
                self.connection.receive(outgoing)
            incoming = bytes(self.connection.outbox)
            self.connection.outbox.clear()
            if incoming:
                self._receive(incoming)
            elif not outgoing:
                return
        raise Fault(
            "the conversation at one instant has no end",
            seen=f"{MOST_EXCHANGES} exchanges without time passing",
            expected="a pause between polls, or an answer that is waited for",
            hint="set deadline_ns and ask in on_deadline",
        )

    def _receive(self, data: bytes) -> None:
        if self.cut_after_bytes is not None:
            data, self.cut_after_bytes = data[: self.cut_after_bytes], None
            self._read(data)
            self.cut()
            return
        connection, size = self.connection, self._read_bytes or len(data)
        for start in range(0, len(data), size):
            if self.connection is not connection:
                return
            self._read(data[start : start + size])
        if self.connection is not None and (self.connection.closed or self.client.done_with_connection):
            self._disconnect()

    def _read(self, data: bytes) -> None:
        try:
            self.ticks.extend(self.client.receive_data(data, self.service.clock()))
        except ServerError as error:
            if not self.expects_refusal:
                raise
            self.ticks.extend(error.ticks)
            self.refusals.append(describe(error))
            self._disconnect()

    def _disconnect(self) -> None:
        self.connection = None
        self._connect_ns = self.service.clock() + RECONNECT_NS
        self.client.disconnected()
        if not self.client.wants_connection and self.client.deadline_ns is None:
            raise Fault(
                "it does not come back after a lost connection",
                seen="wants_connection is False and there is no deadline",
                expected="wants_connection is True, as long as ticks are to come",
                hint="disconnected() is told of the end; connected() is then called again",
            )
