"""Exercise 14: a WebSocket client without I/O that notices a dead connection. It reads, and waits for ever.

Grade it with ``bench grade watchful_client.py``. Whoever drives it looks at two attributes after each call:
``wants_connection`` (True: connect, or stay connected; False: end what there is) and ``deadline_ns`` (when
``on_deadline`` is to be called; None: never).
"""

import json

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from clients.base import ServerError

TRANSPORT = "websocket"


class WatchfulClient:
    """A client that gives up a dead connection, and no slow one; ``rng`` is its own random.Random."""

    def __init__(self, address, heartbeat_s, rng):
        self._address, self._heartbeat_s, self._rng = address, heartbeat_s, rng
        self.cursor = None
        self.wants_connection = True
        self.deadline_ns = None

    # To do: these five. None of them waits; they set wants_connection and deadline_ns.

    def connecting(self, now_ns):
        """Take note that a connection was asked for; it may open soon, late, or never."""

    def connected(self, now_ns):
        """Take note that the connection is open, and begin on it."""
        self._shake_hands()

    def receive_data(self, data, now_ns):
        """Take bytes; return the ticks that are whole now (dicts with a ``seq``)."""
        return self._read(data)

    def disconnected(self, now_ns):
        """Take note that others have ended the connection, or refused it; not called if you gave it up."""

    def on_deadline(self, now_ns):
        """Do what was to be done at deadline_ns."""
        self.deadline_ns = None

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
