"""One trial: a fresh server, a fresh swarm, a window, a drain, the counters, and what they say.

server up → clients connect → warm-up → window (chosen by due_ns) → drain → counters → both stopped
"""

import dataclasses
import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.measure.certificate import make_certificate
from bench.measure.load import SwarmProcess, running_swarm
from bench.measure.machine import CoreTimes, core_times, listen_overflows
from bench.measure.place import Cores, usable_cores
from bench.measure.processes import CPU_CLOCK, TrialFailed
from bench.measure.quota import read_quota, throttling
from bench.measure.subject import Server, running_server
from bench.results import figures
from bench.results.deliveries import (
    ARRIVED_NS,
    HANDLED_NS,
    NS_PER_MS,
    Deliveries,
    WindowTicks,
    expected_deliveries,
    in_window,
)
from bench.results.figures import rows_played
from bench.results.validity import assess, connect_bottleneck
from bench.scenario import Scenario
from bench.theory.replay import ROUNDING_S
from bench.transports import TRANSPORTS
from clients.load.generator import DELIVERY_FIELDS
from clients.load.orders import Connected, Order, Report, Window
from servers.options import ServerOptions
from servers.wire import now_ns
from servers.workloads.plan import due_times

CONNECT_PATIENCE_S_PER_CLIENT = 0.02
CPU_LEAD_NS = 5_000_000
"""CPU time is read so long before a tick is due: the one before is served by then, if the server has time."""
FEWEST_CPU_TICKS = 10
NO_TICKS = 1, 0
"""The first and the last of no ticks."""


class Trial(NamedTuple):
    """A finished trial: its row of trials.csv, and its raw deliveries (see bench/results/figures.py).

    ``may_pass`` says that something is wrong with it which may be gone at another try.
    """

    row: dict[str, Any]
    deliveries: Deliveries | None
    may_pass: bool = False


def choose_window(
    scenario: Scenario,
    seed: int,
    plan_start_ns: int,
    earliest_ns: int,
    offsets_ns: Sequence[int] | None = None,
) -> WindowTicks:
    """Choose the ticks to be measured: the first due at or after ``earliest_ns`` begins the window.

    In a silent market, which has published tick 1, it is a window without ticks.

    Raises:
        TrialFailed: If a recording has none for longer than the window: connecting took until a gap in it.
    """
    window_ns = round(scenario.exact_window_s * 10**9)
    if not scenario.rate_hz:
        return WindowTicks(2, 1, earliest_ns, earliest_ns + window_ns)
    due = due_times(
        scenario.plan,
        rate_hz=scenario.rate_hz,
        seed=seed,
        start_ns=plan_start_ns,
        open_after_s=scenario.connect_s,
        offsets_ns=offsets_ns,
    )
    ticks = itertools.dropwhile(lambda tick: tick[1] < earliest_ns, enumerate(due, start=1))
    first_seq, start_ns = next(ticks)
    if scenario.plan == "replay" and start_ns - earliest_ns > window_ns + round(ROUNDING_S * 1e9):
        raise TrialFailed(
            f"the recording has no tick for {(start_ns - earliest_ns) / 1e9:,.6g} s after the clients were "
            "connected, longer than the window; cut the gap out, or raise window_s or speed"
        )
    end_ns = start_ns + window_ns
    last_seq = first_seq
    for seq, due_ns in ticks:
        if due_ns >= end_ns:
            break
        last_seq = seq
    return WindowTicks(first_seq, last_seq, start_ns, end_ns)


