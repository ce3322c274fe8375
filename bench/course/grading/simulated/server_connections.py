"""The servers that a student's client is graded against: sans-I/O, strict, and one per transport.

Bytes of the client enter by ``receive``; those of the server are taken from ``outbox``. A request against
the rules is a Fault, told in the words of the section that has the rule.
"""

from abc import ABC, abstractmethod
from http import HTTPStatus

import msgspec
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from bench.course.grading.base import Fault
from bench.course.grading.simulated.service import Request, Service
from servers.base import DEFAULT_HOLD_S, MAX_HOLD_S, PATH
from servers.feed import Delivery
from servers.websocket_rules import BAD_QUERY, TRY_AGAIN_LATER
from servers.wire import Missed


class ServerConnection(ABC):
    """One connection's end at the server."""

    transport: str
    pushes = False
    parameters: tuple[str, ...] = ("after",)

    def __init__(self, service: Service) -> None:
        self.service = service
        self.outbox = bytearray()
        self.closed = False
        self.wake_ns: int | None = None
        self._inbox = b""

    def receive(self, data: bytes) -> None:
        """Take bytes of the client: requests, one after the other."""
        self._inbox += data
        while b"\r\n\r\n" in self._inbox and not self.closed:
            head, _, self._inbox = self._inbox.partition(b"\r\n\r\n")
            request = read_request(head + b"\r\n\r\n", self.service.clock())
            self.service.record(request)
            self._hold_to_form(request)
            if (refusal := self.service.refusal(request)) is not None:
                self._refuse(request, *refusal)
            else:
                self._begin(request)

    @abstractmethod
    def _begin(self, request: Request) -> None:
        """Answer a request, or begin to."""

    @abstractmethod
    def wake(self) -> None:
        """Send what is due now: new ticks, or an answer that was held."""

    def _refuse(self, request: Request, status: int, sentence: str) -> None:
        body = msgspec.json.encode({"error": sentence})
        self._answer(body, f"{status} {HTTPStatus(status).phrase}", "Connection: close\r\n")
        self.closed = True

    def _answer(self, body: bytes, status: str = "200 OK", more: str = "") -> None:
        lengths = self.service.length_headers
        length = lengths[len(self.service.requests) % len(lengths)].format(len(body))
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}{length}"
        self.outbox += f"{head}\r\n\r\n".encode() + body

    def _deliver(self, cursor: int) -> Delivery:
        """Take what is to be sent after a cursor from the feed, and note what the history has lost."""
        delivery = self.service.feed.after(cursor)
        self.service.missed += delivery.missed
        return delivery

    def _cursor(self, request: Request) -> int:
        return self.service.feed.newest_only() if request.cursor is None else request.cursor

    def _hold_to_form(self, request: Request) -> None:
        """Refuse what the house's rules do not know (servers/base.py, parse_query)."""
        where = "README, Three ways to the same tick; servers/base.py, parse_query"
        path, query = request.target.partition("?")[0], request.query
        if path != PATH:
            raise _form(request, f"a path of {PATH}", "the path is in the address that you were given", where)
        for name, text in query.items():
            if name not in self.parameters:
                raise _form(request, f"only {', '.join(self.parameters)}", f"leave {name} out", where)
            number = text.replace(".", "", 1) if name == "hold" else text
            if not (number.isascii() and number.isdigit()):
                raise _form(request, f"{name}=NUMBER", "leave `after` out as long as no tick has come", where)
        if (request.cursor or 0) > self.service.feed.newest_seq and not self.service.is_ahead(request):
            raise _form(
                request, "a cursor that has been published", "after= is the newest seq you have", where
            )


class ShortPollingConnection(ServerConnection):
    """Answers at once, also if there is nothing new."""

    transport = "short_polling"

    def _begin(self, request: Request) -> None:
        delivery = self._deliver(self._cursor(request))
        self.service.empty_answers += delivery.body == b"[]"
        more = f"Ticks-Missed: {delivery.missed}\r\n" if delivery.missed else ""
        more += f"Ticks-Waiting: {delivery.waiting}\r\n" if delivery.waiting else ""
        self._answer(delivery.body + self.service.body_end, more=more)

    def wake(self) -> None:
        """Send nothing: nobody has asked."""


class LongPollingConnection(ShortPollingConnection):
    """Holds a request until there is a tick, or the hold is over (RFC 6202, section 2)."""

    transport = "long_polling"
    parameters = ("after", "hold")
    _held: Request | None = None

    def _begin(self, request: Request) -> None:
        hold_s = float(request.query.get("hold", DEFAULT_HOLD_S))
        if hold_s > MAX_HOLD_S:
            raise _form(request, f"a hold of at most {MAX_HOLD_S:g} s", "RFC 6202 tells why", "RFC 6202, 5.5")
        self._held, self.wake_ns = request, request.at_ns + round(hold_s * 1e9)
        self.wake()

    def wake(self) -> None:
        """Answer the held request if its time has come."""
        request = self._held
        if request is None or self.wake_ns is None:
            return
        if self.service.feed.newest_seq > self._cursor(request) or self.service.clock() >= self.wake_ns:
            self._held = self.wake_ns = None
            super()._begin(request)


