"""The feed: publishes ticks on their plan, remembers the last of them, and wakes whoever waits.

The history is a log, and every client is a cursor into it: the ``seq`` of the newest tick that it holds. A
slow client, a late one and one that was cut off are the same case, and none of them has a queue of its own.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from servers.wire import MAX_BATCH_BYTES, MAX_BATCH_TICKS, encode_array, encode_tick, now_ns

LAGS_KEPT = 100_000
CURSORS_CACHED = 64


class Delivery(NamedTuple):
    """What one client is to be sent next.

    ``body`` is a JSON array; ``last_seq`` the cursor after it; ``missed`` the ticks that the history no
    longer has; ``waiting`` the ticks that did not fit and are there to be asked for at once.
    """

    body: bytes
    last_seq: int
    missed: int = 0
    waiting: int = 0


class Feed:
    """Publishes ticks 1, 2, 3 … and keeps the newest of them.

    Args:
        due: Yields ``due_ns`` of each tick (see :func:`servers.workloads.plan.due_times`).
        quotes: Yields symbol and price of each tick.
        payload_bytes: Exact size of each encoded tick.
        padding: What fills it up, see :data:`servers.wire.PADDINGS`.
        contract: ``every`` (each client gets each tick once, in order) or ``latest`` (the newest only).
        history_ticks: How many ticks are remembered.
        left_out: How many ticks are older than the first of ``due`` and ``quotes``, if it is the feed of an
            earlier server (see :meth:`rebuild`).
        plan: What ``due`` was made of, for whoever asks: parameters of due_times, as far as they are plain.
        clock: The bench clock, in ns.
    """

    def __init__(
        self,
        due: Iterator[int],
        quotes: Iterator[tuple[str, float]],
        *,
        payload_bytes: int,
        padding: str = "noise",
        contract: str = "every",
        history_ticks: int = 1_000,
        left_out: int = 0,
        plan: Mapping[str, Any] = MappingProxyType({}),
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self.contract = contract
        self.plan = plan
        self.newest_seq = left_out
        self.listeners: set[Callable[[], None]] = set()
        self.next_due_ns = next(due)
        self.closed = False
        self._due = due
        self._quotes = quotes
        self._payload_bytes, self._padding = payload_bytes, padding
        self._history: deque[bytes] = deque(maxlen=history_ticks)
        self._lags_ns: deque[int] = deque(maxlen=LAGS_KEPT)
        self._loop_lags_ns: deque[int] = deque(maxlen=LAGS_KEPT)
        self._clock = clock
        self._deliveries: dict[int, Delivery] = {}
        self._waiting: set[asyncio.Future[None]] = set()

    # Publishing

    def rebuild(self) -> None:
        """Remember the ticks that are due by now as an earlier server published them; they have no lags."""
        now = self._clock()
        while self.next_due_ns <= now:
            self._publish_next()

    async def run(self) -> None:
        """Publish until cancelled.

        A thread sleeps until the next tick is due and wakes the loop: event loops round their timers to a
        millisecond, which would be most of what a push transport's latency is.
        """
        loop = asyncio.get_running_loop()
        stopped, published = threading.Event(), threading.Event()

        def publish(woken_ns: int) -> None:
            self.publish_due(woken_ns)
            published.set()

        def sleep_and_wake() -> None:
            while not stopped.is_set():
                if not stopped.wait(max(self.next_due_ns - self._clock(), 0) / 1e9):
                    published.clear()
                    if stopped.is_set():  # and has set published before it was cleared
                        return
                    loop.call_soon_threadsafe(publish, self._clock())
                    published.wait()

        sleeper = threading.Thread(target=sleep_and_wake, name="feed", daemon=True)
        sleeper.start()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
            published.set()
            sleeper.join()

    def publish_due(self, woken_ns: int | None = None) -> int:
        """Publish all ticks that are due, wake whoever waits, and return how many ticks it was.

        ``woken_ns`` is when the event loop was told to: what has passed since is the lag of the loop.
        """
        now = self._clock()
        count = 0
        while self.next_due_ns <= now:
            self._lags_ns.append(now - self.next_due_ns)
            self._loop_lags_ns.append(0 if woken_ns is None else now - woken_ns)
            self._publish_next()
            count += 1
        if count:
            self._deliveries.clear()
            self._wake()
        return count

    def _publish_next(self) -> None:
        self.newest_seq += 1
        symbol, price = next(self._quotes)
        tick = encode_tick(
            self.newest_seq, self.next_due_ns, symbol, price, self._payload_bytes, self._padding
        )
        self._history.append(tick)
        self.next_due_ns = next(self._due)

    def lags_between(self, first_seq: int, last_seq: int) -> tuple[list[int], list[int]]:
        """Return, for each of these ticks (of the last 100,000 that were published here), two lags in ns.

        Published − due; and how long the event loop took to turn to it, a part of the former.
        """
        oldest_seq = self.newest_seq - len(self._lags_ns) + 1
        first = max(first_seq - oldest_seq, 0)
        end = max(last_seq + 1 - oldest_seq, first)
        return list(islice(self._lags_ns, first, end)), list(islice(self._loop_lags_ns, first, end))

    # Reading

    @property
    def oldest_seq(self) -> int:
        """The oldest tick of the history, or 1 before any."""
        return self.newest_seq - len(self._history) + 1

    def newest_only(self) -> int:
        """Return the cursor of a client that starts now, with the newest tick as its first."""
        return max(self.newest_seq - 1, 0)

    def after(self, cursor: int) -> Delivery:
        """Return what a client that holds the ticks up to ``cursor`` is to be sent: built once, for all."""
        delivery = self._deliveries.get(cursor)
        if delivery is None:
            if len(self._deliveries) >= CURSORS_CACHED:
                self._deliveries.clear()
            delivery = self._deliveries[cursor] = self._build(cursor)
        return delivery

    def _build(self, cursor: int) -> Delivery:
        if cursor >= self.newest_seq:
            return Delivery(b"[]", cursor)
        if self.contract == "latest":
            return Delivery(encode_array([self._history[-1]]), self.newest_seq)
        first_seq = max(cursor + 1, self.oldest_seq)
        ticks: list[bytes] = []
        room_bytes = MAX_BATCH_BYTES - 1  # for the closing bracket; the others go with the ticks
        for seq in range(first_seq, min(first_seq + MAX_BATCH_TICKS, self.newest_seq + 1)):
            tick = self._history[seq - self.oldest_seq]
            room_bytes -= len(tick) + 1
            if ticks and room_bytes < 0:
                break
            ticks.append(tick)
        last_seq = first_seq + len(ticks) - 1
        return Delivery(
            encode_array(ticks), last_seq, first_seq - cursor - 1, waiting=self.newest_seq - last_seq
        )

    # Waiting

    async def newer_than(self, cursor: int, timeout_s: float) -> None:
        """Return when there is a tick after ``cursor``, the time is over, or the feed was closed."""
        if self.newest_seq > cursor or self.closed or timeout_s <= 0:
            return
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout_s, _settle, woken)
        self._waiting.add(woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._waiting.discard(woken)

    def close(self) -> None:
        """Let everybody who waits go, for good."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        for listener in self.listeners:
            listener()
        waiting, self._waiting = self._waiting, set()
        for woken in waiting:
            _settle(woken)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
