"""The users that one writes first, as a load generator: ``python -m bench.locust.watched_beginners``.

They are those of beginners.py, as they stand there, and Locust runs them as a library ("Using Locust as a
library" of its documentation). It is told what to do as the swarm is (clients/load/orders.py). Only their
sockets are special: they tell when the kernel had what was read. So a delivery has both times of one socket:
``arrived_ns`` by the kernel, and ``handled_ns``, which is what the user has told Locust.
"""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # while the rest is imported

import array
import fcntl
import socket
import sys
import termios
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import gevent.socket
from gevent import getcurrent
from locust import User, constant, constant_pacing
from locust.env import Environment

from bench.locust import beginners
from clients.base import load_client_class
from clients.load.generator import LOOK_NS, LoadGenerator, pack_delivery, pack_lag
from clients.load.orders import Order
from clients.load.process import main, run
from clients.sockets.limits import raise_descriptor_limit
from clients.sockets.stamped_socket import ANCILLARY_BYTES, prepare, unpack_stamp
from servers.wire import now_ns

END_OF_HEAD = b"\r\n\r\n"
EMPTY_ANSWER = END_OF_HEAD + b"[]"


class Watched:
    """What one user is seen to do: its counts as in :class:`clients.base.TickClient`, and its last read.

    Args:
        number: Of this user among all.
        load: What writes down what it gets.
    """

    def __init__(self, number: int, load: "WatchedBeginners") -> None:
        self.load = load
        self.cursor: int | None = None
        self.requests = self.empty_responses = self.polls_skipped = 0
        self._number = number
        self._is_ready = False
        self._asked_ns = 0  # when it asked last; 0 if it has not
        self._due_ns = 0  # when it is meant to ask
        self._last_read: tuple[ObservedSocket, list[tuple[int, int, bytes]]] | None = None

    def reads(self, sock: "ObservedSocket", data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        """Take note of a read, and of the kernel's stamp beside it."""
        self.load.bytes_down += len(data)
        self.empty_responses += self.load.pulls and data.endswith(EMPTY_ANSWER)
        self._last_read = sock, ancillary

    def asks(self) -> None:
        """Take note that a question leaves, and of the instants that it was meant for and that went by."""
        now = now_ns()
        self.requests += 1
        if self._asked_ns and self.load.interval_ns:
            self.polls_skipped += max((now - self._asked_ns) // self.load.interval_ns - 1, 0)
        self._asked_ns = now
        self.load.request_lags_ns.frombytes(pack_lag(now, now - self._due_ns))

    def rests(self, wait_s: float) -> None:
        """Take note that its start, or a task, is over, and how long Locust means to wait with the next."""
        self._due_ns = now_ns() + round(wait_s * 1e9)
        if not self._is_ready and self._last_read is not None:
            self._is_ready = True
            self.load.count_ready()

    def told(self, ticks: list[dict[str, Any]], latencies_ms: list[float]) -> None:
        """Write down ticks that it has told Locust of.

        Its libraries never read beyond a message or an answer, so its last read has completed this one. If
        the kernel has more, it may have put it behind what was read, under one stamp: the newer one.
        """
        assert self._last_read is not None
        sock, ancillary = self._last_read
        if ancillary:
            seconds, nanoseconds = unpack_stamp(ancillary[0][2])
            arrived_ns = seconds * 1_000_000_000 + nanoseconds + self.load.offset_ns
        else:
            self.load.user_stamped_reads += 1
            arrived_ns = now_ns()
        shared = sock.has_more()
        for tick, latency_ms in zip(ticks, latencies_ms, strict=True):
            handled_ns = tick["due_ns"] + round(latency_ms * 1e6)
            self.load.deliveries.frombytes(
                pack_delivery(self._number, tick["seq"], tick["due_ns"], arrived_ns, handled_ns, shared)
            )
            self.cursor = max(self.cursor or 0, tick["seq"])


class ObservedSocket(gevent.socket.socket):  # type: ignore[misc]  # it has no types
    """A socket of gevent that tells its user what was read, when the kernel had it, and what is sent."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._watched: Watched | None = getattr(getcurrent(), "watched", None)
        self._head = b""  # of a handshake, as far as it is there
        self._connecting_since_ns = 0  # 0 when the connection can be used
        if self._watched is not None:
            order, timeout_s = self._watched.load.order, self.gettimeout()
            prepare(self, mss=order.mss, congestion=order.congestion, user_timeout_s=None)
            self.settimeout(timeout_s)  # it blocks as it did: its greenlet, not the process

    def connect(self, address: Any) -> None:
        """Connect. One who asks can then use the connection; others shake hands first."""
        self._connecting_since_ns = now_ns()
        super().connect(address)
        if self._watched is not None and self._watched.load.pulls:
            self._is_usable(self._watched)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Read."""
        if self._watched is None:
            return bytes(super().recv(bufsize, flags))
        data, ancillary, _, _ = self.recvmsg(bufsize, ANCILLARY_BYTES, flags)
        self._watched.reads(self, data, ancillary)
        if self._connecting_since_ns:
            self._head += data
            if END_OF_HEAD in self._head:
                self._is_usable(self._watched)
        return bytes(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send: a question, of one who asks."""
        if self._watched is not None:
            self._watched.load.bytes_up += len(data)
            if self._watched.load.pulls:
                self._watched.asks()
        super().sendall(data, flags)

    def has_more(self) -> bool:
        """Return whether the kernel has more to be read (tcp(7): SIOCINQ, which is FIONREAD)."""
        length = array.array("i", [0])
        fcntl.ioctl(self.fileno(), termios.FIONREAD, length)
        return length[0] > 0

    def _is_usable(self, watched: Watched) -> None:
        watched.load.connect_ns.append(now_ns() - self._connecting_since_ns)
        self._connecting_since_ns, self._head = 0, b""


class WatchedBeginners(LoadGenerator):
    """Locust, and its users: spawned, stepped, read and closed like the swarm."""

    def __init__(self, order: Order, offset_ns: int) -> None:
        try:
            client_class = load_client_class(order.client)
            user_class: type[User] = getattr(beginners, client_class.beginner)
        except (ModuleNotFoundError, AttributeError) as error:
            raise ValueError(f"there is no beginner's user for {order.client}; use the swarm") from error
        if order.ca is not None or order.settings.get("compression"):
            raise ValueError("the users that one writes first have neither TLS nor compression here")
        self._users = [Watched(number, self) for number in range(order.clients)]
        super().__init__(self._users, offset_ns=offset_ns)
        raise_descriptor_limit(order.clients)
        self.order, self.pulls = order, client_class.pulls
        self.interval_ns = round((order.settings.get("poll_interval_s") or 0) * 1e9)
        host = f"[{order.host}]" if ":" in order.host else order.host
        environment = Environment(
            user_classes=[self._watched_class(user_class)], host=f"http://{host}:{order.port}"
        )
        environment.events.user_error.add_listener(self._note_error)
        environment.events.request.add_listener(self._note_latency)
        self._latencies_ms: list[float] = []
        self._coming = iter(self._users)
        self._runner = environment.create_local_runner()
        self._is_started = False
        beginners.report = self._noting(beginners.report)

    def _watched_class(self, user_class: type[User]) -> type[User]:
        """Return the class of users that asks as often as was ordered, and whose steps are seen."""
        load, settings = self, self.order.settings
        paced: dict[str, Any] = {"abstract": True}
        if settings.get("poll_interval_s") is not None:
            paced["wait_time"] = constant_pacing(settings["poll_interval_s"])
        if settings.get("poll_pause_s") is not None:
            paced["wait_time"] = constant(settings["poll_pause_s"])
        base: Any = type(user_class.__name__, (user_class,), paced)

        class WatchedUser(base):  # type: ignore[misc]
            def on_start(self) -> None:
                self.watched = getcurrent().watched = next(load._coming)
                super().on_start()
                self.watched.rests(0)

            def wait_time(self) -> float:
                wait_s = float(super().wait_time())
                self.watched.rests(wait_s)
                return wait_s

        return WatchedUser

    def _noting(self, report: Callable[..., None]) -> Callable[..., None]:
        """Return what reports ticks to Locust, and has them written down with what it said of each."""

        @wraps(report)
        def noting(user: Any, ticks: list[dict[str, Any]], length_bytes: int) -> None:
            self._latencies_ms.clear()
            report(user, ticks, length_bytes)
            user.watched.told(ticks, self._latencies_ms)

        return noting

    def _note_latency(self, response_time: float, **_: Any) -> None:
        self._latencies_ms.append(response_time)

    def _note_error(self, exception: BaseException, **_: Any) -> None:
        self.errors[str(exception) or type(exception).__name__] += 1

    def step(self, max_events: int = 0, wait_until_ns: int | None = None) -> int:
        """Let Locust work until then, but no longer than until orders are looked at again."""
        if not self._is_started:
            self._is_started = True
            self._runner.start(self.order.clients, spawn_rate=self.order.clients)
        wait_ns = min((wait_until_ns or sys.maxsize) - now_ns(), LOOK_NS)
        time.sleep(max(wait_ns, 0) / 1e9)  # gevent's: the users run meanwhile
        return 0

    def wire_counts(self) -> None:
        """Return nothing: what these connections cost on the wire is not counted."""

    def close(self) -> None:
        """End all users."""
        self._runner.quit()


if __name__ == "__main__":
    gevent.socket.socket = socket.socket = ObservedSocket  # type: ignore[misc]
    sys.exit(main(partial(run, make=WatchedBeginners, freeze=False)))
