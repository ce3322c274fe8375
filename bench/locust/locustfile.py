"""Locust with this suite's clients: ``locust -f bench/locust/locustfile.py --host http://127.0.0.1:8000``.

One Locust user is one client of the swarm that runs beside each worker, in a process of its own. Locust
decides who comes and goes, and shows the figures; it never touches a delivery. How to use it, and what its
figures mean: bench/locust/README.md.

Nothing is opened or started when this file is imported, because ``--processes`` forks after it.
"""

import json
import logging
from functools import partial
from typing import Any

import locust
from flask import request
from gevent import GreenletExit, get_hub
from gevent.event import Event
from locust import LoadTestShape, User, constant, events, runners, stats, task
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.exception import StopUser

from bench.locust import figures, shapes
from bench.locust.arguments import Parser, add_arguments
from bench.locust.back import Back, WorkerBack
from bench.locust.front import Front, Master
from bench.transports import TRANSPORTS, Transport

UNTIL_STOPPED_S = 10**8
FIRST_USERS = 100
"""Of a search for capacity."""

IS_SET_UP = Event()

logger = logging.getLogger("ticks")

stats.bucket_response_time = figures.bucket_ms  # type: ignore[assignment]
runners.WORKER_REPORT_INTERVAL = 1.0


# Users: a class for each transport of the registry


class TickerUser(User):
    """A client of the swarm beside this worker, from its start to its stop."""

    abstract = True
    transport: Transport
    wait_time = constant(UNTIL_STOPPED_S)
    number: int | None = None

    def on_start(self) -> None:
        """Add a client to the swarm."""
        swarm = self.environment.back.swarm
        if swarm is None:
            raise StopUser
        self.number = swarm.come()

    def on_stop(self) -> None:
        """Let the client go."""
        swarm = self.environment.back.swarm
        if swarm is not None and self.number is not None:
            swarm.leave(self.number)

    @task
    def stay(self) -> None:
        """Leave all to the swarm."""


def user_class(transport: Transport) -> type[TickerUser]:
    """Return the user class of a transport: LongPollingUser for long_polling."""
    name = "".join(word.title() for word in transport.name.split("_")) + "User"
    facts = {"transport": transport, "__doc__": f"A client of {transport.label}.", "__module__": __name__}
    return type(name, (TickerUser,), facts)


globals().update({each.__name__: each for each in map(user_class, TRANSPORTS.values())})


# Shapes: how the number of users changes


