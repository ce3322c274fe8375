"""What a column of trials.csv says of itself; and the fields of scenarios, which say it where they stand.

A fact stands once: that of a field here, that of a figure in bench/columns/. Help, headings, axes,
comparison, the reading of older runs and the glossary (results/README.md) all read it there.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

from servers.base import DEFAULT_HOLD_S

DEFAULT_POLL_INTERVAL_S = 0.5

UNITS = {"ms": "ms", "us": "µs", "s": "s", "bytes": "B", "hz": "Hz", "mb": "MB", "kb": "kB", "ns": "ns"}
"""Units by the word of a column's name that says them."""


class Kind(enum.Enum):
    """What the cells of a column hold, in words for people; where nothing was measured they are empty."""

    WORD = "a word"
    FLAG = "True or False"
    WHOLE = "a whole number"
    NUMBER = "a number"


class Better(enum.Enum):
    """Which way a figure is better, all else being equal."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = ""


class Role(enum.Enum):
    """What a field is to a trial."""

    SUBJECT = "what is measured"
    CONDITION = "how long, and over what, it is measured"
    JUDGEMENT = "by what it is judged, which changes nothing of it"


class Told(enum.Enum):
    """Where the value of a field is told."""

    UNUSUAL = "only where it is not what it is by default"
    IN_TABLES = "below every table, and elsewhere where it is unusual"
    ALWAYS = "always"


class Obeyed(enum.Enum):
    """Which transports obey a field; to the others it is None."""

    BY_ALL = "all"
    BY_CLIENTS = "those whose client names it in its settings"
    WITH_HEARTBEATS = "those that have heartbeats"
    OVER_TCP = "those that run over TCP"
    BY_THE_LINK = "all, if anything is said of the link"
    BY_THE_INCIDENT = "all, if an incident happens that lasts"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """A column of trials.csv, or one that is derived from it.

    Attributes:
        name: With its unit, as in ``latency_p50_ms``.
        meaning: In one sentence.
        kind: What its cells hold.
        heading: What stands above it in a table, perhaps in several lines; by default its name.
        measured_in: Its unit, where the name does not say it.
        label: What an axis says; by default the words of its name, and the unit.
        better: Which way it is better.
        since: The schema that it came with.
        before: What the runs of older schemas would say; None: they measured no such thing.
        formerly: What it was called up to schema 4.
        filled: Whether it is empty in no row, also if the trial failed.
        derive: How it follows from the trials (``Run.trials``), for what no file holds.
    """

    name: str
    meaning: str
    kind: Kind = Kind.NUMBER
    heading: str = ""
    measured_in: str = ""
    label: str = ""
    better: Better = Better.NEITHER
    since: int = 1
    before: Any = None
    formerly: str = ""
    filled: bool = False
    derive: Callable[[Any], Any] | None = None

    @property
    def is_number(self) -> bool:
        """Whether its cells hold numbers."""
        return self.kind in (Kind.WHOLE, Kind.NUMBER)

    @property
    def unit(self) -> str:
        """Its unit: by its name, if nothing else is said (``bytes_per_client_s`` are B); none for words."""
        if self.measured_in:
            return self.measured_in
        if not self.is_number:
            return ""
        words = self.name.partition("_per_")[0].split("_")
        found = next((UNITS[word] for word in words if word in UNITS), "count")
        return "ratio" if words[-1] == "ratio" else found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field(Column):
    """A field of a scenario.

    Attributes:
        default: Its value unless asked for otherwise.
        where_known: The value that a transport that obeys it is given, if it is left open.
        may_be_none: Whether it can be not set.
        obeyed: By which transports.
        rounded: Whether it is rounded to whole polls, so that it follows from the transport.
        role: What it is to a trial.
        told: Where its value is told.
        plain: Whether claims and published figures are of its default, unless they ask for another value.
        ranks: Whether comparisons list scenarios in its order.
        searched: Whether the steps of a search for capacity, or searches, differ in it.
        phrase: How a value is told, with ``{}`` in its place; by default the name and the value.
        alone: The same where no transport and no heading stands beside it.
        one: How the value 1 is told.
        switch: How on and off are told, for a flag.
        unset: How it is told that it is not set.
        spoken: How values that are codes are told, by value.
    """

    default: Any = None
    where_known: Any = None
    may_be_none: bool = False
    obeyed: Obeyed = Obeyed.BY_ALL
    rounded: bool = False
    role: Role = Role.SUBJECT
    told: Told = Told.UNUSUAL
    plain: bool = False
    ranks: bool = False
    searched: bool = False
    phrase: str = ""
    alone: str = ""
    one: str = ""
    switch: tuple[str, str] | None = None
    unset: str = ""
    spoken: Mapping[str, str] = dataclasses.field(default_factory=dict)


def described(default: Any, meaning: str, **facts: Any) -> Any:
    """Declare a field of a scenario: its default, its meaning, and what else :class:`Field` says of it."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, **facts})


def fields_of(scenario: type) -> dict[str, Field]:
    """Return the described fields of a dataclass by name; kind and whether None will do are of its type.

    Raises:
        TypeError: If something is said of a field that :class:`Field` does not know.
    """
    return {
        each.name: Field(
            name=each.name,
            default=each.default,
            kind=_kind_of(str(each.type)),
            may_be_none="None" in str(each.type),
            **each.metadata,
        )
        for each in dataclasses.fields(scenario)
        if each.metadata
    }


def _kind_of(annotation: str) -> Kind:
    kinds = {"str": Kind.WORD, "bool": Kind.FLAG, "int": Kind.WHOLE}
    return next((kind for name, kind in kinds.items() if name in annotation), Kind.NUMBER)


