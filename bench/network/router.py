"""The router: reads packets at one end of the link, and writes each at the other end when its time has come.

It is as exact as its process is awake in time. How late each packet was is counted, and judged with the trial
(bench/results/validity.py).
"""

import contextlib
import gc
import os
import select

from bench.network.middle_box import MiddleBox
from bench.network.way import Way
from servers.wire import now_ns

LONGEST_PACKET_BYTES = 65_536
AT_ONCE = 64
"""So many packets are taken in or sent out before the next in turn is looked at."""
LAG_STEP_NS, LAG_STEPS = 10_000, 10_000
"""Lags are counted in steps of 10 µs; those of 100 ms and more are the last step."""
EARLIEST_NS = 300_000
"""A timer is set early by as much as timers were late of late, but by no more; the rest is spent awake."""


class End:
    """One end of the link.

    Attributes:
        device: The file that packets are read from and written to.
        way: The way from here to the other end.
        empty_ns: When it was last seen that there was nothing to read.
        middle_box: What all its packets pass; None, as mostly: nothing.
    """

    def __init__(self, device: int, way: Way) -> None:
        self.device, self.way = device, way
        self.middle_box: MiddleBox | None = None
        self.empty_ns = now_ns()


class Router:
    """Moves packets between two ends.

    Args:
        near, far: The ends.

    Attributes:
        lags: How many packets were so late, by steps of ``LAG_STEP_NS``: at most, because a device does not
            tell when a packet has come to it. It came after it was last seen to be empty, or, where the
            router slept, when it was woken.
    """

    def __init__(self, near: End, far: End) -> None:
        self.lags = [0] * LAG_STEPS
        self._near, self._far = near, far
        self._early_ns = EARLIEST_NS / 3
        self._run_delays = RunDelays()

    def serve_until(self, control: int) -> None:
        """Move packets until there is something to read in the file ``control``."""
        near, far = self._near, self._far
        files = [control, near.device, far.device]
        gc.freeze()
        while True:
            ready, since_ns = self._wait(files, self._release())
            for end in (near, far):
                if end.device in ready:
                    end.empty_ns = max(end.empty_ns, since_ns)
                    self._take_in(end)
                else:
                    end.empty_ns = now_ns()
            if control in ready:
                return

    def _release(self) -> int | None:
        """Send out what is due, and return when the next packet is; None: there is none."""
        lags, first_ns = self.lags, None
        for end, other in ((self._near, self._far), (self._far, self._near)):
            held, device, middle_box = end.way.held, other.device, other.middle_box
            now = now_ns()
            for _ in range(AT_ONCE):
                if not held or held[0].due_ns > now:
                    break
                due_ns, taken_late_ns, packet = held.popleft()
                if middle_box is not None:
                    passed = middle_box.coming_down(packet, now)
                    if passed is None:
                        continue
                    packet = passed
                os.write(device, packet)
                lags[min((now - due_ns + taken_late_ns) // LAG_STEP_NS, LAG_STEPS - 1)] += 1
                now = now_ns()
            if held and (first_ns is None or held[0].due_ns < first_ns):
                first_ns = held[0].due_ns
        return first_ns

    def _wait(self, files: list[int], until_ns: int | None) -> tuple[list[int], int]:
        """Wait for packets, or until shortly before an instant; return where they are, and since when.

        A timer wakes late: by its slack, and by the time that an idle processor needs. By so much it is set
        early, and the rest is not slept.
        """
        now = now_ns()
        wake_ns = None if until_ns is None else until_ns - round(self._early_ns)
        if wake_ns is not None and wake_ns <= now:
            return select.select(files, [], [], 0)[0], 0
        ready, _, _ = select.select(files, [], [], None if wake_ns is None else (wake_ns - now) / 1e9)
        woken_ns = now_ns()
        if not ready and wake_ns is not None:
            late_ns = max(min(woken_ns - wake_ns, EARLIEST_NS), 0)
            self._early_ns += (late_ns - self._early_ns) / 4
        return ready, woken_ns - self._run_delays.since_last()

    def _take_in(self, end: End) -> None:
        """Take in what has come to an end."""
        take, device, empty_ns, middle_box = end.way.take, end.device, end.empty_ns, end.middle_box
        for _ in range(AT_ONCE):
            try:
                packet = os.read(device, LONGEST_PACKET_BYTES)
            except BlockingIOError:
                end.empty_ns = now_ns()
                return
            now = now_ns()
            if packet[0] >> 4 != 4:  # IPv6 looks for neighbours; there are none
                continue
            if middle_box is not None:
                passed = middle_box.going_up(packet, now)
                if passed is None:
                    continue
                packet = passed
            take(packet, now, now - empty_ns)


def go_first() -> None:
    """Let this process run as soon as it is ready, where the system allows it (SCHED_FIFO of sched(7)).

    A packet would else wait until whoever wrote it has had its turn: a server that answers 30 clients at once
    held them up by 3 ms; real-time processes go to an idle processor at once, and were 0.4 ms late.
    """
    with contextlib.suppress(OSError):  # in a user's namespace only the system's own root may
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


class RunDelays:
    """How long this thread was ready to run while others ran (the kernel's scheduler/sched-stats.rst)."""

    def __init__(self) -> None:
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._last_ns = 0
        self.since_last()

    def since_last(self) -> int:
        """Return the time, in ns, since this was asked last; 0 where the kernel does not count it."""
        if self._file < 0:
            return 0
        total_ns = int(os.pread(self._file, 64, 0).split()[1])
        delay_ns, self._last_ns = total_ns - self._last_ns, total_ns
        return delay_ns
