"""What the WebSocket servers share, whatever their library: whom they serve, what they tell the others."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from servers.base import ANSWER_HEADERS, HEALTH_PATH, PATH, BadRequest, health, parse_query
from servers.browser.page import HTML, PAGE_PATH, Page
from servers.door import Door
from servers.feed import Feed
from servers.request_head import WEBSOCKET_VERSION, WrongVersion, check_hosts, check_version, read_target

MAX_MESSAGE_BYTES = 1024
"""Clients have nothing to say here; a longer message is refused with close code 1009 (RFC 6455, 7.4.1)."""
GOING_AWAY, STOPPING = 1001, "the server is stopping"
TRY_AGAIN_LATER = 1013
BAD_QUERY = 4400
"""Close code of a bad query, after HTTP's 400: 4000–4999 are for applications (RFC 6455, 7.4.2)."""
STOP_TIMEOUT_S = 5.0
SCRIPT = "web_socket.js"
"""What the page at ``/`` asks by (servers/browser/page.py)."""
JSON = "application/json; charset=utf-8"


class Refused(Exception):
    """A client that is not served: the close code and the reason that it is told."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")  # a control frame's room (RFC 6455, 5.5)


class PlainAnswer(NamedTuple):
    """An answer of plain HTTP to what goes no further: JSON, or the page."""

    status: HTTPStatus
    body: bytes
    headers: Mapping[str, str] = {}
    content_type: str = JSON


def admit(target: str, feed: Feed, clients: int, door: Door) -> int:
    """Return the cursor of a client that asked for the target, while so many others are connected.

    Raises:
        Refused: If there are too many clients, or its query cannot be answered.
    """
    if not door.has_room_for_a_client(clients):
        raise Refused(TRY_AGAIN_LATER, door.sentence)
    try:
        return parse_query(read_target(target)[1], feed).cursor
    except BadRequest as bad:
        raise Refused(BAD_QUERY, str(bad)) from bad


def plain_answer(
    target: str,
    hosts: Sequence[str],
    versions: Sequence[str],
    *,
    transport: str,
    feed: Feed,
    clients: int,
    page: Page,
) -> PlainAnswer | None:
    """Return the plain answer to what is no WebSocket handshake at /ticks; None goes on with it.

    Args:
        target: Of the request, as it came.
        hosts, versions: Values of its headers Host and Sec-WebSocket-Version, each as often as it came.
        transport, feed, clients: What ``/health`` tells of.
        page: What people are given at ``/``.
    """
    try:
        check_hosts(hosts)
        path, _ = read_target(target)
        if path == HEALTH_PATH:
            return PlainAnswer(HTTPStatus.OK, health(transport, feed, clients))
        if path == PAGE_PATH:
            return PlainAnswer(HTTPStatus.OK, page.body, {**page.headers, **ANSWER_HEADERS}, HTML)
        if path != PATH:
            sentence = f"there is no {path}; ask for {PATH} or {HEALTH_PATH}"
            return PlainAnswer(HTTPStatus.NOT_FOUND, _error(sentence))
        check_version(versions)
    except WrongVersion as wrong:
        headers = {"Sec-WebSocket-Version": WEBSOCKET_VERSION}
        return PlainAnswer(HTTPStatus.UPGRADE_REQUIRED, _error(str(wrong)), headers)
    except BadRequest as bad:
        return PlainAnswer(HTTPStatus.BAD_REQUEST, _error(str(bad)))
    return None


def _error(sentence: str) -> bytes:
    return json.dumps({"error": sentence}).encode()
