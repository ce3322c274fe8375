"""One client's place in the swarm: its number, its socket, and what the poller watches it for."""

from clients.base import TickClient
from clients.sockets.stamped_socket import StampedSocket


class Seat:
    """A client, and its connection, if it has one."""

    __slots__ = (
        "backoff_limit_s",
        "been_ready",
        "client",
        "connecting_since_ns",
        "established",
        "is_watched",
        "number",
        "queued",
        "quiet_since_ns",
        "scheduled_ns",
        "send_errno",
        "sock",
        "unsent",
        "usable",
    )

    def __init__(self, number: int, client: TickClient) -> None:
        self.number = number
        self.client = client
        self.sock: StampedSocket | None = None
        self.established = False  # TCP's connection stands
        self.usable = False  # and what is upon it (TLS) does
        self.unsent = b""
        self.send_errno = 0  # why sending failed, until a read has come to the end
        self.queued = True  # for a connection
        self.connecting_since_ns = 0  # 0 when the connection has proved itself
        self.been_ready = False
        self.backoff_limit_s = 0.0
        self.scheduled_ns: int | None = None
        self.quiet_since_ns = 0  # it last heard something, or asked
        self.is_watched = False  # for silence
