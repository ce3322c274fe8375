"""The fields of a scenario that are the link's: all empty without one, which is the loopback of this machine."""

import dataclasses
from typing import Any

from bench.fields import described
from bench.network.link import LINKS, Link, LinkError

OF_THE_LINK = {field.name: field for field in dataclasses.fields(Link)}


@dataclasses.dataclass(frozen=True)
class LinkFields:
    """What is asked of the link; if anything is, it is a network in a box (``bench/network``), else loopback."""

    link: str | None = described(
        None,
        f"A link with a name: {', '.join(LINKS)}; fields given beside it win.",
        phrase="link {}",
        since=6,
    )
    rtt_ms: float | None = described(
        None,
        "What the link adds to a round trip, half each way; 0 is the link alone, none is loopback.",
        phrase="RTT {} ms",
        heading="RTT\nms",
        label="round-trip time of the link (ms)",
        ranks=True,
        since=6,
    )
    jitter_ms: float | None = described(
        None, "Up to so much longer a packet is held, in order.", phrase="jitter {} ms", since=6
    )
    loss: float | None = described(
        None,
        "Share of packets that are lost, each way.",
        phrase="loss {}",
        measured_in="ratio",
        label="loss (ratio)",
        ranks=True,
        since=6,
    )
    burst_packets: float | None = described(
        None,
        "How many packets are lost in a row, on average; 0: each by itself.",
        phrase="losses of {} in a row",
        measured_in="count",
        since=6,
    )
    rate_mbit: float | None = described(
        None,
        "Mbit/s that the link carries each way, for all clients together; 0: as much as comes.",
        phrase="{} Mbit/s",
        heading="rate\nMbit/s",
        label="rate of the link (Mbit/s)",
        measured_in="Mbit/s",
        since=6,
    )
    queue_ms: float | None = described(
        None,
        "A packet that would wait longer for its turn at that rate is dropped.",
        phrase="queue {} ms",
        since=6,
    )

    def link_asked_for(self) -> Link | None:
        """Return the link: the named one, with what is given beside it; None if nothing is asked for.

        Raises:
            LinkError: If there is no such link.
        """
        given = {name: getattr(self, name) for name in OF_THE_LINK if getattr(self, name) is not None}
        if self.link is None:
            return Link(**given) if given else None
        if self.link not in LINKS:
            raise LinkError(f"there is no link {self.link!r}; there are: {', '.join(LINKS)}")
        return dataclasses.replace(LINKS[self.link].link, **given)


def settings_of(link: Link | None) -> dict[str, Any]:
    """Return the fields of a scenario with this link."""
    return dict.fromkeys(OF_THE_LINK) if link is None else dataclasses.asdict(link)
