"""WebSocket (RFC 6455): a handshake over HTTP, then frames.

``websockets.client.ClientProtocol`` does the handshake and everything unusual: pings, closes, fragments,
errors, compressed messages (RFC 7692). The usual case, a whole plain text frame from the server, is read
here, because it is most of what the swarm does; the property test in tests/clients/test_websocket_client.py
holds the two ways equal.
"""

from collections.abc import Callable
from typing import ClassVar

import msgspec
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from clients.base import Address, ServerError, TickClient, Ticks
from clients.headers import websocket_headers
from servers.wire import Missed, Tick, TickStamp, decode_stamps

WHOLE_TEXT_FRAME = 0x81  # FIN and opcode 1 (RFC 6455, section 5.2)
LARGEST_FRAME_BYTES = 2**20
LONGEST_HEADER_BYTES = 10
LEAST_MEMORY = {"memLevel": 1}
"""zlib's, for the compressor that each connection must have: clients send nothing that is compressed."""


class Client(TickClient):
    """A WebSocket client.

    Args:
        address: The server.
        headers, cookie_bytes: What the handshake carries, see :mod:`clients.headers`.
        compression: Offer permessage-deflate (RFC 7692), in Chrome's words.
        after, decode: See :class:`clients.base.TickClient`.
    """

    settings: ClassVar[tuple[str, ...]] = ("headers", "cookie_bytes", "compression")
    ordinary = "OrdinaryWebSocketClient"
    beginner = "WebSocketUser"
    upgrades = True

    __slots__ = ("_buffer", "_compression", "_fragments", "_handshake_headers", "_protocol")

    def __init__(
        self,
        address: Address,
        *,
        headers: str = "minimal",
        cookie_bytes: int = 0,
        compression: bool = False,
        after: int | None = None,
        decode: Callable[[bytes], Ticks] = decode_stamps,
    ) -> None:
        super().__init__(address, after=after, decode=decode)
        self._handshake_headers = websocket_headers(headers, address, cookie_bytes=cookie_bytes)
        self._compression = compression
        self._buffer = b""
        self._fragments: list[bytes] = []
        self._protocol: ClientProtocol | None = None

    def connected(self, now_ns: int) -> None:
        """Send the handshake, with the cursor in its address."""
        host, port, path = self._address
        address = parse_uri(f"ws://{f'[{host}]' if ':' in host else host}:{port}{path}{self._query()}")
        deflate = ClientPerMessageDeflateFactory(compress_settings=LEAST_MEMORY)
        self._protocol = ClientProtocol(
            address, extensions=[deflate] if self._compression else None, max_size=LARGEST_FRAME_BYTES
        )
        self._buffer, self._fragments, self.ready = b"", [], False
        request = self._protocol.connect()
        for name, value in self._handshake_headers:
            request.headers[name] = value
        self._protocol.send_request(request)
        self.outbox = b"".join(self._protocol.data_to_send())

    def disconnected(self) -> None:
        """Be ready to connect again."""
        self._protocol = None
        self.ready = False

    def receive_data(self, data: bytes, arrived_ns: int) -> Ticks:
        """Take bytes of frames; return the ticks of those that are whole now."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self.ready:
            data = self._shake_hands(data, arrived_ns)
            if not data:
                return ()
        # One whole short frame and nothing else: a tick of up to 125 bytes, or up to 64 KiB.
        length = len(data)
        if length > 1 and data[0] == WHOLE_TEXT_FRAME and not self._fragments:
            if data[1] == length - 2 < 126:
                self.stamp_shared = False
                return self._take_message(data[2:])
            if length >= 4 and data[1] == 126 and (data[2] << 8 | data[3]) == length - 4:
                self.stamp_shared = False
                return self._take_message(data[4:])
        return self._split(data)

    def _split(self, data: bytes) -> Ticks:
        """Cut bytes into frames, keep a part of one for later, and take the whole ones."""
        ticks: list[TickStamp | Tick] = []
        messages = self.messages
        start, end, message_end = 0, len(data), 0
        while start < end:
            frame_end = frame_length(data, start) + start
            oversized = frame_end - start > LARGEST_FRAME_BYTES + LONGEST_HEADER_BYTES
            if oversized:
                frame_end = end  # ClientProtocol refuses it by its header
            elif frame_end > end or frame_end == start:
                break
            taken = self.messages
            try:
                ticks.extend(self._take_frame(data[start:frame_end], oversized))
            except ServerError as error:
                error.ticks = ticks
                raise
            if self.messages > taken:
                message_end = frame_end
            start = frame_end
        self._buffer = data[start:]
        completed = self.messages - messages
        self.stamp_shared = completed > 1 or (completed == 1 and message_end < end)
        return ticks

    def _take_frame(self, frame: bytes, oversized: bool) -> Ticks:
        """Take one frame, by the short way if it is a plain one."""
        if frame[0] == WHOLE_TEXT_FRAME and frame[1] < 0x80 and not self._fragments and not oversized:
            return self._take_message(frame[{126: 4, 127: 10}.get(frame[1], 2) :])
        return self._take_unusual(frame)

    def _take_message(self, message: bytes) -> Ticks:
        self.messages += 1
        if message.startswith(b"{"):
            self._told_missed(message)
            return ()
        return self._read(message)

    def _told_missed(self, message: bytes) -> None:
        """Check what the server says beside ticks; the gap is counted at the next tick's seq."""
        try:
            msgspec.json.decode(message, type=Missed)
        except msgspec.MsgspecError as error:
            raise ServerError(f"a message that is no ticks: {error}") from error

    # What ClientProtocol does

    def _shake_hands(self, data: bytes, arrived_ns: int) -> bytes:
        """Take the answer to the handshake; return the bytes behind it."""
        protocol = self._protocol
        assert protocol is not None
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0:
            self._buffer = data
            return b""
        head, rest = data[: head_end + 4], data[head_end + 4 :]
        protocol.receive_data(head)
        if protocol.state is State.OPEN:
            protocol.events_received()
            self.ready, self.ready_ns = True, arrived_ns
            return rest
        protocol.receive_data(rest)
        protocol.receive_eof()
        said = [event for event in protocol.events_received() if isinstance(event, Response)]
        if said:
            raise ServerError(
                f"HTTP {said[0].status_code}: {bytes(said[0].body or b'').decode(errors='replace')}"
            )
        raise ServerError(f"no WebSocket handshake: {protocol.handshake_exc}")

    def _take_unusual(self, frame: bytes) -> Ticks:
        protocol = self._protocol
        assert protocol is not None
        protocol.receive_data(frame)
        self.outbox += b"".join(protocol.data_to_send())
        ticks: list[TickStamp | Tick] = []
        for event in protocol.events_received():
            if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            self._fragments.append(bytes(event.data))
            if event.fin:
                message, self._fragments = b"".join(self._fragments), []
                ticks.extend(self._take_message(message))
        if protocol.parser_exc is not None:
            raise ServerError(f"a frame against RFC 6455: {protocol.parser_exc}")
        if protocol.close_rcvd is not None:
            raise ServerError(f"closed with {protocol.close_rcvd.code}: {protocol.close_rcvd.reason}")
        return ticks


def frame_length(data: bytes, start: int = 0) -> int:
    """Return the length in bytes of the frame that begins at ``start``, or 0 if its header is not whole.

    RFC 6455, section 5.2: two bytes; then two more if the length field is 126, eight if it is 127; then a
    mask of four bytes if the mask bit is set.
    """
    if len(data) < start + 2:
        return 0
    field = data[start + 1] & 0x7F
    mask_bytes = 4 if data[start + 1] & 0x80 else 0
    if field < 126:
        return 2 + mask_bytes + field
    extra_bytes = 2 if field == 126 else 8
    if len(data) < start + 2 + extra_bytes:
        return 0
    payload_bytes = int.from_bytes(data[start + 2 : start + 2 + extra_bytes])
    return 2 + extra_bytes + mask_bytes + payload_bytes
