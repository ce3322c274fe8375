"""What an incident did to the clients, and how they came back: pure functions, as in figures.py.

    begin            return                                                       end of the window
      │ ←── outage ──→ │ ←─ resumed ─→ first tick   ←─ caught up ─→ last late tick    │

Each figure is of a client first, and then of all of them: the median, the largest, the share. A client for
which there is none, because it got no tick any more, is left out, and a share says so.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.results.deliveries import (
    ARRIVED_NS,
    CLIENT,
    DUE_NS,
    NS_PER_MS,
    SEQ,
    Deliveries,
    WindowTicks,
    in_window,
)
from bench.results.observation import Observation, Outage
from bench.results.validity import LATE_MS
from clients.sockets.events import SocketEvent

EVENT_CLIENT, EVENT_AT_NS, EVENT_WHAT = range(3)
"""The columns of what happened to connections: ``SOCKET_FIELDS``."""
NOBODY = "nobody"
PEAK_NS, PEAKS_PER_S = 100_000_000, 10
LATE_NS = round(LATE_MS * NS_PER_MS)
"""Less is what an ordinary machine does now and then."""

Events = NDArray[np.int64]


def incident_figures(observation: Observation) -> dict[str, Any]:
    """Return the figures of the incident; none if nothing happened."""
    outage, clients = observation.outage, observation.scenario.clients
    if outage is None:
        return {}
    sockets = observation.samples.sockets
    server_sockets = observation.state.open_files - observation.empty_state.open_files
    return {
        "incident_at_ns": outage.began_ns,
        "outage_s": (outage.ended_ns - outage.began_ns) / 1e9,
        **(tick_figures(observation, outage) if observation.window.ticks else {}),
        **notice_figures(sockets, outage, clients),
        **socket_figures(sockets, outage, observation.window),
        "server_sockets": server_sockets,
    }


# Ticks


def tick_figures(observation: Observation, outage: Outage) -> dict[str, float]:
    """Return what became of the ticks; in a silent market there is nothing to say."""
    deliveries, clients = observation.samples.deliveries, observation.scenario.clients
    own = in_window(deliveries, observation.window)
    return {**resumption_figures(deliveries, outage, clients), **lateness_figures(own, outage, clients)}


def resumption_figures(deliveries: Deliveries, outage: Outage, clients: int) -> dict[str, float]:
    """How long after the return a client had its first tick.

    The tick must have been due after the begin: one that was on its way then says nothing of the time after.
    """
    after = deliveries[
        (deliveries[:, ARRIVED_NS] >= outage.ended_ns) & (deliveries[:, DUE_NS] >= outage.began_ns)
    ]
    first = of_each_client(after[:, CLIENT], after[:, ARRIVED_NS], np.minimum)
    resumed_ms = (first.values - outage.ended_ns) / NS_PER_MS
    return {**median_and_max("resumed", resumed_ms), "resumed_ratio": len(resumed_ms) / clients}


def lateness_figures(own: Deliveries, outage: Outage, clients: int) -> dict[str, float]:
    """How many ticks of the window the incident held up, and until when.

    A tick is late if it took ``LATE_NS`` longer than any tick of the window that came before the begin; if
    none did, nobody knows what is late. A client is held up from its first late tick on, until one is in time
    again: a stall of the machine later on is not the incident's. Ticks that never came are missed, not late.
    """
    is_before = own[:, ARRIVED_NS] < outage.began_ns
    after = own[~is_before]
    after = after[np.lexsort((after[:, SEQ], after[:, CLIENT]))]
    latency_ns = after[:, ARRIVED_NS] - after[:, DUE_NS]
    worst = of_each_client(after[:, CLIENT], latency_ns, np.maximum)
    figures = {"worst_p50_ms": median(worst.values / NS_PER_MS)}
    if not is_before.any():
        return figures
    usual_ns = (own[is_before, ARRIVED_NS] - own[is_before, DUE_NS]).max()
    late = after[first_runs(after[:, CLIENT], latency_ns > usual_ns + LATE_NS)]
    held_up = np.bincount(late[:, CLIENT], minlength=clients)
    last = of_each_client(late[:, CLIENT], late[:, ARRIVED_NS], np.maximum)
    caught_up_ms = np.maximum(last.values - outage.ended_ns, 0) / NS_PER_MS
    return {**figures, **median_and_max("caught_up", caught_up_ms), "held_up_p50": median(held_up)}


def first_runs(clients: NDArray[np.int64], is_so: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the first run of what is so is, for each client; its rows stand together, in order."""
    begun = count_so_far(clients, is_so) > 0
    ended = count_so_far(clients, begun & ~is_so) > 0
    run: NDArray[np.bool_] = is_so & ~ended
    return run


