"""An observation in, figures out: pure functions. A figure has the name of its column of trials.csv."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.network.incident_fields import Incident
from bench.results.deliveries import (
    ARRIVED_NS,
    CLIENT,
    DUE_NS,
    HANDLED_NS,
    NS_PER_MS,
    SEQ,
    STAMP_SHARED,
    Deliveries,
    WindowTicks,
    expected_deliveries,
    in_window,
)
from bench.results.incident_figures import incident_figures
from bench.results.link_figures import link_figures
from bench.results.observation import SUBJECT, Observation, Snapshot, Usage
from bench.results.statistics import percentile
from bench.results.validity import connect_bottleneck
from clients.load.orders import Reading
from clients.sockets.stamped_socket import WireCounts

FEWEST_CPU_TICKS = 10
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def figures(observation: Observation, *, fewest_ticks: int = FEWEST_CPU_TICKS) -> dict[str, Any]:
    """Return the row of trials.csv that follows from an observation, but for what is judged of it.

    Args:
        observation: What a trial has left.
        fewest_ticks: A window with fewer ticks has no CPU time per delivery: it would be mostly noise.
    """
    scenario, window = observation.scenario, observation.window
    deliveries, report = observation.samples.deliveries, observation.report
    return {
        **dataclasses.asdict(scenario),
        **rows_played(observation.recording_rows, window),
        "seed": observation.seed,
        "window_s": float(scenario.exact_window_s),
        **contract_figures(observation),
        "age_mean_ms": age_of_information_ms(deliveries, window),
        "stamp_shared_ratio": stamp_shared_ratio(deliveries, window),
        **traffic_figures(report.before, report.after, scenario.payload_bytes),
        **traffic_per_second(report.before, report.after, scenario.clients),
        **first_answer_figures(observation.connected.first_answer_wire, scenario.clients),
        **connect_figures(observation),
        **server_figures(observation, fewest_ticks),
        **generator_figures(observation),
        **machine_figures(observation),
        **link_figures(observation),
        **incident_figures(observation),
    }


# What came, and when


def contract_figures(observation: Observation) -> dict[str, float]:
    """Counts of what came, and, where every tick was to come, how late."""
    scenario, window = observation.scenario, observation.window
    deliveries = observation.samples.deliveries
    expected = expected_deliveries(window, scenario.clients)
    found: dict[str, float] = {**delivery_counts(deliveries, window, expected, scenario.contract)}
    if scenario.contract == "every":
        found |= latency_figures(deliveries, window)
        found["late_ratio"] = late_ratio(deliveries, window, expected, scenario.latency_limit_ms)
    return found


def delivery_counts(
    deliveries: Deliveries, window: WindowTicks, expected: int, contract: str
) -> dict[str, int]:
    """Count what came of the ticks of the window: expected = delivered + missed (+ superseded).

    A tick is out of order if its client had got a later one before.
    """
    own = in_window(deliveries, window)
    distinct = len(np.unique(own[:, [CLIENT, SEQ]], axis=0)) if len(own) else 0
    by_client = own[np.argsort(own[:, CLIENT], kind="stable")]
    same_client = by_client[1:, CLIENT] == by_client[:-1, CLIENT]
    backwards = by_client[1:, SEQ] < by_client[:-1, SEQ]
    latest = contract == "latest"
    return {
        "expected": expected,
        "delivered": distinct,
        "missed": 0 if latest else expected - distinct,
        "duplicates": len(own) - distinct,
        "out_of_order": int(np.count_nonzero(same_client & backwards)),
        "superseded": expected - distinct if latest else 0,
    }


def latency_figures(deliveries: Deliveries, window: WindowTicks) -> dict[str, float]:
    """Delivery latency in ms: kernel arrival − due, over the ticks of the window and all clients.

    ``client_reported_…`` is to the moment at which the client's code had the tick: what an ordinary load
    generator, which has no kernel stamps, would report as the latency.
    """
    own = in_window(deliveries, window)
    latency_ms = (own[:, ARRIVED_NS] - own[:, DUE_NS]) / NS_PER_MS
    figures = {
        f"latency_{name}_ms": percentile(latency_ms, quantile, window.ticks)
        for name, quantile in QUANTILES.items()
    }
    handled_ms = (own[:, HANDLED_NS] - own[:, DUE_NS]) / NS_PER_MS
    for name in ("p50", "p99"):
        figures[f"client_reported_{name}_ms"] = percentile(handled_ms, QUANTILES[name], window.ticks)
    figures["latency_max_ms"] = float(latency_ms.max()) if len(own) else float("nan")
    figures["latency_mean_ms"] = float(latency_ms.mean()) if len(own) else float("nan")
    return figures


def stamp_shared_ratio(deliveries: Deliveries, window: WindowTicks) -> float:
    """Return the share of deliveries whose arrival time is only an upper bound."""
    own = in_window(deliveries, window)
    return float(own[:, STAMP_SHARED].mean()) if len(own) else 0.0


def age_of_information_ms(deliveries: Deliveries, window: WindowTicks) -> float:
    """Return the time average over the window and all clients of now − due of the newest tick held, in ms.

    The age grows with time and falls at each arrival of a newer tick, a sawtooth (Kaul, Yates and Gruteser
    2012). It is summed piece by piece: a client that holds a tick due at d from a to b contributes
    (b² − a²)/2 − d·(b − a). Deliveries of before the window count for what clients hold at its start.
    """
    if not len(deliveries):
        return float("nan")
    order = np.lexsort((deliveries[:, ARRIVED_NS], deliveries[:, CLIENT]))
    rows = deliveries[order]
    length_ns = window.end_ns - window.start_ns
    held_due = (rows[:, DUE_NS] - window.start_ns).astype(np.float64)
    begins = np.clip(rows[:, ARRIVED_NS] - window.start_ns, 0, length_ns).astype(np.float64)
    client_begins = np.flatnonzero(np.diff(rows[:, CLIENT], prepend=rows[0, CLIENT] - 1))
    for first, last in zip(client_begins, [*client_begins[1:], len(rows)], strict=True):
        held_due[first:last] = np.maximum.accumulate(held_due[first:last])
    ends = np.append(begins[1:], float(length_ns))
    ends[client_begins[1:] - 1] = length_ns
    if not (ends > begins).any():
        return float("nan")
    areas = (ends**2 - begins**2) / 2 - held_due * (ends - begins)
    return float(areas.sum() / (ends - begins).sum() / NS_PER_MS)


def late_ratio(deliveries: Deliveries, window: WindowTicks, expected: int, limit_ms: float) -> float:
    """Return the share of the expected deliveries that came later than ``limit_ms``, or not at all."""
    own = in_window(deliveries, window)
    on_time = np.count_nonzero(own[:, ARRIVED_NS] - own[:, DUE_NS] <= limit_ms * NS_PER_MS)
    return max(1.0 - float(on_time) / expected, 0.0) if expected else float("nan")


def lag_p99_ms(lags_ns: NDArray[np.int64]) -> float:
    """Return the 99th percentile of lags in ms, NaN if there are none."""
    return float(np.quantile(lags_ns, 0.99) / NS_PER_MS) if len(lags_ns) else float("nan")


# What it cost on the wire


def traffic_figures(before: Reading, after: Reading, payload_bytes: int) -> dict[str, float]:
    """Bytes, packets and requests per delivered tick, between two readings of the swarm's counters.

    Application bytes are what the clients wrote and read: HTTP heads and bodies, WebSocket frames. Wire bytes
    add the TCP/IP headers of all segments, pure ACKs included; where there is TLS, its records lie between,
    and are what TCP carried beyond the application's bytes. Retransmits are those of the clients' side.
    """
    ticks = after.delivered - before.delivered
    figures: dict[str, float] = {
        "requests": after.requests - before.requests,
        "empty_responses": after.empty_responses - before.empty_responses,
        "polls_skipped": after.polls_skipped - before.polls_skipped,
        "connections_opened": after.connections,
        "connections_per_1000_deliveries": float("nan"),
        "payload_bytes_per_delivery": payload_bytes,
    }
    if not ticks:
        return figures
    figures |= {
        "connections_per_1000_deliveries": (after.connections - before.connections) / ticks * 1000,
        "requests_per_delivery": figures["requests"] / ticks,
        "app_bytes_per_delivery_up": (after.bytes_up - before.bytes_up) / ticks,
        "app_bytes_per_delivery_down": (after.bytes_down - before.bytes_down) / ticks,
    }
    if before.wire is not None and after.wire is not None:
        wire = WireCounts(*(b - a for a, b in zip(before.wire, after.wire, strict=True)))
        app_up, app_down = figures["app_bytes_per_delivery_up"], figures["app_bytes_per_delivery_down"]
        figures |= {
            "tls_bytes_per_delivery_up": wire.payload_bytes_up / ticks - app_up,
            "tls_bytes_per_delivery_down": wire.payload_bytes_down / ticks - app_down,
            "wire_bytes_per_delivery_up": (wire.payload_bytes_up + wire.header_bytes_up) / ticks,
            "wire_bytes_per_delivery_down": (wire.payload_bytes_down + wire.header_bytes_down) / ticks,
            "packets_per_delivery_up": wire.segments_up / ticks,
            "packets_per_delivery_down": wire.segments_down / ticks,
            "retransmits": wire.retransmits,
        }
    return figures


def traffic_per_second(before: Reading, after: Reading, clients: int) -> dict[str, float]:
    """Requests and wire bytes per client and second: what a client costs, however few ticks it gets."""
    client_s = (after.at_ns - before.at_ns) / 1e9 * clients
    figures = {"requests_per_client_s": (after.requests - before.requests) / client_s}
    if before.wire is not None and after.wire is not None:
        wire = WireCounts(*(b - a for a, b in zip(before.wire, after.wire, strict=True)))
        figures |= {
            "wire_bytes_per_client_s_up": (wire.payload_bytes_up + wire.header_bytes_up) / client_s,
            "wire_bytes_per_client_s_down": (wire.payload_bytes_down + wire.header_bytes_down) / client_s,
        }
    return figures


def first_answer_figures(first_answer_wire: list[int] | None, clients: int) -> dict[str, float]:
    """Wire bytes per client until its first answer was whole: handshakes, one question and its answer."""
    if first_answer_wire is None:
        return {}
    wire = WireCounts(*first_answer_wire)
    return {
        "first_answer_wire_bytes_up": (wire.payload_bytes_up + wire.header_bytes_up) / clients,
        "first_answer_wire_bytes_down": (wire.payload_bytes_down + wire.header_bytes_down) / clients,
    }


def delivered_between(deliveries: Deliveries, start_ns: int, end_ns: int) -> int:
    """Return how many deliveries arrived in an interval of time."""
    arrived = deliveries[:, ARRIVED_NS]
    return int(np.count_nonzero((arrived >= start_ns) & (arrived < end_ns)))


def rows_played(recording_rows: int | None, window: WindowTicks) -> dict[str, int]:
    """Return what a row of trials.csv says of a replay: how many rows there are, and the window's own.

    Rows are counted from 1 below the names of the columns. A last row above the first one means that the
    recording ended, and began again, within the window. Without a recording there is nothing to say.
    """
    if recording_rows is None:
        return {}
    return {
        "recording_rows": recording_rows,
        "recording_first_row": (window.first_seq - 1) % recording_rows + 1,
        "recording_last_row": (window.last_seq - 1) % recording_rows + 1,
    }


# What it cost the processes


def connect_figures(observation: Observation) -> dict[str, Any]:
    """How long connecting took, and what of it was busy."""
    connected, connects_ms = observation.connected, observation.samples.connects_ns / NS_PER_MS
    server_cpu_ratio = _cpu_ratio(observation.empty, observation.full)
    return {
        "connect_p50_ms": float(np.quantile(connects_ms, 0.5)),
        "connect_p99_ms": float(np.quantile(connects_ms, 0.99)),
        "connect_all_s": connected.connect_s,
        "connect_bottleneck": connect_bottleneck(server_cpu_ratio, connected.connect_cpu_ratio),
        "listen_overflows": observation.listen_overflows,
        "connection_errors": "; ".join(f"{why} ({n}×)" for why, n in observation.report.errors.items()),
    }


def server_figures(observation: Observation, fewest_ticks: int) -> dict[str, Any]:
    """Memory and lags of the subject, and its CPU time, if it was not killed meanwhile."""
    clients, state = observation.scenario.clients, observation.state
    killed = observation.scenario.incident == Incident.SERVER_KILLED
    return {
        **({"server_cpu_ratio": math.nan} if killed else server_cpu_figures(observation, fewest_ticks)),
        "server_rss_mb": state.rss_bytes / 1e6,
        "server_rss_kb_per_client": (state.rss_bytes - observation.empty_state.rss_bytes) / 1e3 / clients,
        "publish_lag_p99_ms": lag_p99_ms(np.array(state.publish_lags_ns)),
        "loop_lag_p99_ms": lag_p99_ms(np.array(state.loop_lags_ns)),
        "event_loop": observation.ready["loop"],
        "congestion_used": observation.ready["congestion"],
    }


def server_cpu_figures(observation: Observation, fewest_ticks: int) -> dict[str, Any]:
    """CPU time of the subject, between two instants that hold exactly the window's ticks."""
    window, clients = observation.window, observation.scenario.clients
    start, end = observation.start.ours[SUBJECT], observation.end.ours[SUBJECT]
    cpu_us = (end.cpu_ns - start.cpu_ns) / 1e3
    ticks = delivered_between(observation.samples.deliveries, start.at_ns, end.at_ns)
    return {
        "server_cpu_us_per_delivery": cpu_us / ticks if ticks and window.ticks >= fewest_ticks else math.nan,
        "server_cpu_us_per_client_s": cpu_us / ((end.at_ns - start.at_ns) / 1e9) / clients,
        "server_cpu_ratio": _cpu_ratio(start, end),
        "server_cpu_clock": observation.cpu_clock,
    }


