"""The solution of exercise 11: lines come whole, however a stream is cut; what is no line is a sentence."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.base import Address, ServerError
from tests.bench.course.test_solutions import load_solution

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def array(*seqs: int) -> bytes:
    ticks = [{"seq": seq, "due_ns": seq, "symbol": "A]\\n", "price": 1.0, "padding": ""} for seq in seqs]
    return json.dumps(ticks).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


def stream_client() -> Any:
    client = load_solution("stream_client").Client(Address("127.0.0.1", 1))
    client.connected(0)
    client.data_to_send()
    return client


PLACES = st.lists(st.integers(0, 600), max_size=12)


@given(chunks=PLACES, reads=PLACES, line_end=st.sampled_from([b"\n", b"\r\n"]))
def test_lines_come_whole_however_the_stream_was_cut(
    chunks: list[int], reads: list[int], line_end: bytes
) -> None:
    lines = (array(3), b"", b'{"missed":4}', array(8, 9), b"", array(10))
    stream = b"".join(line + line_end for line in lines) + array(11)[:-9]
    answer = HEAD + b"".join(chunk(piece) for piece in cut(stream, chunks)) + LAST_CHUNK
    client, seqs = stream_client(), []
    for data in cut(answer, reads):
        assert not client.done_with_connection
        seqs += [tick.seq for tick in client.receive_data(data, 0)]
    assert seqs == [3, 8, 9, 10]
    assert (client.cursor, client.messages, client.done_with_connection) == (10, 3, True)
    client.disconnected()
    client.connected(0)
    assert b"?after=10 " in client.data_to_send()
    assert [tick.seq for tick in client.receive_data(HEAD + chunk(array(11) + b"\n"), 0)] == [11]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        HEAD + b"no length\r\n[]\n\r\n",
        HEAD + chunk(b"null\n"),
        HEAD + chunk(b'{"missed":true or not}\n'),
        HEAD + chunk(b"[" * 100_000 + b"\n"),
        HEAD + chunk(b'{"missed":' * 100_000 + b"\n"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
    ],
    ids=["ssh", "length", "null", "missed", "nested", "nested_missed", "type", "upgrade", "gateway"],
)
def test_what_cannot_be_read_is_a_sentence(answer: bytes) -> None:
    with pytest.raises(ServerError, match=r"."):
        stream_client().receive_data(answer, 0)


@given(
    data=st.one_of(st.binary(max_size=80), st.binary(min_size=1, max_size=30).map(lambda b: HEAD + chunk(b)))
)
def test_whatever_comes_is_ticks_or_a_sentence(data: bytes) -> None:
    with contextlib.suppress(ServerError):
        assert list(stream_client().receive_data(data, 0)) == []


def test_a_cursor_that_is_refused_is_forgotten() -> None:
    client = stream_client()
    client.receive_data(HEAD + chunk(array(7) + b"\n"), 0)
    client.disconnected()
    client.connected(0)
    assert b"after=7" in client.data_to_send()
    with pytest.raises(ServerError, match="HTTP 400: start anew"):
        client.receive_data(
            b'HTTP/1.1 400 Bad Request\r\nContent-Length: 22\r\n\r\n{"error":"start anew"}', 0
        )
    client.disconnected()
    client.connected(0)
    assert b"after=" not in client.data_to_send()
