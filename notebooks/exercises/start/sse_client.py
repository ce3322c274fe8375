"""Exercise 11, a client for server-sent events without I/O (WHATWG HTML, sections 9.2.5 and 9.2.6).

It asks, and understands nothing yet. Grade it with ``bench grade sse_client.py``, and the pair with
``bench grade sse_server.py sse_client.py``.
"""

import httptools

from clients.base import TickClient

TRANSPORT = "server_sent_events"


class Client(TickClient):
    """A client for server-sent events."""

    settings = ()

    def connected(self, now_ns):
        """Ask once: the answer has no end."""
        self._parser = httptools.HttpResponseParser(self)  # calls on_body with the stream, out of its chunks
        self.ready, self.ready_ns = True, now_ns
        self.requests += 1
        host, port, path = self._address
        self.outbox = (
            f"GET {path}{self._query()} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()

    def disconnected(self):
        """Be ready to connect again."""
        self.ready = False

    def receive_data(self, data, arrived_ns):
        """Take bytes of the stream; return the ticks of the events that are whole now."""
        # To do: feed the parser; collect in on_body(self, body) what it calls you with; cut it into lines,
        # which end by \n, \r\n or \r; an empty line ends an event; self._read(array) makes ticks of its data.
        return ()