def generator_figures(observation: Observation) -> dict[str, Any]:
    """The instrument: its CPU time, its memory, and how late it was."""
    window, clients = observation.window, observation.scenario.clients
    before, after, report = observation.report.before, observation.report.after, observation.report
    own = in_window(observation.samples.deliveries, window)
    lags = observation.samples.request_lags_ns
    in_time = (lags[:, 0] >= window.start_ns) & (lags[:, 0] < window.end_ns)
    cpu_ns, delivered = after.cpu_ns - before.cpu_ns, after.delivered - before.delivered
    grown_bytes = after.rss_bytes - observation.connected.empty_rss_bytes
    return {
        "generator_cpu_ratio": cpu_ns / max(after.at_ns - before.at_ns, 1),
        "generator_cpu_us_per_delivery": cpu_ns / 1e3 / max(delivered, 1),
        "generator_rss_mb": after.rss_bytes / 1e6,
        "generator_rss_kb_per_client": grown_bytes / 1e3 / clients,
        "generator_lag_p99_ms": lag_p99_ms(own[:, HANDLED_NS] - own[:, ARRIVED_NS]),
        "request_lag_p99_ms": lag_p99_ms(lags[in_time, 1]),
        "drained": report.drained,
        "clock_shift_ns": report.clock_shift_ns,
        "stamped_by": "user" if after.user_stamped_reads > before.user_stamped_reads else "kernel",
    }


