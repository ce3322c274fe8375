"""What a link is: how far, how lossy, how fast; and links that have a name, each with its source."""

import dataclasses
from typing import NamedTuple

LONGEST_RTT_MS, LONGEST_JITTER_MS, LONGEST_QUEUE_MS = 2_000.0, 1_000.0, 10_000.0
MOST_LOSS, LONGEST_BURST_PACKETS = 0.5, 1_000.0
SLOWEST_MBIT, FASTEST_MBIT = 0.01, 1_000.0
DEFAULT_QUEUE_MS = 100.0


class LinkError(ValueError):
    """No such link; the text says what to change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """A link between the clients, all together, and the server: the same both ways.

    Attributes:
        rtt_ms: What it adds to a round trip, half each way.
        jitter_ms: A packet is held up to so much longer, evenly spread; but none overtakes another.
        loss: The share of packets that are lost, each way.
        burst_packets: How many packets are lost in a row, on average; 0: each is lost by itself.
        rate_mbit: How much it carries, in Mbit/s of IP packets; 0: as much as comes.
        queue_ms: A packet that would have to wait longer for its turn is dropped.

    Raises:
        LinkError: If it cannot be.
    """

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    burst_packets: float = 0.0
    rate_mbit: float = 0.0
    queue_ms: float = DEFAULT_QUEUE_MS

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, lowest, highest in (
            ("rtt_ms", 0.0, LONGEST_RTT_MS),
            ("jitter_ms", 0.0, LONGEST_JITTER_MS),
            ("loss", 0.0, MOST_LOSS),
            ("queue_ms", 0.0, LONGEST_QUEUE_MS),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise LinkError(f"{name} is {value:g}; it must be from {lowest:g} to {highest:,g}")
        for name, lowest, highest, zero in (
            ("burst_packets", 1.0, LONGEST_BURST_PACKETS, "each is lost by itself"),
            ("rate_mbit", SLOWEST_MBIT, FASTEST_MBIT, "as much as comes"),
        ):
            value = getattr(self, name)
            if value and not lowest <= value <= highest:
                raise LinkError(
                    f"{name} is {value:g}; it must be 0 ({zero}), or from {lowest:g} to {highest:,g}"
                )


class NamedLink(NamedTuple):
    """A link that has a name, and where its figures are from."""

    link: Link
    source: str


_WEBPAGETEST = "WebPageTest, connectivity.ini.sample, {}"
LINKS: dict[str, NamedLink] = {
    "lan": NamedLink(
        Link(rtt_ms=2, rate_mbit=30),
        "Firefox developer tools, throttling, Wi-Fi: 2 ms, 30 Mbit/s down, 15 up",
    ),
    "fibre": NamedLink(Link(rtt_ms=4, rate_mbit=20), _WEBPAGETEST.format("FIOS: 4 ms, 20 Mbit/s down, 5 up")),
    "cable": NamedLink(
        Link(rtt_ms=28, rate_mbit=5), _WEBPAGETEST.format("Cable: 28 ms, 5 Mbit/s down, 1 up")
    ),
    "4g": NamedLink(Link(rtt_ms=170, rate_mbit=9), _WEBPAGETEST.format("4G: 170 ms, 9 Mbit/s both ways")),
    "3g": NamedLink(
        Link(rtt_ms=300, rate_mbit=1.6), _WEBPAGETEST.format("3G: 300 ms, 1.6 Mbit/s down, 0.768 up")
    ),
    "transatlantic": NamedLink(
        Link(rtt_ms=90), "Verizon, service level New York to London: 90 ms there and back on average"
    ),
    "satellite": NamedLink(
        Link(rtt_ms=558), "RFC 2488, section 2: geostationary, at least 558 ms there and back"
    ),
}
"""By name. A rate is that of the way down, both ways: the sources' ways up are slower, but carry less."""
