"""Exercise 11, a client for HTTP streaming without I/O (RFC 6202, section 3).

It asks, and understands nothing yet. Grade it with ``bench grade stream_client.py``, and the pair with
``bench grade stream_server.py stream_client.py``.
"""

import httptools

from clients.base import TickClient

TRANSPORT = "http_streaming"


class Client(TickClient):
    """A client for HTTP streaming."""

    settings = ()

    def connected(self, now_ns):
        """Ask once: the answer has no end."""
        self._parser = httptools.HttpResponseParser(self)  # calls on_body with the stream, out of its chunks
        self.ready, self.ready_ns = True, now_ns
        self.requests += 1
        host, port, path = self._address
        self.outbox = f"GET {path}{self._query()} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()

    def disconnected(self):
        """Be ready to connect again."""
        self.ready = False

    def receive_data(self, data, arrived_ns):
        """Take bytes of the stream; return the ticks of the lines that are whole now."""
        # To do: feed the parser; collect in on_body(self, body) what it calls you with; cut that into lines;
        # self._read(array) makes ticks of one. on_message_complete(self) is called when the answer has ended.
        return ()
