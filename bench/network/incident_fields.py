"""The fields of a scenario that say what happens in the middle of it, and what its clients do about it."""

import dataclasses
import enum
from collections.abc import Iterator

from bench.fields import Obeyed, described
from clients.load.connections.backoff import BACKOFFS

SHORTEST_INCIDENT_S, LONGEST_INCIDENT_S = 0.05, 600.0
DEFAULT_INCIDENT_S = 1.0


class Incident(enum.StrEnum):
    """What can happen to a trial: a code, how it is told, and three facts.

    What is done for it, and when: bench/measure/incidents.py.

    Attributes:
        words: How a table tells it; where it lasts, "for 2 s" stands behind.
        lasts: Whether it has a length.
        on_the_link: Whether it happens to the link, so that there must be one.
        silent: Whether connections are dead from then on, and nobody is told.
    """

    words: str
    lasts: bool
    on_the_link: bool
    silent: bool

    def __new__(cls, code: str, words: str, lasts: bool, on_the_link: bool, silent: bool) -> "Incident":
        """Make an incident of its code and its data."""
        incident = str.__new__(cls, code)
        incident._value_, incident.words, incident.lasts = code, words, lasts
        incident.on_the_link, incident.silent = on_the_link, silent
        return incident

    PACKET_LOST = "packet_lost", "one packet lost", False, True, False
    """Each connection loses one packet with data on its way to the client."""
    LINK_DOWN = "link_down", "link down", True, True, False
    SERVER_KILLED = "server_killed", "server killed", True, False, False
    """It comes back as the same feed; its connections do not."""
    ADDRESS_CHANGED = "address_changed", "address changed", False, True, True
    """The server sees the clients at another address: a NAT began anew, or a phone has left the Wi-Fi."""
    FORGOTTEN = "forgotten", "forgotten when idle", True, True, True
    """A middle box forgets connections that are idle, and drops in silence what comes on them."""


INCIDENTS: dict[str, Incident] = {incident.value: incident for incident in Incident}


@dataclasses.dataclass(frozen=True)
class IncidentFields:
    """What happens in the window, if anything, and what clients and servers do about it."""

    incident: str | None = described(
        None,
        f"What happens a quarter into the window: {', '.join(INCIDENTS)}.",
        phrase="{}",
        spoken={incident.value: incident.words for incident in Incident},
        unset="no incident",
        plain=True,
        since=7,
    )
    incident_s: float | None = described(
        None,
        "How long the link is down, the server dead, or a connection idle until it is forgotten.",
        phrase="for {} s",
        alone="lasting {} s",
        heading="incident\ns",
        label="length of the incident (s)",
        where_known=DEFAULT_INCIDENT_S,
        obeyed=Obeyed.BY_THE_INCIDENT,
        ranks=True,
        plain=True,
        since=7,
    )
    silence_s: float | None = described(
        None,
        "A client that has heard nothing for so long, though something was to come, connects again; none: "
        "it waits for TCP.",
        phrase="silence {} s",
        unset="waits for TCP",
        heading="silence\ns",
        ranks=True,
        plain=True,
        since=7,
    )
    user_timeout_s: float | None = described(
        None,
        "TCP_USER_TIMEOUT at both ends: data that is not acknowledged for so long ends the connection; none: "
        "20 s at the server, at the clients as the system has it.",
        phrase="user timeout {} s",
        heading="user\ntimeout s",
        obeyed=Obeyed.OVER_TCP,
        ranks=True,
        plain=True,
        since=7,
    )
    backoff: str = described(
        "jittered",
        "How long a client waits before it connects again: jittered (at random, up to a limit that doubles "
        "from 50 ms to 2 s), doubling (the limit itself), none (50 ms each time).",
        phrase="back-off {}",
        plain=True,
        since=7,
        before="jittered",
    )

    def incident_problems(self) -> Iterator[str]:
        """Yield what is wrong with these fields by themselves, a sentence each."""
        if self.incident is not None and self.incident not in INCIDENTS:
            yield f"there is no incident {self.incident!r}; choose {', '.join(INCIDENTS)}"
            return
        if self.incident_s is not None and not self.incident_lasts:
            lasting = ", ".join(each for each in Incident if each.lasts)
            what = (
                "nothing" if self.incident is None else f"the incident {self.incident}, which does not last,"
            )
            yield f"incident_s is the length of {lasting}, but {what} happens here; leave incident_s out"
        for name in ("incident_s", "silence_s", "user_timeout_s"):
            value = getattr(self, name)
            if value is not None and not SHORTEST_INCIDENT_S <= value <= LONGEST_INCIDENT_S:
                yield (
                    f"{name} is {value:g}; it must be from {SHORTEST_INCIDENT_S:g} to "
                    f"{LONGEST_INCIDENT_S:g}: below that, an ordinary delay would pass for a failure"
                )
        if self.backoff not in BACKOFFS:
            yield f"backoff is {self.backoff!r}; choose {' or '.join(BACKOFFS)}"

    @property
    def incident_lasts(self) -> bool:
        """Whether an incident happens that has a length."""
        return self.incident is not None and INCIDENTS[self.incident].lasts

    @property
    def incident_on_the_link(self) -> bool:
        """Whether an incident happens to the link."""
        return self.incident is not None and INCIDENTS[self.incident].on_the_link
