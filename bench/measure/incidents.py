"""What is done in the middle of a trial, and when: data, which the trial performs between its snapshots.

Each step returns the instant at which it was really done, as whoever did it says: the router of the link, or
the server that listens again. Figures are of these instants, not of those that were planned.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, runtime_checkable

from bench.measure.box import Box
from bench.measure.processes import TrialFailed
from bench.measure.subject import Subject
from bench.network.incident_fields import INCIDENTS, Incident
from bench.results.deliveries import WindowTicks
from bench.results.observation import Outage
from bench.scenario import Scenario
from servers.wire import now_ns

BEGINS_AFTER = 4
"""The incident begins when a fourth of the window is over, and no later than half of it."""


@runtime_checkable
class Mortal(Protocol):
    """A subject that can be killed, and comes back as the same feed."""

    def kill(self) -> int:
        """Kill it without a warning."""

    def start_again(self) -> int:
        """Start it again; return since when it listens, on the bench clock. Raises TrialFailed."""


class Step(NamedTuple):
    """Something to be done at an instant of the bench clock; it returns when it was."""

    at_ns: int
    do: Callable[[], int]


def incident_steps(
    scenario: Scenario, subject: Subject, box: Box | None, window: WindowTicks, due_ns: Iterable[int]
) -> list[Step]:
    """Return the steps of a scenario's incident, the begin first and the return last; none without one.

    Args:
        scenario: What is measured.
        subject: What serves.
        box: The link; None is loopback.
        window: The ticks that are measured.
        due_ns: When the ticks of the feed are due, from the first on.

    Raises:
        TrialFailed: If this subject cannot be killed.
    """
    if scenario.incident is None:
        return []
    begin_ns = begin_of_incident(window, due_ns if scenario.rate_hz else ())
    lasting_s = scenario.incident_s or 0.0
    return_ns = begin_ns + round(lasting_s * 1e9)
    incident = INCIDENTS[scenario.incident]
    if incident is Incident.SERVER_KILLED:
        if not isinstance(subject, Mortal):
            raise TrialFailed("this subject cannot be killed and started again; choose another incident")
        return [Step(begin_ns, _killing(subject)), Step(return_ns, subject.start_again)]
    assert box is not None, "scenarios refuse these incidents without a link"
    match incident:
        case Incident.PACKET_LOST:
            return [Step(begin_ns, box.lose_next_data)]
        case Incident.LINK_DOWN:
            return [Step(begin_ns, box.cut), Step(return_ns, box.mend)]
        case Incident.ADDRESS_CHANGED:
            return [Step(begin_ns, box.change_address)]
        case Incident.FORGOTTEN:
            return [Step(begin_ns, lambda: box.forget_idle(lasting_s))]


def _killing(subject: Mortal) -> Callable[[], int]:
    def kill() -> int:
        at_ns = now_ns()
        subject.kill()
        return at_ns

    return kill


def outage_of(done_ns: list[int]) -> Outage | None:
    """Return when the incident began and ended, by when its steps were done; None if there were none."""
    return Outage(done_ns[0], done_ns[-1]) if done_ns else None


def begin_of_incident(window: WindowTicks, due_ns: Iterable[int]) -> int:
    """Return when the incident begins: a quarter into the window, midway between the ticks before and after.

    So a tick that is on its way then is one that was due well before.
    """
    length_ns = window.end_ns - window.start_ns
    quarter_ns = window.start_ns + length_ns // BEGINS_AFTER
    before_ns = quarter_ns
    for tick_ns in itertools.dropwhile(lambda tick_ns: tick_ns < window.start_ns, due_ns):
        if tick_ns > quarter_ns:
            return min((before_ns + tick_ns) // 2, window.start_ns + length_ns // 2)
        before_ns = tick_ns
    return quarter_ns
