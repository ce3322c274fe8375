"""A load generator as a process, told by lines on standard input what to do: see clients/load/orders.py.

It ends when it has reported, or when its standard input ends, which is when whoever started it is gone.
"""

import contextlib
import gc
import os
import socket
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import psutil

from clients.load.generator import DELIVERY_FIELDS, LOOK_NS, LoadGenerator
from clients.load.orders import (
    Connected,
    Failed,
    Message,
    Order,
    Reading,
    Report,
    Window,
    decode,
    encode,
)
from clients.sockets.stamped_socket import StampedSocket, measure_clock_offset
from servers.conditions import conditions
from servers.interrupts import raise_at_interrupt
from servers.wire import now_ns

Make = Callable[[Order, int], LoadGenerator]
"""Makes a load generator from an order and bench clock − CLOCK_REALTIME in ns."""


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


def read_counters(generator: LoadGenerator) -> Reading:
    """Read every counter of the generator, of its process, and of the kernel."""
    clients = generator.clients
    wire = generator.wire_counts()
    return Reading(
        at_ns=now_ns(),
        cpu_ns=time.process_time_ns(),
        rss_bytes=psutil.Process().memory_info().rss,
        bytes_up=generator.bytes_up,
        bytes_down=generator.bytes_down,
        delivered=len(generator.deliveries) // len(DELIVERY_FIELDS),
        connections=len(generator.connect_ns),
        requests=sum(client.requests for client in clients),
        empty_responses=sum(client.empty_responses for client in clients),
        polls_skipped=sum(client.polls_skipped for client in clients),
        user_stamped_reads=generator.user_stamped_reads,
        wire=None if wire is None else list(wire),
    )


def watch(generator: LoadGenerator, window: Window, orders: Orders) -> tuple[Reading, Reading, bool]:
    """Run the generator through the window and its drain.

    Returns:
        The counters at the two instants, and whether every client has the last tick.
    """
    readings: list[Reading] = []
    read_at_ns = [window.counters_at_ns, window.counters_again_at_ns, window.until_ns]
    drained = False
    while not drained and (now := now_ns()) < window.until_ns:
        if now >= read_at_ns[len(readings)]:
            readings.append(read_counters(generator))
        if now >= window.end_ns:
            drained = all((client.cursor or 0) >= window.last_seq for client in generator.clients)
        orders.look()
        look_ns = min(now + LOOK_NS, read_at_ns[len(readings)])
        while not drained and now_ns() < look_ns:
            generator.step(wait_until_ns=look_ns)
    while len(readings) < 2:  # it was so late that an instant went by
        readings.append(read_counters(generator))
    return readings[0], readings[1], drained


def run(orders: Orders, make: Make, *, freeze: bool) -> Report:
    """Obey an order: connect, wait for the window, watch it, and write the raw samples.

    Args:
        orders: What is ordered.
        make: Makes the load generator, from the order and the offset of the clocks.
        freeze: Whether the garbage collector leaves alone what stands when all clients are connected: a full
            collection over 10,000 of them stops the loop for a tenth of a second.

    Raises:
        OSError, TimeoutError, ValueError: With a sentence, if it cannot be done.
        EOFError: If whoever gives the orders is gone.
    """
    order = orders.wait()
    if not isinstance(order, Order):
        raise ValueError(f"expected an order, got {order}")
    if order.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {order.core})
    start = measure_clock_offset()
    empty_rss_bytes = psutil.Process().memory_info().rss
    # The kernel stamps what comes in only while some socket asks for it, and takes a while to begin; with a
    # connection for each request there would be moments without any.
    stamping = StampedSocket(socket.AF_INET, offset_ns=start.offset_ns)
    generator = make(order, start.offset_ns)
    try:
        began_ns, began_cpu_ns = now_ns(), time.process_time_ns()
        generator.connect(began_ns + round(order.connect_timeout_s * 1e9), look_up=orders.look)
        connect_ns = now_ns() - began_ns
        if freeze:
            gc.collect()
            gc.freeze()
        cpu_ratio = (time.process_time_ns() - began_cpu_ns) / connect_ns
        first = generator.first_answer_counts
        first_answer_wire = None if first is None else list(first)
        say(Connected(connect_ns / 1e9, cpu_ratio, empty_rss_bytes, first_answer_wire, conditions()))
        while (window := orders.look()) is None:
            generator.step(wait_until_ns=now_ns() + LOOK_NS // 4)
        if not isinstance(window, Window):
            raise ValueError(f"expected a window, got {window}")
        before, after, drained = watch(generator, window, orders)
        for name, samples in (
            ("deliveries", generator.deliveries),
            ("request_lags", generator.request_lags_ns),
            ("connects", generator.connect_ns),
            ("sockets", generator.sockets),
        ):
            write_samples(Path(order.folder, f"{name}.int64"), samples)
    finally:
        generator.close()
        stamping.close()
    end = measure_clock_offset()
    return Report(
        before=before,
        after=after,
        drained=drained,
        clock_shift_ns=end.offset_ns - start.offset_ns,
        clock_bracket_ns=max(start.bracket_ns, end.bracket_ns),
        errors=dict(generator.errors),
    )


def write_samples(path: Path, samples: "array[int]") -> None:
    """Write an array of int64 as it is in memory."""
    with path.open("wb") as file:
        samples.tofile(file)


def say(message: Message) -> None:
    """Write one message to standard output."""
    sys.stdout.buffer.write(encode(message) + b"\n")
    sys.stdout.buffer.flush()


def main(obey: Callable[[Orders], Message]) -> int:
    """Obey the orders on standard input, say what comes of it, and return the exit code."""
    raise_at_interrupt()
    try:
        say(obey(Orders(sys.stdin.fileno())))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return 1
    except (OSError, ValueError) as error:
        say(Failed(str(error)))
        return 1
    return 0
