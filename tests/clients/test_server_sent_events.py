"""The client for server-sent events, fed bytes by hand: cut anywhere, wrong, and resumed."""

import itertools
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.base import Address, ServerError
from clients.http import GZIP
from clients.server_sent_events import Client
from servers.event_stream import COMMENT, encode_event, opening
from servers.feed import Delivery
from tests.pollers import array

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\n"
)


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


def event(*seqs: int) -> bytes:
    return encode_event(seqs[0] - 1, Delivery(array(*seqs), seqs[-1]))


def opened(stream: bytes = b"", **options: object) -> Client:
    client = Client(Address("127.0.0.1", 8000), **options)
    client.connected(0)
    client.data_to_send()
    client.receive_data(HEAD + b"\r\n" + stream, 5)
    return client


def question(client: Client) -> tuple[str, dict[str, str]]:
    """Connect; return the address that is asked for, and the headers of the request."""
    client.connected(0)
    first, *lines = client.data_to_send().decode().removesuffix("\r\n\r\n").split("\r\n")
    return first.split()[1], dict(line.split(": ", 1) for line in lines)


def seqs_of(client: Client, data: bytes) -> list[int]:
    return [tick.seq for tick in client.receive_data(data, 9)]


def test_a_stream() -> None:
    client = opened(chunk(opening(4)))
    assert (client.ready, client.ready_ns, client.messages) == (True, 5, 0)
    assert seqs_of(client, chunk(event(5))) == [5]
    assert seqs_of(client, chunk(COMMENT)) == []
    assert seqs_of(client, chunk(event(6, 7)) + chunk(event(8))) == [6, 7, 8]
    assert (client.cursor, client.messages, client.requests, client.outbox) == (8, 3, 0, b"")


def test_the_head_may_come_in_pieces_and_the_client_is_ready_when_it_is_whole() -> None:
    client = Client(Address("127.0.0.1", 8000))
    client.connected(0)
    for place, byte in enumerate(HEAD):
        client.receive_data(bytes([byte]), place)
        assert not client.ready
    client.receive_data(b"\r\n", 77)
    assert (client.ready, client.ready_ns) == (True, 77)


def test_what_the_history_has_lost_is_no_message() -> None:
    client = opened(after=0)
    told = encode_event(0, Delivery(array(9, 10), 10, missed=8))
    assert seqs_of(client, chunk(told)) == [9, 10]
    assert client.messages == 1


def test_events_of_another_type_are_for_others() -> None:
    assert seqs_of(opened(), chunk(b"event: chat\ndata: hello\n\n" + event(3))) == [3]


# However it is cut


@st.composite
def chunked_streams(draw: st.DrawFn) -> bytes:
    """Some events, comments and chunks of them, as our servers write them, or not quite."""
    told, texts = 0, [opening(0)]
    for _ in range(draw(st.integers(0, 4))):
        count = draw(st.integers(1, 3))
        missed = draw(st.sampled_from([0, 0, 2]))
        first = told + missed + 1
        told = first + count - 1
        text = encode_event(first - missed - 1, Delivery(array(*range(first, told + 1)), told, missed))
        change = draw(st.sampled_from([(b"", b"")] * 5 + [(b"\n", b"\r\n"), (b"\n", b"\r"), (b": ", b":")]))
        texts.append(text.replace(*change) if change[0] else text)
        texts.append(draw(st.sampled_from([b"", b"", COMMENT, b": note\n\n", b"id\n", b"id: 1\n"])))
    if draw(st.booleans()):  # in other chunks than ours
        whole, size = b"".join(texts), draw(st.integers(1, 60))
        texts = [whole[start : start + size] for start in range(0, len(whole), size)]
    return b"".join(chunk(text) for text in texts if text)


def feed(client: Client, pieces: list[bytes]) -> tuple[object, ...]:
    """Give a client pieces and cut it off; return what it lets us see, and what it asks then."""
    seqs = [seq for piece in pieces if piece for seq in seqs_of(client, piece)]
    client.disconnected()
    return seqs, client.cursor, client.messages, question(client)


