"""What happens to a client's connections, one row each: asked for, opened, and why each came to its end."""

import errno
import struct
from enum import IntEnum

SOCKET_FIELDS = ("client", "at_ns", "what")
"""A row of int64: the client's number, the instant on the bench clock, and a SocketEvent."""

pack_socket = struct.Struct(f"@{len(SOCKET_FIELDS)}q").pack


class SocketEvent(IntEnum):
    """What happened to a connection. Each begins as ASKED, and has one end at most: all from ENDED on.

    So a client's open and coming connections are its ASKED − its ends: 0 or 1.
    """

    ASKED = 0
    """The client has begun to connect."""
    OPENED = 1
    """The connection can be used: TCP's stands, and so does TLS upon it."""
    ENDED = 10
    """The server closed it (FIN)."""
    RESET = 11
    """The other end knows of no such connection (RST)."""
    TIMED_OUT = 12
    """TCP gave up: what was sent was not acknowledged in time."""
    REFUSED = 13
    """Nobody listens at this port (RST in answer to SYN)."""
    UNREACHABLE = 14
    """There is no way to the server."""
    SILENT = 15
    """The client had heard nothing for longer than it would wait, and closed it."""
    REFUSAL = 16
    """The server said no, or broke the protocol."""
    DONE = 17
    """It was closed as it should be: the answer was the last on it, or the client went."""

    @property
    def is_end(self) -> bool:
        """Whether it is the end of a connection."""
        return self >= SocketEvent.ENDED


_END_BY_ERRNO = {
    errno.ECONNABORTED: SocketEvent.ENDED,  # no kernel's word here, but that of clients/sockets/tls_socket.py
    errno.ECONNRESET: SocketEvent.RESET,
    errno.EPIPE: SocketEvent.RESET,
    errno.ETIMEDOUT: SocketEvent.TIMED_OUT,
    errno.ECONNREFUSED: SocketEvent.REFUSED,
}


def end_by_errno(number: int | None) -> SocketEvent:
    """Return why a connection ended, from the error's number (errno(3), tcp(7)).

    An error without a number is one that TLS found: the peer broke the protocol, or is not trusted. All that
    is not listed (EHOSTUNREACH, ENETUNREACH, ENETDOWN and the like) means that there is no way.
    """
    return SocketEvent.REFUSAL if number is None else _END_BY_ERRNO.get(number, SocketEvent.UNREACHABLE)
