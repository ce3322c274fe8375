"""The options of a server, the same for every transport, and their form on the command line."""

import argparse
import dataclasses
import functools
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers.wire import MAX_PAYLOAD_BYTES, MIN_PAYLOAD_BYTES, PADDINGS
from servers.workloads.plan import PLANS
from servers.workloads.recorded_cells import TIME_UNITS

MIN_RATE_HZ, MAX_RATE_HZ = 1e-8, 10_000
"""A tick in three years is the least, beside none at all: recordings may be of months."""
MIN_SPEED, MAX_SPEED = 1e-6, 1e6
SHORTEST_S = 0.001
"""Pings, polls and holds are no shorter: event loops round their timers to about a millisecond."""
DAY_S = 86_400
MAX_CLIENTS = 1_000_000
MAX_CORE = 8191
"""The most processors of a Linux kernel, less one (CONFIG_NR_CPUS)."""
CONGESTIONS = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
DEFAULT_CONGESTION = "cubic"
STALL_TIMEOUT_S = 20
"""A client that has not taken a byte for so long is not waited for."""
HISTORY_BYTES = 64 * 1024 * 1024
"""The most that the history may hold; a larger one is refused before anything starts."""


def option(default: Any, meaning: str) -> Any:
    """Declare an option: its default, and what the command line says of it."""
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """The options of every server, whatever its transport. Each is also an option of the command line."""

    host: str = option("127.0.0.1", "address to listen on; loopback unless told otherwise")
    port: int = option(0, "port; 0 lets the system choose")
    rate_hz: float = option(10.0, "ticks per second; 0 is a silent market")
    plan: str = option("steady", "when ticks are due: " + ", ".join(PLANS))
    recording: str | None = option(
        None, "CSV file with the columns time, symbol and price, for --plan replay"
    )
    speed: float = option(1.0, "replay this many times as fast")
    time_unit: str | None = option(
        None,
        "unit of the recording's times, if they are numbers whose size does not tell it: "
        + ", ".join(TIME_UNITS),
    )
    seed: int = option(0, "seed of the plan and of the prices")
    start_ns: int | None = option(
        None,
        "go on with the feed of an earlier server on this machine: the start_ns that it told when ready; "
        "the other options of the feed must be the same",
    )
    open_after_s: float = option(
        0.0, "tick 1 is there at once, the others when the market opens, so many seconds later"
    )
    payload_bytes: int = option(128, "exact size of a tick, 96 to 65536")
    padding: str = option(
        "noise", "what fills ticks up: noise, or text, which compresses as real messages do"
    )
    contract: str = option("every", "every (each tick once, in order) or latest (the newest only)")
    history_ticks: int = option(1_000, "how many ticks are remembered")
    max_clients: int = option(50_000, "connections beyond this many are refused with a clear answer")
    heartbeat_s: float | None = option(
        None, "seconds between heartbeats of push: pings or comments; none unless given"
    )
    compression: bool = option(
        False, "permessage-deflate (WebSocket) or gzip (HTTP) for clients that offer it"
    )
    certificate: str | None = option(None, "PEM file of private key and certificate: serve over TLS")
    mss: int | None = option(1460, "TCP maximum segment size in bytes; 'none' leaves it to the system")
    congestion: str | None = option(
        DEFAULT_CONGESTION, "TCP congestion control; 'none' leaves it to the system"
    )
    user_timeout_s: float | None = option(
        None,
        "seconds until data that is not acknowledged ends the connection (TCP_USER_TIMEOUT); "
        f"{STALL_TIMEOUT_S} unless given",
    )
    core: int | None = option(None, "run on this processor only")
    stop_with_stdin: bool = option(False, "stop when standard input ends")

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
            (
                0 < self.rate_hz < MIN_RATE_HZ,
                f"rate_hz is {self.rate_hz:g}, less than a tick in three years; choose {MIN_RATE_HZ:g} "
                "or more, or 0 for a silent market",
            ),
            (
                self.start_ns is not None and self.start_ns < 0,
                f"start_ns is {self.start_ns}; it must be what an earlier server told when it was ready",
            ),
            (
                not 0 <= self.open_after_s <= DAY_S,
                f"open_after_s is {self.open_after_s:g}; it must be from 0 to {DAY_S:,}",
            ),
            (
                not MIN_SPEED <= self.speed <= MAX_SPEED,
                f"speed is {self.speed:g}; it must be from {MIN_SPEED:g} to {MAX_SPEED:,.0f}",
            ),
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
            (
                not 1 <= self.max_clients <= MAX_CLIENTS,
                f"max_clients is {self.max_clients}; it must be from 1 to {MAX_CLIENTS:,}",
            ),
            (
                self.heartbeat_s is not None and not SHORTEST_S <= self.heartbeat_s <= DAY_S,
                f"heartbeat_s is {self.heartbeat_s}; it must be from {SHORTEST_S:g} to {DAY_S:,}, "
                "or left out for none",
            ),
            (
                self.user_timeout_s is not None and not SHORTEST_S <= self.user_timeout_s <= DAY_S,
                f"user_timeout_s is {self.user_timeout_s}; it must be from {SHORTEST_S:g} to {DAY_S:,}, "
                f"or left out for {STALL_TIMEOUT_S}",
            ),
            (not self.host, "host is empty; give an address, such as 127.0.0.1, or 0.0.0.0 for all"),
            (
                self.core is not None and not 0 <= self.core <= MAX_CORE,
                f"core is {self.core}; it must be from 0 to {MAX_CORE}",
            ),
            (
                (self.plan == "replay") != (self.recording is not None),
                "plan replay and recording go together: give both or neither",
            ),
        ):
            if problem:
                raise ValueError(sentence)
        if self.congestion is not None and not has_congestion(self.congestion):
            raise ValueError(
                f"congestion is {self.congestion!r}; this system has {', '.join(congestions())}; "
                "choose one of them, or none"
            )

    def arguments(self) -> list[str]:
        """Return the command-line arguments that say the same."""
        words = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                flag = "--" + field.name.replace("_", "-")
                words.append(flag if value is True else f"{flag}={'none' if value is None else value}")
        return words