@given(stream=chunked_streams(), cuts=st.lists(st.integers(1, 300), max_size=8))
def test_a_stream_may_be_cut_anywhere(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    pieces = [stream[start:end] for start, end in itertools.pairwise(places)]
    assert feed(opened(after=0), pieces) == feed(opened(after=0), [stream])


def reads(stream: bytes) -> list[bytes]:
    """Return a stream chunk by chunk, as it is read by a client that keeps up."""
    found = []
    while stream:
        size, _, _ = stream.partition(b"\r\n")
        end = len(size) + int(size, 16) + 4
        found.append(stream[:end])
        stream = stream[end:]
    return found


@given(stream=chunked_streams(), joined=st.integers(1, 3))
def test_the_short_way_reads_what_the_parser_reads(stream: bytes, joined: int) -> None:
    pieces = [b"".join(some) for some in zip(*[iter(reads(stream))] * joined, strict=False)]

    def told(client: Client) -> list[tuple[object, ...]]:
        return [(seqs_of(client, piece), client.messages, client.stamp_shared) for piece in pieces] + [
            feed(client, [])
        ]

    short, long = opened(after=0), opened(after=0)
    short_told = told(short)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "_plain_event", lambda self, data: b"")
        assert told(long) == short_told


def test_the_usual_event_never_reaches_the_parser() -> None:
    client = opened(chunk(opening(0)))
    client._http = None
    assert seqs_of(client, chunk(event(1))) == [1]
    assert seqs_of(client, chunk(event(2, 3))) == [2, 3]


@given(stream=chunked_streams())
def test_a_stamp_is_shared_unless_the_read_ends_with_the_event(stream: bytes) -> None:
    """Byte by byte no stamp is shared; whatever follows an event in the same read makes it so."""
    client = opened(after=0)
    for place in range(len(stream)):
        taken = client.messages
        client.receive_data(stream[place : place + 1], place)
        assert not client.stamp_shared or client.messages == taken or stream[place : place + 1] == b"\r"


@pytest.mark.parametrize(
    ("behind", "shared"),
    [
        (b"", False),
        (b"7", True),
        (b"2\r", True),
        (b"2\r\n", True),
        (chunk(COMMENT), True),
        (b"x\r\n"[:0], False),
    ],
)
@pytest.mark.parametrize("before", [b"", chunk(COMMENT)])
def test_what_comes_with_an_event_shares_its_stamp(before: bytes, behind: bytes, shared: bool) -> None:
    client = opened(chunk(opening(0)))
    client.receive_data(before + chunk(event(1)) + behind, 9)
    assert client.stamp_shared == shared
    assert client.cursor == 1


def test_the_end_of_a_chunk_may_come_later() -> None:
    client = opened()
    assert seqs_of(client, chunk(event(1))[:-2]) == [1]
    assert not client.stamp_shared
    assert seqs_of(client, b"\r\n") == []
    assert seqs_of(client, chunk(event(2))) == [2]


# Compressed


def gzip_stream(texts: list[bytes]) -> list[bytes]:
    deflate = zlib.compressobj(wbits=GZIP)
    return [chunk(deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)) for text in texts]


@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_gzip(cut: int) -> None:
    client = Client(Address("127.0.0.1", 8000), compression=True)
    assert question(client)[1]["Accept-Encoding"] == "gzip"
    client.receive_data(HEAD + b"Content-Encoding: GZIP\r\n\r\n", 0)
    for seq, piece in enumerate(gzip_stream([event(1), event(2), event(3)]), 1):
        got = [
            tick
            for start in range(0, len(piece), cut)
            for tick in seqs_of(client, piece[start : start + cut])
        ]
        assert got == [seq]
        assert not client.stamp_shared


@pytest.mark.parametrize(
    ("encoding", "text", "sentence"),
    [
        (b"br", b"", "encoded as br; gzip was asked for"),
        (b"gzip", b"data: x\n\n", "not gzip"),
        (b"gzip", gzip_stream([bytes(2**21)])[0].partition(b"\r\n")[2][:-2], "over 1 MiB"),
    ],
)
def test_a_stream_that_cannot_be_decoded_is_a_servers_error(
    encoding: bytes, text: bytes, sentence: str
) -> None:
    client = Client(Address("127.0.0.1", 8000))
    client.connected(0)
    with pytest.raises(ServerError, match=sentence):
        client.receive_data(HEAD + b"Content-Encoding: " + encoding + b"\r\n\r\n" + chunk(text), 0)


