"""A swarm whose clients come and go: each is owed what is due while it is there, and gets exactly that."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from bench.locust.due import due_ticks
from bench.measure.processes import Process
from bench.measure.subject import Server
from bench.scenario import Scenario
from bench.transports import TRANSPORTS, WEBSOCKET, Transport, main_names
from clients.load import orders
from clients.load.changing import Voice
from servers.wire import now_ns
from tests.waiting import LIMIT_S


class Changing:
    """The process, and what it has told so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.told: list[orders.Telling] = []
        self.latencies: dict[int, int] = {}
        self.connects = 0
        self.errors: list[str] = []

    def say(self, message: orders.Message) -> None:
        self.process.write_line(orders.encode(message))

    def hear(self) -> orders.Telling:
        telling = orders.decode(self.process.read_line(LIMIT_S))
        assert isinstance(telling, orders.Telling), telling
        self.told.append(telling)
        for value_us, count in telling.latencies_us:
            self.latencies[value_us] = self.latencies.get(value_us, 0) + count
        self.connects += len(telling.connects_ms)
        self.errors += telling.errors
        return telling

    def hear_until(self, reached: Callable[[orders.Telling], bool]) -> orders.Telling:
        while not reached(telling := self.hear()):
            assert len(self.told) < LIMIT_S, f"not in time: {telling}"
        return telling

    def finish(self) -> orders.Telling:
        self.say(orders.Finish())
        return self.hear_until(lambda telling: telling.last)


@pytest.fixture
def changing() -> Iterator[Callable[..., Changing]]:
    with contextlib.ExitStack() as stack:

        def start(server: Server, transport: Transport, **options: object) -> Changing:
            process = Process("swarm", "clients.load.changing")
            stack.callback(process.stop)
            settings = Scenario(transport.name).client_settings()
            if settings.get("poll_interval_s"):
                settings["poll_interval_s"] = 0.1
            swarm = Changing(process)
            swarm.say(
                orders.Opening(
                    transport.client, server.host, server.port, server.path, settings=settings, **options
                )
            )
            return swarm

        yield start


@pytest.mark.parametrize("name", main_names())
def test_clients_come_and_go_and_counts_are_exact(start_server, changing, name: str) -> None:
    swarm = changing(start_server(TRANSPORTS[name], rate_hz=50), TRANSPORTS[name])
    swarm.say(orders.Change(come=[number / 10 for number in range(10)]))
    swarm.hear_until(lambda telling: telling.connected == 10 and telling.counts["delivered"] > 100)
    swarm.say(orders.Change(come=[0.05] * 5, leave=[0, 1, 2]))
    swarm.hear_until(lambda telling: telling.connected == 12)
    swarm.say(orders.Change(leave=[12, 0, 99]))  # of two of them it knows nothing any more
    swarm.hear_until(lambda telling: telling.clients == 11)
    last = swarm.finish()
    counts = last.counts
    assert (last.clients, last.connected, swarm.connects, swarm.errors) == (0, 0, 15, [])
    assert (counts["missed"], counts["repeated"], counts["never_served"]) == (0, 0, 0)
    assert counts["owed"] == counts["delivered"] == counts["delivered_to_gone"] > 500
    assert sum(swarm.latencies.values()) == counts["delivered"]
    assert swarm.process.stop() == 0


def test_what_is_told_only_grows(start_server, changing) -> None:
    swarm = changing(start_server(WEBSOCKET, rate_hz=50), WEBSOCKET)
    swarm.say(orders.Change(come=[0.0] * 3))
    swarm.hear_until(lambda telling: telling.counts["delivered"] > 50)
    swarm.finish()
    for before, after in zip(swarm.told, swarm.told[1:], strict=False):
        assert before.cpu_ns < after.cpu_ns
        assert before.bytes_down <= after.bytes_down
        assert before.counts["delivered"] <= after.counts["delivered"]
    assert max(telling.late_ms for telling in swarm.told) > 0


def test_what_reached_nobody_is_missed_if_the_plan_is_known(start_server, changing) -> None:
    server = start_server(WEBSOCKET, rate_hz=50)
    swarm = changing(server, WEBSOCKET, drain_s=0.3)
    due = due_ticks(server.health()["plan"], 1)
    assert due is not None
    swarm.say(due.until(now_ns() + 60 * 10**9))
    swarm.say(orders.Change(come=[0.0] * 3))
    swarm.hear_until(lambda telling: telling.counts["delivered"] > 50)
    os.kill(server.pid, signal.SIGSTOP)
    swarm.say(orders.Change(come=[0.0]))  # the kernel alone lets its connection stand
    try:
        silent = swarm.hear_until(lambda telling: telling.counts["overdue"] > 5)
        swarm.hear_until(lambda telling: telling.counts["waiting"] == 1)
        last = swarm.finish().counts
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert last["missed"] >= 3 * silent.counts["overdue"]
    assert last["owed"] == last["delivered"] + last["missed"]
    assert (last["ignored"], last["never_served"], last["served"]) == (1, 1, 3)


def test_nobody_there_is_told_as_an_error(start_server, changing) -> None:
    server = start_server(WEBSOCKET)
    swarm = changing(server, WEBSOCKET, drain_s=0.1)
    server.stop()
    swarm.say(orders.Change(come=[0.0]))
    swarm.hear_until(lambda telling: bool(telling.errors))
    assert swarm.finish().counts["never_served"] == 1
    assert set(swarm.errors) == {"no connection: Connection refused"}


def test_a_listener_that_does_not_listen_does_not_stop_the_swarm() -> None:
    reader, writer = os.pipe()
    try:
        voice = Voice(writer)
        said = 0
        while voice.is_free():
            voice.say(orders.Failed("x" * 10_000))
            said += 1
        heard = b""
        while heard.count(b"\n") < said:
            heard += os.read(reader, 1 << 20)
            voice.is_free()
        assert voice.is_free()
        assert heard == (orders.encode(orders.Failed("x" * 10_000)) + b"\n") * said
    finally:
        os.close(reader)
        os.close(writer)


def test_something_else_than_an_opening_is_refused() -> None:
    process = Process("swarm", "clients.load.changing")
    try:
        process.write_line(orders.encode(orders.Finish()))
        assert orders.decode(process.read_line(LIMIT_S)) == orders.Failed("expected an opening, got Finish()")
        assert process.stop() == 1
    finally:
        process.kill()