class Shape(LoadTestShape):
    """What all shapes read: --users, --spawn-rate and --run-time. They are chosen by --shape."""

    abstract = True  # or Locust would take the first one that it finds
    use_common_options = True
    started: tuple[int, float] | None = None

    @property
    def environment(self) -> Any:
        """Locust's environment, with the front and the back that this file gave it."""
        assert self.runner is not None
        return self.runner.environment

    @property
    def options(self) -> Any:
        """The options of the command line, or of the web form."""
        return self.environment.parsed_options

    @property
    def users(self) -> int:
        """The most users."""
        return int(self.options.num_users or 1)

    @property
    def run_time_s(self) -> float:
        """How long it takes in all."""
        return float(self.options.run_time or 60)

    def reset_time(self) -> None:
        """Begin anew."""
        super().reset_time()
        self.started = None

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users, and how many come or go in a second; None when it is over.

        Until the test stands, time does not count, and the first answer is repeated: for another one Locust
        would break off what it has begun.
        """
        front = self.environment.front
        if front.is_refused:
            return None
        if self.started is not None and not front.is_standing():
            super().reset_time()
            return self.started
        self.started = self.users_at(self.get_run_time())
        return self.started

    def users_at(self, elapsed_s: float) -> tuple[int, float] | None:
        """Return the same, for a time since the start."""
        raise NotImplementedError


class Ramp(Shape):
    """From one user to all of them, evenly over the time."""

    abstract = True

    def users_at(self, elapsed_s: float) -> tuple[int, float] | None:
        """Return the number of users, and how fast they come."""
        if elapsed_s > self.run_time_s:
            return None
        return shapes.ramp(elapsed_s, self.run_time_s, self.users), max(1.0, self.users / self.run_time_s)


class Spike(Shape):
    """A tenth of the users, but all of them in the middle fifth of the time."""

    abstract = True

    def users_at(self, elapsed_s: float) -> tuple[int, float] | None:
        """Return the number of users; they come at once."""
        if elapsed_s > self.run_time_s:
            return None
        return shapes.spike(elapsed_s, self.run_time_s, self.users), float(self.users)


class Capacity(Shape):
    """More users, as long as all are served in time; then it is searched for the most that are."""

    abstract = True
    search: shapes.CapacitySearch | None = None

    def reset_time(self) -> None:
        """Begin anew."""
        super().reset_time()
        self.search = None

    def users_at(self, elapsed_s: float) -> tuple[int, float] | None:
        """Return the number of users that is tried now; they come by --spawn-rate."""
        if self.search is None:
            self.search = shapes.CapacitySearch(FIRST_USERS, self.users)
        state = figures.together(list(self.environment.front.states().values()))
        self.search.look(elapsed_s, shapes.Seen(state.connected, state.delivered, state.late))
        if self.search.is_over:
            logger.info(self.search.sentence(state.limit_ms))
            return None
        return self.search.users, float(self.options.spawn_rate or self.users)


SHAPES = {each.__name__.lower(): each for each in (Ramp, Spike, Capacity)}


# Events: what Locust calls, in the order of a test


@events.init_command_line_parser.add_listener
def add_our_arguments(parser: Parser) -> None:
    """Declare our arguments."""
    add_arguments(parser, list(SHAPES))


@events.init.add_listener
def set_up(environment: Environment, runner: runners.Runner, web_ui: Any, **_: Any) -> None:
    """Give each process what it keeps: a front if it starts tests, a back if it has users."""
    versions = {"locust": locust.__version__, "suite": figures.fingerprint()}
    place: Any = environment
    place.front = place.back = None
    if isinstance(runner, runners.WorkerRunner):
        place.back = WorkerBack(environment, versions)
    elif isinstance(runner, runners.MasterRunner):
        place.front = Master(environment, versions)
    else:
        place.front, place.back = Front(environment), Back(environment)
    if place.back is not None:  # after the runner has registered its own goodbye: the last is called first
        environment.events.quitting.add_listener(stop_before_goodbye)
    if place.front is not None:
        place.dispatcher_class = partial(dispatch, environment)
        place.available_shape_classes = {name.title(): shape() for name, shape in SHAPES.items()}
        environment.events.quit.add_listener(lambda **_: place.front.close())
        place.front.serve_at_once()
        get_hub().loop.update_now()  # or Locust counts --run-time from when it began to import this file
        if name := place.parsed_options.shape:
            place.shape_class = SHAPES[name]()
            place.shape_class.runner = runner
    if web_ui is not None:
        add_tab(web_ui, place.front)
    IS_SET_UP.set()


def dispatch(environment: Any, worker_nodes: list[Any], user_classes: list[Any]) -> UsersDispatcher:
    """Return who spreads the users over the workers, for the user class that fits what the host serves."""
    if isinstance(environment.front, Master):
        environment.front.prepare()
    fitting = environment.front.fitting(user_classes)
    if not fitting:
        raise GreenletExit  # what the reason is has been said
    return UsersDispatcher(worker_nodes=worker_nodes, user_classes=fitting)


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:
    """Begin a test. A master has prepared it already, when it chose the users.

    A worker that comes late may be told to begin before Locust has called :func:`set_up`.
    """
    IS_SET_UP.wait()
    if environment.front is not None:
        if environment.back is not None and not environment.front.prepare():
            return
        environment.front.begin()
    if environment.back is not None:
        environment.back.begin()


@events.test_stop.add_listener
def end(environment: Any, **_: Any) -> None:
    """Let all clients have what they are owed, and all reports come in."""
    if environment.back is not None:
        environment.back.end()
    if environment.front is not None:
        environment.front.end()


def stop_before_goodbye(environment: Any, **_: Any) -> None:
    """Stop first: a worker that says goodbye is forgotten by its master, with what it has yet to tell."""
    environment.runner.stop()


# The web page


def add_tab(web_ui: Any, front: Front) -> None:
    """Add a tab to the web page: exact percentiles, age, sockets and the swarm's CPU."""
    key = "deliveries"
    structure = [{"key": name, "title": title} for name, title in figures.TABLE.items()]
    web_ui.template_args.update(
        extended_tabs=[{"title": "Deliveries", "key": key}],
        extended_tables=[{"key": key, "structure": structure}],
    )

    @web_ui.app.after_request
    def add_rows(response: Any) -> Any:
        if request.path.endswith("/stats/requests"):
            page = {
                **response.get_json(),
                "extended_stats": [{"key": key, "data": figures.rows(front.states())}],
            }
            response.set_data(json.dumps(page))
        return response
