"""What is done in the middle of a trial, in which order and when: by a fake clock, subject and link."""

from itertools import count, pairwise
from typing import Any

import pytest

from bench.measure.incidents import begin_of_incident, incident_steps, outage_of
from bench.measure.processes import TrialFailed
from bench.measure.trial import CPU_LEAD_NS, choose_window, observe, take_snapshots
from bench.network.incident_fields import Incident
from bench.results.deliveries import WindowTicks
from bench.results.observation import Observation, Outage, ServerState
from bench.scenario import Scenario
from tests.bench.measure.test_trial import START_NS, FakeLoad, FakeSubject, FakeTime, S
from tests.bench.results.test_link_figures import reading

RESTART_NS = S // 4


class FakeBox:
    """Says when it did what, and takes no time for it."""

    place = FakeLoad.place
    rtt_ms = 20.0

    def __init__(self, time: FakeTime) -> None:
        self.time = time
        self.done: list[tuple[int, Any]] = []
        self._readings = count(1)

    def usage(self) -> Any:
        return FakeLoad(self.time).usage()

    def reading(self) -> Any:
        self.done.append((self.time.now_ns, "reading"))
        return reading(self.time.now_ns, next(self._readings))

    def __getattr__(self, name: str) -> Any:
        if name not in ("cut", "mend", "change_address", "forget_idle", "lose_next_data"):
            raise AttributeError(name)

        def do(*what: float) -> int:
            self.done.append((self.time.now_ns, (name, *what)))
            return self.time.now_ns

        return do


class FakeMortal(FakeSubject):
    """Dies, and takes a while to come back; its connections are gone then."""

    def __init__(self, time: FakeTime, box: FakeBox) -> None:
        super().__init__(time)
        self.lives, self.box = True, box

    def kill(self) -> int:
        self.lives = False
        self.box.done.append((self.time.now_ns, ("kill",)))
        return -9

    def start_again(self) -> int:
        self.time.now_ns += RESTART_NS
        self.lives = True
        self.box.done.append((self.time.now_ns, ("start_again",)))
        return self.time.now_ns

    def usage(self) -> Any:
        if not self.lives:
            raise TrialFailed("the server died")
        return super().usage()

    def state(self, first_seq: int, last_seq: int) -> ServerState:
        return super().state(first_seq, last_seq)._replace(open_files=15 if self.asked[1:] else 12)


def scenario_of(incident: str, **fields: Any) -> Scenario:
    return Scenario(
        "websocket", clients=3, rate_hz=10, incident=incident, rtt_ms=20.0, window_s=4.0, **fields
    )


def observe_incident(scenario: Scenario) -> tuple[Observation, FakeBox]:
    time = FakeTime()
    box = FakeBox(time)
    observation = observe(
        scenario,
        FakeMortal(time, box),
        FakeLoad(time),
        seed=1,
        box=box,  # type: ignore[arg-type]
        wait_until=time.wait_until,
    )
    return observation, box


@pytest.mark.parametrize(
    ("incident", "fields", "steps", "lasts_s"),
    [
        ("packet_lost", {}, [("lose_next_data",)], 0),
        ("link_down", {"incident_s": 1.5}, [("cut",), ("mend",)], 1.5),
        ("address_changed", {}, [("change_address",)], 0),
        ("forgotten", {"incident_s": 0.5}, [("forget_idle", 0.5)], 0),
    ],
)
def test_the_link_is_told_what_to_do_between_the_readings(
    incident: str, fields: dict[str, float], steps: list[Any], lasts_s: float
) -> None:
    observation, box = observe_incident(scenario_of(incident, **fields))
    assert [what for _, what in box.done] == ["reading", *steps, "reading"]
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(box.done))
    window = observation.window
    begin_ns = window.start_ns + S + S // 20  # a quarter of 4 s, and half a tick period
    assert observation.outage == Outage(begin_ns, begin_ns + round(lasts_s * S))
    assert box.done[-1][0] == window.end_ns - CPU_LEAD_NS


def test_a_server_is_killed_and_comes_back_when_it_listens() -> None:
    observation, box = observe_incident(scenario_of("server_killed"))
    assert [what for _, what in box.done] == ["reading", ("kill",), ("start_again",), "reading"]
    assert observation.outage is not None
    outage_ns = box.done[2][0] - box.done[1][0]
    assert outage_ns == S + RESTART_NS
    assert box.done[-1][0] == observation.window.end_ns - CPU_LEAD_NS
    assert observation.state.open_files - observation.empty_state.open_files == 3


def test_nothing_is_done_without_an_incident() -> None:
    time = FakeTime()
    assert incident_steps(Scenario("websocket"), FakeSubject(time), None, WindowTicks(1, 1, 0, S), ()) == []
    assert outage_of([]) is None


def test_a_subject_that_is_no_process_of_ours_cannot_be_killed() -> None:
    scenario, time = scenario_of("server_killed"), FakeTime()
    window = choose_window(scenario, 1, START_NS, START_NS + S)
    with pytest.raises(TrialFailed, match="cannot be killed and started again"):
        incident_steps(scenario, FakeSubject(time), None, window, ())


def test_a_server_that_takes_long_to_come_back_delays_what_follows() -> None:
    """The second reading is late then, and of a longer time; it is never of a server that is not there."""
    time = FakeTime()
    box = FakeBox(time)
    subject = FakeMortal(time, box)
    window = WindowTicks(1, 40, START_NS + S, START_NS + 2 * S)
    steps = incident_steps(scenario_of("server_killed"), subject, None, window, ())
    late = [
        step._replace(at_ns=window.end_ns - S // 100 - RESTART_NS * (1 - place))
        for place, step in enumerate(steps)
    ]
    _, end, done_ns = take_snapshots(subject, FakeLoad(time), None, window, None, late, time.wait_until)
    assert end.ours["subject"].at_ns >= done_ns[-1] > window.end_ns


@pytest.mark.parametrize(
    ("due_s", "begin_s"),
    [
        ([], 1.0),
        ([0.0, 0.9, 1.1, 1.2], 1.0),
        ([0.0, 1.0, 1.5], 1.25),  # a tick at the quarter itself is before it
        ([-3.0, 0.0, 1.2], 0.6),
        ([0.0, 0.8, 9.0], 2.0),  # a gap that is longer than the window
    ],
)
def test_an_incident_begins_between_two_ticks(due_s: list[float], begin_s: float) -> None:
    window = WindowTicks(1, 9, 0, 4 * S)
    assert begin_of_incident(window, [round(each * S) for each in due_s]) == round(begin_s * S)


def test_an_incident_begins_in_a_silent_market_too() -> None:
    scenario = Scenario(
        "websocket", clients=3, rate_hz=0, heartbeat_s=0.4, rtt_ms=20.0, incident="address_changed"
    )
    time = FakeTime()
    box = FakeBox(time)
    window = choose_window(scenario, 1, START_NS, START_NS + S)
    (step,) = incident_steps(scenario, FakeSubject(time), box, window, count())  # type: ignore[arg-type]
    assert step.at_ns == window.start_ns + S


def test_every_incident_is_done() -> None:
    for incident in Incident:
        observation, _ = observe_incident(scenario_of(incident))
        assert observation.outage is not None
