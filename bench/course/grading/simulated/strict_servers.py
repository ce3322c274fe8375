"""The servers that a student's client is graded against: sans-I/O, strict, and one per transport.

Bytes of the client enter by ``receive``; those of the server are taken from ``outbox``. A request against
the rules is a Fault, told in the words of the section that has the rule.
"""

from abc import ABC, abstractmethod
from http import HTTPStatus

import msgspec
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from bench.course.grading.base import Fault
from bench.course.grading.simulated.service import Asked, Stage
from servers.base import DEFAULT_HOLD_S, MAX_HOLD_S, PATH
from servers.feed import Delivery
from servers.websocket_rules import BAD_QUERY
from servers.wire import Missed


class Peer(ABC):
    """One connection's end at the server."""

    transport: str
    parameters: tuple[str, ...] = ("after",)

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.outbox = bytearray()
        self.closed = False
        self.wake_ns: int | None = None
        self._inbox = b""

    def receive(self, data: bytes) -> None:
        """Take bytes of the client: requests, one after the other."""
        self._inbox += data
        while b"\r\n\r\n" in self._inbox and not self.closed:
            head, _, self._inbox = self._inbox.partition(b"\r\n\r\n")
            asked = read_request(head + b"\r\n\r\n", self.stage.clock())
            self.stage.note(asked)
            self._hold_to_form(asked)
            if (refusal := self.stage.refusal(asked)) is not None:
                self._refuse(asked, *refusal)
            else:
                self._begin(asked)

    @abstractmethod
    def _begin(self, asked: Asked) -> None:
        """Answer a request, or begin to."""

    @abstractmethod
    def wake(self) -> None:
        """Send what is due now: new ticks, or an answer that was held."""

    def _refuse(self, asked: Asked, status: int, sentence: str) -> None:
        body = msgspec.json.encode({"error": sentence})
        self._answer(body, f"{status} {HTTPStatus(status).phrase}", "Connection: close\r\n")
        self.closed = True

    def _answer(self, body: bytes, status: str = "200 OK", more: str = "") -> None:
        lengths = self.stage.length_headers
        length = lengths[len(self.stage.requests) % len(lengths)].format(len(body))
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}{length}"
        self.outbox += f"{head}\r\n\r\n".encode() + body

    def _deliver(self, cursor: int) -> Delivery:
        """Take what is to be sent after a cursor from the feed, and note what the history has lost."""
        delivery = self.stage.feed.after(cursor)
        self.stage.missed += delivery.missed
        return delivery

    def _cursor(self, asked: Asked) -> int:
        return self.stage.feed.newest_only() if asked.cursor is None else asked.cursor

    def _hold_to_form(self, asked: Asked) -> None:
        """Refuse what the house's rules do not know (servers/base.py, parse_query)."""
        where = "README, Three ways to the same tick; servers/base.py, parse_query"
        path, query = asked.target.partition("?")[0], asked.query
        if path != PATH:
            raise _form(asked, f"a path of {PATH}", "the path is in the address that you were given", where)
        for name, text in query.items():
            if name not in self.parameters:
                raise _form(asked, f"only {', '.join(self.parameters)}", f"leave {name} out", where)
            number = text.replace(".", "", 1) if name == "hold" else text
            if not (number.isascii() and number.isdigit()):
                raise _form(asked, f"{name}=NUMBER", "leave `after` out as long as no tick has come", where)
        if (asked.cursor or 0) > self.stage.feed.newest_seq and not self.stage.is_ahead(asked):
            raise _form(asked, "a cursor that has been published", "after= is the newest seq you have", where)


class PollingPeer(Peer):
    """Answers at once, also if there is nothing new."""

    transport = "short_polling"

    def _begin(self, asked: Asked) -> None:
        delivery = self._deliver(self._cursor(asked))
        self.stage.empty_answers += delivery.body == b"[]"
        more = f"Ticks-Missed: {delivery.missed}\r\n" if delivery.missed else ""
        more += f"Ticks-Waiting: {delivery.waiting}\r\n" if delivery.waiting else ""
        self._answer(delivery.body + self.stage.body_end, more=more)

    def wake(self) -> None:
        """Send nothing: nobody has asked."""


class HoldingPeer(PollingPeer):
    """Holds a request until there is a tick, or the hold is over (RFC 6202, section 2)."""

    transport = "long_polling"
    parameters = ("after", "hold")
    _held: Asked | None = None

    def _begin(self, asked: Asked) -> None:
        hold_s = float(asked.query.get("hold", DEFAULT_HOLD_S))
        if hold_s > MAX_HOLD_S:
            raise _form(asked, f"a hold of at most {MAX_HOLD_S:g} s", "RFC 6202 tells why", "RFC 6202, 5.5")
        self._held, self.wake_ns = asked, asked.at_ns + round(hold_s * 1e9)
        self.wake()

    def wake(self) -> None:
        """Answer the held request if its time has come."""
        asked = self._held
        if asked is None or self.wake_ns is None:
            return
        if self.stage.feed.newest_seq > self._cursor(asked) or self.stage.clock() >= self.wake_ns:
            self._held = self.wake_ns = None
            super()._begin(asked)


