"""A trial with a fake clock, a fake server and a fake swarm: what is asked when, and what comes of it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.columns import COLUMNS
from bench.measure.processes import TrialFailed, Usage
from bench.measure.trial import choose_window, run_trial
from bench.results.observation import ServerState
from bench.results.validity import Bottleneck, assess
from bench.scenario import Scenario
from bench.wording import validity_sentence
from clients.load.orders import Connected, Message, Order, Reading, Report, Window

S = 1_000_000_000
START_NS = 1_000 * S


class FakeWorld:
    """Time that passes only by sleeping, and the two processes of a trial."""

    def __init__(
        self,
        *,
        swarm_dies: bool = False,
        lose: int | None = None,
        clock_shift_ns: int = 3,
        user_reads: int = 0,
    ) -> None:
        self.now_ns = START_NS
        self.swarm_dies, self.lose = swarm_dies, lose
        self.clock_shift_ns, self.user_reads = clock_shift_ns, user_reads
        self.told: list[Message] = []
        self.usage_at_ns: list[int] = []
        self.asked: list[tuple[int, int, int]] = []
        self.stopped: list[str] = []

    def clock(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9) + 1

    @contextmanager
    def start_server(self, transport: str, options: Any) -> Iterator[Any]:
        self.options = options
        self.ready = {"start_ns": START_NS, "loop": "fake", "congestion": "cubic", "conditions": []}
        self.host, self.port, self.path = "127.0.0.1", 1, "/ticks"
        yield self
        self.stopped.append("server")

    @contextmanager
    def start_swarm(self, generator: str) -> Iterator[Any]:
        try:
            yield self
        finally:
            self.stopped.append("swarm")

    # The server's side

    def usage(self) -> Usage:
        self.usage_at_ns.append(self.now_ns)
        return Usage(self.now_ns, (self.now_ns - START_NS) // 10)

    def state(self, first_seq: int, last_seq: int) -> ServerState:
        self.asked.append((self.now_ns, first_seq, last_seq))
        ticks = last_seq - first_seq + 1
        return ServerState(10**7, [1000] * ticks, [500] * ticks)

    def is_running(self) -> bool:
        return True

    # The swarm's side

    def send(self, message: Message) -> None:
        self.told.append(message)

    def receive(self, timeout_s: float) -> Message:
        order = self.told[0]
        assert isinstance(order, Order)
        if isinstance(self.told[-1], Order):
            self.sleep(0.25)
            return Connected(connect_s=0.25, connect_cpu_ratio=0.5, empty_rss_bytes=0)
        if self.swarm_dies:
            raise TrialFailed("the swarm died (by signal 9)")
        window = self.told[-1]
        assert isinstance(window, Window)
        self.write_samples(Path(order.folder), order.clients, window)
        reading = {name: 0 for name in Reading.__struct_fields__} | {"wire": None}
        used = {"at_ns": S, "cpu_ns": S // 5, "delivered": 10, "user_stamped_reads": self.user_reads}
        return Report(
            before=Reading(**reading),
            after=Reading(**reading | used),
            drained=True,
            clock_shift_ns=self.clock_shift_ns,
            clock_bracket_ns=100,
            errors={},
        )

    def write_samples(self, folder: Path, clients: int, window: Window) -> None:
        """Deliver every tick of 10 Hz to every client after 7 ms, but for one that is lost."""
        ticks = [
            (client, seq, due, due + 7_000_000, due + 8_000_000, 0)
            for seq in range(1, window.last_seq + 3)
            for client in range(clients)
            if seq != self.lose
            for due in [START_NS + (seq - 1) * S // 10]
        ]
        np.array(ticks, dtype=np.int64).tofile(folder / "deliveries.int64")
        np.array([[window.end_ns - S, 5_000]], dtype=np.int64).tofile(folder / "request_lags.int64")
        np.array([1_000_000] * clients, dtype=np.int64).tofile(folder / "connects.int64")

    def run(self, scenario: Scenario) -> Any:
        return run_trial(
            scenario, seed=1, clock=self.clock, sleep=self.sleep,
            start_server=self.start_server, start_swarm=self.start_swarm,
        )  # fmt: skip


SCENARIO = Scenario("websocket", clients=3, rate_hz=10, window_s=1.0, warmup_s=0.5)


def test_a_whole_trial() -> None:
    world = FakeWorld()
    row, deliveries, _ = world.run(SCENARIO)
    assert (row["expected"], row["delivered"], row["missed"]) == (30, 30, 0)
    assert row["latency_p50_ms"] == pytest.approx(7)
    assert row["client_reported_p50_ms"] == pytest.approx(8)
    assert row["generator_lag_p99_ms"] == pytest.approx(1)
    assert row["server_cpu_ratio"] == pytest.approx(0.1, rel=0.01)
    assert row["loop_lag_p99_ms"] == pytest.approx(0.0005)
    assert row["verdict"] in ("ok", "suspect")  # suspect of the real machine: its cores may be taken
    assert deliveries.shape == (30, 6)
    assert sorted(world.stopped) == ["server", "swarm"]
    assert not set(row) - set(COLUMNS)  # each has a place in trials.csv


def test_the_window_begins_after_connecting_and_warming_up() -> None:
    world = FakeWorld()
    world.run(SCENARIO)
    window = world.told[1]
    assert isinstance(window, Window)
    begins_ns = window.end_ns - S
    assert begins_ns >= START_NS + round((0.25 + 0.5) * S)
    assert window.counters_at_ns < begins_ns
    assert window.counters_again_at_ns - window.counters_at_ns == window.end_ns - begins_ns
    assert window.until_ns == window.end_ns + round(SCENARIO.drain_s * S)
    # CPU time is read just before a tick, at instants that are as far apart as the window is long
    first_ns, second_ns = world.usage_at_ns[2:]
    assert begins_ns - S // 100 < first_ns < begins_ns
    assert abs(second_ns - first_ns - S) < S // 1000


def test_the_server_is_asked_nothing_within_the_window() -> None:
    world = FakeWorld()
    world.run(SCENARIO)
    window = world.told[1]
    assert isinstance(window, Window)
    (_, *no_ticks), (asked_ns, first_seq, last_seq) = world.asked
    assert no_ticks == [1, 0]
    assert asked_ns >= window.end_ns
    assert (last_seq - first_seq, last_seq) == (9, window.last_seq)


def test_too_few_ticks_carry_no_cpu_time_per_delivery() -> None:
    row, _, _ = FakeWorld().run(Scenario("websocket", clients=3, rate_hz=10, window_s=0.9, warmup_s=0.5))
    assert math.isnan(row["server_cpu_us_per_delivery"])
    row, _, _ = FakeWorld().run(SCENARIO)
    assert row["server_cpu_us_per_delivery"] == pytest.approx(S / 10 / 1e3 / 30, rel=0.01)


def test_a_lost_tick_makes_the_trial_invalid() -> None:
    world = FakeWorld()
    world.run(SCENARIO)
    window = world.told[1]
    assert isinstance(window, Window)
    row, _, passing = FakeWorld(lose=window.last_seq - 2).run(SCENARIO)
    assert row["missed"] == 3
    assert row["verdict"] == "invalid"
    assert "3 missed" in validity_sentence(row)
    assert not passing


def test_a_clock_that_was_set_makes_the_trial_invalid() -> None:
    row, _, passing = FakeWorld(clock_shift_ns=2 * S).run(SCENARIO)
    assert row["verdict"] == "invalid"
    assert "clock was set" in validity_sentence(row)
    assert passing


def test_one_stamp_of_user_space_makes_the_trial_suspect() -> None:
    row, _, _ = FakeWorld(user_reads=1).run(SCENARIO)
    assert row["stamped_by"] == "user"
    assert row["verdict"] == "suspect"
    assert "user space" in validity_sentence(row)


def test_a_dead_swarm_fails_the_trial_and_both_are_stopped() -> None:
    world = FakeWorld(swarm_dies=True)
    with pytest.raises(TrialFailed, match="signal 9"):
        world.run(SCENARIO)
    assert "swarm" in world.stopped


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
