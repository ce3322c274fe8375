"""The figures of Locust's page and of its reports: exact histograms, counts, and rows of a table."""

import dataclasses
import importlib.metadata
from hashlib import sha256
from typing import Any

from hdrh.histogram import HdrHistogram

from bench.measure.environment import ROOT
from bench.results.validity import LATE_MS, SHARED_STAMPS_RATIO
from clients.load.accounts import LONGEST_US, SHORTEST_US
from clients.load.orders import Telling

PERCENTILES = (50, 90, 99, 99.9)
SATURATED_RATIO = 0.9
SOURCES = ("servers", "clients", "bench")


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of latencies in µs: 1 µs to 60 s, three digits."""
    return HdrHistogram(SHORTEST_US, LONGEST_US, 3)


def bucket_ms(response_time_ms: float) -> float:
    """Return the bucket of Locust's own statistics that a time belongs to: three digits, down to 1 µs.

    Locust's own buckets are whole milliseconds, in which most deliveries would be alike.
    """
    return round(float(f"{response_time_ms:.3g}"), 3)


def fingerprint() -> str:
    """Return what tells this version of the suite from all others: its version, and a hash of its sources."""
    digest = sha256()
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return f"{importlib.metadata.version('realtime-transports')} {digest.hexdigest()[:12]}"


@dataclasses.dataclass
class WorkerState:
    """How one worker's swarm stands; latencies in µs since the start, the rest as it last told.

    Attributes:
        late: Deliveries that took longer than ``limit_ms``.
        shared, handled_late, age_s2, held_s: As in :class:`clients.load.accounts.Count`.
        requests, late_requests: As in :class:`clients.load.orders.Telling`.
        cpu_ratio: Share of a core that the swarm used since the telling before.
        steady_cpu_s: CPU time that it used while nobody came or went, and all who were there had been told
            their first tick; this is what ``bench run`` measures.
        steady_delivered: Deliveries within that time.
        late_ms: The longest time since then that a delivery lay in the kernel before it was handled.
        clock_bracket_ns: How wrong latencies may be by the clocks, to either side.
        plan_unknown: Whether the server does not tell its plan, so that what is owed is known only by what
            came.
    """

    asked: int = 0
    clients: int = 0
    connected: int = 0
    lost: int = 0
    delivered: int = 0
    late: int = 0
    limit_ms: float = 0.0
    missed: int = 0
    repeated: int = 0
    shared: int = 0
    handled_late: int = 0
    requests: int = 0
    late_requests: int = 0
    age_s2: float = 0.0
    held_s: float = 0.0
    cpu_ratio: float = 0.0
    steady_cpu_s: float = 0.0
    steady_delivered: int = 0
    late_ms: float = 0.0
    clock_bracket_ns: int = 0
    plan_unknown: bool = False
    histogram: HdrHistogram = dataclasses.field(default_factory=new_histogram)

    def hear(self, telling: Telling, before: Telling | None, asked: int) -> None:
        """Take what a swarm tells."""
        nobody_came = asked == self.asked
        self.asked, self.clients, self.connected = asked, telling.clients, telling.connected
        self.lost += sum(telling.errors.values())
        counts = telling.counts
        self.delivered, self.missed = int(counts["delivered"]), int(counts["missed"])
        self.repeated = int(counts["repeated"])
        self.shared, self.handled_late = int(counts["shared"]), int(counts["handled_late"])
        self.requests, self.late_requests = telling.requests, telling.late_requests
        self.age_s2, self.held_s = counts["age_s2"], counts["held_s"]
        self.late_ms = telling.late_ms
        if before is not None:
            cpu_ns = telling.cpu_ns - before.cpu_ns
            self.cpu_ratio = cpu_ns / (telling.at_ns - before.at_ns)
            all_the_same = all(
                telling.counts[name] == before.counts[name] for name in ("served", "never_served")
            )
            if nobody_came and all_the_same and telling.clients == before.clients:
                self.steady_cpu_s += cpu_ns / 1e9
                self.steady_delivered += int(counts["delivered"] - before.counts["delivered"])
        for latency_us, count in telling.latencies_us:
            self.histogram.record_value(latency_us, count)
            if latency_us > self.limit_ms * 1e3:
                self.late += count

    def report(self) -> dict[str, Any]:
        """Return what rides to the master: all of it, the histogram in HdrHistogram's own form."""
        return {**self._plain(), "histogram": self.histogram.encode()}

    def take(self, report: dict[str, Any]) -> None:
        """Take what a worker has reported; the histogram is of all its time, so a lost report is no loss."""
        histogram = new_histogram()
        histogram.decode_and_add(report["histogram"])
        for name in self._plain():
            setattr(self, name, report[name])
        self.histogram = histogram

    def _plain(self) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(self) if field.name != "histogram"]
        return {name: getattr(self, name) for name in names}

    def row(self, name: str) -> dict[str, Any]:
        """Return its row of the table in the web page."""
        histogram = self.histogram
        known = histogram.get_total_count() > 0
        percentiles = [
            histogram.get_value_at_percentile(each) / 1e3 if known else None for each in PERCENTILES
        ]
        return {
            "worker": name,
            "asked": self.asked,
            "open": self.connected,
            "lost": self.lost,
            "delivered": self.delivered,
            "missed": self.missed,
            **{
                f"p{each:g}".replace(".", ""): told(value)
                for each, value in zip(PERCENTILES, percentiles, strict=True)
            },
            "longest": told(histogram.get_max_value() / 1e3 if known else None),
            "age": told(self.age_s2 / self.held_s * 1e3 if self.held_s else None),
            "cpu": f"{100 * self.cpu_ratio:.0f} %",
            "clock": f"± {told(self.clock_bracket_ns / 1e6)}" if self.clock_bracket_ns else "one clock",
        }

    def doubts(self) -> list[str]:
        """Say what of the figures is doubtful, by the limits of a trial of ``bench run``."""
        late = f"over {LATE_MS:g} ms late: the swarm does not keep up; use more workers, or fewer users"
        return [
            f"{100 * count / of:.2g} % of the {sentence}"
            for count, of, sentence in (
                (
                    self.shared,
                    self.delivered,
                    "deliveries were read together with later ones, so their latencies are upper bounds",
                ),
                (self.handled_late, self.delivered, f"deliveries were handled {late}"),
                (self.late_requests, self.requests, f"requests were sent {late}"),
            )
            if count > SHARED_STAMPS_RATIO * of
        ]

    def sentence(self, transport: str) -> str:
        """Say what Locust's own report rounds to whole milliseconds."""
        row = self.row(transport)
        names = {f"p{each:g}".replace(".", ""): f"p{each:g}" for each in PERCENTILES} | {"longest": "max"}
        latencies = ", ".join(f"{name} {row[key]}" for key, name in names.items())
        cpu = clock = plan = ""
        if self.steady_delivered:
            cpu_us = 1e6 * self.steady_cpu_s / self.steady_delivered
            cpu = f"; swarm's CPU {told(cpu_us)} µs a delivery, while nobody came or went"
        if self.clock_bracket_ns:
            clock = f"; clocks known to {row['clock']} ms"
        if self.plan_unknown:
            plan = "; the server does not tell its plan, so what reached nobody is not counted as missed"
        return (
            f"{transport}: {self.delivered} deliveries, {self.missed} missed, {self.repeated} repeated; "
            f"latency in ms: {latencies}; mean age {row['age']} ms{cpu}{clock}{plan}"
        )


