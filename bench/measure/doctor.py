"""What this machine can and cannot measure, what to do about it, and how loud its noise is.

The noise floor is the instrument held against itself: one scenario measured several times as A and as B in
turn. A and B do not differ, so their ratio is 1 but for noise, and the noise of all these trials tells which
difference a comparison of as many repeats finds in eight of ten tries.
"""

import resource
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import psutil

from bench.measure import box, machine
from bench.measure.environment import process_environment, python_command
from bench.measure.place import choose_places, usable_cores
from bench.measure.processes import TrialFailed
from bench.measure.quota import read_quota
from bench.measure.trial import run_trial
from bench.network import capture
from bench.results.statistics import CONFIDENCE, Interval, detectable_ratio, per_figure, ratio_interval
from bench.results.validity import INVALID, SUSPECT
from bench.scenario import Scenario
from bench.transports import main_names
from bench.wording import condition_sentence, validity_sentence
from clients.sockets.limits import SPARE_DESCRIPTORS
from clients.sockets.stamped_socket import StampedSocket, measure_clock_offset
from servers.base import BACKLOG
from servers.wire import now_ns

GOOD, LIMITED, MISSING = "good", "limited", "missing"
WANTED_CLIENTS = 10_000
NOISY_WAKE_MS = 2.0
STAMPS_BEGIN_WITHIN_NS = 1_000_000_000
NOISY_STEAL_RATIO = 0.02
PAIRS = 5
NOISE_SCENARIO = Scenario(main_names("push")[0], clients=50, rate_hz=50, window_s=1.0, warmup_s=0.2)
NOISE_FIGURES = ("latency_p50_ms", "server_cpu_us_per_delivery", "generator_cpu_us_per_delivery")


