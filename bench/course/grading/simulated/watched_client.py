"""A client that watches its connection, a WebSocket server, and a way between them that fails on purpose.

All in simulated time. The client is told of everything, and says two things: whether it wants a connection,
and when it is to be asked again. See notebooks/exercises/start/watchful_client.py.
"""

import inspect
import math
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.course.grading.base import Fault
from bench.course.grading.simulated.client_driver import ADDRESS
from bench.course.grading.simulated.server_connections import WebSocketConnection
from bench.course.grading.simulated.service import Service
from clients.base import ServerError

LATE_NS = 2_000_000
"""Deadlines are always called a little late, as event loops do: that alone says nothing."""
MOST_ATTEMPTS_PER_S = 100
MOST_CALLS_AT_ONCE = 100
MOST_STEPS = 10_000
"""Attempts in a second, calls of on_deadline and steps at one instant; more are a loop without a pause."""


class Attempt:
    """One connection that the client asked for: when it was asked for, open, last heard of, and ended."""

    def __init__(self, asked_ns: int) -> None:
        self.asked_ns = asked_ns
        self.opened_ns: int | None = None
        self.heard_ns: int | None = None
        self.ended_ns: int | None = None
        self.given_up = False

    @property
    def last_sign_ns(self) -> int:
        """When the last sign of life came: a byte, the opening, or none since it was asked for."""
        return self.heard_ns or self.opened_ns or self.asked_ns