SUMMED = (
    "asked",
    "clients",
    "connected",
    "lost",
    "delivered",
    "late",
    "missed",
    "repeated",
    "shared",
    "handled_late",
    "requests",
    "late_requests",
    "steady_delivered",
)

TABLE = {
    "worker": "Worker",
    "asked": "Sockets asked for",
    "open": "Open",
    "lost": "Lost",
    "delivered": "Deliveries",
    "missed": "Missed",
    "p50": "p50 (ms)",
    "p90": "p90 (ms)",
    "p99": "p99 (ms)",
    "p999": "p99.9 (ms)",
    "longest": "Max (ms)",
    "age": "Mean age (ms)",
    "cpu": "Swarm's CPU (of a core)",
    "clock": "Clock (ms)",
}
"""The columns of the table in the web page, and what stands above them."""


def told(value: float | None) -> str:
    """Return a number with three digits, or all those before the point; an empty word for none."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 999.5 else f"{value:.3g}"


def together(states: list[WorkerState]) -> WorkerState:
    """Return the sum over all workers; of CPU, lateness and clocks the worst."""
    total = WorkerState()
    for state in states:
        for name in SUMMED:
            setattr(total, name, getattr(total, name) + getattr(state, name))
        total.age_s2, total.held_s = total.age_s2 + state.age_s2, total.held_s + state.held_s
        total.steady_cpu_s += state.steady_cpu_s
        total.plan_unknown |= state.plan_unknown
        for name in ("cpu_ratio", "late_ms", "limit_ms", "clock_bracket_ns"):
            setattr(total, name, max(getattr(total, name), getattr(state, name)))
        total.histogram.add(state.histogram)
    return total


def rows(states: dict[str, WorkerState]) -> list[dict[str, Any]]:
    """Return the table: all together, then each worker."""
    each = [state.row(name) for name, state in sorted(states.items())]
    return [together(list(states.values())).row("all"), *each] if states else []
