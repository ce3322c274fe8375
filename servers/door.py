"""Who gets in: how many connections a server can hold, and how long a client may take to ask.

Whoever opens connections and says nothing, or half a sentence, takes places and memory from others. So every
connection counts, and one that has not asked in time is closed. The system has a bound of its own, the number
of open files: a server that does not keep clear of it stops accepting, without a word.
"""

import asyncio
import json
import resource
import sys

HEAD_TIMEOUT_S = 10.0
"""How long a client may take for the head of its first request; it is the default of ``websockets``, too."""
MAX_HEAD_BYTES = 16 * 1024
"""A longer head is refused where the library has no bound; browsers and other servers stop at 8 to 16 KiB."""
SPARE_CONNECTIONS = 16
"""Connections beyond those of clients: for ``/health``, and for whoever is just being refused."""
RETRY_AFTER_S = 5
"""When a client that finds the server full may come again; beside HTTP's 503 (RFC 9110, section 15.6.4)."""
OTHER_FILES = 20
"""Open files that are no connections: standard ones, the listener, what the event loop needs."""


def raise_descriptor_limit() -> int:
    """Raise this process's limit of open files as far as it may, and return it (getrlimit(2))."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return sys.maxsize
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def clients_that_fit(max_clients: int, open_files: int) -> int:
    """Return how many clients are served: as many as asked for, or fewer, as the open files allow."""
    return max(min(max_clients, open_files - OTHER_FILES - SPARE_CONNECTIONS), 1)


class Door:
    """Counts connections and clients, and says once on standard error that the server is full."""

    def __init__(self, max_clients: int) -> None:
        self.max_clients = max_clients
        self.sentence = f"{max_clients} clients are connected, the most allowed; try later"
        self._told = False

    def has_room_for_a_client(self, clients: int) -> bool:
        """Return whether one more client is served beside so many."""
        return clients < self.max_clients or self._refuse()

    def has_room_for_a_connection(self, connections: int) -> bool:
        """Return whether one more connection is looked at beside so many, whatever it will ask for."""
        return connections < self.max_clients + SPARE_CONNECTIONS or self._refuse()

    def _refuse(self) -> bool:
        if not self._told:
            self._told = True
            print(f"the server is full: {self.sentence}", file=sys.stderr, flush=True)
        return False


class Full(asyncio.Protocol):
    """A connection that is one too many: it is told so, and closed."""

    def __init__(self, sentence: str) -> None:
        body = json.dumps({"error": sentence})
        self._answer = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            f"Retry-After: {RETRY_AFTER_S}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer without a question."""
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        transport.write(self._answer)
        transport.close()
