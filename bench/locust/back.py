"""What a Locust process with users keeps: the swarm beside it, and what the swarm tells.

That is a worker, or Locust in one process. This file imports nothing of Locust; its threads are greenlets,
because Locust has patched them.
"""

import logging
import threading
import time
from typing import Any

from bench.locust import figures
from bench.locust.arguments import chosen_scenario
from bench.locust.due import due_ticks
from bench.locust.host import Host, HostError, drift_ns, look_up
from bench.locust.swarm_beside import SwarmBeside
from bench.measure.place import choose_places
from bench.scenario import Scenario, ScenarioError
from clients.load.orders import Telling
from servers.wire import now_ns

TICK, CONNECT = "TICK", "CONN"
"""Types of rows in Locust's statistics: deliveries, and handshakes. A row's name is its transport."""
HELLO, REFUSED, END, DRAIN, DRAINED = (
    "ticks_hello",
    "ticks_refused",
    "ticks_end",
    "ticks_drain",
    "ticks_drained",
)
"""Messages between master and workers, beside Locust's own."""
AFTER_THE_END_S = 5.0
"""A worker ends by itself so long after the planned end: its master must be gone."""
COUNTED = {
    "repeated": "a tick came twice, or after a later one",
    "ignored": "a client left, after it had waited in vain for its first tick",
}
"""What of a swarm's counts is an error as soon as it is told."""
QUIET_S = 10.0
"""Where it is not known what is due, nothing at all for so long is named."""
HELD_UP_S = 3.0
"""A worker that hears so much later what its swarm has told is named."""

logger = logging.getLogger("ticks")


def refuse(environment: Any, sentence: str, code: int = 2) -> None:
    """Say why nothing can be measured; without a web page, that is the end, with this exit code."""
    logger.error(sentence)
    if environment.web_ui is None:
        environment.process_exit_code = code
        threading.Thread(target=environment.runner.quit, daemon=True).start()


def look_at(environment: Any) -> tuple[Host, Scenario]:
    """Return what serves at the host, and what was chosen for its transport.

    Raises:
        HostError, ScenarioError: With a sentence, if that cannot be driven.
    """
    host = look_up(environment.host, environment.parsed_options.ca or None)
    return host, chosen_scenario(host.transport, vars(environment.parsed_options))


def add_deliveries(statistics: Any, transport: str, telling: Telling, bytes_down: int) -> int:
    """Add a telling to Locust's statistics, as if each delivery had been logged; return their number."""
    count = sum(count for _, count in telling.latencies_us)
    if not count:
        return 0
    now_s = time.time()
    second = type(statistics.total)(statistics, transport, TICK)
    second.num_requests = count
    second.total_response_time = sum(value * count for value, count in telling.latencies_us) / 1e3
    second.min_response_time = telling.latencies_us[0][0] / 1e3
    second.max_response_time = telling.latencies_us[-1][0] / 1e3
    second.total_content_length = bytes_down
    for latency_us, its_count in telling.latencies_us:
        second.response_times[figures.bucket_ms(latency_us / 1e3)] += its_count
    second.num_reqs_per_sec[int(now_s)] = count
    second.last_request_timestamp = now_s
    statistics.entries[(transport, TICK)].extend(second)
    statistics.total.extend(second)
    return count


def add_errors(statistics: Any, kind: str, transport: str, sentence: str, count: int = 1) -> None:
    """Add errors to Locust's statistics. They are no requests, because they have no response time."""
    for _ in range(count):
        statistics.log_error(kind, transport, sentence)


