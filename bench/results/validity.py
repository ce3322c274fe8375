"""Whether a trial's figures may be believed: ok, suspect (shown, marked) or invalid (never averaged).

A saturated subject is a finding: ok, with the bottleneck named. A saturated instrument, a stolen core or a
clock that was set are faults of the measurement. Faults and bottlenecks are codes; bench/wording.py has the
sentences.
"""

import enum
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.columns.cells import is_set
from bench.network.incident_fields import Incident

OK, SUSPECT, INVALID = "ok", "suspect", "invalid"
VERDICTS = (OK, SUSPECT, INVALID)
"""From the best to the worst."""

SATURATED_CPU_RATIO = SATURATED_LINK_RATIO = 0.9
BUSY_GENERATOR_CPU_RATIO = 0.8
IDLE_SERVER_CPU_RATIO = 0.5
BUSY_CONNECTING_CPU_RATIO = 0.75
SHARED_STAMPS_RATIO = 0.01
LATE_MS = 20.0
CLOCK_STEP_NS = 50_000
ROUTER_LATE_MS, ROUTER_LATE_RATIO = 1.0, 0.05
"""A router may be so late, or by so large a share of the round trip, whichever is more."""
STOLEN_CPU_RATIO = 0.05
FOREIGN_CPU_RATIO = 0.15


class Fault(enum.StrEnum):
    """What can be wrong with a trial: a code, the verdict that follows, and whether another try may help."""

    verdict: str
    may_pass: bool

    def __new__(cls, code: str, verdict: str, may_pass: bool) -> "Fault":
        """Make a fault of its code and its data."""
        fault = str.__new__(cls, code)
        fault._value_, fault.verdict, fault.may_pass = code, verdict, may_pass
        return fault

    FAILED = "failed", INVALID, True
    """A process died, refused or did not answer; the row's ``verdict_note`` says which."""
    WRONG_TICKS = "wrong_ticks", INVALID, False
    """Ticks lost, doubled or out of order: the server, the client or the network broke the contract."""
    CLOCK_STEP = "clock_step", INVALID, True
    GENERATOR_CPU = "generator_cpu", SUSPECT, False
    """The load generator had no time left."""
    GENERATOR_LAG = "generator_lag", SUSPECT, True
    REQUEST_LAG = "request_lag", SUSPECT, True
    SHARED_STAMPS = "shared_stamps", SUSPECT, True
    """Arrival times that are upper bounds."""
    USER_STAMPS = "user_stamps", SUSPECT, False
    """Arrival times that are not the kernel's."""
    NOT_DRAINED = "not_drained", SUSPECT, True
    CPU_QUOTA = "cpu_quota", SUSPECT, False
    CONDITIONS = "conditions", SUSPECT, False
    """Processes that are other than usual: the column ``conditions`` has codes for it."""
    STOLEN_CPU = "stolen_cpu", SUSPECT, True
    """Time that the hypervisor gave to somebody else."""
    FOREIGN_CPU = "foreign_cpu", SUSPECT, True
    """Time that other processes took."""
    PUBLISH_LAG = "publish_lag", SUSPECT, True
    ROUTER_LAG = "router_lag", SUSPECT, True
    """The link was longer than asked for."""
    ROUTER_DROPS = "router_drops", SUSPECT, True
    """The link lost packets that it should not have."""


FAULTS: dict[str, Fault] = {fault.value: fault for fault in Fault}
INSTRUMENT_LATE = frozenset({Fault.GENERATOR_CPU, Fault.GENERATOR_LAG, Fault.REQUEST_LAG})
"""The load generator was late, or had no time left: what some experiments are there to show."""


class Bottleneck(enum.StrEnum):
    """What ran out, in a trial or at the end of a search for capacity; nothing where nothing did."""

    NONE = ""
    SERVER_CPU = "server_cpu"
    SERVER_CPU_DISTURBED = "server_cpu_disturbed"
    SERVER_CPU_IN_BURSTS = "server_cpu_in_bursts"
    SERVER_CPU_IN_BURSTS_DISTURBED = "server_cpu_in_bursts_disturbed"
    GENERATOR_CPU = "generator_cpu"
    CPU_QUOTA = "cpu_quota"
    CONNECTING = "connecting"
    """Clients waited too long to get in."""
    LINK = "link"
    """More came than it carries."""
    UNKNOWN = "unknown"

    @property
    def is_server(self) -> bool:
        """Whether it was the server, with nothing else on its processor: else it bears more."""
        return self in (Bottleneck.SERVER_CPU, Bottleneck.SERVER_CPU_IN_BURSTS)

    @property
    def in_bursts(self) -> bool:
        """Whether only while a tick was handed to all clients, though the core rested between ticks."""
        return self in (Bottleneck.SERVER_CPU_IN_BURSTS, Bottleneck.SERVER_CPU_IN_BURSTS_DISTURBED)

    @property
    def disturbed(self) -> bool:
        """Whether something else used the server's processor."""
        return self in (Bottleneck.SERVER_CPU_DISTURBED, Bottleneck.SERVER_CPU_IN_BURSTS_DISTURBED)


class Assessment(NamedTuple):
    """What follows from a trial's figures: ``verdict``, the faults behind it, and what ran out.

    ``may_pass`` says that all that is wrong may be gone at another try.
    """

    verdict: str
    faults: tuple[Fault, ...]
    bottleneck: Bottleneck
    may_pass: bool


