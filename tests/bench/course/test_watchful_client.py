"""Exercise 14: a client gives up a dead connection and no slow one, and each fault costs its own points."""

import ast
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.course.grading.__main__ import import_file
from bench.course.grading.base import try_check
from bench.course.grading.checks import checks_of
from bench.course.grading.checks.watchful import (
    DEAD_ATTEMPT_S,
    DEAD_HEARTBEATS,
    LONGEST_PAUSE_S,
    SILENT_HZ,
    SLOW_HEARTBEATS,
    StudentWatcher,
)
from bench.course.grading.simulated.service import Service
from bench.course.grading.simulated.watched_client import LATE_NS, WatchedClient
from tests.bench.course.grading import WRONG_SOLUTIONS
from tests.bench.course.test_solutions import load_solution

EXERCISE, BACK = (WRONG_SOLUTIONS / f"{name}.py" for name in ("watchful_client", "watchful_client_back"))
CHECKS = checks_of("watchful", "websocket", b"")
SOLUTION = StudentWatcher(load_solution("watchful_client").WatchfulClient)
LATE_S = 2 * LATE_NS / 1e9


def rules_lost(student: StudentWatcher) -> list[str]:
    return [check.run.__name__ for check in CHECKS if not try_check(check, student, EXERCISE).passed]