class LineStreamConnection(ServerConnection):
    """One answer without an end (RFC 6202, section 3): lines of JSON, in chunks (RFC 9112, section 7.1)."""

    transport = "http_streaming"
    pushes = True
    _sent_seq: int | None = None

    def _begin(self, request: Request) -> None:
        if self.under_way:
            raise _asks_within_a_stream(request)
        self.outbox += (
            f"HTTP/1.1 200 OK\r\n{self.service.content_type}\r\nCache-Control: no-store\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        ).encode()
        self._sent_seq = self._cursor(request)
        self.wake()

    @property
    def under_way(self) -> bool:
        """Whether the answer has begun, and has not ended."""
        return self._sent_seq is not None

    def say(self, *lines: bytes) -> None:
        """Send lines."""
        self._send(b"".join(line + self.service.line_end for line in lines))

    def end(self, unfinished_line: bytes) -> None:
        """End the answer, as a server does that stops; the connection stays."""
        self._send(unfinished_line)
        self.outbox += b"0\r\n\r\n"
        self._sent_seq = None

    def _send(self, data: bytes) -> None:
        chunk_bytes = self.service.chunk_bytes or max(len(data), 1)
        for start in range(0, len(data), chunk_bytes):
            chunk = data[start : start + chunk_bytes]
            self.outbox += b"%x\r\n%b\r\n" % (len(chunk), chunk)

    def wake(self) -> None:
        """Send the ticks that are new."""
        lines = []
        while self._sent_seq is not None and self._sent_seq < self.service.feed.newest_seq:
            delivery = self._deliver(self._sent_seq)
            self._sent_seq = delivery.last_seq
            if delivery.missed:
                lines.append(msgspec.json.encode(Missed(delivery.missed)))
            lines.append(delivery.body)
        self.say(*lines)


class WebSocketConnection(ServerConnection):
    """A handshake, then a frame per delivery (RFC 6455), by the library's protocol without I/O.

    Attributes:
        frame_bytes: How many bytes the client has sent in frames.
    """

    transport = "websocket"
    pushes = True

    def __init__(self, service: Service) -> None:
        super().__init__(service)
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

    def _refuse(self, request: Request, status: int, sentence: str) -> None:
        """Refuse a bad query by a close, because a browser cannot read the status of a handshake."""
        is_ahead = status == HTTPStatus.BAD_REQUEST and self.service.is_ahead(request)
        is_full = status == HTTPStatus.SERVICE_UNAVAILABLE and self.service.closes_when_full
        if not (is_ahead or is_full):
            super()._refuse(request, status, sentence)
            return
        self._shake_hands(request)
        self.protocol.send_close(BAD_QUERY if is_ahead else TRY_AGAIN_LATER, sentence)
        self._flush()
        self.closed = True

    def _begin(self, request: Request) -> None:
        self._shake_hands(request)
        self._open, self._sent_seq = True, self._cursor(request)
        self.wake()

    def _shake_hands(self, request: Request) -> None:
        self.protocol.receive_data(request.raw)
        requests = [event for event in self.protocol.events_received() if isinstance(event, Handshake)]
        response = self.protocol.accept(requests[0]) if requests else None
        if response is None or response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            raise _form(
                request,
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
        while self._open and self._sent_seq < self.service.feed.newest_seq:
            delivery = self._deliver(self._sent_seq)
            self._sent_seq = delivery.last_seq
            if delivery.missed:
                self.protocol.send_text(msgspec.json.encode(Missed(delivery.missed)))
            self.protocol.send_text(delivery.body)
        self._flush()

    def _flush(self) -> None:
        self.outbox += b"".join(self.protocol.data_to_send())
        self.closed = self.closed or self.protocol.close_expected()


CONNECTIONS: dict[str, type[ServerConnection]] = {
    connection.transport: connection
    for connection in (
        ShortPollingConnection,
        LongPollingConnection,
        LineStreamConnection,
        WebSocketConnection,
    )
}


def read_request(raw: bytes, at_ns: int) -> Request:
    """Read the head of a request (RFC 9112, section 3).

    Raises:
        Fault: If it is none.
    """
    line, *fields = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = line.split(" ")
    headers = {name.lower(): text.strip() for name, _, text in (field.partition(":") for field in fields)}
    request = Request(raw, words[1] if len(words) > 1 else "", headers, at_ns)
    if len(words) != 3 or words[0] != "GET" or words[2] != "HTTP/1.1" or "host" not in headers:
        raise _form(
            request,
            "GET /ticks HTTP/1.1, then a Host header, each line ended by \\r\\n",
            "the example in RFC 9110, section 9.3.1, is one; print(repr(…)) shows what you send",
            "RFC 9112, sections 3 and 3.2",
        )
    return request


def _asks_by_message(data: bytes) -> Fault:
    return Fault(
        "it asks by messages",
        seen=f"a message {data[:60]!r}",
        expected="none: the cursor is in the address of the handshake, and then the server pushes",
        where="README, Three ways to the same tick",
        hint="a client of push listens; a question for each tick would be polling again",
    )


def _asks_within_a_stream(request: Request) -> Fault:
    return Fault(
        "it asks again while it is answered",
        seen=request.raw.partition(b"\r\n")[0].decode("latin-1"),
        expected="one request, whose answer goes on",
        where="RFC 6202, section 3.1",
        hint="the next request is read when the answer has ended; a question for each tick would be polling",
    )


def _form(request: Request, expected: str, hint: str, where: str) -> Fault:
    line = request.raw.partition(b"\r\n")[0].decode("latin-1")
    return Fault("it does not ask in the right form", seen=line, expected=expected, hint=hint, where=where)
