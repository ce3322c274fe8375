"""A scenario: everything that is chosen about one trial before it runs; and the profiles that size a run."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from bench.fields import Field, Kind, Obeyed, fields_of
from bench.network.incident_fields import DEFAULT_INCIDENT_S
from bench.network.link import LinkError
from bench.theory.durations import FEWEST_PERIODS, LONGEST_WINDOW_FACTOR, RECOVER_ROUND_TRIPS, Durations
from bench.theory.replay import LONGEST_WINDOW_S, check_gaps, check_rate, most_within
from bench.transports import TRANSPORTS, names_of
from clients.headers import HEADER_SETS
from clients.load.catalogue import GENERATORS
from servers.base import MAX_HOLD_S
from servers.options import MAX_SPEED, MIN_SPEED, SHORTEST_S, ServerOptions, read_number
from servers.wire import MAX_BATCH_TICKS
from servers.workloads.plan import OPENING_FACTOR
from servers.workloads.recording import Recording, RecordingError, read_recording

MAX_CLIENTS = 100_000
SHORTEST_WINDOW_S = 0.01
CONNECTIONS_PER_CLIENT = 8
"""In an incident: the server may hold connections for long of which clients have given up."""


class ScenarioError(ValueError):
    """A scenario that cannot be run; its text says what to change."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """How much time a run may take: repeats of each scenario, and how experiments choose windows and axes."""

    name: str
    repeats: int


PROFILES = {
    profile.name: profile for profile in (Profile("quick", 1), Profile("standard", 5), Profile("full", 10))
}


@dataclasses.dataclass(frozen=True)
class Scenario(Durations):
    """What one trial measures. Fields that its transport does not know are None, whatever was asked for.

    The fields, what they mean and who obeys them: bench/fields.py, and bench/network/link_fields.py and
    incident_fields.py. How long things take with them: bench/theory/durations.py.
    """

    def __post_init__(self) -> None:
        """Fill in what depends on the transport, and refuse what cannot be measured (ScenarioError)."""
        if self.transport not in TRANSPORTS:
            raise ScenarioError(f"there is no transport {self.transport!r}; see bench list")
        self._fit_transport()
        self._fit_link()
        self._fit_incident()
        self._fit_plan()
        for problem, sentence in (
            (
                not 1 <= self.clients <= MAX_CLIENTS,
                f"clients is {self.clients}; it must be from 1 to {MAX_CLIENTS:,}, which is more than one "
                "load generator can hold",
            ),
            (
                self.generator not in GENERATORS,
                f"generator is {self.generator!r}; choose {' or '.join(GENERATORS)}",
            ),
            (
                self.compression and not TRANSPORTS[self.transport].compresses,
                f"{self.transport} does not compress; use {' or '.join(names_of(compresses=True))}",
            ),
            (
                self.headers not in HEADER_SETS,
                f"headers is {self.headers!r}; choose {' or '.join(HEADER_SETS)}",
            ),
            (
                not 0 <= self.cookie_bytes <= 4096,
                f"cookie_bytes is {self.cookie_bytes}; browsers keep 0 to 4096 (RFC 6265, 6.1)",
            ),
            (
                not SHORTEST_WINDOW_S <= self.window_s <= LONGEST_WINDOW_S,
                f"window_s is {self.window_s:g}; it must be from {SHORTEST_WINDOW_S:g} to {LONGEST_WINDOW_S}",
            ),
            (not 0 <= self.warmup_s <= 600, f"warmup_s is {self.warmup_s:g}; it must be from 0 to 600"),
            (
                not 0.001 <= self.latency_limit_ms <= LONGEST_WINDOW_S * 1e3,
                f"latency_limit_ms is {self.latency_limit_ms:g}; it must be from 0.001 "
                f"to {LONGEST_WINDOW_S * 1e3:,.0f}, the longest window",
            ),
            (
                self.poll_interval_s is not None and not SHORTEST_S <= self.poll_interval_s <= 600,
                f"poll_interval_s is {self.poll_interval_s}; it must be from {SHORTEST_S:g} to 600: timers "
                "and the loopback take a good part of a millisecond",
            ),
            (
                bool(self.poll_pause_s) and not SHORTEST_S <= (self.poll_pause_s or 0) <= 600,
                f"poll_pause_s is {self.poll_pause_s}; it must be 0, or from {SHORTEST_S:g} to 600: timers "
                "are no finer than a part of a millisecond",
            ),
            (
                self.hold_s is not None and not SHORTEST_S <= self.hold_s <= MAX_HOLD_S,
                f"hold_s is {self.hold_s}; it must be from {SHORTEST_S:g} to {MAX_HOLD_S:g}: "
                "timers are no finer than a part of a millisecond",
            ),
            (
                self.contract == "every" and self._ticks_per_poll > MAX_BATCH_TICKS * 10,
                "more than 10,000 ticks come between two polls; lower rate_hz or the interval",
            ),
        ):
            if problem:
                raise ScenarioError(sentence)
        self._refuse_what_the_generator_lacks()
        self._refuse_a_stretched_window()
        self._refuse_an_incident_without_effect()
        try:
            self.server_options()
        except ValueError as error:
            raise ScenarioError(str(error)) from error
        if self.recording is not None:
            check_gaps(self.read_recording(), float(self.exact_window_s))

    def _refuse_what_the_generator_lacks(self) -> None:
        """Refuse clients that a load generator other than the swarm has not, or fields that they obey not."""
        generator = GENERATORS[self.generator]
        lacking = [name for name, only in generator.only.items() if getattr(self, name) not in (None, only)]
        if not generator.drives(TRANSPORTS[self.transport].client_class):
            sentence = f"has no clients for {self.transport}"
        elif lacking:
            sentence = f"does not obey {' and '.join(lacking)}"
        elif generator.clients and self.may_lose:
            sentence = "cannot tell when what waited behind a lost packet came"
        else:
            return
        raise ScenarioError(f"generator {self.generator} {sentence}; use the swarm")

    def _refuse_a_stretched_window(self) -> None:
        """Refuse a window that whole periods make over four times as long as was asked for."""
        needed_s = float(self.exact_window_s)
        if needed_s <= LONGEST_WINDOW_FACTOR * self.window_s:
            return
        periods = [f"polls each {self.poll_interval_s:g} s"] if self.poll_interval_s else []
        if not self.rate_hz:
            periods = [f"{FEWEST_PERIODS} polls, holds or heartbeats, one each {self.silent_period_s:g} s"]
        elif self.plan == "steady":
            periods.append(f"ticks at {self.rate_hz:g} Hz")
        elif self.plan == "bursty":
            periods.append("cycles of the bursty plan")
        todo = f"ask for window_s={needed_s:g}" if needed_s <= LONGEST_WINDOW_S else "choose shorter ones"
        raise ScenarioError(
            f"{self.transport}: a window of {self.window_s:g} s is too short, "
            f"because it must hold whole {' and '.join(periods)}; {todo}"
        )

    def _refuse_an_incident_without_effect(self) -> None:
        """Refuse an incident that cannot happen, or that would end outside the window; and vain silences."""
        needed_s, window_s = self.shortest_incident_window_s, float(self.exact_window_s)
        todo = f"ask for window_s={needed_s:.4g}" if needed_s <= LONGEST_WINDOW_S else "choose a shorter one"
        usual_s = self.longest_usual_silence_s
        silent = "raise it, or lower hold_s" if self.hold_s else "raise it, or add a shorter heartbeat_s"
        for problem, sentence in (
            (
                self.generator != "swarm"
                and bool(
                    self.incident or self.silence_s or self.user_timeout_s or self.backoff != "jittered"
                ),
                f"generator {self.generator} has no incidents, and no silence_s, user_timeout_s or backoff; "
                "use the swarm",
            ),
            (
                self.incident_on_the_link and self.rtt_ms is None,
                f"the incident {self.incident} happens to a link, and this is loopback; add rtt_ms=20",
            ),
            (
                self.silence_s is not None and self.silence_s <= usual_s,
                f"silence_s is {self.silence_s}, but a client of {self.transport} may hear nothing for "
                f"{'ever' if math.isinf(usual_s) else f'{usual_s:.4g} s'} though all is well; {silent}",
            ),
            (
                self.incident is not None and window_s < needed_s * (1 - 1e-9),
                f"a window of {window_s:g} s is too short for the incident {self.incident}, which begins "
                f"after a quarter of it and takes {self.incident_takes_s:.4g} s; {todo}",
            ),
        ):
            if problem:
                raise ScenarioError(sentence)

    def _fit_transport(self) -> None:
        """Leave out what the transport does not obey, and fill in what it obeys and was left open."""
        for name, field in FIELDS.items():
            if field.obeyed in (Obeyed.BY_THE_LINK, Obeyed.BY_THE_INCIDENT):
                continue
            if not obeys(self.transport, field):
                self._set(name, None)
            elif getattr(self, name) is None:
                self._set(name, field.where_known)
        if self.poll_pause_s is not None:
            self._set("poll_interval_s", None)

    def _fit_link(self) -> None:
        """Fill in what is not said of a link of which anything is said."""
        try:
            link = self.link_asked_for()
        except LinkError as error:
            raise ScenarioError(str(error)) from error
        for name, value in {} if link is None else dataclasses.asdict(link).items():
            self._set(name, value)

    def _fit_incident(self) -> None:
        """Fill in how long an incident lasts, if that is not said."""
        for problem in self.incident_problems():
            raise ScenarioError(problem)
        if self.incident_lasts and self.incident_s is None:
            self._set("incident_s", DEFAULT_INCIDENT_S)

    def _fit_plan(self) -> None:
        if self.plan != "replay":
            if (self.recording, self.speed, self.time_unit) != (None, None, None):
                raise ScenarioError("recording, speed and time_unit belong to a replay; add plan=replay")
        elif self.recording is not None:
            if self.speed is None:
                self._set("speed", 1.0)
            if not MIN_SPEED <= (self.speed or 0.0) <= MAX_SPEED:  # before a recording is read with it
                raise ScenarioError(
                    f"speed is {self.speed}; it must be from {MIN_SPEED:g} to {MAX_SPEED:,.0f}"
                )
            recording = self._read()
            check_rate(recording)
            self._set("rate_hz", recording.rate_hz)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def read_recording(self) -> Recording:
        """Read the recording that is to be replayed: once a process, as long as it does not change.

        Raises:
            RecordingError: If it cannot be, or has another rate than when the scenario was made.
        """
        recording = self._read()
        if recording.rate_hz != self.rate_hz:
            raise RecordingError(f"{self.recording} has changed since the run was planned; measure anew")
        return recording

    def _read(self) -> Recording:
        assert self.recording is not None
        speed = 1.0 if self.speed is None else self.speed
        return read_recording(
            Path(self.recording), payload_bytes=self.payload_bytes, speed=speed, time_unit=self.time_unit
        )

    @property
    def _ticks_per_poll(self) -> float:
        return self.rate_hz * self.pause_s

    def server_options(self, **more: Any) -> ServerOptions:
        """Return the options of the server: its history holds what the slowest honest client needs.

        Raises:
            ValueError: If the server could not keep that history, or another option is impossible.
        """
        needed_s = 2 * self.pause_s + (self.hold_s or 0) + 5 + RECOVER_ROUND_TRIPS * self.round_trip_s
        needed_s += self.longest_recovery_s
        busiest_hz = self.rate_hz * (OPENING_FACTOR if self.plan == "bursty" else 1)
        history_ticks = math.ceil(busiest_hz * needed_s) + 1
        if self.recording is not None:
            history_ticks = most_within(self.read_recording(), needed_s) + 1
        return ServerOptions(
            rate_hz=self.rate_hz,
            open_after_s=self.connect_s,
            plan=self.plan,
            recording=self.recording,
            speed=self.speed or 1.0,
            time_unit=self.time_unit,
            payload_bytes=self.payload_bytes,
            padding=self.padding,
            contract=self.contract,
            history_ticks=history_ticks,
            max_clients=self.clients * (1 if self.incident is None else CONNECTIONS_PER_CLIENT) + 16,
            heartbeat_s=self.heartbeat_s,
            mss=self.mss,
            congestion=self.congestion,
            compression=self.compression,
            user_timeout_s=self.user_timeout_s,
            **more,
        )

    def client_settings(self) -> dict[str, Any]:
        """Return the settings of the clients: the fields that this transport's client knows."""
        known = TRANSPORTS[self.transport].client_class.settings
        return {name: getattr(self, name) for name in known}