def faults(file: Path) -> dict[str, list[str]]:
    """Return the rules that each wrong solution of a file says it loses."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            said = " ".join((ast.get_docstring(node) or "").split())
            found[node.name] = said.partition("Loses: ")[2].partition(". Graded")[0].split(", ")
    return found


@pytest.mark.parametrize("file", [EXERCISE, BACK], ids=["dead", "back"])
def test_each_fault_costs_its_own_points_and_no_others(file: Path) -> None:
    module, expected = import_file(file), faults(file)
    assert {name: rules_lost(StudentWatcher(getattr(module, name))) for name in expected} == expected


def test_each_rule_is_lost_by_somebody_and_what_they_are_made_from_loses_none() -> None:
    assert set(itertools.chain(*faults(EXERCISE).values(), *faults(BACK).values())) == {
        check.run.__name__ for check in CHECKS
    }
    assert rules_lost(StudentWatcher(import_file(EXERCISE)._Solution)) == []


def watched(heartbeat_s: float, seed: int = 0) -> WatchedClient:
    return SOLUTION.connect_to(Service(SILENT_HZ), heartbeat_s, seed)


@given(
    heartbeat_s=st.floats(0.1, 60),
    silences=st.lists(st.floats(1, SLOW_HEARTBEATS), max_size=12),
    seed=st.integers(0, 99),
)
def test_the_solution_keeps_the_slow_and_gives_up_the_dead(
    heartbeat_s: float, silences: list[float], seed: int
) -> None:
    """Heartbeats come however late they may; then none comes any more."""
    client = watched(heartbeat_s, seed)
    client.run(0)
    for silence in silences:
        client.put_off_heartbeat(silence)
        client.run(silence * heartbeat_s + 1e-3)
    (attempt,) = client.attempts
    assert attempt.ended_ns is None
    client.is_silent = True
    limit_s = DEAD_HEARTBEATS * heartbeat_s + LATE_S
    assert client.run_until(lambda: attempt.given_up, limit_s)
    assert client.run_until_asked(LONGEST_PAUSE_S + LATE_S)


@given(outages=st.lists(st.sampled_from(["refuses", "hangs_up", "is_silent", "unanswered"]), max_size=12))
def test_the_solution_comes_back_after_any_row_of_failures(outages: list[str]) -> None:
    service = Service(2)
    client = SOLUTION.connect_to(service, 1.0)
    for outage in outages:
        setattr(client, outage, True)
        client.opens_after_s = None if outage == "unanswered" else 0.0
        client.run(7)
        client.refuses = client.hangs_up = client.is_silent = False
    client.opens_after_s = 0.0
    client.run(LONGEST_PAUSE_S + DEAD_ATTEMPT_S)
    service.close_market()
    client.run(1)
    assert client.seqs == list(range(client.seqs[0], service.feed.newest_seq + 1))


def test_what_happens_on_the_way_is_what_the_client_is_told() -> None:
    """The driver itself: calls in their order, and deadlines a little late."""
    calls: list[tuple[Any, ...]] = []

    class Recorder:
        cursor, wants_connection, deadline_ns = None, True, None

        def __init__(self, address: object, heartbeat_s: float, rng: random.Random) -> None:
            calls.append((heartbeat_s, rng.random() == random.Random(3).random()))

        def data_to_send(self) -> bytes:
            return b""

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: calls.append((name, arguments[-1] - begin_ns))

        def on_deadline(self, now_ns: int) -> None:
            calls.append(("on_deadline", now_ns - begin_ns))
            self.wants_connection, self.deadline_ns = not self.wants_connection, now_ns + 10**9

    service = Service(SILENT_HZ)
    begin_ns = service.clock()
    client = WatchedClient(Recorder, service, 2.0, seed=3)
    client.opens_after_s = 0.5
    client.run(1)
    client.client.deadline_ns = begin_ns + 2 * 10**9
    client.run(3)
    client.cut()
    second_ns, late_ns = 10**9, LATE_NS
    assert calls == [
        (2.0, True),
        ("connecting", 0),
        ("connected", second_ns // 2),
        ("on_deadline", 2 * second_ns + late_ns),
        ("on_deadline", 3 * second_ns + 2 * late_ns),
        ("connecting", 3 * second_ns + 2 * late_ns),
        ("connected", 7 * second_ns // 2 + 2 * late_ns),
        ("disconnected", 4 * second_ns),
    ]
    first, second = client.attempts
    assert (first.given_up, second.given_up) == (True, False)
    assert first.ended_ns == begin_ns + 2 * second_ns + late_ns


@pytest.mark.parametrize("heartbeat_s", [0.5, 15.0])
def test_a_process_that_stood_still_reads_before_it_judges(heartbeat_s: float) -> None:
    for stopped in (0.1, 1.0, 2.7, 3.1, 50.0):
        client = watched(heartbeat_s)
        client.run(2.4 * heartbeat_s)
        client.is_stopped = True
        client.run(stopped * heartbeat_s)
        client.go_on()
        client.run(3 * heartbeat_s)
        assert client.attempts[0].ended_ns is None


class _CountsInSeconds(SOLUTION.client_class):  # type: ignore[misc]
    def _wait(self, now_ns: int, seconds: float) -> None:
        self.deadline_ns = now_ns / 1e9 + seconds


class _WaitsForInfinity(SOLUTION.client_class):  # type: ignore[misc]
    def _listen(self, now_ns: int) -> None:
        self.deadline_ns = float("inf")


class _ReturnsNothing(SOLUTION.client_class):  # type: ignore[misc]
    def receive_data(self, data: bytes, now_ns: int) -> None:
        super().receive_data(data, now_ns)


class _Awaits(SOLUTION.client_class):  # type: ignore[misc]
    async def connected(self, now_ns: int) -> None:
        super().connected(now_ns)


@pytest.mark.parametrize(
    ("client_class", "said"),
    [
        (_CountsInSeconds, "deadline_ns lay 1e+03 s behind"),
        (_WaitsForInfinity, "its deadline_ns is no instant inf"),
        (_ReturnsNothing, "what receive_data returns is no list of ticks None"),
        (_Awaits, "its methods are asynchronous async def connected"),
    ],
)
def test_what_is_against_the_form_is_told_as_such(client_class: type, said: str) -> None:
    verdict = try_check(CHECKS[0], StudentWatcher(client_class), EXERCISE)
    assert said in f"{verdict.title} {verdict.seen}"