class Back:
    """The swarm beside one Locust process."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.runner = environment.runner
        self.swarm: SwarmBeside | None = None
        self.transport = ""
        self.state = figures.WorkerState()
        self.deliveries = 0
        self._before: Telling | None = None
        self._host: Host | None = None
        self._is_held_up = self._is_saturated = self._is_silent = self._is_waiting = False
        self._drain_s, self._delivered_before, self._silent_since_ns = 0.0, 0, 0
        self._ending = threading.Lock()

    def begin(self) -> None:
        """Start the swarm when a test starts; its clients are the users that come."""
        try:
            host, scenario = look_at(self.environment)
        except (HostError, ScenarioError) as error:
            refuse(self.environment, str(error))
            return
        self.transport = scenario.transport
        due = due_ticks(host.plan, host.newest_seq)
        self.state = figures.WorkerState(
            limit_ms=scenario.latency_limit_ms,
            clock_bracket_ns=host.clock_bracket_ns,
            plan_unknown=due is None,
        )
        self.deliveries, self._before, self._host = 0, None, host
        self._is_held_up = self._is_saturated = self._is_silent = self._is_waiting = False
        self._drain_s, self._delivered_before, self._silent_since_ns = scenario.drain_s, 0, now_ns()
        self.swarm = SwarmBeside(
            scenario,
            host,
            ca=self.environment.parsed_options.ca or None,
            worker_index=max(self.runner.worker_index, 0),
            due=due,
            core=self._core(),
            heard=self.hear,
            failed=self.hear_failure,
        )

    def hear(self, telling: Telling) -> None:
        """Hand on what the swarm tells."""
        assert self.swarm is not None
        before, statistics = self._before, self.environment.stats
        bytes_before = 0 if before is None else before.bytes_down
        self.deliveries += add_deliveries(
            statistics, self.transport, telling, telling.bytes_down - bytes_before
        )
        for connect_ms in telling.connects_ms:
            self.environment.events.request.fire(
                request_type=CONNECT,
                name=self.transport,
                response_time=connect_ms,
                response_length=0,
                exception=None,
                context={},
            )
        for reason, count in telling.errors.items():
            add_errors(statistics, CONNECT, self.transport, reason, count)
        told = {name: int(telling.counts[name]) for name in COUNTED}
        told_before = dict.fromkeys(COUNTED, 0) if before is None else before.counts
        for name, sentence in COUNTED.items():
            more = told[name] - int(told_before[name])
            add_errors(statistics, TICK, self.transport, sentence, more)
        self._hear_silence(telling)
        if telling.last:
            missed = int(telling.counts["missed"])
            add_errors(statistics, TICK, self.transport, "a tick that was due did not come", missed)
        self.state.hear(telling, before, self.swarm.asked)
        self._before = telling
        self._judge()

    def _hear_silence(self, telling: Telling) -> None:
        """Note, once, if nothing comes any more, though something is due, or may be."""
        overdue, delivered = int(telling.counts["overdue"]), int(telling.counts["delivered"])
        if delivered > self._delivered_before or not telling.clients:
            self._delivered_before, self._silent_since_ns = delivered, telling.at_ns
        silent_s = (telling.at_ns - self._silent_since_ns) / 1e9
        sentence = ""
        if overdue:
            sentence = (
                f"the server has fallen silent: a tick that was due {self._drain_s:g} s ago has not come"
            )
        elif self.state.plan_unknown and silent_s > max(QUIET_S, self._drain_s):
            sentence = f"nothing has come for {silent_s:.0f} s; whether something was due is not known"
        if sentence and not self._is_silent:
            self.hear_failure(sentence)
        self._is_silent = bool(sentence)

    def _core(self) -> int | None:
        """Return the processor for the swarm, where one server and one swarm are started on this machine."""
        is_alone = getattr(self.environment, "front", None) is not None
        return choose_places().load.core if is_alone and self.environment.parsed_options.serve else None

    def _judge(self) -> None:
        """Warn of what makes figures doubtful, and Locust cannot see."""
        assert self._before is not None
        late_s = (now_ns() - self._before.at_ns) / 1e9
        if late_s > HELD_UP_S and not self._is_held_up:
            logger.warning(
                "this worker hears its swarm %.1f s late: it was held up; the swarm went on, nothing is lost",
                late_s,
            )
        self._is_held_up = late_s > HELD_UP_S
        waiting = int(self._before.counts["waiting"])
        if waiting and not self._is_waiting:
            logger.warning(
                "%d clients have waited over %g s for their first tick: the server accepts fewer than come",
                waiting,
                self._drain_s,
            )
        self._is_waiting = waiting > 0
        is_saturated = self.state.cpu_ratio > figures.SATURATED_RATIO
        if is_saturated and not self._is_saturated:
            logger.warning(
                "the swarm beside this worker uses %.0f %% of a core, and may be late; use more workers",
                100 * self.state.cpu_ratio,
            )
        self._is_saturated = is_saturated

    def hear_failure(self, sentence: str) -> None:
        """Note that the swarm is gone."""
        logger.error(sentence)
        add_errors(self.environment.stats, TICK, self.transport, sentence)

    def end(self) -> None:
        """Let all clients have what they are owed, when a test stops; then there is no swarm."""
        with self._ending:  # Ctrl-C and the master may both stop a test
            if self.swarm is None:
                return
            try:
                self.swarm.finish()
                self._check_clock()
            finally:
                swarm, self.swarm = self.swarm, None
                swarm.stop()

    def _check_clock(self) -> None:
        """Note if the clocks of this machine and of the server have drifted apart during the test."""
        if self._host is None or not self._host.clock_bracket_ns:
            return
        try:
            drifted_ms = drift_ns(self._host, look_at(self.environment)[0]) / 1e6
        except HostError:
            return  # the server is gone: its clock cannot be read any more
        if drifted_ms:
            self.hear_failure(
                f"the clocks of the server and of this worker drifted apart by {drifted_ms:.3g} ms during "
                "the test: latencies are wrong by up to that"
            )


class WorkerBack(Back):
    """The swarm beside a worker, which reports to a master, and says when it has told all."""

    def __init__(self, environment: Any, versions: dict[str, str]) -> None:
        super().__init__(environment)
        self._planned_end: threading.Timer | None = None
        for kind, listener in ((REFUSED, self.hear_refusal), (END, self.hear_end), (DRAIN, self.hear_drain)):
            self.runner.register_message(kind, listener, concurrent=True)
        environment.events.report_to_master.add_listener(self.report)
        self.runner.send_message(HELLO, versions)

    def report(self, data: dict[str, Any], **_: Any) -> None:
        """Add how the swarm stands to what Locust reports."""
        data["ticks"] = self.state.report()

    def hear_refusal(self, msg: Any, **_: Any) -> None:
        """Be told by the master that versions differ."""
        refuse(self.environment, msg.data["sentence"])

    def hear_end(self, msg: Any, **_: Any) -> None:
        """Be told when the test is to end, so that it ends though the master may be gone."""
        self._forget_the_end()
        self._planned_end = threading.Timer(msg.data["in_s"] + AFTER_THE_END_S, self.end_alone)
        self._planned_end.daemon = True
        self._planned_end.start()

    def end_alone(self) -> None:
        """End without having been told to."""
        self._planned_end = None
        logger.error("the master did not end the test when it should have; this worker ends by itself")
        self.environment.process_exit_code = 1
        self.runner.quit()

    def hear_drain(self, **_: Any) -> None:
        """Stop all users, for the master waits until all is told; tell it also if there were none."""
        self.runner.stop()
        self._account()

    def end(self) -> None:
        """Let all clients go, report the last of them, and say how much it was in all."""
        self._forget_the_end()
        super().end()
        self._account()

    def _account(self) -> None:
        data: dict[str, Any] = {}
        self.environment.events.report_to_master.fire(client_id=self.runner.client_id, data=data)
        self.runner.send_message("stats", data)
        self.runner.send_message(DRAINED, {"deliveries": self.deliveries})

    def _forget_the_end(self) -> None:
        if self._planned_end is not None:
            self._planned_end.cancel()
            self._planned_end = None
