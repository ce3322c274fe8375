"""What a Locust process that starts tests keeps: the server that it may have started, and who works for it.

That is a master, or Locust in one process. This file imports nothing of Locust.
"""

import contextlib
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from bench.locust import figures
from bench.locust.arguments import chosen_scenario, server_options
from bench.locust.back import DRAIN, DRAINED, END, HELLO, REFUSED, TICK, add_errors, look_at, refuse
from bench.locust.host import HostError
from bench.locust.ledger import Ledger
from bench.measure.place import choose_places
from bench.measure.processes import TrialFailed
from bench.measure.subject import Server
from bench.scenario import ScenarioError

LAST_REPORTS_S = 60.0
"""How long a master waits, at most, until all workers have drained."""
LOOK_S = 0.05

logger = logging.getLogger("ticks")


class Front:
    """Starts tests: it looks what serves, and chooses the users that fit."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.runner = environment.runner
        self.transport = ""
        self.is_refused = False
        self._server: Server | None = None
        self._is_fresh = False

    def is_standing(self) -> bool:
        """Return whether a test has begun, so that users find a swarm."""
        return self.environment.back.swarm is not None

    def prepare(self) -> bool:
        """Start the server, if one is to be, and look what serves; return whether that can be driven."""
        self.transport, self.is_refused = "", False
        try:
            self._serve()
            self.transport = look_at(self.environment)[1].transport
        except (HostError, ScenarioError, TrialFailed, ValueError) as error:
            self.refuse(str(error))
        return bool(self.transport)

    def refuse(self, sentence: str) -> None:
        """Say why nothing can be measured."""
        self.is_refused = True
        refuse(self.environment, sentence)

    def serve_at_once(self) -> None:
        """Start the server before the time of a test begins to run, if it is known already which."""
        options = self.environment.parsed_options
        if options.headless or options.autostart:
            with contextlib.suppress(
                ScenarioError, TrialFailed, ValueError
            ):  # it is said when the test begins
                self._serve()
                self._is_fresh = self._server is not None

    def _serve(self) -> None:
        """Start the server of a test, if one is to be: a new one each time, so that it obeys the options."""
        if self._is_fresh:
            self._is_fresh = False
            return
        transport = self.environment.parsed_options.serve
        if not transport:
            return
        host = self.environment.host
        if host and (self._server is None or host != self._origin()):
            logger.warning("--serve starts a server and drives that; the host %s is left alone", host)
        self.close()
        scenario = chosen_scenario(transport, vars(self.environment.parsed_options))
        self._server = Server(transport, server_options(scenario), choose_places().subject)
        self.environment.host = self._origin()

    def _origin(self) -> str:
        assert self._server is not None
        return self._server.url.removesuffix(urlsplit(self._server.url).path)

    def fitting(self, user_classes: list[Any]) -> list[Any]:
        """Return the user classes that fit what serves; none, and a sentence, if it is another transport."""
        fitting = [each for each in user_classes if each.transport.name == self.transport]
        if self.transport and not fitting:
            asked = ", ".join(sorted(each.__name__ for each in user_classes))
            self.refuse(
                f"{self.environment.host} serves {self.transport}, which {asked} cannot drive; "
                "name no user class, or the right one",
            )
        return fitting

    def states(self) -> dict[str, figures.WorkerState]:
        """Return how each worker's swarm stands."""
        return {"this process": self.environment.back.state}

    def begin(self) -> None:
        """Begin a test."""

    def end(self) -> None:
        """End a test, when all users have stopped or are to stop: say what came of it."""
        state = figures.together(list(self.states().values()))
        if state.delivered:
            logger.info(state.sentence(self.transport))
            for sentence in state.doubts():
                logger.warning(sentence)
        elif state.asked:
            logger.warning("%s: %d users, and no delivery", self.transport, state.asked)
        elif not self.is_refused:
            logger.error("the test ended before there was a user: nothing was measured")
            self.environment.process_exit_code = 1
        options = self.environment.parsed_options
        if options.json or options.json_file:  # otherwise Locust itself says it at the end
            for error in self.environment.stats.errors.values():
                logger.error("%d × %s", error.occurrences, error.to_name())

    def close(self) -> None:
        """Stop the server, if one was started."""
        if self._server is not None:
            self._server.stop()
            self._server = None


