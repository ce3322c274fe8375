"""The swarm: any number of sans-I/O clients on one loop.

One loop on ``epoll`` reads whatever socket has something, gives the bytes to its client, and writes down when
the kernel received them. A client costs its state machine and a socket, no task and no timer of its own.
"""

import heapq
import os
import socket
from collections.abc import Callable, Iterable, Sequence

from clients.base import ServerError, TickClient, Ticks
from clients.load.connections.backoff import Backoff
from clients.load.connections.parting import Parting
from clients.load.connections.seat import Seat
from clients.load.connections.silence import SilenceWatch
from clients.load.connections.waiting_line import WaitingLine
from clients.load.generator import LoadGenerator, pack_delivery, pack_lag
from clients.sockets.events import SocketEvent, end_by_errno, pack_socket
from clients.sockets.limits import raise_descriptor_limit, source_address
from clients.sockets.poller import READABLE, WRITABLE, Poller, new_poller
from clients.sockets.stamped_socket import NothingWhole, SocketFactory, StampedSocket, WireCounts
from servers.wire import now_ns

CONNECTING_AT_ONCE = 256
"""Connections opened but not yet answered: far below any server's accept queue, so that none overflows."""


class Swarm(LoadGenerator):
    """Drives clients over sockets.

    Args:
        clients: The clients, all for one server.
        host, port: The server.
        offset_ns: Bench clock − CLOCK_REALTIME.
        poller: An epoll object or its like; by default a new one of the system.
        make_socket: Makes the sockets: StampedSocket, or TlsSocket with its context.
        clock: The bench clock, in ns.
        connecting_at_once: How many connections may be under way at once.
        silence_s: A client that has heard nothing for so long, though something is to come, closes its
            connection, or gives up connecting, and tries again; None waits for TCP to tell.
        backoff: How long clients wait before they connect again; jittered by default.
        herd: Whether clients that come back may connect however many connections are under way.
    """

    clients: list[TickClient]

    def __init__(
        self,
        clients: Sequence[TickClient],
        host: str,
        port: int,
        *,
        offset_ns: int,
        poller: Poller | None = None,
        make_socket: SocketFactory = StampedSocket,
        clock: Callable[[], int] = now_ns,
        mss: int | None = None,
        congestion: str | None = None,
        connecting_at_once: int = CONNECTING_AT_ONCE,
        silence_s: float | None = None,
        backoff: Backoff | None = None,
        herd: bool = False,
    ) -> None:
        super().__init__([], offset_ns=offset_ns, clock=clock)
        self.first_answer_counts = WireCounts()
        self._seats: dict[int, Seat] = {}
        self._seats_given = 0
        self._by_fd: dict[int, Seat] = {}
        self._host, self._port = host, port
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._poller: Poller = poller or new_poller()
        self._parting = Parting(self._poller)
        self._make_socket = make_socket
        self._mss, self._congestion = mss, congestion
        self._line = WaitingLine(connecting_at_once, backoff or Backoff(), herd=herd)
        self._timers: list[tuple[int, int]] = []  # (deadline_ns, seat number)
        self._silence = None if silence_s is None else SilenceWatch(silence_s)
        raise_descriptor_limit(len(clients))
        for client in clients:
            self.add(client)

    # Coming and going

    def add(self, client: TickClient) -> int:
        """Take a client in, and connect it when its turn comes; return its number: 0, 1, 2 … by arrival."""
        number = self._seats_given
        self._seats_given += 1
        self.clients.append(client)
        seat = self._seats[number] = Seat(number, client)
        self._line.join(seat)
        return number

    def remove(self, numbers: Iterable[int]) -> list[TickClient]:
        """Let clients go: their connections are closed, and their numbers are not given again.

        Raises:
            KeyError: If there is no such client.
        """
        gone = [self._seats.pop(number) for number in numbers]
        for seat in gone:
            if seat.sock is not None:
                self._disconnect(seat, SocketEvent.DONE)
        self.clients = [seat.client for seat in self._seats.values()]
        return [seat.client for seat in gone]

    # Driving

    def next_deadline(self) -> int | None:
        """Return when ``step`` has something to do even if no socket has, on the bench clock."""
        first_ns = self._line.next_ns()
        if self._timers and (first_ns is None or self._timers[0][0] < first_ns):
            first_ns = self._timers[0][0]
        if self._silence is not None and (timers := self._silence.timers):
            first_ns = timers[0][0] if first_ns is None else min(first_ns, timers[0][0])
        return first_ns

    def step(self, max_events: int = 256, wait_until_ns: int | None = None) -> int:
        """Do what is due, then wait for sockets and serve up to ``max_events``; return how many there were.

        Args:
            max_events: Sockets served before timers are looked at again.
            wait_until_ns: Wait for sockets until then at most; None is until the next deadline. An instant
                in the past does not wait at all.
        """
        now = self._clock()
        timers = self._timers
        for _ in range(max_events):  # no more: a swarm that cannot keep up must still read its sockets
            if not timers or timers[0][0] > now:
                break
            self._fire(heapq.heappop(timers))
            now = self._clock()
        due_ns = self._line.next_ns()
        if due_ns is not None and due_ns <= now:
            self._open_connections(now, max_events)
        until_ns = self.next_deadline()
        if wait_until_ns is not None and (until_ns is None or wait_until_ns < until_ns):
            until_ns = wait_until_ns
        timeout_s = None if until_ns is None else (until_ns - now) / 1e9 if until_ns > now else 0
        events = self._poller.poll(timeout_s, max_events)
        by_fd = self._by_fd
        for fd, mask in events:
            if (seat := by_fd.get(fd)) is None:
                self._parting.hear(fd)
                continue
            if mask & WRITABLE and not self._writable(seat):
                continue
            if mask != WRITABLE:
                self._readable(seat)
        if self._silence is not None and len(events) < max_events:
            self._end_silences(self._silence, now)
        return len(events)

    def close(self) -> None:
        """Close every connection and the poller."""
        for seat in self._seats.values():
            if seat.sock is not None:
                self._release(seat)
        self._parting.end_all()
        self._poller.close()

    # What the kernel counted

    def wire_counts(self) -> WireCounts | None:
        """Return the sums over all connections so far, or None where the system does not count."""
        in_use = (seat.sock for seat in self._seats.values() if seat.established)
        return self._parting.wire_counts(sock for sock in in_use if sock is not None)

    # One socket

    def _readable(self, seat: Seat) -> None:
        client, sock = seat.client, seat.sock
        assert sock is not None
        if not seat.usable:
            self._secure(seat)
            return
        try:
            data, arrived_ns = sock.receive()
        except NothingWhole as part:
            seat.quiet_since_ns = part.arrived_ns
            return
        except BlockingIOError:
            return
        except OSError as error:
            self._break(seat, error)
            return
        if not data:
            if seat.send_errno:  # the kernel tells an error once, and told it when this was sent
                self._break(seat, OSError(seat.send_errno, os.strerror(seat.send_errno)))
            else:
                self._lose(seat, "the server ended the connection", SocketEvent.ENDED)
            return
        seat.quiet_since_ns = arrived_ns
        self.bytes_down += len(data)
        if not sock.kernel_stamped:
            self.user_stamped_reads += 1
        try:
            ticks = client.receive_data(data, arrived_ns)
        except ServerError as error:
            self._log(seat.number, error.ticks, arrived_ns, True)
            if client.outbox:
                self._flush(seat)
            self._lose(seat, str(error), SocketEvent.REFUSAL)
            return
        if ticks:
            self._log(seat.number, ticks, arrived_ns, client.stamp_shared or sock.ends_within)
            if seat.backoff_limit_s:
                seat.backoff_limit_s = 0.0
        if seat.connecting_since_ns:
            self._admit(seat)
        if client.done_with_connection or client.deadline_ns != seat.scheduled_ns:
            self._follow(seat)
        elif client.outbox:
            self._flush(seat)

    def _log(self, number: int, ticks: Ticks, arrived_ns: int, shared: bool) -> None:
        """Write down that a client has got ticks; packing costs half of what array.extend does."""
        handled_ns = self._clock()
        write = self.deliveries.frombytes
        for tick in ticks:
            write(pack_delivery(number, tick.seq, tick.due_ns, arrived_ns, handled_ns, shared))

    def _follow(self, seat: Seat) -> None:
        """Do what the client wants after an event: close, connect, send, be called at an instant."""
        client = seat.client
        if client.done_with_connection and seat.sock is not None:
            self._disconnect(seat, SocketEvent.DONE)
        if seat.sock is None:
            if client.wants_connection and not seat.queued:
                self._line.join(seat)
        elif seat.usable and client.outbox:
            self._flush(seat)
        if client.deadline_ns != seat.scheduled_ns:
            seat.scheduled_ns = client.deadline_ns
            if client.deadline_ns is not None:
                heapq.heappush(self._timers, (client.deadline_ns, seat.number))

    def _fire(self, timer: tuple[int, int]) -> None:
        deadline_ns, number = timer
        seat = self._seats.get(number)
        if seat is None or seat.scheduled_ns != deadline_ns:
            return  # the client has gone, or has changed its mind
        seat.scheduled_ns = None
        seat.client.on_deadline(self._clock())
        self._follow(seat)

    def _flush(self, seat: Seat) -> None:
        client, sock = seat.client, seat.sock
        assert sock is not None
        if client.pulls:
            seat.quiet_since_ns = now = self._clock()
            self.request_lags_ns.frombytes(pack_lag(now, now - client.request_due_ns))
        data = client.data_to_send()
        self.bytes_up += len(data)
        if seat.unsent:
            seat.unsent += data
            return
        try:
            sent = sock.send(data)
        except OSError as error:
            seat.send_errno = error.errno or 0
            return  # the read that follows comes to the end, and may have ticks before it
        if sent < len(data):
            seat.unsent = data[sent:]
            self._poller.modify(sock.fileno(), READABLE | WRITABLE)

    # Connections

    def _open_connections(self, now: int, at_most: int) -> None:
        while at_most and (seat := self._line.next_seat(now)) is not None:
            at_most -= 1
            if seat.number not in self._seats:
                continue  # it has gone before its turn came
            self._line.under_way += 1
            seat.connecting_since_ns = now
            seat.sock = sock = self._make_socket(
                self._family, offset_ns=self.offset_ns, mss=self._mss, congestion=self._congestion
            )
            self._by_fd[sock.fileno()] = seat
            self._poller.register(sock.fileno(), READABLE | WRITABLE)
            self.sockets.frombytes(pack_socket(seat.number, now, SocketEvent.ASKED))
            if self._silence is not None:
                self._silence.begin(seat, now)
            try:
                sock.connect(
                    self._host, self._port, source_address(seat.number, len(self._seats), self._host)
                )
            except OSError as error:
                self._break(seat, error)
            now = self._clock()

    def _writable(self, seat: Seat) -> bool:
        """Go on with a connection that stands, or with bytes that did not fit; False if it is lost."""
        sock = seat.sock
        assert sock is not None
        if not seat.established:
            if error := sock.connect_error():
                self._lose(seat, f"no connection: {os.strerror(error)}", end_by_errno(error))
                return False
            seat.established = True
            self._poller.modify(sock.fileno(), READABLE)
            self._secure(seat)
        elif seat.unsent:
            try:
                seat.unsent = seat.unsent[sock.send(seat.unsent) :]
            except OSError as error:
                self._break(seat, error)
                return False
            if not seat.unsent:
                self._poller.modify(sock.fileno(), READABLE)
        return seat.sock is not None

    def _secure(self, seat: Seat) -> None:
        """Go on with a connection that stands, and tell the client when it can be used."""
        assert seat.sock is not None
        try:
            is_secure = seat.sock.secure()
        except OSError as error:
            self._break(seat, error)
            return
        seat.quiet_since_ns = now = self._clock()
        if not is_secure:
            return
        seat.usable = True
        self.sockets.frombytes(pack_socket(seat.number, now, SocketEvent.OPENED))
        if seat.client.outbox:  # it waited for the connection, which is as late as the way is long
            seat.client.request_due_ns += now - seat.connecting_since_ns
        seat.client.connected(now)
        self._admit(seat)
        self._follow(seat)

    def _admit(self, seat: Seat) -> None:
        """Let the next one connect, if this connection has proved that the server has accepted it.

        The first message proves it: the kernel alone lets connections stand that the server has not yet seen
        (its accept queue), and a queue that is full drops them. A client that comes back may have nothing to
        be told yet; it is let in when its connection can be used.
        """
        client = seat.client
        if not client.ready or not (client.messages or seat.been_ready):
            return
        self.connect_ns.append(client.ready_ns - seat.connecting_since_ns)
        seat.connecting_since_ns = 0
        self._line.under_way -= 1
        if not seat.been_ready:
            seat.been_ready = True
            self.count_ready()
            self._count_first_answer(seat)

    def _count_first_answer(self, seat: Seat) -> None:
        assert seat.sock is not None
        counts = seat.sock.wire_counts()
        if counts is None or self.first_answer_counts is None:
            self.first_answer_counts = None
        else:
            self.first_answer_counts = self.first_answer_counts.plus(counts)

    def _end_silences(self, silence: SilenceWatch, now: int) -> None:
        """Give up connections on which nothing had come until ``now``; all that had has been read since."""
        for seat in silence.silent_seats(now):
            reason = f"nothing was heard for {silence.silence_s:g} s"
            self._lose(seat, reason if seat.usable else f"no connection: {reason}", SocketEvent.SILENT)

    def _break(self, seat: Seat, error: OSError) -> None:
        self._lose(seat, error.strerror or str(error), end_by_errno(error.errno))

    def _lose(self, seat: Seat, reason: str, end: SocketEvent) -> None:
        """A connection has ended: note why, and connect again after a pause if the client wants to."""
        self.errors[reason] += 1
        self._disconnect(seat, end)
        if seat.client.wants_connection:
            self._line.join_later(seat, self._clock())

    def _disconnect(self, seat: Seat, end: SocketEvent) -> None:
        self.sockets.frombytes(pack_socket(seat.number, self._clock(), end))
        if seat.connecting_since_ns:
            self._line.under_way -= 1
            seat.connecting_since_ns = 0
        self._release(seat, wait=end is not SocketEvent.SILENT)
        seat.client.disconnected()

    def _release(self, seat: Seat, *, wait: bool = True) -> None:
        """Close a client's connection; ``wait`` for the server's end if it may be heard of."""
        sock = seat.sock
        assert sock is not None
        del self._by_fd[sock.fileno()]
        if seat.established:
            self._parting.begin(sock, wait=wait)
        else:
            self._parting.end(sock, counted=False)
        seat.sock, seat.established, seat.usable = None, False, False
        seat.unsent, seat.send_errno = b"", 0
