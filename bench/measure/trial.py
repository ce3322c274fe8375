"""One trial: a fresh subject, a fresh load, a link, a window, a drain; what they leave is an observation.

link, subject and load start → clients connect → warm-up → window (chosen by due_ns) → drain → both stop

What is to happen within the window happens between the two snapshots of it (bench/measure/incidents.py).
What is observed is not looked at here: figures follow from it (bench/results/figures.py), and the verdict
follows from the figures (bench/results/validity.py).
"""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.measure.box import Box, running_box
from bench.measure.certificate import make_certificate
from bench.measure.incidents import Step, incident_steps, outage_of
from bench.measure.load import Load, SwarmProcess, running_swarm
from bench.measure.machine import listen_overflows, take_snapshot
from bench.measure.place import Places, usable_cores
from bench.measure.processes import CPU_CLOCK, TrialFailed, harness_usage
from bench.measure.quota import Quota, read_quota
from bench.measure.subject import Server, Subject, running_server
from bench.results.deliveries import Deliveries, WindowTicks, in_window
from bench.results.figures import FEWEST_CPU_TICKS, figures
from bench.results.observation import HARNESS, LOAD, ROUTER, SUBJECT, Observation, Snapshot
from bench.results.validity import assess
from bench.scenario import Scenario
from bench.theory.replay import ROUNDING_S
from bench.transports import TRANSPORTS
from clients.load.orders import Window
from servers.options import ServerOptions
from servers.wire import now_ns
from servers.workloads.plan import due_times

CONNECT_PATIENCE_S_PER_CLIENT = 0.02
CPU_LEAD_NS = 5_000_000
"""CPU time is read so long before a tick is due: the one before is served by then, if the server has time."""
STAY_NS = 100_000_000
"""How much longer clients stay after an incident: the server is asked for its state within it."""
NO_TICKS = 1, 0
"""The first and the last of no ticks."""


class Trial(NamedTuple):
    """A finished trial: its row of trials.csv, and its raw deliveries (see bench/results/deliveries.py).

    ``may_pass`` says that something is wrong with it which may be gone at another try; ``sockets`` is what
    happened to its connections, if there was an incident.
    """

    row: dict[str, Any]
    deliveries: Deliveries | None
    may_pass: bool = False
    sockets: NDArray[np.int64] | None = None


def sleep_until(at_ns: int) -> None:
    """Sleep until an instant of the bench clock."""
    while (left_ns := at_ns - now_ns()) > 0:
        time.sleep(left_ns / 1e9)


def run_trial(
    scenario: Scenario,
    *,
    seed: int,
    places: Places = Places(),
    connect_patience_s: float | None = None,
    fewest_ticks: int = FEWEST_CPU_TICKS,
) -> Trial:
    """Run one trial and judge it.

    Args:
        scenario: What to measure.
        seed: Of plan, prices and phases.
        places: Where the server, the swarm and the router run.
        connect_patience_s: How long to wait for all clients to be connected and answered; by default long.
        fewest_ticks: A window with fewer ticks has no CPU time per delivery: it would be mostly noise.

    Raises:
        TrialFailed: If a process died or did not do its part in time. All are stopped in any case.
        BoxUnavailable: If the scenario has a link, and this system allows none.
    """
    with started(scenario, seed=seed, places=places) as (subject, load, box):
        observation = observe(
            scenario, subject, load, seed=seed, box=box, connect_patience_s=connect_patience_s
        )
    return judge(observation, fewest_ticks)


@contextlib.contextmanager
def started(
    scenario: Scenario, *, seed: int, places: Places = Places()
) -> Iterator[tuple[Server, SwarmProcess, Box | None]]:
    """Run the server and the swarm of a scenario while the context is open; nothing is connected yet.

    Where the scenario has a link, they are at its two ends; else there is only loopback between them.
    """
    with contextlib.ExitStack() as stack:
        host, server_pem, ca, box = ServerOptions.host, None, None, None
        if (link := scenario.link_asked_for()) is not None:
            box = stack.enter_context(running_box(link, seed=seed, place=places.router))
            host, places = box.host, box.inside(places)
        if scenario.tls:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            server_pem, ca = make_certificate(folder, host)
        try:
            if box is not None:
                box.measured_rtt_ms()  # while nobody else is there
            load = stack.enter_context(running_swarm(scenario.generator, places.load, ca=ca))
            if box is not None:
                box.carry(load)
            options = scenario.server_options(host=host, seed=seed, certificate=server_pem)
            server = TRANSPORTS[scenario.transport].server
            subject = stack.enter_context(running_server(server, options, places.subject))
            stack.callback(subject.kill)  # its good-byes would take time, and nobody hears them
            yield subject, load, box
        except TrialFailed:
            if box is not None:
                box.check()  # where there is no link any more, the others fail, too
            raise


