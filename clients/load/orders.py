"""What a harness and a swarm process say to each other: one JSON object a line, over stdin and stdout.

Order → Connected → Window → Report; Failed in place of an answer. The raw samples go to files. A swarm whose
clients come and go (clients/load/changing.py) is told Opening, any number of Due and Change, and Finish. It
tells a Telling each second, and a last one that says so.
"""

from typing import Any

import msgspec


class Order(msgspec.Struct, frozen=True, tag="order", forbid_unknown_fields=True):
    """Connect so many clients to this server. ``settings`` are the client's own, such as poll_interval_s.

    ``ca`` is the PEM file of the authority that the server's certificate is to be checked by; without it,
    there is no TLS. ``lossy`` says that packets may be lost on the way. ``user_timeout_s`` is TCP's, see
    clients/sockets/stamped_socket.py. ``silence_s``, ``backoff`` and ``herd`` say when a client of the swarm
    gives a connection up, and how it comes back, see clients/load/swarm.py.
    """

    client: str
    host: str
    port: int
    path: str
    clients: int
    folder: str
    settings: dict[str, Any] = {}
    seed: int = 0
    mss: int | None = None
    congestion: str | None = None
    core: int | None = None
    ca: str | None = None
    lossy: bool = False
    silence_s: float | None = None
    user_timeout_s: float | None = None
    backoff: str = "jittered"
    herd: bool = False
    connect_timeout_s: float = 60.0


class Connected(msgspec.Struct, frozen=True, tag="connected"):
    """All clients are connected and answered; how long it took, and what share of a core here.

    ``empty_rss_bytes`` is the memory of the process before it had clients; ``first_answer_wire`` what the
    wire carried until each client's first answer was whole, as in WireCounts, or None where it is not known.
    ``conditions`` is what of the process is other than usual (servers/conditions.py).
    """

    connect_s: float
    connect_cpu_ratio: float
    empty_rss_bytes: int
    first_answer_wire: list[int] | None = None
    conditions: list[str] = []


class Window(msgspec.Struct, frozen=True, tag="window"):
    """What to watch: read the counters at two instants, and go on until every client has ``last_seq``.

    All instants are on the bench clock, in ns. ``until_ns`` bounds the drain; nothing ends before ``end_ns``.
    The readings are as long apart as the window is long, so that they hold as many ticks and polls.
    """

    counters_at_ns: int
    counters_again_at_ns: int
    last_seq: int
    end_ns: int
    until_ns: int


class Reading(msgspec.Struct, frozen=True):
    """All counters at one instant: sums over all clients since the start. ``wire`` as in WireCounts."""

    at_ns: int
    cpu_ns: int
    rss_bytes: int
    bytes_up: int
    bytes_down: int
    delivered: int
    connections: int
    requests: int
    empty_responses: int
    polls_skipped: int
    user_stamped_reads: int
    wire: list[int] | None


class Report(msgspec.Struct, frozen=True, tag="report"):
    """The end: the counters of the two readings, and whether every client got the last tick.

    The files ``deliveries.int64``, ``request_lags.int64``, ``connects.int64`` and ``sockets.int64`` in the
    ordered folder hold the raw samples: see the attributes of
    :class:`clients.load.generator.LoadGenerator` of the same names.
    """

    before: Reading
    after: Reading
    drained: bool
    clock_shift_ns: int
    clock_bracket_ns: int
    errors: dict[str, int]


class Opening(msgspec.Struct, frozen=True, tag="opening", forbid_unknown_fields=True):
    """Be a swarm of clients that come and go. Fields are as those of Order.

    With ``tls``, ``ca`` may be None: then those authorities are trusted that the system trusts.

    ``clock_offset_ns`` is the clock of this machine − that of the server, 0 on one machine. ``drain_s`` is
    how long a client that leaves may wait for what it is still owed. What the swarm does by more than
    ``late_ms`` after it should have is counted.
    """

    client: str
    host: str
    port: int
    path: str
    settings: dict[str, Any] = {}
    mss: int | None = None
    congestion: str | None = None
    tls: bool = False
    ca: str | None = None
    core: int | None = None
    clock_offset_ns: int = 0
    drain_s: float = 10.0
    late_ms: float = 10.0


class Due(msgspec.Struct, frozen=True, tag="due"):
    """Ticks ``first_seq``, ``first_seq + 1`` … of the server's plan, and when they are due, on its clock.

    The last of them is yet to come, so that it is known which are due by now. Without, a swarm knows only of
    ticks that some client of it was told.
    """

    first_seq: int
    due_ns: list[int]


class Change(msgspec.Struct, frozen=True, tag="change"):
    """Clients that come, by their phases, 0 to 1; and those that leave, by their numbers.

    Numbers are given by order of coming: 0, 1, 2 …
    """

    come: list[float] = []
    leave: list[int] = []


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """Let all clients leave, and tell for the last time when all have gone."""


class Telling(msgspec.Struct, frozen=True, tag="telling"):
    """How it goes: what happened since the last telling, and sums over all clients since the start.

    ``latencies_us`` is the histogram of delivery latencies since the last telling: values, to three digits,
    and counts. ``connects_ms`` and ``errors`` are since then, too. ``counts`` are as in
    :class:`clients.load.accounts.Count`. ``late_ms`` is the longest time that a delivery since the last
    telling lay in the kernel before it was handled. ``late_requests`` are those sent late.
    """

    at_ns: int
    cpu_ns: int
    rss_bytes: int
    clients: int
    connected: int
    latencies_us: list[tuple[int, int]]
    late_ms: float
    connects_ms: list[float]
    errors: dict[str, int]
    counts: dict[str, int | float]
    requests: int
    late_requests: int
    empty_responses: int
    polls_skipped: int
    connections: int
    bytes_up: int
    bytes_down: int
    last: bool = False


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It could not be done; ``reason`` is a sentence."""

    reason: str


Message = Order | Connected | Window | Report | Opening | Due | Change | Finish | Telling | Failed
encode = msgspec.json.encode


def decode(line: bytes) -> Message:
    """Read one line.

    Raises:
        msgspec.MsgspecError: If it is no message.
    """
    message: Message = msgspec.json.decode(line, type=Message)
    return message
