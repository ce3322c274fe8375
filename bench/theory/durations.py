"""How long the parts of a trial take, by its scenario: connecting, warming up, the window, the drain."""

import dataclasses
import math
from fractions import Fraction

from bench.fields import ScenarioFields
from bench.network.incident_fields import INCIDENTS, Incident, IncidentFields
from bench.network.link_fields import LinkFields
from bench.transports import TRANSPORTS
from clients.load.catalogue import GENERATORS
from clients.load.connections.backoff import LONGEST_LIMIT_S
from servers.workloads.plan import OPENING_S, QUIET_S

LONGEST_WINDOW_FACTOR = 4
FEWEST_PERIODS = 10
"""In a silent market the window holds at least so many heartbeats, holds or polls."""
CONNECT_S_PER_CLIENT = 0.0004
READ_COUNTERS_S_PER_CLIENT = 0.00003
START_AND_STOP_S, START_LINK_S, START_AGAIN_S = 0.3, 0.35, 0.5
CONNECTING_AT_ONCE, CONNECT_ROUND_TRIPS = 256, 4
"""The swarm's; and TCP, TLS, and the first answer."""
RECOVER_ROUND_TRIPS, RECOVER_S = 10, 10.0
"""How much longer a lost segment may take to be sent again, and once more: its timer doubles each time."""
USUAL_RECOVER_S = 1.0
"""How much longer connecting and the drain usually take where packets are lost at random."""
FIRST_SYN_TIMEOUT_S = 1.0
"""RFC 6298, section 2: the retransmission timer of a connection of which nothing is known yet."""
LOST_S = 0.5
"""How long to wait where clients cannot come back: others, if there are any, get the last tick."""