def machine_figures(observation: Observation) -> dict[str, Any]:
    """What else the machine did in the window, and what of our processes was other than usual."""
    start, end, quota_cores = observation.start, observation.end, observation.quota_cores
    cores = end.cores.since(start.cores)
    shared = ["one_core"] if observation.one_core else []
    conditions = [*observation.ready["conditions"], *observation.connected.conditions, *shared]
    return {
        "stolen_cpu_ratio": cores.stolen_s / max(cores.total_s, 1e-9),
        "foreign_cpu_ratio": foreign_cpu_ratio(start, end),
        "cpu_quota_cores": math.nan if quota_cores is None else quota_cores,
        "throttled_periods": end.throttled_periods - start.throttled_periods,
        "conditions": " ".join(dict.fromkeys(conditions)),
    }


def foreign_cpu_ratio(start: Snapshot, end: Snapshot) -> float:
    """Return the share of the cores' time that processes took which are not ours.

    The kernel counts the cores in steps of 10 ms. What ours did on other cores than these is subtracted too:
    subject and load are pinned to them, and the harness does next to nothing meanwhile.
    """
    own_cpu_ns = sum(end.ours[name].cpu_ns - start.ours[name].cpu_ns for name in start.ours)
    cores = end.cores.since(start.cores)
    return max(cores.busy_s - own_cpu_ns / 1e9, 0.0) / max(cores.total_s, 1e-9)


def _cpu_ratio(start: Usage, end: Usage) -> float:
    """Return what share of a core a process used between two readings."""
    return (end.cpu_ns - start.cpu_ns) / max(end.at_ns - start.at_ns, 1)