def assess(row: Mapping[str, Any]) -> Assessment:
    """Assess a trial by its figures (the columns of trials.csv)."""
    faults = find_faults(row)
    return Assessment(
        max((fault.verdict for fault in faults), key=VERDICTS.index, default=OK),
        faults,
        _bottleneck(row),
        may_pass=bool(faults) and all(_may_pass(fault, row) for fault in faults),
    )


def find_faults(row: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Return what is wrong with a trial, in the order in which it is told.

    Of an older run, which lacks some figures, only what the others say. An incident makes some of it a
    finding: ticks that do not come any more; requests that wait for a connection; ticks that
    come together, which were held up together; and, of a server that begins anew, those of that moment.
    """
    waits = has_incident(row) and row["incident"] != Incident.PACKET_LOST
    found = {
        Fault.WRONG_TICKS: bool(wrong_ticks(row)),
        Fault.GENERATOR_CPU: _above(row["generator_cpu_ratio"], BUSY_GENERATOR_CPU_RATIO),
        Fault.GENERATOR_LAG: _above(row["generator_lag_p99_ms"], LATE_MS),
        Fault.REQUEST_LAG: _above(row["request_lag_p99_ms"], LATE_MS) and not waits,
        Fault.SHARED_STAMPS: _above(row["stamp_shared_ratio"], SHARED_STAMPS_RATIO) and not has_incident(row),
        Fault.USER_STAMPS: row["stamped_by"] == "user",
        Fault.NOT_DRAINED: row["drained"] is not None and not row["drained"] and not has_incident(row),
        Fault.CPU_QUOTA: _above(row["throttled_periods"], 0),
        Fault.CONDITIONS: bool(row["conditions"]),
        Fault.CLOCK_STEP: _above(abs(row["clock_shift_ns"] or 0), CLOCK_STEP_NS),
        Fault.STOLEN_CPU: _above(row["stolen_cpu_ratio"], STOLEN_CPU_RATIO),
        Fault.FOREIGN_CPU: _above(row["foreign_cpu_ratio"], FOREIGN_CPU_RATIO),
        Fault.PUBLISH_LAG: _above(row["publish_lag_p99_ms"], LATE_MS)
        and (row["server_cpu_ratio"] or 0.0) < IDLE_SERVER_CPU_RATIO
        and row.get("incident") != Incident.SERVER_KILLED,
        Fault.ROUTER_LAG: _above(
            row.get("router_lag_p99_ms"), max(ROUTER_LATE_MS, ROUTER_LATE_RATIO * (row.get("rtt_ms") or 0.0))
        ),
        Fault.ROUTER_DROPS: _above(row.get("router_drops"), 0),
    }
    return tuple(fault for fault, is_so in found.items() if is_so)


def has_incident(row: Mapping[str, Any]) -> bool:
    """Return whether something happened in the window that was asked for."""
    return is_set(row.get("incident"))


def wrong_ticks(row: Mapping[str, Any]) -> dict[str, float]:
    """Return how many ticks did not come as they must, by the column that counts them; none if all did."""
    counted = (
        ("duplicates", "out_of_order") if has_incident(row) else ("missed", "duplicates", "out_of_order")
    )
    return {name: row[name] for name in counted if row[name]}


def _may_pass(fault: Fault, row: Mapping[str, Any]) -> bool:
    """Return whether a fault may be gone at another try.

    Ordinary clients are late by nature. Behind a packet that the link loses ticks come together, at any try.
    """
    late_by_nature = fault in INSTRUMENT_LATE and row["generator"] != "swarm"
    together_by_loss = fault is Fault.SHARED_STAMPS and _above(row.get("loss"), 0)
    return fault.may_pass and not (late_by_nature or together_by_loss)


def _bottleneck(row: Mapping[str, Any]) -> Bottleneck:
    if row["throttled_periods"]:
        return Bottleneck.CPU_QUOTA
    if _above(row.get("link_busy_ratio"), SATURATED_LINK_RATIO) or _above(row.get("link_overflows"), 0):
        return Bottleneck.LINK
    if row["generator_cpu_ratio"] > SATURATED_CPU_RATIO:
        return Bottleneck.GENERATOR_CPU
    return Bottleneck.SERVER_CPU if row["server_cpu_ratio"] > SATURATED_CPU_RATIO else Bottleneck.NONE


def connect_bottleneck(server_cpu_ratio: float, generator_cpu_ratio: float) -> Bottleneck:
    """Return which side connecting kept busy; neither: it waited for the other, or was too short to tell."""
    if max(server_cpu_ratio, generator_cpu_ratio) < BUSY_CONNECTING_CPU_RATIO:
        return Bottleneck.NONE
    return Bottleneck.SERVER_CPU if server_cpu_ratio >= generator_cpu_ratio else Bottleneck.GENERATOR_CPU


def faults_of(row: Mapping[Any, Any]) -> tuple[Fault, ...]:
    """Return the faults that a row of trials.csv, or of a data frame of it, names in ``verdict_reason``."""
    codes = row["verdict_reason"]
    return tuple(FAULTS[code] for code in codes.split()) if is_set(codes) else ()


def _above(value: float | None, limit: float) -> bool:
    return value is not None and not math.isnan(value) and value > limit