@dataclasses.dataclass(frozen=True)
class Durations(IncidentFields, LinkFields, ScenarioFields):
    """The fields of a scenario, and how long things take with them."""

    @property
    def pause_s(self) -> float:
        """The longest time between two questions of a client that is not late: interval, pause, or 0."""
        return self.poll_interval_s or self.poll_pause_s or 0.0

    @property
    def round_trip_s(self) -> float:
        """The longest round trip of a packet that waits for no other; 0 on loopback."""
        return ((self.rtt_ms or 0.0) + 2 * (self.jitter_ms or 0.0)) / 1e3

    @property
    def may_lose(self) -> bool:
        """Whether packets may be lost: by the link, or in an incident."""
        return self.link_may_lose or self.incident_on_the_link

    @property
    def link_may_lose(self) -> bool:
        """Whether the link may lose packets at any time: by its loss, or for want of room."""
        return bool(self.loss or self.rate_mbit)

    # The parts of a trial

    @property
    def connect_s(self) -> float:
        """How long connecting all clients should take; the market opens only then."""
        waves = math.ceil(self.clients / CONNECTING_AT_ONCE)
        return 0.05 + self.clients * CONNECT_S_PER_CLIENT + waves * CONNECT_ROUND_TRIPS * self.round_trip_s

    @property
    def warm_s(self) -> float:
        """How long the load runs before the window: all clients ask once, and the first counters are read."""
        return max(self.warmup_s, self.pause_s) + self.counters_lead_s

    @property
    def _until_tick_s(self) -> float:
        """How long a window waits for its first tick, though the load is warm; by chance, nobody knows."""
        if self.plan != "steady" or not self.rate_hz:
            return 0.0
        period_s = 1 / self.rate_hz
        return max(-self.warm_s % period_s, period_s - self.warm_s)

    @property
    def counters_lead_s(self) -> float:
        """How long before the window the first counters are read: with 10,000 sockets that takes a while."""
        return 0.05 + self.clients * READ_COUNTERS_S_PER_CLIENT

    @property
    def exact_window_s(self) -> Fraction:
        """The window: at least ``window_s``, and whole multiples of the interval and of the tick period.

        Where their common multiple is too long (over four times the window), whole intervals only. In a
        silent market it is ten periods or more of what clients do to stay in touch.
        """
        asked_s = Fraction(str(self.window_s))
        if not self.rate_hz:
            period_s = Fraction(str(self.silent_period_s or 0))
            return max(math.ceil(asked_s / period_s), FEWEST_PERIODS) * period_s if period_s else asked_s
        steps = []
        if self.poll_interval_s:
            steps.append(Fraction(str(self.poll_interval_s)))
        if self.plan == "steady":
            steps.append(1 / Fraction(str(self.rate_hz)))
        elif self.plan == "bursty":  # whole cycles, or an opening would be in one window and not in another
            steps.append(Fraction(str(QUIET_S + OPENING_S)))
        if not steps:
            return asked_s
        step_s = steps[0]
        for other_s in steps[1:]:
            common_s = _least_common_multiple(step_s, other_s)
            if common_s <= LONGEST_WINDOW_FACTOR * max(asked_s, step_s, other_s):
                step_s = common_s
        return math.ceil(asked_s / step_s) * step_s

    @property
    def silent_period_s(self) -> float | None:
        """What a client of a silent market does each time: a poll, a hold or a heartbeat; None: nothing.

        A hold or heartbeat that does not end before the window does is nothing, too.
        """
        waits_s = self.hold_s or self.heartbeat_s or math.inf
        ends_s = self.connect_s + self.warmup_s + self.counters_lead_s + self.window_s
        return self.pause_s or (waits_s if waits_s <= ends_s else None)

    @property
    def drain_s(self) -> float:
        """How long to wait at most, after the window, for clients to get its last tick.

        Nobody waits for clients that cannot come back: what has not come by the end of the window never will.
        """
        if self.is_lost_for_good:
            return RECOVER_ROUND_TRIPS * self.round_trip_s + LOST_S
        recover_s = RECOVER_ROUND_TRIPS * self.round_trip_s + (RECOVER_S if self.link_may_lose else 0.0)
        return self.pause_s + (self.hold_s or 0) + 5.0 + recover_s + self.longest_recovery_s

    @property
    def planned_s(self) -> float:
        """How long the trial should take, for progress and budgets: measured on two cores, rounded up."""
        generator = GENERATORS[self.generator]
        return (
            START_AND_STOP_S
            + generator.start_s
            + self.clients * generator.connect_s_per_client
            + (0.0 if self.rtt_ms is None else START_LINK_S)
            + self.connect_s
            + self.warm_s
            + self._until_tick_s
            + float(self.exact_window_s)
            + self.pause_s
            + (USUAL_RECOVER_S if self.loss else 0.0)
            + (self.drain_s if self.is_lost_for_good else 0.0)
        )

    @property
    def longest_usual_silence_s(self) -> float:
        """How long a client may hear nothing, though something is to come and all is well.

        Connecting takes round trips, and an answer a hold beside its own. By push nothing may come until the
        next tick of a steady plan, or the next heartbeat; without both, it may take for ever. Plans of chance
        have no longest gap: their mean one is taken.
        """
        if TRANSPORTS[self.transport].family == "push":
            waits_s = min(1 / self.rate_hz if self.rate_hz else math.inf, self.heartbeat_s or math.inf)
        else:
            waits_s = (self.hold_s or 0.0) + self.round_trip_s
        return max(waits_s, CONNECT_ROUND_TRIPS * self.round_trip_s)

    # What an incident adds

    @property
    def _incident_lasts_s(self) -> float:
        """How long the incident itself lasts; of a killed server with the time that it takes to start."""
        return (self.incident_s or 0.0) + (START_AGAIN_S if self.incident == Incident.SERVER_KILLED else 0.0)

    @property
    def incident_takes_s(self) -> float:
        """How long it takes, from the incident's begin, until clients can have ticks again.

        Of dead connections nobody is told: the clients have to find out, by silence.
        """
        finds_out_s = (self.silence_s or 0.0) if self._ends_in_silence else 0.0
        return self._incident_lasts_s + finds_out_s

    @property
    def shortest_incident_window_s(self) -> float:
        """The shortest window that holds an incident.

        It begins after a quarter, or up to half a tick period later, so that it falls between two ticks. It
        has to be over before the last quarter, and before the last tick, due a period before the end.
        """
        period_s = 1 / self.rate_hz if self.rate_hz else 0.0
        return max(2 * self.incident_takes_s + period_s, self.incident_takes_s / 0.75 + 2 * period_s)

    @property
    def longest_recovery_s(self) -> float:
        """How long after its begin an incident may keep a client that can come back from its ticks.

        TCP doubles its timer while nothing is acknowledged, so that it may wait as long after an outage as
        the outage was. A client may have to find out first, by silence or by TCP's user timeout, then to wait
        for its turn, and its first packet may be lost.
        """
        if self.incident is None:
            return 0.0
        finds_out_s = (self.silence_s or 0.0) + (self.user_timeout_s or 0.0)
        return 2 * self._incident_lasts_s + finds_out_s + LONGEST_LIMIT_S + FIRST_SYN_TIMEOUT_S

    @property
    def _ends_in_silence(self) -> bool:
        """Whether connections die in the window, and nobody is told."""
        return self.incident is not None and INCIDENTS[self.incident].silent

    @property
    def is_lost_for_good(self) -> bool:
        """Whether the connections are lost of clients that never find out.

        Who listens never does after a change of address, unless it watches the clock; whoever asks is told. A
        middle box that has forgotten a connection tells nobody; TCP gives up what is asked on it after its
        user timeout, or much later than any trial.
        """
        if self.silence_s is not None:
            return False
        asks = TRANSPORTS[self.transport].family == "pull"
        if self.incident == Incident.FORGOTTEN:
            knows = asks and self.user_timeout_s is not None
            idle_s = longest_idle_s(self.rate_hz, self.pause_s, self.hold_s, self.heartbeat_s)
            return idle_s >= (self.incident_s or 0.0) and not knows
        return self.incident == Incident.ADDRESS_CHANGED and not asks


def longest_idle_s(
    rate_hz: float, pause_s: float | None, hold_s: float | None, heartbeat_s: float | None
) -> float:
    """Return for how long nothing passes on a connection: until a question, a tick, a beat, an empty answer.

    Args:
        rate_hz: Steady ticks a second; 0 is none.
        pause_s: Time between two questions of a client that polls; 0 or None for others.
        hold_s, heartbeat_s: None for those that do not know them.
    """
    tick_s = 1 / rate_hz if rate_hz else math.inf
    return pause_s or min(tick_s, hold_s or math.inf, heartbeat_s or math.inf)


def _least_common_multiple(a: Fraction, b: Fraction) -> Fraction:
    return Fraction(math.lcm(a.numerator, b.numerator), math.gcd(a.denominator, b.denominator))
