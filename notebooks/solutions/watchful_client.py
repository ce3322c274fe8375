"""Exercise 14: a WebSocket client without I/O that gives up a dead connection, and no slow one."""

import json

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from clients.base import ServerError

TRANSPORT = "websocket"
PATIENCE_HEARTBEATS = 2.5
"""A live server may be silent for so many heartbeats."""
LAST_LOOK_HEARTBEATS = 0.5
"""Then there is so much time more to read what came while this process itself stood still."""
ATTEMPT_S = 5.0
"""Two lost packets delay the opening by 1 s and 2 s (RFC 6298, sections 2 and 5.5); then there is the way."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


class WatchfulClient:
    """A client that gives up a dead connection, and no slow one; ``rng`` is its own random.Random."""

    def __init__(self, address, heartbeat_s, rng):
        self._address, self._heartbeat_s, self._rng = address, heartbeat_s, rng
        self.cursor = None
        self.wants_connection = True
        self.deadline_ns = None
        self._failures = 0
        self._looks_again = False

    def connecting(self, now_ns):
        """Give the attempt its time: no heartbeat can come yet."""
        self._looks_again = False
        self._wait(now_ns, ATTEMPT_S)

    def connected(self, now_ns):
        """Begin, and listen from now on: whoever opens a connection has still to say something."""
        self._shake_hands()
        self._listen(now_ns)

    def receive_data(self, data, now_ns):
        """Take bytes, each of which is a sign of life; return the ticks that are whole now."""
        self._listen(now_ns)
        ticks = self._read(data)
        if self.frames:
            self._failures = 0  # it works; that a connection opens, or is refused by HTTP, does not say so
        for tick in ticks:
            self.cursor = tick["seq"]
        return ticks

    def disconnected(self, now_ns):
        """Pause before the next attempt."""
        self._pause(now_ns)

    def on_deadline(self, now_ns):
        """End a pause, or give up: an attempt at once, a connection after a last look."""
        if not self.wants_connection:
            self.wants_connection = True
        elif self._looks_again:
            self._looks_again = False
            self._wait(now_ns, LAST_LOOK_HEARTBEATS * self._heartbeat_s)
        else:
            self._pause(now_ns)

    def _listen(self, now_ns):
        self._looks_again = True
        self._wait(now_ns, PATIENCE_HEARTBEATS * self._heartbeat_s)

    def _pause(self, now_ns):
        """Want no connection for a while: at random, up to a limit that doubles with each failure."""
        self.wants_connection = False
        limit_s = min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), LONGEST_PAUSE_S)
        self._failures += 1
        self._wait(now_ns, self._rng.uniform(0, limit_s))

    def _wait(self, now_ns, seconds):
        self.deadline_ns = now_ns + round(seconds * 1e9)

    # Given: the protocol (RFC 6455)

    def data_to_send(self):
        """Return the bytes to be sent, and forget them."""
        return b"".join(self._protocol.data_to_send())

    def _shake_hands(self):
        """Begin on a new connection: ask for the ticks after the cursor."""
        host, port, path = self._address
        query = "" if self.cursor is None else f"?after={self.cursor}"
        self._protocol = ClientProtocol(parse_uri(f"ws://{host}:{port}{path}{query}"))
        self._protocol.send_request(self._protocol.connect())
        self.frames = 0  # ticks and pings that have come whole on this connection

    def _read(self, data):
        """Return the ticks of the messages that are whole now; the protocol answers pings by itself."""
        self._protocol.receive_data(data)
        if self._protocol.handshake_exc is not None:
            raise ServerError(f"no WebSocket: {self._protocol.handshake_exc}")
        ticks = []
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode is not Opcode.CLOSE:
                self.frames += 1
                if frame.opcode is Opcode.TEXT and frame.data.startswith(b"["):
                    ticks += json.loads(frame.data)
        return ticks
