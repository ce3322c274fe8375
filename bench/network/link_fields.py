"""The fields of a scenario that are the link's: all empty without one, on the loopback of this machine."""

import dataclasses
from typing import Any

from bench.fields import Obeyed, described
from bench.network.link import LINKS, Link, LinkError

OF_THE_LINK = {field.name: field.default for field in dataclasses.fields(Link)}
"""What a link is unless asked for otherwise."""


def _of_the_link(name: str, meaning: str, **facts: Any) -> Any:
    return described(
        None, meaning, obeyed=Obeyed.BY_THE_LINK, where_known=OF_THE_LINK[name], plain=True, since=6, **facts
    )


@dataclasses.dataclass(frozen=True)
class LinkFields:
    """What is said of the link. If anything is, it is a network in a box (bench/network), else loopback."""

    link: str | None = described(
        None,
        f"A link with a name: {', '.join(LINKS)}; fields given beside it win.",
        phrase="link {}",
        plain=True,
        since=6,
    )
    rtt_ms: float | None = described(
        None,
        "What the link adds to a round trip, half each way; 0 is the link alone, none the loopback.",
        phrase="RTT {} ms",
        heading="RTT\nms",
        label="round-trip time of the link (ms)",
        obeyed=Obeyed.BY_THE_LINK,
        ranks=True,
        plain=True,
        since=6,
    )
    jitter_ms: float | None = _of_the_link(
        "jitter_ms", "Up to so much longer a packet is held; none overtakes another.", phrase="jitter {} ms"
    )
    loss: float | None = _of_the_link(
        "loss",
        "Share of packets that are lost, each way.",
        phrase="loss {}",
        label="loss (ratio)",
        measured_in="ratio",
        ranks=True,
    )
    burst_packets: float | None = _of_the_link(
        "burst_packets",
        "How many packets are lost in a row, on average; 0: each by itself.",
        phrase="{} lost in a row",
        measured_in="count",
    )
    rate_mbit: float | None = _of_the_link(
        "rate_mbit",
        "Mbit/s that the link carries each way, for all clients together; 0: as much as comes.",
        phrase="{} Mbit/s",
        heading="rate\nMbit/s",
        label="rate of the link (Mbit/s)",
        measured_in="Mbit/s",
    )
    queue_ms: float | None = _of_the_link(
        "queue_ms", "A packet that would have to wait longer for its turn is dropped.", phrase="queue {} ms"
    )

    def link_asked_for(self) -> Link | None:
        """Return the link: the named one, with what is given beside it; None if nothing is said of it.

        Raises:
            LinkError: If there is no such link, or something is said of what it does not do.
        """
        given = {name: getattr(self, name) for name in OF_THE_LINK if getattr(self, name) is not None}
        if self.link is not None and self.link not in LINKS:
            raise LinkError(f"there is no link {self.link!r}; choose {', '.join(LINKS)}")
        if self.link is None and not given:
            return None
        named = Link() if self.link is None else LINKS[self.link].link
        link = dataclasses.replace(named, **given)
        for name, needed, example in (("burst_packets", "loss", 0.01), ("queue_ms", "rate_mbit", 5)):
            if name in given and needed not in given and not getattr(named, needed):
                raise LinkError(
                    f"{name} does nothing without {needed}; add {needed}={example}, or leave {name} out"
                )
        return link
