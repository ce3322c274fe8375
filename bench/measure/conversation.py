"""What one client and its server say to each other, message by message, with the kernel's arrival times.

A real server, and a swarm of one whose client is overheard where bytes enter and leave it. Sizes are those of
HTTP and WebSocket, without TCP/IP headers; ``bench/network/capture.py`` sees the packets.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from bench.measure.box import running_box
from bench.measure.place import Place
from bench.measure.processes import START_TIMEOUT_S, Process
from bench.measure.subject import running_server
from bench.network.link import Link
from bench.network.namespaces import FAR, NEAR
from bench.scenario import Scenario, ScenarioError
from bench.transports import TRANSPORTS
from clients.base import Address, TickClient, Ticks, load_client_class
from clients.load.swarm import Swarm
from clients.sockets.stamped_socket import measure_clock_offset
from clients.websocket import frame_length
from servers.wire import now_ns

CONNECT_TIMEOUT_S = 5.0
LONGEST_S = 60.0
DEFAULTS: dict[str, Any] = {"clients": 1, "rate_hz": 4.0, "poll_interval_s": 0.5}
OPCODES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
"""RFC 6455, section 11.8."""
Direction = Literal["up", "down"]


class TickMark(NamedTuple):
    """A tick that a message carried, and when it was due, in ms since the first message."""

    seq: int
    due_ms: float


class TraceEvent(NamedTuple):
    """Bytes that were sent or arrived at once.

    ``at_ms`` is since the first message: when the client sent it (up), or its kernel had it (down); ``label``
    says in a few words what it is; ``first_line`` is its first line, or its frame headers decoded.
    """

    at_ms: float
    direction: Direction
    size_bytes: int
    label: str
    first_line: str
    ticks: tuple[TickMark, ...] = ()


class _Heard(NamedTuple):
    at_ns: int
    direction: Direction
    data: bytes
    ticks: Ticks


def record(transport: str, seconds: float, settings: Mapping[str, Any] | None = None) -> list[TraceEvent]:
    """Run a server and one client, and return what they said.

    Args:
        transport: A name of the registry.
        seconds: For how long after the client is connected and answered, in s; up to 60.
        settings: Fields of the scenario, such as poll_interval_s; by default 4 ticks and 2 polls a second.

    Raises:
        ScenarioError: If they cannot be measured.
        TrialFailed: If the server does not start.
        BoxUnavailable: If there is to be a link, and this system allows none.
        TimeoutError: If it does not answer.
    """
    if not 0 < seconds <= LONGEST_S:
        raise ScenarioError(f"seconds is {seconds:g}; it must be above 0, up to {LONGEST_S:g}")
    scenario = Scenario(transport, **{**DEFAULTS, **(settings or {}), "clients": 1})
    if scenario.tls:
        raise ScenarioError(
            "a trace shows what is inside TLS, so leave tls=no; bytes of TLS: bench run overhead"
        )
    entry = TRANSPORTS[transport]
    if (link := scenario.link_asked_for()) is not None:
        return _record_over(link, scenario, seconds)
    with running_server(entry.server, scenario.server_options()) as server:
        address = Address(server.host, server.port, server.path)
        return decode(_overhear(entry.client_class, address, seconds, scenario.client_settings()))


def _record_over(link: Link, scenario: Scenario, seconds: float) -> list[TraceEvent]:
    """Run the server at the far end of a link, and at the near end this module as a program: the client."""
    entry = TRANSPORTS[scenario.transport]
    with running_box(link) as box:
        options = scenario.server_options(host=box.host)
        with running_server(entry.server, options, Place(prefix=box.prefix(FAR))) as server:
            words = json.dumps([entry.client, server.address, seconds, scenario.client_settings()])
            client = Process("client", __name__, words, place=Place(prefix=box.prefix(NEAR)))
            try:
                return msgspec.json.decode(client.read_line(START_TIMEOUT_S + seconds), type=list[TraceEvent])
            finally:
                client.stop()


def _overhear(
    client_class: type[TickClient], address: Address, seconds: float, settings: dict[str, Any]
) -> list[_Heard]:
    heard: list[_Heard] = []

    class Overheard(client_class):  # type: ignore[misc, valid-type]
        """The client, with what enters and leaves it written down."""

        def data_to_send(self) -> bytes:
            data: bytes = super().data_to_send()
            heard.append(_Heard(now_ns(), "up", data, ()))
            return data

        def receive_data(self, data: bytes, arrived_ns: int) -> Ticks:
            ticks: Ticks = super().receive_data(data, arrived_ns)
            heard.append(_Heard(arrived_ns, "down", data, ticks))
            return ticks

    swarm = Swarm(
        [Overheard(address, **settings)],
        address.host,
        address.port,
        offset_ns=measure_clock_offset().offset_ns,
    )
    try:
        swarm.connect(deadline_ns=now_ns() + round(CONNECT_TIMEOUT_S * 1e9))
        until_ns = now_ns() + round(seconds * 1e9)
        while now_ns() < until_ns:
            swarm.step(wait_until_ns=until_ns)
    finally:
        swarm.close()
    return heard


def decode(heard: Sequence[_Heard]) -> list[TraceEvent]:
    """Say what each piece is, in the order of time.

    An answer's stamp can be earlier than that of its question's send() returning, so ties keep their order.
    """
    events = []
    frames = stream = False
    for at_ns, direction, data, ticks in heard:
        marks = tuple(TickMark(tick.seq, (tick.due_ns - heard[0].at_ns) / 1e6) for tick in ticks)
        head, _, rest = data.partition(b"\r\n\r\n")
        line = head.partition(b"\r\n")[0].decode("latin-1")
        if direction == "up" and not frames:
            label = _question(line, upgrade=b"\r\nupgrade: websocket" in head.lower())
        elif data.startswith(b"HTTP/"):
            frames = " 101 " in line
            label = "101, now frames" if frames else f"{line.split(' ')[1]}: {_told(marks)}"
            stream = b"\r\ncontent-type: text/event-stream" in head.lower()
            if stream:
                label = f"200; event: {_told(marks)}" if marks else "200, now events"
            if frames and rest:
                line, label = f"{line}; {', '.join(frame_headers(rest))}", f"101; frame: {_told(marks)}"
        elif frames:
            line = ", ".join(frame_headers(data))
            label = f"frame: {_told(marks)}" if marks else line.partition(",")[0]
        elif stream:
            line = "; ".join(stream_lines(data))
            label = f"event: {_told(marks)}" if marks else line
        else:
            line, label = "(the rest of the answer)", f"the rest: {_told(marks)}"
        events.append(TraceEvent((at_ns - heard[0].at_ns) / 1e6, direction, len(data), label, line, marks))
    return events


def frame_headers(data: bytes) -> Iterator[str]:
    """Yield what the header of each WebSocket frame says (RFC 6455, section 5.2)."""
    start = 0
    while start < len(data):
        length = frame_length(data, start)
        if not length or start + length > len(data):
            yield "part of a frame"
            return
        name = OPCODES.get(data[start] & 0x0F, "reserved opcode")
        flags = [
            word for word, bit in (("FIN", data[start] & 0x80), ("compressed", data[start] & 0x40)) if bit
        ]
        masked = bool(data[start + 1] & 0x80)
        field = data[start + 1] & 0x7F
        header_bytes = 2 + {126: 2, 127: 8}.get(field, 0) + 4 * masked
        told = " ".join([name, *flags, *(["masked"] if masked else [])])
        yield f"{told}: {header_bytes} B header + {length - header_bytes} B"
        start += length


def stream_lines(data: bytes) -> Iterator[str]:
    """Yield the lines of a stream of events (WHATWG HTML, section 9.2.6) in short, without its chunks."""
    for line in data.replace(b"\r\n", b"\r").split(b"\n"):
        name, colon, value = line.rpartition(b"\r")[2].decode(errors="replace").partition(":")
        if name:
            yield name if name == "data" else f"{name}:{value}"
        elif colon:
            yield "a comment"


def _question(line: str, *, upgrade: bool) -> str:
    """Return a request in short: its method and its cursor."""
    if upgrade:
        return "GET, Upgrade"
    query = line.split(" ")[1].partition("?")[2] if " " in line else ""
    cursor = [part for part in query.split("&") if part.startswith("after=")]
    return f"GET ?{cursor[0]}" if cursor else "GET"


def _told(marks: Sequence[TickMark]) -> str:
    """Return which ticks a message carried."""
    if not marks:
        return "nothing new"
    first, last = marks[0].seq, marks[-1].seq
    return f"tick {first}" if first == last else f"ticks {first}–{last}"


def listing(events: Sequence[TraceEvent]) -> Iterator[str]:
    """Yield the lines of a listing: time, direction, bytes, the first line or frame header, and the ticks."""
    yield f"{'time':>11}   {'bytes':>8}"
    for event in events:
        arrow = "→ server" if event.direction == "up" else "client ←"
        waits = ", ".join(
            f"tick {tick.seq} {event.at_ms - tick.due_ms:.1f} ms after it was due" for tick in event.ticks
        )
        yield f"{event.at_ms:8.1f} ms {event.size_bytes:8,} B  {arrow}  {event.first_line}"
        if waits:
            yield f"{'':35}{waits}"
    for direction, words in (("up", "to the server"), ("down", "to the client")):
        sizes = [event.size_bytes for event in events if event.direction == direction]
        yield f"{sum(sizes):>20,} B  {words} in {len(sizes)}, without TCP/IP"


if __name__ == "__main__":
    name, address, seconds, settings = json.loads(sys.argv[1])
    heard = _overhear(load_client_class(name), Address(*address), seconds, settings)
    sys.stdout.buffer.write(msgspec.json.encode(decode(heard)) + b"\n")