FIELDS = fields_of(Scenario)
"""What is said of each field, by name, but for the transport."""


def obeys(transport: str, field: Field) -> bool:
    """Return whether a transport of the registry obeys a field of scenarios."""
    match field.obeyed:
        case Obeyed.BY_ALL | Obeyed.BY_THE_LINK | Obeyed.BY_THE_INCIDENT:
            return True
        case Obeyed.BY_CLIENTS:
            return field.name in TRANSPORTS[transport].client_class.settings
        case Obeyed.WITH_HEARTBEATS:
            return TRANSPORTS[transport].heartbeats
        case Obeyed.OVER_TCP:
            return TRANSPORTS[transport].over_tcp


LONGEST_TEXT = 4096
"""As long as a path may be on Linux (PATH_MAX)."""
LONGEST_TOLD = 60


def parse_value(name: str, text: str) -> Any:
    """Read the value of a scenario field from the command line; ``none`` is None where that is possible.

    Numbers are of plain digits: neither 1_000 nor other alphabets' digits are understood, as in recordings.

    Raises:
        ScenarioError: If it is not of the field's type.
    """
    field = FIELDS[name]
    told = repr(text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…")
    if text.lower() == "none" and field.may_be_none:
        return None
    if field.kind is Kind.FLAG:
        if text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
            return text.lower() in ("true", "yes", "on", "1")
        raise ScenarioError(f"{name} is yes or no, not {told}")
    if field.kind is Kind.WORD:
        if not text or len(text) > LONGEST_TEXT or "\0" in text:
            raise ScenarioError(f"{name} is a name of up to {LONGEST_TEXT} characters, not {told}")
        return text
    try:
        value = read_number(text, int if field.kind is Kind.WHOLE else float)
        if not math.isfinite(value):
            raise ValueError
        return value
    except (ValueError, OverflowError):
        raise ScenarioError(f"{name} is {field.kind.value}, not {told}") from None
