"""Event streams by the letter of WHATWG HTML, sections 9.2.5 and 9.2.6, however they are cut."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.base import ServerError
from clients.event_stream import BYTE_ORDER_MARK, LARGEST_EVENT_BYTES, Event, EventStreamParser


def events(stream: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [tuple(event) for event in EventStreamParser().receive_data(stream)]


def message(data: bytes, last_event_id: bytes = b"") -> tuple[bytes, bytes, bytes]:
    return (b"message", data, last_event_id)


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        # the examples of the standard
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [message(b"YHOO\n+2\n10")]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
         [message(b"first event", b"1"), message(b"second event")]),
        (b"data\n\ndata\ndata\n\ndata:", [message(b""), message(b"\n")]),
        (b"data:test\n\ndata: test\n\n", [message(b"test")] * 2),
        (b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
         [(b"add", b"73857293", b""), (b"remove", b"2153", b"")]),
        # line ends, and what stands before the first line
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", [message(b"a"), message(b"b"), message(b"c")]),
        (BYTE_ORDER_MARK + b"data: a\n\n", [message(b"a")]),
        (BYTE_ORDER_MARK * 2 + b"data: a\n\n", []),
        # fields
        (b"data: a:b: c\n\n", [message(b"a:b: c")]),
        (b"Data: a\n data: b\nfoo: c\ndata : d\n\n", []),
        (b"event: x\n\ndata: a\n\n", [message(b"a")]),
        (b"event: x\nevent\ndata: a\n\n", [message(b"a")]),
        (b"id: 1\nid: 2\0\ndata: a\n\n", [message(b"a", b"1")]),
        (b"id: 7\n\ndata: a\n\ndata: b\n\n", [message(b"a", b"7"), message(b"b", b"7")]),
    ],
)  # fmt: skip
def test_events(stream: bytes, told: list[tuple[bytes, bytes, bytes]]) -> None:
    assert events(stream) == told


@pytest.mark.parametrize(
    ("lines", "retry_ms"),
    [(b"retry: 5\n", 5), (b"retry:05\n", 5), (b"retry: 5\nretry: +6\nretry: 7s\nretry\nretry: -1\n", 5),
     (b"retry: 1.5\n", None), ("retry: ٣\n".encode(), None)],
)  # fmt: skip
def test_how_long_to_wait_is_told_in_digits_only(lines: bytes, retry_ms: int | None) -> None:
    parser = EventStreamParser()
    parser.receive_data(lines)
    assert parser.retry_ms == retry_ms


def test_the_id_of_an_event_without_end_does_not_count() -> None:
    parser = EventStreamParser()
    parser.receive_data(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")
    assert parser.last_event_id == b"1"
    parser.receive_data(b"\n")
    assert parser.last_event_id == b"2"


def test_an_event_does_not_wait_for_a_line_feed_that_may_never_come() -> None:
    parser = EventStreamParser()
    assert len(parser.receive_data(b"data: a\r\r")) == 1
    assert parser.receive_data(b"\ndata: b\n") == []
    assert parser.receive_data(b"\n") == [Event(b"message", b"b", b"")]


@pytest.mark.parametrize("end", [b"\n", b""], ids=["lines", "a line"])
def test_an_event_without_bound_is_a_servers_error(end: bytes) -> None:
    parser, half = EventStreamParser(), b"data: " + b"x" * (LARGEST_EVENT_BYTES // 2 + 1) + end
    parser.receive_data(half)
    with pytest.raises(ServerError, match="an event of over 1 MiB"):
        parser.receive_data(half)


# However it is cut

pieces = st.sampled_from(
    [b"data", b"id", b"event", b"retry", b"foo", b":", b": ", b"\0", b"1", b"x", b"\n", b"\r", b"\r\n",
     b"\n\n", b"\r\r", b"\xef\xbb\xbf", b"\xef", b"data: a\n\n", b"id: 3\ndata: b\r\n\r\n"]
)  # fmt: skip
streams = st.lists(pieces, max_size=25).map(b"".join)


def by_the_letter(stream: bytes) -> tuple[list[tuple[bytes, bytes, bytes]], bytes, int | None]:
    """Return events, last id and retry as the standard words it: the whole stream at once, line by line."""
    stream = stream.removeprefix(BYTE_ORDER_MARK)
    *lines, _ = re.split(rb"\r\n|\n|\r", stream)
    told, data, kind, buffered_id, last_id, retry_ms = [], b"", b"", b"", b"", None
    for line in lines:
        if line == b"":
            last_id = buffered_id
            if data:
                told.append((kind or b"message", data[:-1], last_id))
            data = kind = b""
            continue
        field, colon, value = line.partition(b":")
        if colon and not field:
            continue
        if value.startswith(b" "):
            value = value[1:]
        if field == b"event":
            kind = value
        elif field == b"data":
            data += value + b"\n"
        elif field == b"id" and 0 not in value:
            buffered_id = value
        elif field == b"retry" and re.fullmatch(rb"[0-9]+", value):
            retry_ms = int(value)
    return told, last_id, retry_ms


@given(stream=streams, cuts=st.lists(st.integers(0, 60), max_size=8))
def test_a_stream_may_be_cut_anywhere(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    parser, told = EventStreamParser(), []
    for start, end in itertools.pairwise(places):
        told += [tuple(event) for event in parser.receive_data(stream[start:end])]
    assert (told, parser.last_event_id, parser.retry_ms) == by_the_letter(stream)


@given(stream=streams)
def test_a_stream_may_come_byte_by_byte(stream: bytes) -> None:
    parser, told = EventStreamParser(), []
    for place in range(len(stream)):
        told += [tuple(event) for event in parser.receive_data(stream[place : place + 1])]
    assert (told, parser.last_event_id, parser.retry_ms) == by_the_letter(stream)
