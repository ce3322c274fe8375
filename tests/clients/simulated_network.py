"""A network and a clock that obey the test: each connection meets the fate that it was given.

``Network`` is the swarm's poller, makes its sockets, and is its clock. Time goes on only while the swarm
waits.
"""

import os
import re
from collections import deque
from dataclasses import dataclass

from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from clients.base import Address, load_client_class
from clients.load.swarm import Swarm
from clients.sockets.events import SOCKET_FIELDS, SocketEvent
from clients.sockets.poller import READABLE, WRITABLE
from clients.sockets.stamped_socket import WireCounts
from tests.pollers import array

MS = 1_000_000
S = 1_000 * MS
TRIP_NS = 1 * MS
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Fate:
    """What a connection meets: an error (an errno) at once, an error or nothing in answer to SYN; or its end.

    ``end`` comes after so many ``pieces`` (answers or messages), and half a piece more if ``half``: an errno,
    b"" where the server closes, other bytes that are said, or None: nothing comes any more.
    """

    error_at_once: int = 0
    connect_error: int = 0
    unanswered: bool = False
    pieces: int = 1_000_000
    half: bool = False
    end: int | bytes | None = None


class SimulatedSocket:
    """A socket of the swarm, and the server at its other end."""

    kernel_stamped, ends_within = True, False

    def __init__(self, network: "Network") -> None:
        self.network = network
        self.fate = Fate()
        self.fd = network.next_fd()
        self.mask = 0
        self.established_ns: int | None = None
        self.coming: deque[tuple[int, int | bytes]] = deque()
        self.last_heard_ns = self.last_asked_ns = 0
        self.closed = self.broken = False
        self.send_error = 0
        self._server: ServerProtocol | None = None
        self._pieces = 0

    # What the swarm calls

    def fileno(self) -> int:
        return self.fd

    def connect(self, host: str, port: int, source_host: str | None = None) -> None:
        self.fate = self.network.fates.popleft() if self.network.fates else Fate()
        self.last_asked_ns = self.network.now_ns
        if self.fate.error_at_once:
            raise OSError(self.fate.error_at_once, os.strerror(self.fate.error_at_once))
        if not self.fate.unanswered:
            self.established_ns = self.network.now_ns + TRIP_NS

    def connect_error(self) -> int:
        self.last_heard_ns = self.network.now_ns
        return self.fate.connect_error

    def secure(self) -> bool:
        return True

    def receive(self) -> tuple[bytes, int]:
        if not self.coming or self.coming[0][0] > self.network.now_ns:
            raise BlockingIOError
        data, at_ns = b"", 0
        while self.coming and self.coming[0][0] <= self.network.now_ns:
            if data and not isinstance(self.coming[0][1], bytes):
                break
            at_ns, item = self.coming.popleft()
            if not isinstance(item, bytes):
                self.broken = True
                raise OSError(item, os.strerror(item))
            if not item and data:
                self.coming.appendleft((at_ns, item))
                break
            data += item
            self.last_heard_ns = at_ns
            if not item:
                break
        return data, at_ns

    def send(self, data: bytes) -> int:
        if self.send_error:
            raise OSError(self.send_error, os.strerror(self.send_error))
        self.last_asked_ns = self.network.now_ns
        self._serve(data)
        return len(data)

    def finish(self) -> bool:
        self.coming.clear()
        self.say(b"")
        return not self.broken

    def wire_counts(self) -> WireCounts:
        return WireCounts()

    def close(self) -> None:
        self.closed = True

    # What the server does

    def say(self, item: int | bytes, after_ns: int = TRIP_NS) -> None:
        self.coming.append((self.network.now_ns + after_ns, item))

    def _serve(self, data: bytes) -> None:
        asked = re.search(rb"after=(\d+)", data)
        if asked is None:
            return
        cursor, gap_ns, last = int(asked[1]), self.network.gap_ns, self.network.last
        if b"Upgrade" not in data:
            body = array(cursor + 1, cursor + 2) if cursor < last else b"[]"
            if cursor < last or self.network.beats:
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                self._give(answer, gap_ns if cursor < last else self.network.beat_ns)
            return
        self._server = ServerProtocol()
        self._server.receive_data(data)
        self._server.send_response(self._server.accept(self._server.events_received()[0]))
        self.say(b"".join(self._server.data_to_send()))
        ticks = [array(seq, seq + 1) for seq in range(cursor + 1, last + 1, 2)]
        frames = [(Frame(Opcode.TEXT, each), gap_ns) for each in ticks]
        frames += [(Frame(Opcode.PING, b""), self.network.beat_ns)] * self.network.beats
        after_ns = TRIP_NS
        for frame, wait_ns in frames:
            after_ns += wait_ns
            if not self._give(frame.serialize(mask=False), after_ns):
                return

    def _give(self, piece: bytes, after_ns: int) -> bool:
        """Say a piece, or meet the end; return whether it goes on."""
        self._pieces += 1
        if self._pieces <= self.fate.pieces:
            self.say(piece, after_ns)
            return True
        if self.fate.half:
            self.say(piece[: len(piece) // 2], after_ns)
        if self.fate.end is not None:
            self.say(self.fate.end, after_ns + TRIP_NS)
        return False


class Network:
    """Connections meet ``fates`` in the order of their coming; those beyond are served as they should be.

    Args:
        fates: Of the first connections.
        last: The feed ends with this tick; there are two to a piece.
        gap_ns: Between two messages; and from a question to its answer.
        beats: Heartbeats behind the last tick: so many pings; or empty answers, without end.
        beat_ns: Between two of them.
    """

    def __init__(
        self,
        *fates: Fate,
        last: int = 12,
        gap_ns: int = 10 * MS,
        beats: int = 0,
        beat_ns: int = 500 * MS,
    ) -> None:
        self.fates = deque(fates)
        self.now_ns = 1_000 * S
        self.last, self.gap_ns, self.beats, self.beat_ns = last, gap_ns, beats, beat_ns
        self.made: list[SimulatedSocket] = []
        self._watched: dict[int, SimulatedSocket] = {}

    def next_fd(self) -> int:
        return len(self.made)

    def make_socket(self, family: int, **options: object) -> SimulatedSocket:
        self.made.append(SimulatedSocket(self))
        return self.made[-1]

    def clock(self) -> int:
        return self.now_ns

    def open_sockets(self) -> list[SimulatedSocket]:
        return [sock for sock in self.made if not sock.closed]

    # The poller

    def register(self, fd: int, mask: int) -> None:
        self._watched[fd] = self.made[fd]
        self.made[fd].mask = mask

    modify = register

    def unregister(self, fd: int) -> None:
        del self._watched[fd]

    def _instants(self) -> dict[int, tuple[int, int]]:
        """Return when each socket will be ready next, and for what."""
        instants = {}
        for fd, sock in self._watched.items():
            if sock.mask & WRITABLE and sock.established_ns is not None:
                instants[fd] = (sock.established_ns, WRITABLE)
            elif sock.coming:
                instants[fd] = (sock.coming[0][0], READABLE)
        return instants

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        instants = self._instants()
        until = [at_ns for at_ns, _ in instants.values()]
        if timeout is not None:
            until.append(self.now_ns + round(timeout * 1e9))
        assert until, "the swarm waits for what will never come"
        self.now_ns = max(self.now_ns, min(until))
        return [(fd, mask) for fd, (at_ns, mask) in instants.items() if at_ns <= self.now_ns][:maxevents]

    def close(self) -> None:
        pass


def swarm_on(network: Network, transport: str, count: int, *, settings=None, **options) -> Swarm:
    """Return a swarm whose sockets, clock and poller are the network's."""
    make = load_client_class(transport)
    clients = [make(Address(HOST, 80), after=0, **(settings or {})) for _ in range(count)]
    return Swarm(
        clients, HOST, 80, offset_ns=0,
        clock=network.clock, poller=network, make_socket=network.make_socket, **options,
    )  # fmt: skip


def step_until(swarm: Swarm, reached, steps: int = 5_000) -> None:
    for _ in range(steps):
        if reached():
            return
        swarm.step()
    raise AssertionError(f"not reached; errors: {swarm.errors}")


def step_for(swarm: Swarm, network: Network, seconds: float) -> None:
    """Step until so much of the network's time has gone by."""
    end_ns = network.now_ns + round(seconds * S)
    while network.now_ns < end_ns:
        swarm.step(wait_until_ns=end_ns)


def events_of(swarm: Swarm, client: int | None = None) -> list[tuple[int, SocketEvent]]:
    """Return when what happened, to one client or to all."""
    flat, width = swarm.sockets.tolist(), len(SOCKET_FIELDS)
    rows = [flat[start : start + width] for start in range(0, len(flat), width)]
    return [(at_ns, SocketEvent(what)) for number, at_ns, what in rows if client in (None, number)]