def run_trial(
    scenario: Scenario,
    *,
    seed: int,
    cores: Cores = Cores(None, None),
    connect_patience_s: float | None = None,
    fewest_ticks: int = FEWEST_CPU_TICKS,
    clock: Callable[[], int] = now_ns,
    sleep: Callable[[float], None] = time.sleep,
    start_server: Callable[[str, ServerOptions], AbstractContextManager[Server]] = running_server,
    start_swarm: Callable[[str], AbstractContextManager[SwarmProcess]] = running_swarm,
) -> Trial:
    """Run one trial and judge it. The clock and the processes can be replaced, for tests.

    Args:
        scenario: What to measure.
        seed: Of plan, prices and phases.
        cores: Where the server and the swarm run.
        connect_patience_s: How long to wait for all clients to be connected and answered; by default long.
        fewest_ticks: A window with fewer ticks has no CPU time per delivery: it would be mostly noise.
        clock, sleep, start_server, start_swarm: What a test replaces.

    Raises:
        TrialFailed: If a process died or did not do its part in time. Both are stopped in any case.
    """
    transport = TRANSPORTS[scenario.transport]
    patience_s = connect_patience_s or 30 + scenario.clients * CONNECT_PATIENCE_S_PER_CLIENT
    overflows, quota = listen_overflows(), read_quota()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        swarm = stack.enter_context(start_swarm(scenario.generator))
        certificate = make_certificate(folder, ServerOptions.host) if scenario.tls else None
        options = scenario.server_options(
            seed=seed, core=cores.server, certificate=certificate.server if certificate else None
        )
        server = stack.enter_context(start_server(transport.server, options))

        empty_rss_bytes, empty = server.state(*NO_TICKS).rss_bytes, server.usage()
        swarm.send(
            Order(
                client=transport.client,
                host=server.host,
                port=server.port,
                path=server.path,
                clients=scenario.clients,
                folder=str(folder),
                settings=scenario.client_settings(),
                seed=seed,
                mss=scenario.mss,
                congestion=scenario.congestion,
                core=cores.swarm,
                ca=certificate.ca if certificate else None,
                connect_timeout_s=patience_s,
            )
        )
        connected = swarm.receive(patience_s + 30)
        assert isinstance(connected, Connected)
        full = server.usage()

        recording = None if scenario.recording is None else scenario.read_recording()
        window = choose_window(
            scenario,
            seed,
            server.ready["start_ns"],
            max(clock(), server.ready["start_ns"] + round(scenario.connect_s * 1e9))
            + round((max(scenario.warmup_s, scenario.pause_s) + scenario.counters_lead_s) * 1e9),
            None if recording is None else recording.offsets_ns,
        )
        lead_ns = round(scenario.counters_lead_s * 1e9)
        drain_until_ns = window.end_ns + round(scenario.drain_s * 1e9)
        swarm.send(
            Window(
                counters_at_ns=window.start_ns - lead_ns,
                counters_again_at_ns=window.end_ns - lead_ns,
                last_seq=window.last_seq,
                end_ns=window.end_ns,
                until_ns=drain_until_ns,
            )
        )
        # Read as long before the window's end as before its start: between lie exactly its ticks and polls.
        _sleep_until(window.start_ns - CPU_LEAD_NS, clock, sleep)
        at_start, cores_at_start, throttling_at_start = server.usage(), core_times(cores), throttling(quota)
        _sleep_until(window.end_ns - CPU_LEAD_NS, clock, sleep)
        at_end, cores_used = server.usage(), core_times(cores).since(cores_at_start)
        throttled = throttling(quota).since(throttling_at_start)
        _sleep_until(window.end_ns, clock, sleep)
        state = server.state(window.first_seq, window.last_seq)
        report = swarm.receive(timeout_s=(drain_until_ns - clock()) / 1e9 + 60)
        assert isinstance(report, Report)
        if not server.is_running():
            raise TrialFailed(f"the server died ({server.how_it_ended()})")

        deliveries = _read_samples(folder / "deliveries.int64", len(DELIVERY_FIELDS))
        own = in_window(deliveries, window)
        request_lags = _read_samples(folder / "request_lags.int64", 2)
        request_lags = request_lags[
            (request_lags[:, 0] >= window.start_ns) & (request_lags[:, 0] < window.end_ns)
        ]
        connects_ms = _read_samples(folder / "connects.int64", 1)[:, 0] / NS_PER_MS

    seconds = (at_end.at_ns - at_start.at_ns) / 1e9
    ticks = figures.delivered_between(deliveries, at_start.at_ns, at_end.at_ns)
    server_cpu_s = (at_end.cpu_ns - at_start.cpu_ns) / 1e9
    connect_cpu_ratio = (full.cpu_ns - empty.cpu_ns) / max(full.at_ns - empty.at_ns, 1)
    before, after = report.before, report.after
    generator_cpu_ratio = (after.cpu_ns - before.cpu_ns) / max(after.at_ns - before.at_ns, 1)
    expected = expected_deliveries(window, scenario.clients)
    row: dict[str, Any] = {
        **dataclasses.asdict(scenario),
        **({} if recording is None else rows_played(recording, window)),
        "seed": seed,
        "window_s": float(scenario.exact_window_s),
        **figures.delivery_counts(deliveries, window, expected, scenario.contract),
        **(_lateness(deliveries, window, expected, scenario) if scenario.contract == "every" else {}),
        "age_mean_ms": figures.age_of_information_ms(deliveries, window),
        "stamp_shared_ratio": figures.stamp_shared_ratio(deliveries, window),
        **figures.traffic_figures(before, after, scenario.payload_bytes),
        **figures.traffic_per_second(before, after, scenario.clients),
        **figures.first_answer_figures(connected.first_answer_wire, scenario.clients),
        "connect_p50_ms": float(np.quantile(connects_ms, 0.5)),
        "connect_p99_ms": float(np.quantile(connects_ms, 0.99)),
        "connect_all_s": connected.connect_s,
        "connect_bottleneck": connect_bottleneck(connect_cpu_ratio, connected.connect_cpu_ratio),
        "listen_overflows": listen_overflows() - overflows,
        "server_cpu_us_per_delivery": server_cpu_s * 1e6 / ticks
        if window.ticks >= fewest_ticks
        else math.nan,
        "server_cpu_us_per_client_s": server_cpu_s * 1e6 / seconds / scenario.clients,
        "server_cpu_ratio": server_cpu_s / seconds,
        "server_cpu_clock": CPU_CLOCK,
        "server_rss_mb": state.rss_bytes / 1e6,
        "server_rss_kb_per_client": (state.rss_bytes - empty_rss_bytes) / 1e3 / scenario.clients,
        "publish_lag_p99_ms": figures.lag_p99_ms(np.array(state.publish_lags_ns)),
        "loop_lag_p99_ms": figures.lag_p99_ms(np.array(state.loop_lags_ns)),
        "generator_cpu_ratio": generator_cpu_ratio,
        "generator_cpu_us_per_delivery": (after.cpu_ns - before.cpu_ns)
        / 1e3
        / max(after.delivered - before.delivered, 1),
        "generator_rss_mb": after.rss_bytes / 1e6,
        "generator_rss_kb_per_client": (after.rss_bytes - connected.empty_rss_bytes) / 1e3 / scenario.clients,
        "generator_lag_p99_ms": figures.lag_p99_ms(own[:, HANDLED_NS] - own[:, ARRIVED_NS]),
        "request_lag_p99_ms": figures.lag_p99_ms(request_lags[:, 1]),
        "drained": report.drained,
        "clock_shift_ns": report.clock_shift_ns,
        "stolen_cpu_ratio": cores_used.stolen_s / max(cores_used.total_s, 1e-9),
        "foreign_cpu_ratio": _others_cpu_ratio(cores_used, server_cpu_s + generator_cpu_ratio * seconds),
        "cpu_quota_cores": math.nan if quota is None else quota.cores,
        "throttled_periods": throttled.throttled_periods,
        "conditions": " ".join(_conditions(server.ready["conditions"], connected.conditions, cores)),
        "stamped_by": "user" if after.user_stamped_reads > before.user_stamped_reads else "kernel",
        "connection_errors": "; ".join(f"{reason} ({n}×)" for reason, n in report.errors.items()),
        "event_loop": server.ready["loop"],
        "congestion_used": server.ready["congestion"],
    }
    found = assess(row)
    row |= {
        "verdict": found.verdict,
        "verdict_reason": " ".join(found.faults),
        "verdict_note": "",
        "bottleneck": found.bottleneck,
    }
    return Trial(row, own, found.may_pass)


def _conditions(of_server: Iterable[str], of_swarm: Iterable[str], cores: Cores) -> list[str]:
    """Return what of the two processes is other than usual, each once; and that they share a core, if so."""
    shared = ["one_core"] if cores.server is None and usable_cores() == 1 else []
    return list(dict.fromkeys([*of_server, *of_swarm, *shared]))


def _lateness(
    deliveries: Deliveries, window: WindowTicks, expected: int, scenario: Scenario
) -> dict[str, float]:
    late = figures.late_ratio(deliveries, window, expected, scenario.latency_limit_ms)
    return {**figures.latency_figures(deliveries, window), "late_ratio": late}


def _sleep_until(at_ns: int, clock: Callable[[], int], sleep: Callable[[float], None]) -> None:
    while (left_ns := at_ns - clock()) > 0:
        sleep(left_ns / 1e9)


def _read_samples(path: Path, columns: int) -> Deliveries:
    return np.fromfile(path, dtype=np.int64).reshape(-1, columns)


def _others_cpu_ratio(used: CoreTimes, own_cpu_s: float) -> float:
    """Return the share of the cores that went to other processes; the kernel counts in steps of 10 ms."""
    return max(used.busy_s - own_cpu_s, 0.0) / max(used.total_s, 1e-9)