class Finding(NamedTuple):
    """One thing that was looked at: good, limited or missing; what was found; what to do about it."""

    what: str
    state: str
    found: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Look at everything that needs no trial, which takes a few seconds."""
    facts = machine.describe()
    yield _kernel_stamps()
    yield _tcp_info()
    yield _capture()
    yield _network_in_a_box()
    yield _descriptors()
    yield _ports(facts)
    yield _accept_queue(facts)
    yield _congestion(facts)
    yield _cores()
    yield _quota()
    yield _inherited()
    yield _clock(facts)
    yield _quiet()
    yield _wake_ups()


class Noise(NamedTuple):
    """The noise floor.

    Attributes:
        pairs: How many times A and B were measured, each.
        ratios: For each figure the ratio of the same scenario to itself; the intervals hold all together with
            95 % confidence, so that a quiet machine seldom shows a difference in any.
        detectable: For each figure the ratio that would be found in 8 of 10 tries.
        doubts: Of the trials.
    """

    pairs: int
    ratios: dict[str, Interval]
    detectable: dict[str, Interval]
    doubts: list[str]


def measure_noise(pairs: int = PAIRS, told: Callable[[int, int], None] = lambda done, total: None) -> Noise:
    """Measure one scenario as A and as B in turn, half a minute in all.

    Args:
        pairs: How many times each.
        told: Called with the trials done and to be done.

    Raises:
        TrialFailed: If a trial fails.
    """
    figures: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in NOISE_FIGURES}
    doubts = []
    for trial in range(2 * pairs):
        # A B, B A, A B …: so that a steady drift of the machine hits both alike
        pair, second = divmod(trial, 2)
        side = second ^ (pair % 2)
        row = run_trial(NOISE_SCENARIO, seed=pair, places=choose_places()).row
        if row["verdict"] == INVALID:
            raise TrialFailed(validity_sentence(row))
        if row["verdict"] == SUSPECT:
            doubts.append(validity_sentence(row))
        for name, sides in figures.items():
            sides[side].append(row[name])
        told(trial + 1, 2 * pairs)
    confidence = per_figure(CONFIDENCE, len(figures))
    return Noise(
        pairs,
        {name: ratio_interval(*sides, confidence) for name, sides in figures.items()},
        {name: detectable_ratio([*a, *b], pairs) for name, (a, b) in figures.items()},
        doubts,
    )


def _loopback_pair() -> tuple[StampedSocket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = StampedSocket(socket.AF_INET, offset_ns=measure_clock_offset().offset_ns)
        ours.connect(*listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs


def _kernel_stamps() -> Finding:
    ours, theirs = _loopback_pair()
    errors_us: list[float] = []
    with theirs:
        # The kernel begins to stamp a moment after the first socket has asked for it.
        until_ns = now_ns() + STAMPS_BEGIN_WITHIN_NS
        while len(errors_us) < 50 and (errors_us or now_ns() < until_ns):
            before_ns = now_ns()
            theirs.send(b"x")
            after_ns = now_ns()
            select.select([ours], [], [], 1.0)
            _, arrived_ns = ours.receive()
            if ours.kernel_stamped:
                errors_us.append(max(before_ns - arrived_ns, arrived_ns - after_ns, 0) / 1e3)
        ours.close()
    if not errors_us:
        advice = "arrivals are taken in user space and every trial is suspect; use Linux for measurements"
        return Finding("kernel arrival times", MISSING, "this system gives none", advice)
    outside_us = float(np.median(errors_us))
    where = f"within {outside_us:.0f} µs of" if outside_us >= 1 else "inside"
    return Finding("kernel arrival times", GOOD, f"{where} the sender's send()")


def _tcp_info() -> Finding:
    ours, theirs = _loopback_pair()
    with theirs:
        counts = ours.wire_counts()
        ours.close()
    if counts is None:
        return Finding("packet counts (TCP_INFO)", MISSING, "not here", "wire bytes and packets stay empty")
    return Finding("packet counts (TCP_INFO)", GOOD, "bytes and segments of each connection")


def _capture() -> Finding:
    if reason := capture.available():
        advice = "the tests that hold bytes against a capture are skipped; run them as root on Linux"
        return Finding("packet capture", LIMITED, reason, advice)
    return Finding("packet capture", GOOD, "raw packets of the loopback can be read")


def _network_in_a_box() -> Finding:
    if reason := box.unavailable():
        found, _, advice = reason.partition("; ")
        return Finding("network in a box", LIMITED, found, f"scenarios with a link are skipped; {advice}")
    return Finding("network in a box", GOOD, "links with delay, loss and a rate can be had")


def _descriptors() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    clients = WANTED_CLIENTS if hard == resource.RLIM_INFINITY else hard - SPARE_DESCRIPTORS
    found = "no limit" if hard == resource.RLIM_INFINITY else f"{hard:,}: up to {clients:,} clients"
    if clients < WANTED_CLIENTS:
        advice = f"for {WANTED_CLIENTS:,} clients, as root: ulimit -Hn {WANTED_CLIENTS + 1000}"
        return Finding("file descriptors", LIMITED, found, advice)
    return Finding("file descriptors", GOOD, found)


def _ports(facts: dict[str, Any]) -> Finding:
    ports = [int(port) for port in facts["ephemeral_ports"]]
    if len(ports) != 2:
        return Finding("ports", LIMITED, "the range of ephemeral ports is not known here")
    count = ports[1] - ports[0] + 1
    return Finding("ports", GOOD, f"{count:,} for each source address; more clients take more addresses")


def _accept_queue(facts: dict[str, Any]) -> Finding:
    queue = facts["accept_queue"]
    if queue and int(queue) < BACKLOG:
        advice = f"enough for the swarm; for hasty clients: sysctl net.core.somaxconn={BACKLOG}"
        return Finding("accept queue", LIMITED, f"{queue} connections (net.core.somaxconn)", advice)
    return Finding("accept queue", GOOD, f"{queue or 'set by the system'} connections")


def _congestion(facts: dict[str, Any]) -> Finding:
    available = facts["congestion_available"]
    if "cubic" in available:
        return Finding("congestion control", GOOD, f"cubic, of {', '.join(available)}")
    found = ", ".join(available) or "not told by this system"
    return Finding(
        "congestion control", LIMITED, found, "cubic is not here; each trial records what was used"
    )


def _quota() -> Finding:
    quota = read_quota()
    if quota is None:
        return Finding("CPU quota", GOOD, "none")
    advice = (
        "who uses it up is stopped for the rest of a period, tens of ms, and such trials are suspect; "
        "start the container without --cpus, or with more"
    )
    return Finding("CPU quota", LIMITED, f"{quota.cores:.3g} cores, by a control group", advice)


def _inherited() -> Finding:
    """Ask a process that is started as servers are: what the shell did to this one does not matter."""
    asked = subprocess.run(
        python_command("servers.conditions"),
        env=process_environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    found = [condition_sentence(condition) for condition in asked.stdout.split()]
    if found:
        return Finding("this process", LIMITED, "; ".join(found), "trials that inherit it are suspect")
    return Finding("this process", GOOD, "nothing that servers inherit changes what they cost")


def _cores() -> Finding:
    places = choose_places()
    if places.subject.core is None:
        advice = (
            "server and swarm take turns: latencies include waiting for each other; use two cores or more"
        )
        return Finding("cores", LIMITED, "one, or not to be chosen here", advice)
    found = f"{usable_cores()}: server on {places.subject.core}, swarm on {places.load.core}"
    return Finding("cores", GOOD, found)


def _clock(facts: dict[str, Any]) -> Finding:
    offset = measure_clock_offset()
    source = facts["clock_source"] or "not told"
    if offset.bracket_ns > 5_000:
        advice = "reading the clock is slow; arrival times are this uncertain"
        return Finding("clock", LIMITED, f"{source}, {offset.bracket_ns / 1e3:.1f} µs", advice)
    return Finding("clock", GOOD, f"{source}; kernel and bench clock agree to {offset.bracket_ns} ns")


def _quiet() -> Finding:
    before = machine.core_times()
    psutil.cpu_percent(interval=1.0)
    used = machine.core_times().since(before)
    stolen, busy = used.stolen_s / used.total_s, used.busy_s / used.total_s
    found = f"{busy:.0%} of the cores busy, {stolen:.1%} stolen by the hypervisor"
    if busy > 0.1 or stolen > NOISY_STEAL_RATIO:
        return Finding(
            "quiet", LIMITED, found, "close other programs; on a shared machine measure more repeats"
        )
    return Finding("quiet", GOOD, found)


def _wake_ups() -> Finding:
    late_ms = []
    for _ in range(200):
        due_ns = now_ns() + 2_000_000
        time.sleep(0.002)
        late_ms.append((now_ns() - due_ns) / 1e6)
    p99_ms = float(np.quantile(late_ms, 0.99))
    found = f"a sleeper wakes {float(np.median(late_ms)) * 1000:.0f} µs late (median), {p99_ms:.2f} ms (p99)"
    if p99_ms > NOISY_WAKE_MS:
        advice = "latencies below this cannot be told apart here; power saving or neighbours may be the cause"
        return Finding("wake-ups", LIMITED, found, advice)
    return Finding("wake-ups", GOOD, found)