@dataclasses.dataclass(frozen=True)
class ScenarioFields:
    """The fields of a scenario, as they are asked for."""

    transport: str
    clients: int = described(
        100,
        "Number of clients.",
        phrase="{} clients",
        one="1 client",
        ranks=True,
        told=Told.ALWAYS,
        searched=True,
        filled=True,
    )
    rate_hz: float = described(
        10.0,
        "Mean ticks per second; 0 is a silent market.",
        phrase="{} Hz",
        heading="rate\nHz",
        label="tick rate (Hz)",
        ranks=True,
        told=Told.ALWAYS,
        filled=True,
    )
    plan: str = described(
        "steady", "When ticks are due: steady, poisson, bursty, replay.", phrase="{} ticks", plain=True
    )
    recording: str | None = described(
        None, "CSV of time, symbol, price for the plan replay.", phrase="recording {}"
    )
    speed: float | None = described(
        None, "Replay so many times as fast.", phrase="{} times as fast", measured_in="ratio"
    )
    time_unit: str | None = described(
        None, "Unit of the recording's times where their size does not tell it: s, ms, us, ns.", since=4
    )
    payload_bytes: int = described(
        128,
        "Exact size of a tick, 96 to 65536.",
        phrase="{} B",
        alone="{} B a tick",
        heading="payload\nB",
        ranks=True,
        told=Told.IN_TABLES,
    )
    padding: str = described(
        "noise",
        "What fills it up: noise, or text, which compresses as real messages do.",
        phrase="padded with {}",
        since=3,
        before="noise",
    )
    contract: str = described(
        "every",
        "every (each tick once, in order) or latest (the newest only).",
        phrase="contract {}",
        plain=True,
    )
    poll_interval_s: float | None = described(
        None,
        "Short polling: fixed interval (open loop).",
        phrase="every {} s",
        alone="a poll every {} s",
        heading="interval\ns",
        where_known=DEFAULT_POLL_INTERVAL_S,
        obeyed=Obeyed.BY_CLIENTS,
        ranks=True,
        told=Told.IN_TABLES,
        searched=True,
    )
    poll_pause_s: float | None = described(
        None,
        "Short polling: pause after each answer (closed loop); replaces the interval.",
        phrase="pause {} s",
        heading="pause\ns",
        obeyed=Obeyed.BY_CLIENTS,
        ranks=True,
        told=Told.IN_TABLES,
    )
    hold_s: float | None = described(
        None,
        "Long polling: longest hold of a request.",
        phrase="hold {} s",
        heading="hold\ns",
        where_known=DEFAULT_HOLD_S,
        obeyed=Obeyed.BY_CLIENTS,
        told=Told.IN_TABLES,
    )
    heartbeat_s: float | None = described(
        None,
        "Push: seconds between heartbeats: a WebSocket's pings, or comments in a stream of events.",
        phrase="heartbeat each {} s",
        unset="no heartbeats",
        heading="heartbeat\ns",
        obeyed=Obeyed.WITH_HEARTBEATS,
        told=Told.IN_TABLES,
    )
    headers: str = described(
        "minimal",
        "Header set of the requests: minimal or browser.",
        phrase="{} headers",
        told=Told.IN_TABLES,
    )
    cookie_bytes: int = described(
        0, "Length of the cookie in each request.", phrase="cookie {} B", heading="cookie\nB", plain=True
    )
    keep_alive: bool | None = described(
        None,
        "Polling: keep connections between requests.",
        switch=("kept", "not kept"),
        alone="connections {}",
        heading="keep-\nalive",
        where_known=True,
        obeyed=Obeyed.BY_CLIENTS,
    )
    tls: bool = described(
        False,
        "Encrypt every connection (TLS, with a certificate made for the trial).",
        switch=("TLS", "no TLS"),
        heading="TLS",
        plain=True,
        since=3,
        before=False,
    )
    compression: bool = described(
        False,
        "permessage-deflate (WebSocket) or gzip (HTTP).",
        switch=("compressed", "not compressed"),
        heading="com-\npressed",
        plain=True,
        since=3,
        before=False,
    )
    mss: int | None = described(
        1460,
        "TCP's largest segment in bytes; none leaves it to the system.",
        phrase="segments of {} B",
        measured_in="B",
        obeyed=Obeyed.OVER_TCP,
    )
    congestion: str | None = described(
        "cubic",
        "TCP's congestion control; none leaves it to the system.",
        role=Role.CONDITION,
        obeyed=Obeyed.OVER_TCP,
    )
    latency_limit_ms: float = described(
        100.0,
        "A delivery that takes longer is late; a search for capacity allows 1 % of them.",
        phrase="limit {} ms",
        heading="limit\nms",
        role=Role.JUDGEMENT,
        searched=True,
        since=3,
        before=100.0,
    )
    generator: str = described(
        "swarm",
        "What loads the server: swarm; beside it asyncio (ordinary clients) or locust (a beginner's users).",
        phrase="{}",
        alone="load by {}",
        heading="load\ngenerator",
        plain=True,
        since=2,
        before="swarm",
    )
    warmup_s: float = described(
        0.5,
        "Time between connecting and the window.",
        phrase="warm-up {} s",
        heading="warm-up\ns",
        role=Role.CONDITION,
    )
    window_s: float = described(
        4.0,
        "Length of the window asked for; rounded up so that it holds whole intervals and ticks.",
        phrase="window {} s",
        heading="window\ns",
        role=Role.CONDITION,
        rounded=True,
        told=Told.IN_TABLES,
    )