def observe(
    scenario: Scenario,
    subject: Subject,
    load: Load,
    *,
    seed: int,
    box: Box | None = None,
    connect_patience_s: float | None = None,
    wait_until: Callable[[int], None] = sleep_until,
) -> Observation:
    """Let a load that is not connected yet ask a fresh subject, and write down all that is seen.

    Args:
        scenario: What to measure.
        subject: What serves.
        load: What asks.
        seed: Of plan, prices and phases.
        box: The link between the two; None is the loopback.
        connect_patience_s: How long to wait for all clients to be connected and answered; by default long.
        wait_until: Returns at an instant of the bench clock; where time is another, as in a test.

    Raises:
        TrialFailed: If one of them died or did not do its part in time.
    """
    patience_s = connect_patience_s or 30 + scenario.clients * CONNECT_PATIENCE_S_PER_CLIENT
    offsets_ns = None if scenario.recording is None else scenario.read_recording().offsets_ns
    overflows, quota = listen_overflows(), read_quota()

    empty_state, empty = subject.state(*NO_TICKS), subject.usage()
    connected = load.connect(scenario, subject.address, seed=seed, patience_s=patience_s)
    full = subject.usage()

    plan_start_ns = subject.ready["start_ns"]
    earliest_ns = earliest_start_ns(scenario, plan_start_ns, full.at_ns)
    window = choose_window(scenario, seed, plan_start_ns, earliest_ns, offsets_ns)
    load.watch(orders_for(scenario, window))
    due_ns = due_in(scenario, seed, plan_start_ns, offsets_ns)
    steps = incident_steps(scenario, subject, box, window, due_ns)
    start, end, done_ns = take_snapshots(subject, load, box, window, quota, steps, wait_until)
    wait_until(window.end_ns)
    state = subject.state(window.first_seq, window.last_seq)
    report, samples = load.report()
    subject.check()

    overflows = listen_overflows() - overflows if end.link is None else end.link.far.listen_overflows
    return Observation(
        scenario=scenario,
        seed=seed,
        window=window,
        recording_rows=None if offsets_ns is None else len(offsets_ns),
        ready=subject.ready,
        empty=empty,
        full=full,
        empty_state=empty_state,
        start=start,
        end=end,
        state=state,
        connected=connected,
        report=report,
        samples=samples,
        cpu_clock=CPU_CLOCK,
        quota_cores=None if quota is None else quota.cores,
        listen_overflows=overflows,
        one_core=subject.place.core is None and usable_cores() == 1,
        link_rtt_ms=None if box is None else box.rtt_ms,
        outage=outage_of(done_ns),
    )


def judge(observation: Observation, fewest_ticks: int = FEWEST_CPU_TICKS) -> Trial:
    """Return the row of an observation, with its verdict, and the deliveries of its window.

    Also what happened to the connections, if there was an incident.
    """
    row = figures(observation, fewest_ticks=fewest_ticks)
    found = assess(row)
    verdict = {
        "verdict": found.verdict,
        "verdict_reason": " ".join(found.faults),
        "verdict_note": "",
        "bottleneck": found.bottleneck,
    }
    own = in_window(observation.samples.deliveries, observation.window)
    sockets = None if observation.outage is None else observation.samples.sockets
    return Trial({**row, **verdict}, own, found.may_pass, sockets)


# The steps


def earliest_start_ns(scenario: Scenario, plan_start_ns: int, connected_ns: int) -> int:
    """Return when the window may begin: all are connected, the load is warm, its counters can be read."""
    planned_ns = plan_start_ns + round(scenario.connect_s * 1e9)
    return max(connected_ns, planned_ns) + round(scenario.warm_s * 1e9)


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
    due = due_in(scenario, seed, plan_start_ns, offsets_ns)
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


def due_in(
    scenario: Scenario, seed: int, plan_start_ns: int, offsets_ns: Sequence[int] | None
) -> Iterator[int]:
    """Yield when the ticks of a trial's feed are due, from the first on."""
    return due_times(
        scenario.plan,
        rate_hz=scenario.rate_hz,
        seed=seed,
        start_ns=plan_start_ns,
        open_after_s=scenario.connect_s,
        offsets_ns=offsets_ns,
    )


def orders_for(scenario: Scenario, window: WindowTicks) -> Window:
    """Return what the load is to watch: its counters are read as far apart as the window is long.

    After an incident it stays for a moment, so that the server is asked for its connections while they stand.
    """
    lead_ns = round(scenario.counters_lead_s * 1e9)
    stay_ns = 0 if scenario.incident is None else STAY_NS
    return Window(
        counters_at_ns=window.start_ns - lead_ns,
        counters_again_at_ns=window.end_ns - lead_ns,
        last_seq=window.last_seq,
        end_ns=window.end_ns + stay_ns,
        until_ns=window.end_ns + round(scenario.drain_s * 1e9),
    )


def take_snapshots(
    subject: Subject,
    load: Load,
    box: Box | None,
    window: WindowTicks,
    quota: Quota | None,
    steps: Sequence[Step],
    wait_until: Callable[[int], None],
) -> tuple[Snapshot, Snapshot, list[int]]:
    """Read what everything has used, as long before the window's start as before its end; do the steps.

    So between the two readings lie exactly the window's ticks and polls. Also returned is when each step was
    done. All happen in the order of their instants; what takes long delays those that follow.
    """
    ours = {SUBJECT: subject.usage, LOAD: load.usage, HARNESS: harness_usage}
    cores = [subject.place.core, load.place.core]
    if box is not None:
        ours[ROUTER] = box.usage
        cores.append(box.place.core)
    taken: list[Snapshot] = []
    done_ns: list[int] = []

    def snapshot() -> None:
        now = take_snapshot(ours, cores, quota)
        taken.append(now if box is None else now._replace(link=box.reading()))

    moments: list[tuple[int, Callable[[], object]]] = [
        (window.start_ns - CPU_LEAD_NS, snapshot),
        *((step.at_ns, partial(_note_when, step, done_ns)) for step in steps),
        (window.end_ns - CPU_LEAD_NS, snapshot),
    ]
    for at_ns, do in sorted(moments, key=itemgetter(0)):
        wait_until(at_ns)
        do()
    start, end = taken
    return start, end, done_ns


def _note_when(step: Step, done_ns: list[int]) -> None:
    done_ns.append(step.do())
