"""What HTTP/2 would make of the same headers: computed, never measured here.

HPACK (RFC 7541) keeps the headers of a connection in a table on both sides, so a header that was sent once
costs a byte or two from then on. Each request is one HEADERS frame; each response HEADERS and DATA.
"""

import math
from collections.abc import Sequence

from hpack import Encoder

from clients.base import Address
from clients.headers import header_lines
from servers.base import ANSWER_HEADERS

FRAME_HEADER_BYTES = 9
"""RFC 9113, section 4.1."""
MAX_FRAME_BYTES = 16_384
"""SETTINGS_MAX_FRAME_SIZE unless agreed otherwise (RFC 9113, section 6.5.2)."""
CONNECTION_HEADERS = ("host", "connection")
"""Not sent in HTTP/2: the one became :authority (RFC 9113, 8.3.1), the other is forbidden (8.2.2)."""

Headers = list[tuple[str, str]]


def http2_request_headers(headers: str, address: Address, query: str, *, cookie_bytes: int = 0) -> Headers:
    """Return the headers of a request for ticks as HTTP/2 has them: pseudo-headers, then lower-case names.

    Args:
        headers: Header set, ``minimal`` or ``browser``.
        address: The server.
        query: The query with its question mark, such as ``?after=7``.
        cookie_bytes: Length of the cookie's value.
    """
    lines = header_lines(headers, address, cookie_bytes=cookie_bytes).splitlines()
    named = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
    return [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", dict(named)["host"]),
        (":path", address.path + query),
        *((name, value) for name, value in named if name not in CONNECTION_HEADERS),
    ]


def http2_response_headers(body_bytes: int, *, date: str, server: str) -> Headers:
    """Return the headers of an answer, the same as the aiohttp servers send by HTTP/1.1."""
    return [
        (":status", "200"),
        *((name.lower(), value) for name, value in ANSWER_HEADERS.items()),
        ("content-type", "application/json"),
        ("content-length", str(body_bytes)),
        ("date", date),
        ("server", server),
    ]


def computed_header_blocks(messages: Sequence[Headers]) -> list[bytes]:
    """Return the HPACK header block of each message, sent one after the other on one connection."""
    encoder = Encoder()
    return [encoder.encode(headers) for headers in messages]


def computed_request_bytes(
    headers: str, cursors: Sequence[int], address: Address, *, cookie_bytes: int = 0
) -> list[int]:
    """Return the size of each of a connection's requests, one for each cursor: HEADERS and nothing else."""
    requests = [
        http2_request_headers(headers, address, f"?after={cursor}", cookie_bytes=cookie_bytes)
        for cursor in cursors
    ]
    return [FRAME_HEADER_BYTES + len(block) for block in computed_header_blocks(requests)]


def computed_response_bytes(bodies_bytes: Sequence[int], *, dates: Sequence[str], server: str) -> list[int]:
    """Return the size of each of a connection's answers: HEADERS, DATA, and the body.

    Args:
        bodies_bytes: Size of each body; a DATA frame takes 16,384 bytes of it.
        dates: The Date header of each: a new second costs it anew.
        server: The Server header.
    """
    answers = [
        http2_response_headers(size, date=date, server=server)
        for size, date in zip(bodies_bytes, dates, strict=True)
    ]
    return [
        FRAME_HEADER_BYTES * (1 + math.ceil(size / MAX_FRAME_BYTES)) + len(block) + size
        for block, size in zip(computed_header_blocks(answers), bodies_bytes, strict=True)
    ]