# What is no stream


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "not an HTTP answer"),
        (HEAD + b"\r\nxyz\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 101 Other\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "not an HTTP"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "^HTTP 204, and no stream$"),
        (b'HTTP/1.1 503 Full\r\nContent-Length: 22\r\n\r\n{"error": "try later"}', "^HTTP 503: try later$"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\n<h1>", "^HTTP 502: <h1>$"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
         "^HTTP 200 with application/json; a stream of events has text/event-stream$"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: []\n", "^HTTP 200 with no content type;"),
        (HEAD + b"\r\n" + chunk(b"data: hello\n\n"), "^not an array of ticks"),
        (HEAD + b"\r\n" + chunk(b"data\n\n"), "^not an array of ticks"),
        (HEAD + b"\r\n" + chunk(b"event: missed\ndata: many\n\n"), "^an event that tells of nothing missed"),
        (HEAD + b"\r\n0\r\n\r\n", "^the server ended the stream$"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [1, 10_000])
def test_what_is_no_stream_of_ticks_is_a_servers_error(answer: bytes, sentence: str, cut: int) -> None:
    client = Client(Address("127.0.0.1", 8000), after=3)
    client.connected(0)
    with pytest.raises(ServerError, match=sentence):
        feed(client, [answer[start : start + cut] for start in range(0, len(answer), cut)])
    client.disconnected()
    assert client.wants_connection
    assert question(client)[0] == "/ticks?after=3"


def test_a_content_type_may_have_parameters_and_other_letters() -> None:
    client = Client(Address("127.0.0.1", 8000))
    client.connected(0)
    client.receive_data(HEAD.replace(b"text/event-stream", b"Text/Event-Stream ; charset=utf-8") + b"\r\n", 0)
    assert client.ready


def test_a_refusal_without_end_is_told_as_far_as_it_came() -> None:
    client = Client(Address("127.0.0.1", 8000))
    client.connected(0)
    with pytest.raises(ServerError, match="HTTP 500: no"):
        client.receive_data(b"HTTP/1.1 500 Oh\r\n\r\n" + b"no" * 2**20, 0)


# Coming back


def test_a_client_comes_back_with_what_it_holds() -> None:
    client = opened(chunk(opening(4)), after=4)
    assert seqs_of(client, chunk(event(5, 6)) + b"80\r\nid: 8\ndata: " + array(7)) == [5, 6]
    client.disconnected()
    assert (client.wants_connection, client.ready) == (True, False)
    address, headers = question(client)
    assert (address, headers["Last-Event-ID"]) == ("/ticks?after=6", "6")
    assert headers["Accept"] == "text/event-stream"
    client.receive_data(HEAD + b"\r\n" + chunk(opening(6)), 0)
    assert seqs_of(client, chunk(event(7))) == [7]


def test_ticks_that_came_before_the_end_count() -> None:
    client = opened()
    with pytest.raises(ServerError, match="the server ended the stream") as ended:
        client.receive_data(chunk(event(1, 2)) + b"0\r\n\r\n", 9)
    assert [tick.seq for tick in ended.value.ticks] == [1, 2]
    client.disconnected()
    assert question(client)[0] == "/ticks?after=2"


def test_a_new_client_says_nothing_of_events() -> None:
    address, headers = question(Client(Address("127.0.0.1", 8000), headers="browser", cookie_bytes=30))
    assert address == "/ticks"
    assert "Last-Event-ID" not in headers
    assert (headers["Accept"], headers["Cache-Control"]) == ("text/event-stream", "no-cache")
    assert len(headers["Cookie"]) == 30


def test_an_event_tells_what_its_stream_needs() -> None:
    """The server's form, as others read it: an id for every block, and a gap told once."""
    assert opening(41) == b"retry: 2000\nid: 41\n\n"
    told = encode_event(1, Delivery(b"[]", 12, missed=8)).split(b"\n\n")
    assert told[0].splitlines() == [b"event: missed", b"id: 9", b'data: {"missed":8}']
    assert json.loads(told[0].rpartition(b"data: ")[2]) == {"missed": 8}
    assert told[1:] == [b"id: 12\ndata: []", b""]
