"""The sans-I/O client: bytes in, ticks and bytes out. No sockets, no clock of its own, no event loop.

Whoever drives it connects, moves the bytes, and says what time it is::

    client.connected(now_ns)                             # the TCP connection stands
    ticks = client.receive_data(data, arrived_ns)        # again and again
    client.on_deadline(now_ns)                           # when client.deadline_ns is reached
    send(client.data_to_send())                          # after each of these, if client.outbox
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import msgspec

from servers.wire import Tick, TickStamp, decode_stamps

Ticks = Sequence[TickStamp | Tick]


class Address(NamedTuple):
    """Where the server is: ``http://host:port`` and the path of the ticks."""

    host: str
    port: int
    path: str = "/ticks"


class ServerError(Exception):
    """The server answered something other than ticks, or broke the protocol; its text is a sentence.

    ``ticks`` are those that the same read completed before: they have come, and count.
    """

    ticks: "Ticks" = ()


class TickClient(ABC):
    """One client of the ticker, whatever the transport.

    Args:
        address: The server.
        after: Cursor to start from: the ``seq`` of the newest tick already held; None is from now on.
        decode: Turns a JSON array into ticks; by default only into what a measurement needs.

    Attributes:
        ready: The connection can be used: it stands (polling), its handshake is done (WebSocket), or the head
            of its stream is there (server-sent events).
        ready_ns: Since when, on the bench clock.
        wants_connection: Whether the client needs a connection now.
        done_with_connection: The connection is to be closed, because it ends with this answer.
        outbox: Bytes to be sent.
        deadline_ns: When ``on_deadline`` is to be called, on the bench clock; None, never.
        request_due_ns: When the request in the outbox should have been sent, on the bench clock.
        stamp_shared: The last read held the end of one message and more: its arrival time is that of the
            newest byte, an upper bound for all but the last message.
        cursor: ``seq`` of the newest tick held; None before any.
        messages, requests, empty_responses, polls_skipped: Counts since the start.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    """The fields of a scenario that this client obeys, beyond the arguments above."""
    pulls: ClassVar[bool] = False
    """Whether the client asks for ticks (its requests are then counted and their lateness recorded)."""
    upgrades: ClassVar[bool] = False
    """Whether it leaves HTTP for WebSocket, so that its server's address may begin with ws or wss."""
    ordinary: ClassVar[str] = ""
    """The class of clients/load/ordinary_clients.py that does the same; empty if there is none."""
    beginner: ClassVar[str] = ""
    """The user of bench/locust/beginners.py that does the same; empty if there is none."""

    __slots__ = (
        "_address",
        "_decode",
        "cursor",
        "deadline_ns",
        "done_with_connection",
        "empty_responses",
        "messages",
        "outbox",
        "polls_skipped",
        "ready",
        "ready_ns",
        "request_due_ns",
        "requests",
        "stamp_shared",
        "wants_connection",
    )

    def __init__(
        self,
        address: Address,
        *,
        after: int | None = None,
        decode: Callable[[bytes], Ticks] = decode_stamps,
    ) -> None:
        self._address = address
        self._decode = decode
        self.cursor = after
        self.ready = False
        self.ready_ns = 0
        self.wants_connection = True
        self.done_with_connection = False
        self.outbox = b""
        self.deadline_ns: int | None = None
        self.request_due_ns = 0
        self.stamp_shared = False
        self.messages = self.requests = self.empty_responses = self.polls_skipped = 0

    @property
    def expects(self) -> bool:
        """Whether something is to come while it is connected: of push always, else if an answer is owed."""
        return True

    @abstractmethod
    def connected(self, now_ns: int) -> None:
        """Begin on a new connection; after a cut, with ``after=cursor``, so nothing is lost or doubled."""

    @abstractmethod
    def receive_data(self, data: bytes, arrived_ns: int) -> Ticks:
        """Take bytes that arrived; return the ticks that they complete.

        Raises:
            ServerError: If the server refused, or broke the protocol. The connection is then of no use.
        """

    @abstractmethod
    def disconnected(self) -> None:
        """Take note that the connection has ended."""

    def on_deadline(self, now_ns: int) -> None:
        """Do what was to be done at ``deadline_ns``; a client without deadlines has nothing to do."""
        self.deadline_ns = None

    def data_to_send(self) -> bytes:
        """Return the bytes to be sent and forget them."""
        data, self.outbox = self.outbox, b""
        return data

    def _query(self) -> str:
        return "" if self.cursor is None else f"?after={self.cursor}"

    def _read(self, array: bytes) -> Ticks:
        """Decode a JSON array of ticks, and move the cursor to the newest."""
        try:
            ticks = self._decode(array)
        except msgspec.MsgspecError as error:
            raise ServerError(f"not an array of ticks: {error}") from error
        for tick in ticks:
            if self.cursor is None or tick.seq > self.cursor:
                self.cursor = tick.seq
        return ticks


def load_client_class(name: str) -> type[TickClient]:
    """Return the client class of ``clients.<name>``: by convention it is called ``Client``."""
    client: type[TickClient] = importlib.import_module(f"clients.{name}").Client
    return client