class StreamPeer(Peer):
    """One answer without an end: server-sent events (WHATWG HTML, section 9.2), chunked (RFC 9112, 7.1)."""

    transport = "server_sent_events"
    line_end = "\n"
    _sent_seq: int | None = None

    def _hold_to_form(self, asked: Asked) -> None:
        super()._hold_to_form(asked)
        if "text/event-stream" not in asked.headers.get("accept", ""):
            raise _form(
                asked,
                "Accept: text/event-stream",
                "tell the server what you can read",
                "WHATWG HTML, section 9.2.2",
            )

    def _begin(self, asked: Asked) -> None:
        self.outbox += (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        self._sent_seq = self._cursor(asked)
        self.wake()

    def say(self, *lines: str) -> None:
        """Send one block of lines, ended by an empty one."""
        block = self.line_end.join((*lines, "", "")).encode()
        self.outbox += f"{len(block):x}\r\n".encode() + block + b"\r\n"

    def wake(self) -> None:
        """Send the ticks that are new."""
        while self._sent_seq is not None and self._sent_seq < self.stage.feed.newest_seq:
            delivery = self._deliver(self._sent_seq)
            self._sent_seq = delivery.last_seq
            if delivery.missed:
                self.say("event: missed", f"data: {msgspec.json.encode(Missed(delivery.missed)).decode()}")
            self.say(f"id: {delivery.last_seq}", f"data: {delivery.body.decode()}")


class WebSocketPeer(Peer):
    """A handshake, then a frame per delivery (RFC 6455), by the library's protocol without I/O.

    Attributes:
        frame_bytes: How many bytes the client has sent in frames.
    """

    transport = "websocket"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.protocol = ServerProtocol()
        self.frame_bytes = 0
        self._open = False
        self._sent_seq = 0

    def receive(self, data: bytes) -> None:
        """Take bytes of the client: its handshake, then frames."""
        if not self._open:
            rest = data
            super().receive(data)
            if not self._open:
                return
            rest, self._inbox = self._inbox, b""
        else:
            rest = data
        if not rest:
            return
        self.frame_bytes += len(rest)
        self.protocol.receive_data(rest)
        for event in self.protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                raise _asks_by_message(bytes(event.data))
        if self.protocol.parser_exc is not None:
            raise Fault(
                "its frames are against the protocol",
                seen=str(self.protocol.parser_exc),
                expected="frames masked with four bytes, as a client's must be",
                where="RFC 6455, sections 5.1 and 5.3",
                hint="let websockets.client.ClientProtocol write them, and send its data_to_send()",
            )
        self._flush()

    def _refuse(self, asked: Asked, status: int, sentence: str) -> None:
        """Refuse a bad query by a close, because a browser cannot read the status of a handshake."""
        if status != HTTPStatus.BAD_REQUEST or not self.stage.is_ahead(asked):
            super()._refuse(asked, status, sentence)
            return
        self._shake_hands(asked)
        self.protocol.send_close(BAD_QUERY, sentence)
        self._flush()
        self.closed = True

    def _begin(self, asked: Asked) -> None:
        self._shake_hands(asked)
        self._open, self._sent_seq = True, self._cursor(asked)
        self.wake()

    def _shake_hands(self, asked: Asked) -> None:
        self.protocol.receive_data(asked.raw)
        requests = [event for event in self.protocol.events_received() if isinstance(event, Request)]
        response = self.protocol.accept(requests[0]) if requests else None
        if response is None or response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            raise _form(
                asked,
                "Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Version: 13",
                "let websockets.client.ClientProtocol write the handshake",
                "RFC 6455, section 4.1",
            )
        self.protocol.send_response(response)

    def say(self, text: bytes) -> None:
        """Send one message."""
        self.protocol.send_text(text)
        self._flush()

    def ping(self, data: bytes) -> None:
        """Send a ping (RFC 6455, section 5.5.2)."""
        self.protocol.send_ping(data)
        self._flush()

    def wake(self) -> None:
        """Send the ticks that are new."""
        while self._open and self._sent_seq < self.stage.feed.newest_seq:
            delivery = self._deliver(self._sent_seq)
            self._sent_seq = delivery.last_seq
            if delivery.missed:
                self.protocol.send_text(msgspec.json.encode(Missed(delivery.missed)))
            self.protocol.send_text(delivery.body)
        self._flush()

    def _flush(self) -> None:
        self.outbox += b"".join(self.protocol.data_to_send())
        self.closed = self.closed or self.protocol.close_expected()


PEERS: dict[str, type[Peer]] = {
    peer.transport: peer for peer in (PollingPeer, HoldingPeer, StreamPeer, WebSocketPeer)
}


def read_request(raw: bytes, at_ns: int) -> Asked:
    """Read the head of a request (RFC 9112, section 3).

    Raises:
        Fault: If it is none.
    """
    line, *fields = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = line.split(" ")
    headers = {name.lower(): text.strip() for name, _, text in (field.partition(":") for field in fields)}
    asked = Asked(raw, words[1] if len(words) > 1 else "", headers, at_ns)
    if len(words) != 3 or words[0] != "GET" or words[2] != "HTTP/1.1" or "host" not in headers:
        raise _form(
            asked,
            "GET /ticks HTTP/1.1, then a Host header, each line ended by \\r\\n",
            "the example in RFC 9110, section 9.3.1, is one; print(repr(…)) shows what you send",
            "RFC 9112, sections 3 and 3.2",
        )
    return asked


def _asks_by_message(data: bytes) -> Fault:
    return Fault(
        "it asks by messages",
        seen=f"a message {data[:60]!r}",
        expected="none: the cursor is in the address of the handshake, and then the server pushes",
        where="README, Three ways to the same tick",
        hint="a client of push listens; a question for each tick would be polling again",
    )


def _form(asked: Asked, expected: str, hint: str, where: str) -> Fault:
    line = asked.raw.partition(b"\r\n")[0].decode("latin-1")
    return Fault("it does not ask in the right form", seen=line, expected=expected, hint=hint, where=where)
