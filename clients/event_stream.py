"""Event streams (WHATWG HTML, sections 9.2.5 and 9.2.6): bytes in, events out, however they are cut.

    data: an event of one line        ← field "data", value "an event of one line"
                                      ← an empty line ends the event
    : a comment                       ← no field, nothing happens

A line ends with CR LF, LF or CR. A CR that comes last ends its line at once, and the LF that may follow it is
then left out, so no event waits for a byte that never comes.
"""

import re
from typing import NamedTuple

from clients.base import ServerError

LARGEST_EVENT_BYTES = 2**20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_next_line_end = re.compile(rb"\r\n|\n|\r").search


class Event(NamedTuple):
    """An event: its type (``message`` unless it has another), its data, and the last id at that time."""

    type: bytes
    data: bytes
    last_event_id: bytes


class EventStreamParser:
    """Reads one stream.

    Args:
        last_event_id: What was sent as ``Last-Event-ID``. Browsers keep it as the id of events without one.

    Attributes:
        last_event_id: The id to come back with; that of an unfinished event does not count.
        retry_ms: How long to wait before coming back, if the server has said so.
        ends_with_event: Whether the last byte that came was the last of an event.
    """

    __slots__ = (
        "_begun",
        "_data",
        "_id",
        "_line",
        "_skips_lf",
        "_type",
        "ends_with_event",
        "last_event_id",
        "retry_ms",
    )

    def __init__(self, last_event_id: bytes = b"") -> None:
        self.last_event_id = self._id = last_event_id
        self.retry_ms: int | None = None
        self._begun = self._skips_lf = self.ends_with_event = False
        self._line = self._type = b""
        self._data: list[bytes] = []

    @property
    def between_events(self) -> bool:
        """Whether nothing of a line or an event has come that is not finished."""
        return self._begun and not (self._line or self._data or self._type or self._skips_lf)

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes of the stream; return the events that they complete.

        Raises:
            ServerError: If an event is over 1 MiB.
        """
        if self._skips_lf and data:
            self._skips_lf = False
            data = data.removeprefix(b"\n")
        searched = len(self._line)
        data = self._line + data
        if not self._begun:
            if len(data) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(data):
                self._line = data
                return []
            self._begun, searched = True, 0
            data = data.removeprefix(BYTE_ORDER_MARK)
        events: list[Event] = []
        start, event_end = 0, -1
        while (end := _next_line_end(data, max(start, searched))) is not None:
            event = self._take_line(data[start : end.start()])
            start = end.end()
            if event is not None:
                events.append(event)
                event_end = start
        self.ends_with_event = event_end == len(data)
        self._line = data[start:]
        if start:
            self._skips_lf = start == len(data) and data.endswith(b"\r")
        if len(self._line) + sum(map(len, self._data)) > LARGEST_EVENT_BYTES:
            raise ServerError(f"an event of over {LARGEST_EVENT_BYTES >> 20} MiB")
        return events

    def took(self, event_id: bytes) -> None:
        """Take note of an event that was read elsewhere, and of its id."""
        self.last_event_id = self._id = event_id

    def _take_line(self, line: bytes) -> Event | None:
        """Take one line; return the event that an empty one ends."""
        if not line:
            return self._end_event()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit():
            self.retry_ms = int(value)
        return None

    def _end_event(self) -> Event | None:
        """Return what the lines since the last empty one make; nothing, if none of them was data."""
        self.last_event_id = self._id
        lines, self._data = self._data, []
        event_type, self._type = self._type or b"message", b""
        return Event(event_type, b"\n".join(lines), self.last_event_id) if lines else None
