"""Exercise 8, a client for long polling without I/O: bytes in, ticks and bytes out.

It takes each read for a whole answer, which TCP does not promise. Write it without clients/http.py, and
grade it with ``bench grade long_polling_client.py``.
"""

from clients.base import TickClient

TRANSPORT = "long_polling"


class Client(TickClient):
    """A long-polling client."""

    settings = ("hold_s",)
    pulls = True

    def __init__(self, address, *, hold_s=30.0, **options):
        super().__init__(address, **options)
        self._hold_s = hold_s

    def connected(self, now_ns):
        """Ask on the new connection."""
        self.ready, self.ready_ns = True, now_ns
        self._ask(now_ns)

    def disconnected(self):
        """Be ready to connect again."""
        self.ready = False

    def receive_data(self, data, arrived_ns):
        """Take bytes of the answer; return its ticks once it is whole."""
        # To do: keep bytes until the head (it ends with an empty line) and Content-Length bytes of body are
        # there (RFC 9112, section 6); raise ServerError for a status other than 200, and for whatever you
        # cannot read (no Content-Length, chunks, no JSON); count messages and empty_responses; then ask again
        # at once.
        _, _, body = data.partition(b"\r\n\r\n")
        return self._read(body)

    def _ask(self, due_ns):
        self.requests += 1
        self.request_due_ns = due_ns
        host, port, path = self._address
        # To do: the cursor, if there is one.
        self.outbox = f"GET {path}?hold={self._hold_s:g} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
