"""Lubbers and Greco 2010: polling's headers against two bytes. Their table rebuilt, then measured."""

from collections.abc import Callable

from bench.evidence import Evidence, NotMeasured
from bench.experiments import overhead
from bench.experiments.base import number
from bench.literature.base import FALLS, STANDS, WITHIN_LIMITS, Judgement, Publication
from bench.models import SEGMENT_HEADER_BYTES, array_bytes, websocket_header_bytes

CLIENTS = (1_000, 10_000, 100_000)
UPDATES_PER_S = 1
POLLING_HEADER_BYTES, FRAME_BYTES = 871, 2
PAYLOAD_BYTES = 20
"""What a quote of their example weighs beside its headers, as they count it."""
PRINTED_MBIT = {1_000: ("6.6", "0.015"), 10_000: ("66", "0.153"), 100_000: ("665", "1.526")}
"""Polling and WebSocket, as printed."""
MEBI = 2**20
CLAIMED_RATIO = 500.0
"""The smaller of the two ratios of header traffic that they claim (500:1 or 1000:1)."""
CLEARLY_LESS = 2.0
"""Below half the bytes on the wire, WebSocket saves something that a designer would notice."""


def mebibit_per_s(clients: int, bytes_per_update: float) -> float:
    """Return the traffic of so many clients in 2^20 bit/s: the unit of the printed table."""
    return clients * UPDATES_PER_S * bytes_per_update * 8 / MEBI


def as_printed(rebuilt: float, printed: str) -> bool:
    """Tell whether a rebuilt figure is the printed one, rounded to as many decimals."""
    return round(rebuilt, len(printed.partition(".")[2])) == float(printed)


def judge(evidence: Evidence) -> Judgement:
    """Rebuild the table by their arithmetic, and with the bytes of this run."""
    polling, push = (
        _measured(evidence, name, browser)
        for name, browser in (("short_polling", True), ("websocket", False))
    )
    message_bytes = array_bytes(1, PAYLOAD_BYTES)
    polling_app = polling("framing_bytes_per_tick") + PAYLOAD_BYTES
    push_app = message_bytes + websocket_header_bytes(message_bytes)
    polling_wire = polling_app + polling("tcp_ip_bytes_per_tick") + SEGMENT_HEADER_BYTES
    push_wire = push_app + push("tcp_ip_bytes_per_tick")
    headers = polling("framing_bytes_per_tick") - (message_bytes - PAYLOAD_BYTES)
    ratio, wire_ratio = headers / websocket_header_bytes(message_bytes), polling_wire / push_wire
    ways = (
        (POLLING_HEADER_BYTES, FRAME_BYTES),
        (polling_app, push_app),
        (polling_wire, push_wire),
    )
    rows = [
        [f"{clients:,}", " / ".join(PRINTED_MBIT[clients])]
        + [" / ".join(number(mebibit_per_s(clients, size)) for size in way) for way in ways]
        for clients in CLIENTS
    ]
    rebuilt = all(
        as_printed(mebibit_per_s(clients, size), printed)
        for clients in CLIENTS
        for size, printed in zip(ways[0], PRINTED_MBIT[clients], strict=True)
    )
    ours = (
        f"Their table {'can' if rebuilt else 'cannot'} be rebuilt: {POLLING_HEADER_BYTES} B against "
        f"{FRAME_BYTES} B, which is {POLLING_HEADER_BYTES // FRAME_BYTES}:1. Today's browser headers and the "
        f"answer's are {number(headers)} B: {number(ratio)}:1. With {PAYLOAD_BYTES} B of payload it is "
        f"{number(polling_app)} against {number(push_app)} B, {number(polling_app / push_app)}:1; on the "
        "wire, "
        f"with TCP/IP and ACKs, {number(polling_wire)} against {number(push_wire)} B, "
        f"{number(wire_ratio)}:1. "
        f"(Framing and packets are measured at a larger payload, {PAYLOAD_BYTES} B put in its place; asked "
        "once a second, an answer is acknowledged by a packet of its own, which is added.)"
    )
    if ratio >= CLAIMED_RATIO and wire_ratio >= CLEARLY_LESS:
        verdict = STANDS
    else:
        verdict = WITHIN_LIMITS if wire_ratio >= CLEARLY_LESS else FALLS
    return Judgement(
        verdict,
        ours,
        (
            "clients",
            "printed Mbps\npolling / WebSocket",
            "their arithmetic\n871 B / 2 B",
            f"measured bytes\n{number(polling_app)} B / {number(push_app)} B",
            f"with TCP/IP, ACKs\n{number(polling_wire)} B / {number(push_wire)} B",
        ),
        rows,
    )


def _measured(evidence: Evidence, transport: str, browser: bool) -> Callable[[str], float]:
    """Return a function that tells a layer's bytes per tick, both ways, at the smallest payload measured."""
    asked = {"headers": "browser"} if browser else {}
    trials = evidence.trials("overhead", transport=transport, **asked)
    smallest = overhead.rows(trials[trials["payload_bytes"] == trials["payload_bytes"].min()])

    def layer(name: str) -> float:
        found = float((smallest[f"{name}_up"] + smallest[f"{name}_down"]).astype(float).median())
        if not found >= 0:
            raise NotMeasured("bench run overhead", f"this run has no {name}")
        return found

    return layer


PUBLICATION = Publication(
    name="quantum-leap",
    authors="Peter Lubbers and Frank Greco",
    year="2010",
    title="HTML5 Web Sockets: A Quantum Leap in Scalability for the Web",
    where="websocket.org/quantum.html",
    figure="One update a second: 1,000 clients need 6.6 Mbps by polling and 0.015 by WebSocket, 100,000 need "
    "665 "
    "and 1.526. 500:1 or even 1000:1 less header traffic.",
    obtained="computed: headers counted by hand and multiplied; nothing was loaded",
    trap="The megabits are 2^20 bit, 871 B against 2 B is neither 500:1 nor 1000:1, payload and TCP/IP are "
    "left "
    "out on both sides, and a browser of 2010 asked with other headers.",
    judge=judge,
)