class WatchedClient:
    """One client and its server.

    Args:
        client_class: The student's class.
        service: The feed and the clock.
        heartbeat_s: A server that has said nothing for so long sends a ping.
        seed: Of the random numbers that the client gets.

    Attributes:
        attempts: All connections that the client has asked for.
        ticks: What it has returned, in order.
        opens_after_s: How long a connection takes to open; None: it is never answered.
        refuses: Nobody listens: an attempt ends at once.
        hangs_up: Connections open, and are ended at once.
        is_silent: Nothing arrives any more, in either direction, and nobody says so.
        holds: What the server says waits on its way.
        is_stopped: The client's process stands still; the server's goes on.
        called_late_s: How far deadline_ns lay behind when on_deadline was called last.
    """

    def __init__(self, client_class: type, service: Service, heartbeat_s: float, seed: int = 0) -> None:
        random.seed(seed)
        self.client: Any = client_class(ADDRESS, heartbeat_s, random.Random(seed))
        self.attempts: list[Attempt] = []
        self.ticks: list[Mapping[str, Any]] = []
        self.opens_after_s: float | None = 0.0
        self.refuses = self.hangs_up = self.is_silent = self.holds = self.is_stopped = False
        self.heartbeat_ns = round(heartbeat_s * 1e9)
        self._service, self._clock = service, service.clock
        self._attempt: Attempt | None = None
        self._connection: WebSocketConnection | None = None
        self._ping_ns: int | None = None
        self._calls_at_once = (0, 0)  # instant, calls
        self.called_late_s = 0.0

    @property
    def now_ns(self) -> int:
        """The simulated instant."""
        return self._clock.now_ns

    @property
    def seqs(self) -> list[int]:
        """The ``seq`` of every tick that the client has returned."""
        return [tick["seq"] for tick in self.ticks]

    def attempt(self, index: int) -> Attempt:
        """Return the first attempt by 0, the last by -1.

        Raises:
            Fault: If there is none.
        """
        if not self.attempts:
            raise Fault(
                "it asks for no connection",
                seen="wants_connection is False from the beginning",
                expected="True",
                hint="a client that has just been made wants a connection",
            )
        return self.attempts[index]

    def run(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        """Let simulated time pass until something is reached, up to a limit; return whether it was."""
        until_ns = self._clock.now_ns + round(limit_s * 1e9)
        while True:
            self._settle()
            if reached():
                return True
            next_ns = max(self._next_ns(), self._clock.now_ns)
            if next_ns >= until_ns:
                self._clock.now_ns = until_ns
                return False
            self._clock.now_ns = next_ns
            self._let_server_speak()
            if not self.is_stopped:
                self._call_deadline()

    def put_off_heartbeat(self, heartbeats: float) -> None:
        """Let the server's next ping come so many intervals after what it said last, and not one."""
        assert self._ping_ns is not None
        self._ping_ns += round((heartbeats - 1) * self.heartbeat_ns)

    def run_until_open(self, limit_s: float) -> bool:
        """Let simulated time pass until there is a connection; return whether there is."""
        return self.run_until(lambda: self._connection is not None, limit_s)

    def run_until_ended(self, attempt: Attempt, limit_s: float) -> bool:
        """Let simulated time pass until an attempt, or its connection, has ended; return whether it has."""
        return self.run_until(lambda: attempt.ended_ns is not None, limit_s)

    def run_until_asked(self, limit_s: float) -> bool:
        """Let simulated time pass until the client asks for a connection once more; return whether it did."""
        before = len(self.attempts)
        return self.run_until(lambda: len(self.attempts) > before, limit_s)

    def let_through(self, byte_count: int) -> bool:
        """Let some of the bytes through that are held; return whether there were any."""
        if self._connection is None:
            return False
        data = self._connection.outbox[:byte_count]
        del self._connection.outbox[:byte_count]
        if data:
            self._read(bytes(data))
        return bool(data)

    def cut(self) -> None:
        """End the connection (or the attempt), so that the client hears of it."""
        if self._attempt is not None:
            self._end(given_up=False)
            self._tell("disconnected")

    def go_on(self) -> None:
        """Let a process that stood still go on: its timer first, and then what waits to be read."""
        self.is_stopped = False
        self._call_deadline()

    def _next_ns(self) -> int:
        waking = [self._service.feed.next_due_ns, self._ping_ns]
        if not self.is_stopped:
            waking.append(self._opens_ns)
            if (deadline_ns := self._deadline_ns) is not None:
                waking.append(deadline_ns + LATE_NS)
        return min(at_ns for at_ns in waking if at_ns is not None)

    @property
    def _opens_ns(self) -> int | None:
        if self._attempt is None or self._connection is not None or self.opens_after_s is None:
            return None
        return self._attempt.asked_ns + round(self.opens_after_s * 1e9)

    def _call_deadline(self) -> None:
        now_ns, deadline_ns = self._clock.now_ns, self._deadline_ns
        if deadline_ns is None or deadline_ns + LATE_NS > now_ns:
            return
        self.called_late_s = (now_ns - deadline_ns) / 1e9
        at_ns, calls = self._calls_at_once
        self._calls_at_once = now_ns, calls + 1 if at_ns == now_ns else 1
        if self._calls_at_once[1] > MOST_CALLS_AT_ONCE:
            raise Fault(
                "its deadline stands still",
                seen=f"{MOST_CALLS_AT_ONCE} calls of on_deadline at one instant",
                expected="a later deadline_ns, or None, after on_deadline",
                hint="on_deadline is called again and again until deadline_ns lies in the future: count from "
                "the now_ns that you are given, in ns",
            )
        self._tell("on_deadline")

    def _let_server_speak(self) -> None:
        """Publish what is due, and send it; or a ping, if there was nothing to be said for an interval."""
        self._service.feed.publish_due()
        connection, now_ns = self._connection, self._clock.now_ns
        if connection is None or self._ping_ns is None:
            return
        before_bytes = len(connection.outbox)
        connection.wake()
        if len(connection.outbox) == before_bytes and now_ns >= self._ping_ns:
            connection.ping(b"")
        if len(connection.outbox) > before_bytes:
            self._ping_ns = now_ns + self.heartbeat_ns

    def _settle(self) -> None:
        """Let client and server do what they can at this instant."""
        for _ in range(MOST_STEPS):
            if self.is_stopped or not self._step():
                return
        raise Fault(
            "the conversation at one instant has no end",
            seen=f"{MOST_STEPS} steps without time passing",
            expected="a handshake, then pongs only",
            hint="data_to_send() returns what is to be sent, and forgets it",
        )

    def _step(self) -> bool:
        """Do one thing; return whether there was one to do."""
        if self._attempt is None:
            return self._ask()
        if not self.client.wants_connection:
            self._end(given_up=True)
            return True
        if self._connection is not None:
            return self._exchange()
        if self.refuses:
            self.cut()
            return True
        return self._open()

    def _ask(self) -> bool:
        client, now_ns = self.client, self._clock.now_ns
        if not client.wants_connection:
            if client.deadline_ns is None:
                raise Fault(
                    "it never comes back",
                    seen="wants_connection is False, and deadline_ns is None",
                    expected="a deadline at which it wants a connection again",
                    hint="a pause ends at deadline_ns: then on_deadline sets wants_connection",
                )
            return False
        self._attempt = Attempt(now_ns)
        self.attempts.append(self._attempt)
        within_s = (now_ns - self.attempts[-MOST_ATTEMPTS_PER_S:][0].asked_ns) / 1e9
        if len(self.attempts) > MOST_ATTEMPTS_PER_S and within_s < 1:
            raise Fault(
                "it tries again and again without a pause",
                seen=f"{MOST_ATTEMPTS_PER_S} attempts within {within_s:.2g} s",
                expected="a pause after each connection and each attempt that has ended",
                hint="disconnected() sets wants_connection to False, and deadline_ns to the end of the pause",
            )
        self._tell("connecting")
        return True

    def _open(self) -> bool:
        now_ns = self._clock.now_ns
        if self._attempt is None or self._opens_ns is None or self._opens_ns > now_ns:
            return False
        self._attempt.opened_ns = now_ns
        self._connection = WebSocketConnection(self._service)
        self._tell("connected")
        if self.hangs_up:
            self.cut()
        return True

    def _exchange(self) -> bool:
        connection = self._connection
        assert connection is not None
        outgoing = self.client.data_to_send()
        if outgoing and not self.is_silent:
            connection.receive(outgoing)
            if self._ping_ns is None:
                self._ping_ns = self._clock.now_ns + self.heartbeat_ns
        if self.is_silent:
            connection.outbox.clear()
        came = not self.holds and self.let_through(len(connection.outbox))
        if self._connection is connection and connection.closed and not connection.outbox:
            self.cut()
        return bool(outgoing) or came

    def _read(self, data: bytes) -> None:
        assert self._attempt is not None
        self._attempt.heard_ns = self._clock.now_ns
        try:
            self.ticks += _ticks_of(self._tell("receive_data", data))
        except ServerError:
            self.cut()

    def _tell(self, method: str, *data: bytes) -> Any:
        """Call one of the client's methods, now; return what it returns."""
        returned = getattr(self.client, method)(*data, self._clock.now_ns)
        if inspect.iscoroutine(returned):
            returned.close()
            raise Fault(
                "its methods are asynchronous",
                seen=f"async def {method}",
                expected=f"def {method}",
                hint="no method waits: whoever drives it waits for bytes and for deadline_ns",
            )
        return returned

    def deadline_in_words(self) -> str:
        """Return when on_deadline is to be called, counted from now."""
        deadline_ns = self._deadline_ns
        if deadline_ns is None:
            return "deadline_ns is None"
        ahead_s = (deadline_ns - self._clock.now_ns) / 1e9
        return f"deadline_ns lies {abs(ahead_s):.3g} s {'ahead' if ahead_s > 0 else 'behind'}"

    @property
    def _deadline_ns(self) -> int | None:
        deadline_ns = self.client.deadline_ns
        try:
            return None if deadline_ns is None else math.ceil(deadline_ns)
        except (TypeError, ValueError, OverflowError):
            raise Fault(
                "its deadline_ns is no instant",
                seen=repr(deadline_ns)[:60],
                expected="an instant in ns, counted as now_ns is; or None, for never",
                hint="deadline_ns = now_ns + round(seconds * 1e9)",
            ) from None

    def _end(self, *, given_up: bool) -> None:
        assert self._attempt is not None
        self._attempt.ended_ns, self._attempt.given_up = self._clock.now_ns, given_up
        self._attempt = self._connection = self._ping_ns = None


def _ticks_of(returned: Any) -> list[Mapping[str, Any]]:
    """Return what receive_data returned, if that is ticks."""
    ticks = list(returned) if isinstance(returned, Iterable) else [returned]
    if all(isinstance(tick, Mapping) and "seq" in tick for tick in ticks):
        return ticks
    raise Fault(
        "what receive_data returns is no list of ticks",
        seen=repr(returned)[:60],
        expected="a list of the ticks that are whole now, also if it is empty: dicts with a seq",
        hint="return what self._read(data) returns",
    )
