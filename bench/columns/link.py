"""What trials.csv says of the link, where it is a network in a box, and of the router that makes it."""

from bench.fields import Better, Column

LOWER = Better.LOWER

LINK = (
    Column(
        name="link_rtt_ms",
        meaning="The smallest of ten round trips over the link, measured before the clients came.",
        heading="measured\nRTT ms",
        label="measured round-trip time (ms)",
        better=LOWER,
        since=6,
    ),
    Column(name="link_packets", meaning="IP packets that came to the link, both ways.", since=6),
    Column(
        name="link_lost_data",
        meaning="Packets lost on the way that have to be sent again: all but pure ACKs.",
        better=LOWER,
        since=6,
    ),
    Column(name="link_lost_acks", meaning="Pure ACKs lost on the way.", better=LOWER, since=6),
    Column(
        name="link_overflows",
        meaning="Packets dropped because the queue of the link was full.",
        better=LOWER,
        since=6,
    ),
    Column(
        name="link_retransmits",
        heading="sent\nagain",
        meaning="Segments that TCP sent again, at both ends, as the kernel counts them.",
        better=LOWER,
        since=6,
    ),
    Column(
        name="link_busy_ratio",
        meaning="Share of the time in which the busier way of the link was sending, at its rate.",
        heading="link\nbusy",
        better=LOWER,
        since=6,
    ),
    Column(
        name="router_lag_p99_ms",
        meaning="How much longer than asked for a packet was held, at most: p99.",
        heading="router late\np99 ms",
        better=LOWER,
        since=6,
    ),
    Column(
        name="router_drops",
        meaning="Packets that were lost because the router did not read them in time.",
        better=LOWER,
        since=6,
    ),
    Column(name="router_cpu_ratio", meaning="Share of a core that the router used.", better=LOWER, since=6),
    Column(
        name="router_cpu_us_per_packet",
        meaning="Processor time of the router for each packet, the receiver's share of TCP included.",
        better=LOWER,
        since=6,
    ),
)
