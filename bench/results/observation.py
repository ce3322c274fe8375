"""What a trial leaves: an observation, as raw as it is.

Nothing here is a figure, and nothing is judged. Figures follow from an observation
(bench/results/figures.py), and what is wrong with a trial follows from its figures
(bench/results/validity.py). Both are pure functions: a figure can be changed, and tested, without a server.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.network.namespaces import EndCounts
from bench.network.way import Counts
from bench.results.deliveries import Deliveries, WindowTicks
from bench.scenario import Scenario
from clients.load.orders import Connected, Report

SUBJECT, LOAD, HARNESS, ROUTER = "subject", "load", "harness", "router"
"""The processes of a trial, by their parts in it."""


class Usage(NamedTuple):
    """What a process has used by an instant of the bench clock: CPU time of all its threads."""

    at_ns: int
    cpu_ns: int


class CoreTimes(NamedTuple):
    """Seconds since boot, summed over some cores: in all, with work of this machine, and stolen from it."""

    total_s: float
    busy_s: float
    stolen_s: float

    def since(self, before: "CoreTimes") -> "CoreTimes":
        """Return the difference."""
        return CoreTimes(*(now - then for now, then in zip(self, before, strict=True)))


class LinkReading(NamedTuple):
    """What a router has counted by an instant of the bench clock: sums since its start.

    Attributes:
        up, down: What has become of the packets to the server, and from it.
        lags: How many packets were so late, by steps of ``LAG_STEP_NS`` (bench/network/router.py).
        near, far: What the kernel has counted at the load's end and at the server's.
        stopped: How many packets an incident has stopped, by why (bench/network/middle_box.py).
    """

    at_ns: int
    up: Counts
    down: Counts
    lags: Mapping[int, int]
    near: EndCounts
    far: EndCounts
    stopped: Mapping[str, int]


class Snapshot(NamedTuple):
    """The machine at one instant: its cores, how often a quota has stopped us, and all processes of ours.

    ``ours`` has what each process of the trial has used, also those that are neither subject nor load;
    ``link`` is of the link between the two, where there is one.
    """

    ours: Mapping[str, Usage]
    cores: CoreTimes
    throttled_periods: int
    link: LinkReading | None = None


class ServerState(NamedTuple):
    """What a server tells of itself: memory, open files, and two lags of each tick that was asked for.

    Published − due; and how long its event loop took to turn to the tick, a part of the former. Each of its
    connections is an open file.
    """

    rss_bytes: int
    open_files: int
    publish_lags_ns: Sequence[int]
    loop_lags_ns: Sequence[int]


class Samples(NamedTuple):
    """What a load generator wrote down, from its start to its end.

    Attributes:
        deliveries: A row per tick delivered to a client (bench/results/deliveries.py).
        request_lags_ns: A row per request: when it was sent, and sent − should have been sent.
        connects_ns: How long each connection took.
        sockets: A row to whatever happened to a connection: client, instant, SocketEvent
            (clients/sockets/events.py).
    """

    deliveries: Deliveries
    request_lags_ns: NDArray[np.int64]
    connects_ns: NDArray[np.int64]
    sockets: NDArray[np.int64]


class Outage(NamedTuple):
    """When an incident began, and when all was as before, on the bench clock; alike if it did not last."""

    began_ns: int
    ended_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    """One trial, as it was seen.

    Attributes:
        scenario: What was measured.
        seed: Of plan, prices and phases.
        window: The ticks that were measured.
        recording_rows: How many rows the recording has that was replayed; None without one.
        ready: What the subject said when it was ready: its event loop, congestion control, conditions.
        empty, full: What the subject had used before its clients came, and when all were connected.
        empty_state: What the subject told of itself before its clients came.
        start, end: The machine, a moment before the window's start and end.
        state: What the subject told of itself at the window's end.
        connected: What the load said when all its clients were connected.
        report: The load's counters at two instants, and how it ended.
        samples: What the load wrote down.
        cpu_clock: Who told the CPU time of processes.
        quota_cores: What the CPU quota allows; None without one.
        listen_overflows: Connections dropped at full accept queues, on all of this machine.
        one_core: Whether all processes of the trial had to share one core.
        link_rtt_ms: The smallest of ten round trips over the link, before the clients came; None on loopback.
        outage: When the incident began and ended; None if nothing happened.
    """

    scenario: Scenario
    seed: int
    window: WindowTicks
    recording_rows: int | None
    ready: Mapping[str, Any]
    empty: Usage
    full: Usage
    empty_state: ServerState
    start: Snapshot
    end: Snapshot
    state: ServerState
    connected: Connected
    report: Report
    samples: Samples
    cpu_clock: str
    quota_cores: float | None
    listen_overflows: int
    one_core: bool
    link_rtt_ms: float | None = None
    outage: Outage | None = None
