"""One swarm as a process of its own, told by lines on standard input what to do: see clients/orders.py.

It ends when it has reported, or when its standard input ends, which is when whoever started it is gone.
"""

import contextlib
import gc
import os
import sys
import time
from array import array
from pathlib import Path

import psutil

from clients.base import Address, TickClient, load
from clients.orders import Connected, Failed, Message, Order, Reading, Report, Window, decode, encode
from clients.short_polling import stratified_phases
from clients.stamped_socket import measure_clock_offset
from clients.swarm import DELIVERY_FIELDS, Swarm
from servers.wire import now_ns

LOOK_NS = 20_000_000
"""How often the swarm looks up from its sockets: for orders, and for whether it is done."""


class Orders:
    """Standard input as a stream of messages that can be looked at without waiting."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""

    def wait(self) -> Message:
        """Return the next message.

        Raises:
            EOFError: If there will be none.
        """
        os.set_blocking(self._fd, True)
        while b"\n" not in self._buffer:
            self._read()
        os.set_blocking(self._fd, False)
        return self._next()

    def look(self) -> Message | None:
        """Return the next message if it is there.

        Raises:
            EOFError: If there will be none.
        """
        with contextlib.suppress(BlockingIOError):
            self._read()
        return self._next() if b"\n" in self._buffer else None

    def _read(self) -> None:
        data = os.read(self._fd, 65536)
        if not data:
            raise EOFError
        self._buffer += data

    def _next(self) -> Message:
        line, _, self._buffer = self._buffer.partition(b"\n")
        return decode(line)


def build_clients(order: Order) -> list[TickClient]:
    """Build the clients; those that poll at an interval get stratified phases from a common epoch."""
    client_class = load(order.client)
    address = Address(order.host, order.port, order.path)
    settings = [dict(order.settings) for _ in range(order.clients)]
    if "poll_interval_s" in client_class.settings:
        epoch_ns = now_ns()
        for own, phase in zip(settings, stratified_phases(order.clients, order.seed), strict=True):
            own.update(epoch_ns=epoch_ns, phase=phase)
    return [client_class(address, latest=order.latest, **own) for own in settings]


def read_counters(swarm: Swarm) -> Reading:
    """Read every counter of the swarm, of its process, and of the kernel."""
    clients = swarm.clients
    wire = swarm.wire_counts()
    return Reading(
        at_ns=now_ns(),
        cpu_ns=time.process_time_ns(),
        rss_bytes=psutil.Process().memory_info().rss,
        bytes_up=swarm.bytes_up,
        bytes_down=swarm.bytes_down,
        delivered=len(swarm.deliveries) // len(DELIVERY_FIELDS),
        connections=len(swarm.connect_ns),
        requests=sum(client.requests for client in clients),
        empty_responses=sum(client.empty_responses for client in clients),
        polls_skipped=sum(client.polls_skipped for client in clients),
        missed=sum(client.missed for client in clients),
        superseded=sum(client.superseded for client in clients),
        duplicated=sum(client.duplicated for client in clients),
        out_of_order=sum(client.out_of_order for client in clients),
        reads=swarm.reads,
        user_stamped_reads=swarm.user_stamped_reads,
        wire=None if wire is None else list(wire),
    )


def watch(swarm: Swarm, window: Window, orders: Orders) -> tuple[Reading, Reading, bool]:
    """Run the swarm through the window and its drain.

    Returns:
        The counters before the window and after the drain, and whether every client has the last tick.
    """
    before: Reading | None = None
    drained = False
    while not drained and (now := now_ns()) < window.until_ns:
        if before is None and now >= window.counters_at_ns:
            before = read_counters(swarm)
        if now >= window.end_ns:
            drained = all((client.cursor or 0) >= window.last_seq for client in swarm.clients)
        orders.look()
        look_ns = now + LOOK_NS
        while not drained and (now := now_ns()) < look_ns:
            swarm.step(wait_until_ns=look_ns)
    after = read_counters(swarm)
    return before or after, after, drained


def run(order: Order, orders: Orders) -> Report:
    """Connect, wait for the window, watch it, and write the raw samples.

    Raises:
        OSError, TimeoutError, ValueError: With a sentence, if it cannot be done.
        EOFError: If whoever gives the orders is gone.
    """
    start = measure_clock_offset()
    empty_rss_bytes = psutil.Process().memory_info().rss
    swarm = Swarm(
        build_clients(order),
        order.host,
        order.port,
        offset_ns=start.offset_ns,
        mss=order.mss,
        congestion=order.congestion,
    )
    try:
        began_ns, began_cpu_ns = now_ns(), time.process_time_ns()
        swarm.connect(deadline_ns=began_ns + round(order.connect_timeout_s * 1e9))
        connect_ns = now_ns() - began_ns
        # A full collection over 10,000 clients stops the loop for a tenth of a second: spare it that.
        gc.collect()
        gc.freeze()
        cpu_ratio = (time.process_time_ns() - began_cpu_ns) / connect_ns
        say(Connected(connect_ns / 1e9, cpu_ratio, empty_rss_bytes))
        while (window := orders.look()) is None:
            swarm.step(wait_until_ns=now_ns() + LOOK_NS // 4)
        if not isinstance(window, Window):
            raise ValueError(f"expected a window, got {window}")
        before, after, drained = watch(swarm, window, orders)
        for name, samples in (
            ("deliveries", swarm.deliveries),
            ("request_lags", swarm.request_lags_ns),
            ("connects", swarm.connect_ns),
        ):
            write_samples(Path(order.folder, f"{name}.int64"), samples)
    finally:
        swarm.close()
    end = measure_clock_offset()
    return Report(
        before=before,
        after=after,
        drained=drained,
        clock_shift_ns=end.offset_ns - start.offset_ns,
        clock_bracket_ns=max(start.bracket_ns, end.bracket_ns),
        errors=dict(swarm.errors),
    )


def write_samples(path: Path, samples: "array[int]") -> None:
    """Write an array of int64 as it is in memory."""
    with path.open("wb") as file:
        samples.tofile(file)


def say(message: Message) -> None:
    """Write one message to standard output."""
    sys.stdout.buffer.write(encode(message) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Obey the orders on standard input; return the exit code."""
    orders = Orders(sys.stdin.fileno())
    try:
        order = orders.wait()
        if not isinstance(order, Order):
            raise ValueError(f"expected an order, got {order}")
        if order.core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {order.core})
        say(run(order, orders))
    except (EOFError, KeyboardInterrupt):
        return 1
    except (OSError, ValueError) as error:
        say(Failed(str(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
