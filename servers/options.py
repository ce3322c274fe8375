"""The options of a server, the same for every transport, and their form on the command line."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from servers.plan import PLANS
from servers.recorded_cells import TIME_UNITS
from servers.wire import MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, PADDINGS

MAX_RATE_HZ = 10_000
HISTORY_BYTES = 64 * 1024 * 1024
"""The most that the history may hold; a larger one is refused before anything starts."""


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """The options of every server, whatever its transport. Each is also an option of the command line."""

    host: str = "127.0.0.1"
    port: int = 0
    rate_hz: float = 10.0
    plan: str = "steady"
    recording: str | None = None
    speed: float = 1.0
    time_unit: str | None = None
    seed: int = 0
    open_after_s: float = 0.0
    payload_bytes: int = 128
    padding: str = "noise"
    contract: str = "every"
    history_ticks: int = 1_000
    max_clients: int = 50_000
    heartbeat_s: float | None = None
    compression: bool = False
    certificate: str | None = None
    mss: int | None = 1460
    congestion: str | None = "cubic"
    core: int | None = None
    stop_with_stdin: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values, with one sentence (ValueError)."""
        for problem, sentence in (
            (not 0 <= self.port <= 65_535, f"port is {self.port}; it must be from 0 to 65535"),
            (self.plan not in PLANS, f"plan is {self.plan!r}; choose one of {', '.join(PLANS)}"),
            (
                self.contract not in ("every", "latest"),
                f"contract is {self.contract!r}; it is every or latest",
            ),
            (
                not 0 <= self.rate_hz <= MAX_RATE_HZ,
                f"rate_hz is {self.rate_hz:g}; it must be from 0 (a silent market) to {MAX_RATE_HZ:,}",
            ),
            (not self.open_after_s >= 0, f"open_after_s is {self.open_after_s:g}; it must be 0 or more"),
            (not self.speed > 0, f"speed is {self.speed:g}; it must be above 0"),
            (
                self.time_unit is not None and self.recording is None,
                "time_unit belongs to a recording: give both, or leave it out",
            ),
            (
                not MIN_PAYLOAD_BYTES <= self.payload_bytes <= MAX_PAYLOAD_BYTES,
                f"payload_bytes is {self.payload_bytes}; "
                f"it must be from {MIN_PAYLOAD_BYTES} to {MAX_PAYLOAD_BYTES}",
            ),
            (
                self.padding not in PADDINGS,
                f"padding is {self.padding!r}; choose {' or '.join(PADDINGS)}",
            ),
            (
                self.mss is not None and not 88 <= self.mss <= 32_767,
                f"mss is {self.mss}; the system takes 88 to 32767, or none",
            ),
            (self.history_ticks < 1, f"history_ticks is {self.history_ticks}; it must be 1 or more"),
            (
                self.history_ticks * self.payload_bytes > HISTORY_BYTES,
                f"a history of {self.history_ticks} ticks of {self.payload_bytes} B is over "
                f"{HISTORY_BYTES >> 20} MiB; lower the rate, the payload, the interval or the hold",
            ),
            (self.max_clients < 1, f"max_clients is {self.max_clients}; it must be 1 or more"),
            (
                self.heartbeat_s is not None and not self.heartbeat_s > 0,
                f"heartbeat_s is {self.heartbeat_s}; it must be above 0, or left out for none",
            ),
            (
                (self.plan == "replay") != (self.recording is not None),
                "plan replay and recording go together: give both or neither",
            ),
        ):
            if problem:
                raise ValueError(sentence)

    def arguments(self) -> list[str]:
        """Return the command-line arguments that say the same."""
        words = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                flag = "--" + field.name.replace("_", "-")
                words.append(flag if value is True else f"{flag}={'none' if value is None else value}")
        return words


OPTION_HELP = {
    "host": "address to listen on; loopback unless told otherwise",
    "port": "port; 0 lets the system choose",
    "rate_hz": "ticks per second; 0 is a silent market",
    "plan": "when ticks are due: " + ", ".join(PLANS),
    "recording": "CSV file with the columns time, symbol and price, for --plan replay",
    "speed": "replay this many times as fast",
    "time_unit": "unit of the recording's times, if they are numbers whose size does not tell it: "
    + ", ".join(TIME_UNITS),
    "open_after_s": "tick 1 is there at once, the others when the market opens, so many seconds later",
    "seed": "seed of the plan and of the prices",
    "payload_bytes": "exact size of a tick, 96 to 65536",
    "padding": "what fills ticks up: noise, or text, which compresses as real messages do",
    "contract": "every (each tick once, in order) or latest (the newest only)",
    "history_ticks": "how many ticks are remembered",
    "max_clients": "connections beyond this many are refused with a clear answer",
    "heartbeat_s": "seconds between WebSocket pings; none unless given",
    "compression": "permessage-deflate (WebSocket) or gzip (HTTP) for clients that offer it",
    "certificate": "PEM file of private key and certificate: serve over TLS",
    "mss": "TCP maximum segment size in bytes; 'none' leaves it to the system",
    "congestion": "TCP congestion control; 'none' leaves it to the system",
    "core": "run on this processor only",
    "stop_with_stdin": "stop when standard input ends",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare every field of ServerOptions as an option of the command line."""
    for field in dataclasses.fields(ServerOptions):
        flag = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(flag, action="store_true", help=OPTION_HELP[field.name])
        else:
            default = "" if field.default is None else f" (default {field.default})"
            parser.add_argument(
                flag,
                type=_reader(str(field.type)),
                default=field.default,
                help=OPTION_HELP[field.name] + default,
            )


def _reader(annotation: str) -> Callable[[str], Any]:
    """Return the function that reads a value of this type; argparse names it in its messages."""
    kind = next(kind for kind in (int, float, str) if kind.__name__ in annotation)

    def read(text: str) -> Any:
        return None if "None" in annotation and text == "none" else kind(text)

    read.__name__ = {int: "whole number", float: "number", str: "text"}[kind]
    return read