def congestions() -> list[str]:
    """Return TCP's congestion controls that are loaded; none where the system does not tell."""
    try:
        return CONGESTIONS.read_text("ascii").split()
    except OSError:
        return []


@functools.cache
def has_congestion(name: str) -> bool:
    """Return whether a socket can have this congestion control; a privileged one may load its module.

    The default, and all on a system that does not tell, are taken as they come: each trial records what was
    in force.
    """
    if name == DEFAULT_CONGESTION or name in (known := congestions()) or not known:
        return bool(name)
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        except (OSError, ValueError):
            return False
    return True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare every field of ServerOptions as an option of the command line."""
    for field in dataclasses.fields(ServerOptions):
        flag = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(flag, action="store_true", help=field.metadata["help"])
        else:
            default = "" if field.default is None else f" (default {field.default})"
            parser.add_argument(
                flag,
                type=_reader(str(field.type)),
                default=field.default,
                help=field.metadata["help"] + default,
            )


def read_number(text: str, kind: Callable[[str], Any]) -> Any:
    """Return a number that is written in plain digits: neither 1_000 nor other alphabets' digits are.

    Raises:
        ValueError: If it is none.
    """
    if not text.isascii() or "_" in text:
        raise ValueError(f"{text!r} is not a number in plain digits")
    return kind(text)


def _reader(annotation: str) -> Callable[[str], Any]:
    """Return the function that reads a value of this type; argparse names it in its messages."""
    kind = next(kind for kind in (int, float, str) if kind.__name__ in annotation)

    def read(text: str) -> Any:
        if kind is str or ("None" in annotation and text == "none"):
            return None if text == "none" and "None" in annotation else text
        return read_number(text, kind)

    read.__name__ = {int: "whole number", float: "number", str: "text"}[kind]
    return read
