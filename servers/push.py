"""What the WebSocket servers share, whatever their library: whom they serve, what they tell the others."""

import json
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from servers.base import HEALTH_PATH, PATH, BadRequest, health, parse_query
from servers.feed import Feed

MAX_MESSAGE_BYTES = 1024
"""Clients have nothing to say here; a longer message is refused with close code 1009 (RFC 6455, 7.4.1)."""
GOING_AWAY, STOPPING = 1001, "the server is stopping"
TRY_AGAIN_LATER = 1013
BAD_QUERY = 4400
"""Close code of a bad query, after HTTP's 400: 4000–4999 are for applications (RFC 6455, 7.4.2)."""
STOP_TIMEOUT_S = 5.0


class Refused(Exception):
    """A client that is not served: the close code and the reason that it is told."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")  # a control frame's room (RFC 6455, 5.5)


def admit(target: str, feed: Feed, clients: int, max_clients: int) -> int:
    """Return the cursor of a client that asked for the target, while so many others are connected.

    Raises:
        Refused: If there are too many clients, or its query cannot be answered.
    """
    if clients >= max_clients:
        raise Refused(TRY_AGAIN_LATER, f"{max_clients} clients are connected, the most allowed")
    try:
        return parse_query(dict(parse_qsl(urlsplit(target).query, keep_blank_values=True)), feed).cursor
    except BadRequest as bad:
        raise Refused(BAD_QUERY, str(bad)) from bad


def plain_answer(target: str, transport: str, feed: Feed, clients: int) -> tuple[HTTPStatus, bytes] | None:
    """Return the plain HTTP answer to what is no WebSocket handshake at /ticks; None goes on with it."""
    address = urlsplit(target)
    if address.path == HEALTH_PATH:
        lags_after = dict(parse_qsl(address.query)).get("lags_after")
        return HTTPStatus.OK, health(transport, feed, clients, lags_after)
    if address.path != PATH:
        sentence = f"there is no {address.path}; ask for {PATH} or {HEALTH_PATH}"
        return HTTPStatus.NOT_FOUND, json.dumps({"error": sentence}).encode()
    return None