def count_so_far(clients: NDArray[np.int64], is_so: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each row in how many of its client's rows up to it, itself included, it is so."""
    total = np.cumsum(is_so)
    begins = np.flatnonzero(np.diff(clients, prepend=-1) != 0)
    before: NDArray[np.int64] = total[begins] - is_so[begins]
    counts: NDArray[np.int64] = total - np.repeat(before, np.diff(begins, append=len(clients)))
    return counts


# Connections


def notice_figures(sockets: Events, outage: Outage, clients: int) -> dict[str, Any]:
    """Who noticed: whose connection ended after the begin, when, and how it was told most often."""
    ends = ends_before_time(since(sockets, outage.began_ns))
    ends = ends[np.argsort(ends[:, EVENT_AT_NS], kind="stable")]
    _, first = np.unique(ends[:, EVENT_CLIENT], return_index=True)
    reasons, counts = np.unique(ends[first, EVENT_WHAT], return_counts=True)
    noticed_ms = (ends[first, EVENT_AT_NS] - outage.began_ns) / NS_PER_MS
    return {
        "noticed_ratio": len(first) / clients,
        "noticed_p50_ms": median(noticed_ms),
        "noticed_by": SocketEvent(int(reasons[counts.argmax()])).name.lower() if len(first) else NOBODY,
    }


def socket_figures(sockets: Events, outage: Outage, window: WindowTicks) -> dict[str, float]:
    """How many connections were asked for and lost since the begin; how many stand at the window's end.

    The herd is looked for after the return: before it nobody is there to be overrun.
    """
    after = since(sockets, outage.began_ns)
    asked_ns = after[after[:, EVENT_WHAT] == SocketEvent.ASKED, EVENT_AT_NS]
    back_ns = asked_ns[asked_ns >= outage.ended_ns]
    return {
        "sockets_asked": len(asked_ns),
        "sockets_lost": len(ends_before_time(after)),
        "sockets_open": open_sockets(sockets, window.end_ns),
        "asked_peak_per_s": most_within(back_ns, PEAK_NS) * PEAKS_PER_S,
    }


def since(sockets: Events, at_ns: int) -> Events:
    """Return what happened from an instant on."""
    return sockets[sockets[:, EVENT_AT_NS] >= at_ns]


def ends_before_time(sockets: Events) -> Events:
    """Return the ends of connections, or of attempts, that did not end as they should."""
    what = sockets[:, EVENT_WHAT]
    early: Events = sockets[(what >= SocketEvent.ENDED) & (what != SocketEvent.DONE)]
    return early


def open_sockets(sockets: Events, at_ns: int) -> int:
    """Return how many connections stand at an instant: those of clients to whom this happened last."""
    until = sockets[sockets[:, EVENT_AT_NS] < at_ns]
    last = until[np.lexsort((until[:, EVENT_AT_NS], until[:, EVENT_CLIENT]))]
    is_last = np.diff(last[:, EVENT_CLIENT], append=-1) != 0
    return int(np.count_nonzero(last[is_last, EVENT_WHAT] == SocketEvent.OPENED))


def most_within(at_ns: NDArray[np.int64], length_ns: int) -> int:
    """Return the most instants that lie within any stretch of a length."""
    ordered = np.sort(at_ns)
    ends = np.searchsorted(ordered, ordered + length_ns, side="left")
    return int((ends - np.arange(len(ordered))).max(initial=0))


# Clients


class OfEach(NamedTuple):
    """A value of each client that has one."""

    clients: NDArray[np.int64]
    values: NDArray[np.int64]


def of_each_client(clients: NDArray[np.int64], values: NDArray[np.int64], choose: np.ufunc) -> OfEach:
    """Return the least or the largest value of each client, by ``np.minimum`` or ``np.maximum``."""
    order = np.argsort(clients, kind="stable")
    found, begins = np.unique(clients[order], return_index=True)
    return OfEach(found, choose.reduceat(values[order], begins) if len(found) else values[:0])


def median(values: NDArray[Any]) -> float:
    """Return the median, NaN of nothing."""
    return float(np.median(values)) if len(values) else float("nan")


def median_and_max(name: str, values_ms: NDArray[np.float64]) -> dict[str, float]:
    """Return the median and the largest of clients' values, as the columns NAME_p50_ms and NAME_max_ms."""
    return {
        f"{name}_p50_ms": median(values_ms),
        f"{name}_max_ms": float(values_ms.max()) if len(values_ms) else float("nan"),
    }