class Master(Front):
    """A master: it checks who works for it, and that all that was delivered is in the figures."""

    def __init__(self, environment: Any, versions: dict[str, str]) -> None:
        super().__init__(environment)
        self._versions = versions
        self._ledger = Ledger()
        self._states: dict[str, figures.WorkerState] = {}
        self._ends_s: float | None = None
        self._is_ending = False
        self.runner.register_message(HELLO, self.hear_hello)
        self.runner.register_message(DRAINED, self.hear_drained)
        environment.events.worker_report.add_listener(self.take_report)

    def is_standing(self) -> bool:
        """Return whether a test has begun: a master begins it before it starts users."""
        return bool(self.transport)

    def states(self) -> dict[str, figures.WorkerState]:
        """Return how each worker's swarm stands."""
        names = {worker: f"worker {self.runner.get_worker_index(worker)}" for worker in self._states}
        return {names[worker]: state for worker, state in self._states.items()}

    def hear_hello(self, msg: Any, **_: Any) -> None:
        """Meet a worker, and refuse it if its versions are not ours."""
        if msg.data == self._versions:
            if self.runner.state in ("spawning", "running"):
                self._ledger.expect(msg.node_id)
                self._tell_the_end(msg.node_id)
            return
        theirs, ours = (
            f"Locust {versions['locust']} and this suite {versions['suite']}"
            for versions in (msg.data, self._versions)
        )
        sentence = f"worker {msg.node_id} has {theirs}, the master {ours}; install the same on both"
        logger.error(sentence)
        self.runner.send_message(REFUSED, {"sentence": sentence}, client_id=msg.node_id)

    def take_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """Take what a worker reports beside Locust's own figures."""
        self._states.setdefault(client_id, figures.WorkerState()).take(data["ticks"])
        deliveries = sum(entry["num_requests"] for entry in data["stats"] if entry["method"] == TICK)
        if deliveries:
            self._ledger.report(client_id, deliveries)

    def hear_drained(self, msg: Any, **_: Any) -> None:
        """Hear from a worker how many deliveries it had in all."""
        self._ledger.drain(msg.node_id, msg.data["deliveries"])

    def begin(self) -> None:
        """Begin a test with empty books, and tell the workers when it is to end."""
        self._ledger = Ledger(compares=not self.environment.reset_stats)
        self._states, self._is_ending = {}, False
        run_time_s = self.environment.parsed_options.run_time
        self._ends_s = time.monotonic() + run_time_s if run_time_s else None
        for worker, node in self.runner.clients.items():
            if node.state != "missing":
                self._ledger.expect(worker)
                self._tell_the_end(worker)

    def _tell_the_end(self, worker: str) -> None:
        if self._ends_s is not None:
            self.runner.send_message(END, {"in_s": self._ends_s - time.monotonic()}, client_id=worker)

    def end(self) -> None:
        """Wait until each worker has drained and all that it had is here, or it is lost; say what is not."""
        if self._is_ending:
            return
        self._is_ending, self._ends_s = True, None
        for worker in self._ledger.open_workers:
            self.runner.send_message(DRAIN, client_id=worker)
        deadline_s = time.monotonic() + LAST_REPORTS_S
        while self._ledger.open_workers and time.monotonic() < deadline_s:
            for worker in self._ledger.open_workers:
                node = self.runner.clients.get(worker)
                if node is None or node.state == "missing":
                    self._ledger.lose(worker)
            time.sleep(LOOK_S)
        for sentence in self._ledger.problems():
            logger.error(sentence)
            add_errors(self.environment.stats, TICK, self.transport, sentence)
        super().end()
