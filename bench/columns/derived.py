"""The columns that no file holds: each is derived once, of those that were measured, where a run is read.

The last of them are made by the experiments, of several trials.
"""

from collections.abc import Callable
from typing import Any

from bench.fields import Better, Column

LOWER, HIGHER = Better.LOWER, Better.HIGHER


def _of(trials: Any, name: str) -> Any:
    return trials[name].astype(float)


def both_ways(name: str, meaning: str, **facts: Any) -> Column:
    """Return the column of what goes up and down together: the sum of NAME_up and NAME_down."""

    def derive(trials: Any) -> Any:
        return _of(trials, f"{name}_up") + _of(trials, f"{name}_down")

    return Column(name=name, meaning=meaning, better=LOWER, derive=derive, **facts)


def _tcp_ip_bytes(way: str) -> Callable[[Any], Any]:
    def derive(trials: Any) -> Any:
        on_wire, app, tls = (
            _of(trials, f"{layer}_bytes_per_delivery_{way}") for layer in ("wire", "app", "tls")
        )
        return on_wire - app - tls

    return derive


DERIVED = (
    both_ways("app_bytes_per_delivery", "HTTP or WebSocket frames, both ways."),
    both_ways("tls_bytes_per_delivery", "Bytes that TLS adds, both ways."),
    both_ways(
        "wire_bytes_per_delivery",
        "Bytes on the wire, both ways.",
        heading="on the wire\nB per tick",
        label="wire bytes per tick (B)",
    ),
    both_ways("packets_per_delivery", "TCP segments, both ways."),
    both_ways(
        "wire_bytes_per_client_s",
        "Wire bytes of a client in a second, both ways.",
        heading="wire\nB/s per\nclient",
        label="wire bytes per client-second (B)",
    ),
    both_ways(
        "first_answer_wire_bytes",
        "Wire bytes of a client until its first answer was whole, both ways.",
        heading="wire bytes\nuntil first\nanswer",
    ),
    Column(
        name="framing_bytes_per_delivery_up",
        meaning="HTTP heads or frame headers: what the client wrote, which is no tick.",
        heading="HTTP or\nframing\nB up",
        better=LOWER,
        derive=lambda trials: _of(trials, "app_bytes_per_delivery_up"),
    ),
    Column(
        name="framing_bytes_per_delivery_down",
        meaning="HTTP heads or frame headers: what the client read beside the tick.",
        heading="HTTP or\nframing\nB down",
        better=LOWER,
        derive=lambda trials: (
            _of(trials, "app_bytes_per_delivery_down") - _of(trials, "payload_bytes_per_delivery")
        ),
    ),
    both_ways("framing_bytes_per_delivery", "HTTP heads or frame headers, both ways."),
    Column(
        name="tcp_ip_bytes_per_delivery_up",
        meaning="Headers of TCP and IP, pure ACKs included.",
        heading="TCP/IP\nB up",
        better=LOWER,
        derive=_tcp_ip_bytes("up"),
    ),
    Column(
        name="tcp_ip_bytes_per_delivery_down",
        meaning="Headers of TCP and IP, pure ACKs included.",
        heading="TCP/IP\nB down",
        better=LOWER,
        derive=_tcp_ip_bytes("down"),
    ),
    both_ways("tcp_ip_bytes_per_delivery", "Headers of TCP and IP, both ways."),
)
"""Each may need those before it."""
OF_SEVERAL_TRIALS = (
    Column(
        name="capacity_clients",
        meaning="Clients that are served in time, by a search.",
        heading="clients\nserved",
        better=HIGHER,
    ),
    Column(
        name="clients_per_ms",
        meaning="Clients to whom a tick was written per ms in the first step of a search.",
        better=HIGHER,
    ),
    Column(name="trials", meaning="How many trials a figure is of.", heading="n"),
)
