"""A trial of a fake subject by a fake load: what is asked when, and what comes of it."""

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np
import pytest

from bench.columns.catalogue import COLUMNS
from bench.measure.load import Load
from bench.measure.place import Place
from bench.measure.processes import TrialFailed
from bench.measure.subject import Subject
from bench.measure.trial import Trial, choose_window, judge, observe
from bench.results.observation import Observation, Samples, ServerState, Usage
from bench.results.validity import Bottleneck, assess
from bench.scenario import Scenario
from bench.wording import validity_sentence
from clients.base import Address
from clients.load.orders import Connected, Reading, Report, Window

S = 1_000_000_000
START_NS = 1_000 * S


class FakeTime:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def wait_until(self, at_ns: int) -> None:
        self.now_ns = max(self.now_ns, at_ns)


class FakeSubject:
    """Serves nobody, and uses a tenth of a core for it."""

    place = Place()
    ready: ClassVar[dict[str, Any]] = {
        "start_ns": START_NS, "loop": "fake", "congestion": "cubic", "conditions": [],
    }  # fmt: skip
    address = Address("127.0.0.1", 1, "/ticks")

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.usage_at_ns: list[int] = []
        self.asked: list[tuple[int, int, int]] = []

    def usage(self) -> Usage:
        self.usage_at_ns.append(self.time.now_ns)
        return Usage(self.time.now_ns, (self.time.now_ns - START_NS) // 10)

    def state(self, first_seq: int, last_seq: int) -> ServerState:
        self.asked.append((self.time.now_ns, first_seq, last_seq))
        ticks = last_seq - first_seq + 1
        return ServerState(10**7 + 10**5 * len(self.asked), 12, [1000] * ticks, [500] * ticks)

    def check(self) -> None:
        """It lives."""


class FakeLoad:
    """Gets every tick of 10 Hz to every client after 7 ms, but for one that is lost."""

    place = Place()

    def __init__(
        self,
        time: FakeTime,
        *,
        dies: bool = False,
        lose: int | None = None,
        clock_shift_ns: int = 3,
        user_reads: int = 0,
    ) -> None:
        self.time, self.dies, self.lose = time, dies, lose
        self.clock_shift_ns, self.user_reads = clock_shift_ns, user_reads

    def connect(self, scenario: Scenario, address: Address, *, seed: int, patience_s: float) -> Connected:
        self.clients, self.address = scenario.clients, address
        self.time.now_ns += S // 4
        return Connected(connect_s=0.25, connect_cpu_ratio=0.5, empty_rss_bytes=0)

    def watch(self, window: Window) -> None:
        self.window = window

    def usage(self) -> Usage:
        return Usage(self.time.now_ns, 0)

    def report(self) -> tuple[Report, Samples]:
        if self.dies:
            raise TrialFailed("the swarm died (by signal 9)")
        reading = {name: 0 for name in Reading.__struct_fields__} | {"wire": None}
        used = {"at_ns": S, "cpu_ns": S // 5, "delivered": 10, "user_stamped_reads": self.user_reads}
        report = Report(
            before=Reading(**reading),
            after=Reading(**reading | used),
            drained=True,
            clock_shift_ns=self.clock_shift_ns,
            clock_bracket_ns=100,
            errors={},
        )
        return report, self.samples()

    def samples(self) -> Samples:
        ticks = [
            (client, seq, due, due + 7_000_000, due + 8_000_000, 0)
            for seq in range(1, self.window.last_seq + 3)
            for client in range(self.clients)
            if seq != self.lose
            for due in [START_NS + (seq - 1) * S // 10]
        ]
        return Samples(
            deliveries=np.array(ticks, dtype=np.int64),
            request_lags_ns=np.array([[self.window.end_ns - S, 5_000]], dtype=np.int64),
            connects_ns=np.array([1_000_000] * self.clients, dtype=np.int64),
            sockets=np.empty((0, 3), dtype=np.int64),
        )


def observe_fakes(scenario: Scenario, **load_is: Any) -> tuple[Observation, FakeSubject, FakeLoad]:
    time = FakeTime()
    subject, load = FakeSubject(time), FakeLoad(time, **load_is)
    return observe(scenario, subject, load, seed=1, wait_until=time.wait_until), subject, load


def trial_of(scenario: Scenario, **load_is: Any) -> Trial:
    return judge(observe_fakes(scenario, **load_is)[0])


SCENARIO = Scenario("websocket", clients=3, rate_hz=10, window_s=1.0, warmup_s=0.5)


def test_a_whole_trial() -> None:
    row, deliveries, *_ = trial_of(SCENARIO)
    assert (row["expected"], row["delivered"], row["missed"]) == (30, 30, 0)
    assert row["latency_p50_ms"] == pytest.approx(7)
    assert row["client_reported_p50_ms"] == pytest.approx(8)
    assert row["generator_lag_p99_ms"] == pytest.approx(1)
    assert row["server_cpu_ratio"] == pytest.approx(0.1, rel=0.01)
    assert row["loop_lag_p99_ms"] == pytest.approx(0.0005)
    assert row["server_rss_kb_per_client"] == pytest.approx(100 / 3)
    assert row["verdict"] in ("ok", "suspect")  # suspect of the real machine: its cores may be taken
    assert deliveries is not None
    assert deliveries.shape == (30, 6)
    assert not set(row) - set(COLUMNS)  # each has a place in trials.csv


def test_the_window_begins_after_connecting_and_warming_up() -> None:
    observation, subject, load = observe_fakes(SCENARIO)
    window, begins_ns = load.window, observation.window.start_ns
    assert window.end_ns == begins_ns + S
    assert begins_ns >= START_NS + round((0.25 + 0.5) * S)
    assert window.counters_at_ns < begins_ns
    assert window.counters_again_at_ns - window.counters_at_ns == window.end_ns - begins_ns
    assert window.until_ns == window.end_ns + round(SCENARIO.drain_s * S)
    # CPU time is read just before a tick, at instants that are as far apart as the window is long
    first_ns, second_ns = subject.usage_at_ns[2:]
    assert begins_ns - S // 100 < first_ns < begins_ns
    assert abs(second_ns - first_ns - S) < S // 1000


def test_the_subject_is_asked_nothing_within_the_window() -> None:
    observation, subject, load = observe_fakes(SCENARIO)
    window = observation.window
    assert load.address == subject.address
    assert subject.asked == [(START_NS, 1, 0), (window.end_ns, window.first_seq, window.last_seq)]


def test_figures_follow_from_the_observation_alone() -> None:
    observation, _, _ = observe_fakes(SCENARIO)
    one, other = judge(observation), judge(observation)
    assert repr(one.row) == repr(other.row)
    with pytest.raises(dataclasses.FrozenInstanceError):
        observation.seed = 2  # type: ignore[misc]


def test_no_process_of_ours_is_foreign() -> None:
    observation, _, _ = observe_fakes(SCENARIO)
    for moment in (observation.start, observation.end):
        assert set(moment.ours) == {"subject", "load", "harness"}
        assert moment.ours["harness"].cpu_ns > 0


def test_too_few_ticks_carry_no_cpu_time_per_delivery() -> None:
    row = trial_of(Scenario("websocket", clients=3, rate_hz=10, window_s=0.9, warmup_s=0.5)).row
    assert math.isnan(row["server_cpu_us_per_delivery"])
    row = trial_of(SCENARIO).row
    assert row["server_cpu_us_per_delivery"] == pytest.approx(S / 10 / 1e3 / 30, rel=0.01)


def test_a_lost_tick_makes_the_trial_invalid() -> None:
    observation, _, _ = observe_fakes(SCENARIO)
    row, _, passing, _ = trial_of(SCENARIO, lose=observation.window.last_seq - 2)
    assert row["missed"] == 3
    assert row["verdict"] == "invalid"
    assert "3 missed" in validity_sentence(row)
    assert not passing


def test_a_clock_that_was_set_makes_the_trial_invalid() -> None:
    row, _, passing, _ = trial_of(SCENARIO, clock_shift_ns=2 * S)
    assert row["verdict"] == "invalid"
    assert "clock was set" in validity_sentence(row)
    assert passing


def test_one_stamp_of_user_space_makes_the_trial_suspect() -> None:
    row = trial_of(SCENARIO, user_reads=1).row
    assert row["stamped_by"] == "user"
    assert row["verdict"] == "suspect"
    assert "user space" in validity_sentence(row)


def test_a_dead_load_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="signal 9"):
        observe_fakes(SCENARIO, dies=True)


@pytest.mark.parametrize(("protocol", "members"), [(Subject, 6), (Load, 5)])
def test_a_protocol_is_small(protocol: type, members: int) -> None:
    """So that a fleet, Locust's workers, or a command in another language can be one."""
    assert len([name for name in vars(protocol) if not name.startswith("_")]) == members <= 6


@pytest.mark.parametrize("plan", ["steady", "poisson", "bursty"])
def test_the_window_is_chosen_by_due_ns(plan: str) -> None:
    scenario = Scenario("websocket", rate_hz=20, plan=plan, window_s=2.0)
    window = choose_window(scenario, seed=7, plan_start_ns=START_NS, earliest_ns=START_NS + 3 * S)
    assert window.start_ns >= START_NS + 3 * S
    assert window.end_ns - window.start_ns == (5 if plan == "bursty" else 2) * S
    if plan == "steady":
        assert window.ticks == 40
        opened_s = 3 - scenario.connect_s
        assert window.first_seq == 1 + math.ceil(opened_s * 20)


# Verdicts


GOOD = {
    "generator": "swarm",
    "expected": 10, "missed": 0, "duplicates": 0, "out_of_order": 0, "clock_shift_ns": 0,
    "stamped_by": "kernel",
    "generator_cpu_ratio": 0.1, "server_cpu_ratio": 0.1, "stamp_shared_ratio": 0.0, "drained": True,
    "generator_lag_p99_ms": 1.0, "request_lag_p99_ms": math.nan, "publish_lag_p99_ms": 1.0,
    "stolen_cpu_ratio": 0.0, "foreign_cpu_ratio": 0.0,
    "cpu_quota_cores": math.nan, "throttled_periods": 0, "conditions": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "verdict", "word", "may_pass"),
    [
        ({}, "ok", "", False),
        ({"missed": 1}, "invalid", "1 missed", False),
        ({"duplicates": 2}, "invalid", "2 duplicates", False),
        ({"out_of_order": 3}, "invalid", "3 out of order", False),
        ({"clock_shift_ns": -60_000}, "invalid", "clock", True),
        ({"generator_cpu_ratio": 0.85}, "suspect", "load generator used 85%", False),
        ({"generator_lag_p99_ms": 50.0}, "suspect", "handled arrivals 50 ms late", True),
        ({"request_lag_p99_ms": 50.0}, "suspect", "sent requests 50 ms late", True),
        ({"request_lag_p99_ms": 50.0, "generator": "asyncio"}, "suspect", "50 ms late", False),
        ({"stamp_shared_ratio": 0.02}, "suspect", "upper bounds", True),
        ({"stamp_shared_ratio": 0.02, "loss": 0.0}, "suspect", "upper bounds", True),
        ({"stamp_shared_ratio": 0.02, "loss": 0.05}, "suspect", "upper bounds", False),
        ({"generator_lag_p99_ms": 50.0, "loss": 0.05}, "suspect", "handled arrivals 50 ms late", True),
        ({"stamped_by": "user"}, "suspect", "user space", False),
        ({"drained": False}, "suspect", "last tick", True),
        ({"stolen_cpu_ratio": 0.2}, "suspect", "hypervisor took 20%", True),
        ({"foreign_cpu_ratio": 0.3}, "suspect", "other processes took 30%", True),
        ({"publish_lag_p99_ms": 40.0}, "suspect", "published 40 ms late", True),
        ({"cpu_quota_cores": 1.5, "throttled_periods": 4}, "suspect", "quota of 1.5 cores", False),
        ({"conditions": "nice=10 tracemalloc"}, "suspect", "niceness 10", False),
        ({"conditions": "nice=10 tracemalloc"}, "suspect", "tracemalloc recorded", False),
        ({"conditions": "one_core"}, "suspect", "shared one core", False),
        ({"publish_lag_p99_ms": 40.0, "server_cpu_ratio": 0.7}, "ok", "", False),
        ({"missed": 1, "stolen_cpu_ratio": 0.2}, "invalid", "hypervisor", False),
    ],
)
def test_verdicts(change: dict[str, Any], verdict: str, word: str, may_pass: bool) -> None:
    row = {**GOOD, **change}
    found = assess(row)
    assert found.verdict == verdict
    assert word in validity_sentence(row | {"verdict_reason": " ".join(found.faults), "verdict_note": ""})
    assert found.may_pass == may_pass


def test_a_saturated_server_is_a_finding_a_saturated_generator_a_fault() -> None:
    server = assess({**GOOD, "server_cpu_ratio": 0.99})
    assert (server.verdict, server.bottleneck) == ("ok", Bottleneck.SERVER_CPU)
    quota = assess({**GOOD, "server_cpu_ratio": 0.99, "cpu_quota_cores": 1.0, "throttled_periods": 1})
    assert (quota.verdict, quota.bottleneck) == (
        "suspect",
        Bottleneck.CPU_QUOTA,
    )  # not the server's own bound
    generator = assess({**GOOD, "generator_cpu_ratio": 0.99})
    assert (generator.verdict, generator.bottleneck) == ("suspect", Bottleneck.GENERATOR_CPU)
