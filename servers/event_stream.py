"""What the servers of event streams share, whatever their library: how ticks are said as events, and to whom.

Source: WHATWG HTML, section 9.2.
"""

from collections.abc import Mapping

from multidict import MultiDict

from servers.base import BadRequest, parse_query
from servers.feed import Delivery, Feed

STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}
"""No cache may keep a stream, and no proxy may hold it back: neither to compress it (``no-transform``, RFC
9111, section 5.2.2.6), nor to fill a buffer first (nginx, proxy_buffering)."""
RETRY_MS = 2000
"""How long a browser waits before it comes back. Each has a default of its own, of a few seconds."""
COMMENT = b":\n"
"""A heartbeat (section 9.2.7)."""
SCRIPT = "event_source.js"
"""What the page at ``/`` asks by (servers/browser/page.py)."""


class Events:
    """The deliveries of a feed as events: each is encoded once, for all clients that are sent it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._encoded: tuple[Delivery | None, bytes] = (None, b"")

    def after(self, cursor: int) -> tuple[bytes, int]:
        """Return what a client is to be sent next, and its cursor after that."""
        delivery = self._feed.after(cursor)
        if self._encoded[0] is not delivery:
            self._encoded = (delivery, encode_event(cursor, delivery))
        return self._encoded[1], delivery.last_seq


def opening(cursor: int) -> bytes:
    """Return what a stream begins with: when to come back, and from where if no event has come by then."""
    return b"retry: %d\nid: %d\n\n" % (RETRY_MS, cursor)


def encode_event(cursor: int, delivery: Delivery) -> bytes:
    """Encode what comes after a cursor; what the history no longer has is told in an event before it.

    That one, too, moves the ``id``, by just what it tells of: whoever is cut off behind it is not told twice.
    """
    told = b""
    if delivery.missed:
        last_missed = cursor + delivery.missed
        told = b'event: missed\nid: %d\ndata: {"missed":%d}\n\n' % (last_missed, delivery.missed)
    return told + b"id: %d\ndata: %b\n\n" % (delivery.last_seq, delivery.body)


def read_cursor(headers: Mapping[str, str], query: Mapping[str, str], feed: Feed) -> int:
    """Return the cursor that a request begins from: by its Last-Event-ID, or else by its query.

    The header is newer. EventSource comes back with the address of its first request (section 9.2.3).

    Raises:
        BadRequest: If what it says is no cursor.
    """
    if "Last-Event-ID" not in headers:
        return parse_query(query, feed).cursor
    resumed = MultiDict(query)
    resumed["after"] = headers["Last-Event-ID"]
    try:
        return parse_query(resumed, feed).cursor
    except BadRequest as bad:
        raise BadRequest(f"with Last-Event-ID as after: {bad}") from bad
