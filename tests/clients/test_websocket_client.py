"""The WebSocket client against websockets' own protocol: however frames are cut, the same messages."""

import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.frames import Close, Frame, Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from clients.base import Address, ServerError
from clients.websocket import LARGEST_FRAME_BYTES, Client, frame_length
from servers.wire import encode_array, encode_tick

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]
DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def array(*seqs: int) -> bytes:
    return encode_array([encode_tick(seq, seq, "ACME", 1.0, 96) for seq in seqs])


def text(message: bytes, *, fin: bool = True) -> bytes:
    return Frame(Opcode.TEXT, message, fin).serialize(mask=False)


def shake_hands(request: bytes) -> tuple[ServerProtocol, bytes]:
    """Return websockets' server, which compresses if asked to, and the bytes by which it accepts."""
    server = ServerProtocol(extensions=enable_server_permessage_deflate(None))
    server.receive_data(request)
    server.send_response(server.accept(server.events_received()[0]))
    return server, b"".join(server.data_to_send())


def opened(**options) -> tuple[Client, ServerProtocol]:
    """Return a client after its handshake, and the server that it shook hands with."""
    client = Client(Address("127.0.0.1", 8000), after=0, **options)
    client.connected(0)
    server, accepted = shake_hands(client.data_to_send())
    assert client.receive_data(accepted, 5) == ()
    assert (client.ready, client.ready_ns) == (True, 5)
    return client, server


def recorder() -> tuple[list[bytes], dict[str, object]]:
    """Return a list, and the option that makes a client write its messages into it."""
    messages: list[bytes] = []
    return messages, {"decode": lambda message: messages.append(message) or ()}


# Any frames, cut anywhere


@st.composite
def frame_lists(draw) -> list[Frame]:
    """Draw messages, whole and in fragments, with pings and pongs between."""
    controls = st.lists(
        st.builds(Frame, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)), max_size=1
    )
    frames = draw(controls)
    for letter in b"abcde"[: draw(st.integers(1, 5))]:
        message = bytes([letter]) * draw(st.sampled_from(SIZES) | st.integers(0, 300))
        cuts = draw(st.lists(st.integers(0, len(message)), max_size=2).map(sorted))
        for start, end in itertools.pairwise([0, *cuts, len(message)]):
            opcode = Opcode.CONT if parts_of(frames) else Opcode.TEXT
            frames += [Frame(opcode, message[start:end], fin=False), *draw(controls)]
        last = max(place for place, frame in enumerate(frames) if frame.opcode in DATA)
        frames[last] = Frame(frames[last].opcode, frames[last].data)
    return frames


def parts_of(frames: list[Frame]) -> bool:
    """Tell whether frames end within a message."""
    data = [frame for frame in frames if frame.opcode in DATA]
    return bool(data) and not data[-1].fin


def reference(frames: bytes) -> list[bytes]:
    """Return the messages that a plain ClientProtocol finds in frames that come at once."""
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1:8000/ticks"))
    protocol.send_request(protocol.connect())
    protocol.receive_data(shake_hands(b"".join(protocol.data_to_send()))[1] + frames)
    messages, parts = [], []
    for event in protocol.events_received()[1:]:
        if event.opcode in DATA:
            parts.append(bytes(event.data))
            if event.fin:
                messages.append(b"".join(parts))
                parts = []
    return messages


@st.composite
def streams(draw) -> tuple[list[Frame], list[int]]:
    """Draw frames and where their bytes are cut: anywhere, but often near the ends of frames."""
    frames = draw(frame_lists())
    ends = list(itertools.accumulate(len(frame.serialize(mask=False)) for frame in frames))
    near = st.builds(
        lambda end, by: min(max(end + by, 0), ends[-1]), st.sampled_from(ends), st.integers(-3, 12)
    )
    cuts = draw(st.sets(near | st.integers(0, ends[-1]), max_size=8))
    return frames, sorted(cuts | {0, ends[-1]})


ONE_BYTE_OF_A_FRAME = ([Frame(Opcode.TEXT, b"a")], [0, 1, 3])
TEXT_AND_PING = ([Frame(Opcode.TEXT, b"a"), Frame(Opcode.PING, b"b")], [0, 6])


@given(streams())
@example(ONE_BYTE_OF_A_FRAME)
def test_frames_may_be_cut_at_any_place(stream):
    frames, cuts = stream
    data = b"".join(frame.serialize(mask=False) for frame in frames)
    messages, recording = recorder()
    client, _ = opened(**recording)
    for start, end in itertools.pairwise(cuts):
        client.receive_data(data[start:end], 9)
    assert messages == reference(data)
    assert client.messages == len(messages)


@given(frames=frame_lists(), data=st.data())
def test_the_answer_to_the_handshake_may_be_cut_with_them(frames, data):
    messages, recording = recorder()
    client = Client(Address("127.0.0.1", 8000), **recording)
    client.connected(0)
    sent = b"".join(frame.serialize(mask=False) for frame in frames)
    stream = shake_hands(client.data_to_send())[1] + sent
    cuts = data.draw(st.sets(st.integers(2, min(len(stream), 300)), max_size=6))
    for start, end in itertools.pairwise(sorted(cuts | {0, len(stream)})):
        client.receive_data(stream[start:end], 9)
    assert messages == reference(sent)


@given(streams())
def test_every_ping_is_answered(stream):
    frames, cuts = stream
    data = b"".join(frame.serialize(mask=False) for frame in frames)
    client, server = opened(**recorder()[1])
    for start, end in itertools.pairwise(cuts):
        client.receive_data(data[start:end], 9)
    server.receive_data(client.data_to_send())
    said = [(frame.opcode, frame.data) for frame in server.events_received()]
    assert said == [(Opcode.PONG, frame.data) for frame in frames if frame.opcode is Opcode.PING]


@given(streams())
@example(TEXT_AND_PING)
def test_a_stamp_is_shared_if_the_read_holds_more_than_one_message_or_bytes_beyond_it(stream):
    frames, cuts = stream
    data = b"".join(frame.serialize(mask=False) for frame in frames)
    ends = itertools.accumulate(len(frame.serialize(mask=False)) for frame in frames)
    message_ends = [
        end for end, frame in zip(ends, frames, strict=True) if frame.opcode in DATA and frame.fin
    ]
    client, _ = opened(**recorder()[1])
    for start, end in itertools.pairwise(cuts):
        client.receive_data(data[start:end], 9)
        completed = [place for place in message_ends if start < place <= end]
        assert client.stamp_shared == (len(completed) > 1 or (len(completed) == 1 and completed[0] < end))


@given(size=st.sampled_from(SIZES), mask=st.booleans(), start=st.integers(0, 3))
def test_the_length_of_a_frame_is_told_by_its_header(size, mask, start):
    frame = Frame(Opcode.TEXT, bytes(size)).serialize(mask=mask)
    header_bytes = len(frame) - size - (4 if mask else 0)
    padded = bytes(start) + frame
    lengths = [frame_length(padded[: start + known], start) for known in range(header_bytes + 1)]
    assert lengths == [0] * header_bytes + [len(frame)]


@pytest.mark.parametrize("size", [2**20 - 10, 2**20 - 9, 2**20])
def test_the_largest_messages_may_come_in_pieces(size):
    messages, recording = recorder()
    client, _ = opened(**recording)
    data = text(bytes([97]) * size)
    for piece in (data[:1_000], data[1_000:500_000], data[500_000:], text(b"next")):
        client.receive_data(piece, 9)
    assert [len(message) for message in messages] == [size, 4]


# What the messages say


def test_ticks_are_taken_and_a_cursor_kept():
    client, _ = opened()
    assert [tick.seq for tick in client.receive_data(text(array(1, 2)), 9)] == [1, 2]
    assert (client.cursor, client.messages) == (2, 1)


def test_a_new_connection_goes_on_from_the_cursor():
    client, _ = opened()
    client.receive_data(text(array(1, 2)) + text(array(3))[:20], 9)
    client.disconnected()
    assert (client.ready, client.wants_connection) == (False, True)
    client.connected(7)
    request = client.data_to_send()
    assert request.startswith(b"GET /ticks?after=2 HTTP/1.1\r\n")
    data = shake_hands(request)[1] + text(array(3))
    assert [tick.seq for tick in client.receive_data(data, 9)] == [3]


def test_a_client_goes_on_after_what_the_history_has_lost():
    client, _ = opened()
    assert client.receive_data(text(json.dumps({"missed": 4}).encode()), 9) == ()
    client.receive_data(text(array(5, 6)), 9)
    assert (client.cursor, client.messages) == (6, 2)


@pytest.mark.parametrize("headers", ["minimal", "browser"])
def test_no_header_of_the_handshake_is_sent_twice(headers):
    client = Client(Address("127.0.0.1", 8000), headers=headers, cookie_bytes=30)
    client.connected(0)
    names = [line.split(b":")[0].lower() for line in client.data_to_send().split(b"\r\n")[1:]]
    assert len(set(names)) == len(names) - 1  # two empty lines end it


# What is wrong


def test_a_close_is_told_with_code_and_reason_and_answered():
    client, server = opened()
    with pytest.raises(ServerError, match=r"^closed with 1001: the server is stopping$"):
        client.receive_data(
            Frame(Opcode.CLOSE, Close(1001, "the server is stopping").serialize()).serialize(mask=False), 9
        )
    server.receive_data(client.data_to_send())
    assert [frame.opcode for frame in server.events_received()] == [Opcode.CLOSE]


@pytest.mark.parametrize(
    "data",
    [
        Frame(Opcode.TEXT, b"[]").serialize(mask=True),
        b"\xc1\x02[]",
        b"\xa1\x02[]",
        b"\x91\x02[]",
        text(bytes(LARGEST_FRAME_BYTES + 1))[:1_000],
        text(b"[", fin=False) + text(b"]"),
        Frame(Opcode.CONT, b"[]").serialize(mask=False),
        b"\x83\x00",
        b"\x89\x7e\x00\x7e" + bytes(126),
        Frame(Opcode.CLOSE, b"\x00").serialize(mask=False),
    ],
    ids="masked rsv1 rsv2 rsv3 oversized interleaved continuation opcode long-ping bad-close".split(),
)
def test_a_frame_against_the_rfc_is_a_servers_error(data):
    client, _ = opened()
    with pytest.raises(ServerError, match="against RFC 6455"):
        client.receive_data(data, 9)


@pytest.mark.parametrize("message", [b"", b"hello", b"{}", b'{"missed": "all"}', b"[1]", b"\xff"])
def test_a_message_without_ticks_is_a_servers_error(message):
    client, _ = opened()
    with pytest.raises(ServerError, match=r"no ticks|not an array of ticks"):
        client.receive_data(text(message), 9)


@pytest.mark.parametrize("cut", [0, 20])
def test_a_refused_handshake_is_told_in_the_servers_words(cut):
    client = Client(Address("127.0.0.1", 8000))
    client.connected(0)
    body = b'{"error": "there is no /nothing"}'
    said = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    client.receive_data(said[:cut], 9) if cut else None
    with pytest.raises(ServerError, match=r"HTTP 404: .*there is no /nothing"):
        client.receive_data(said[cut:], 9)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_what_is_no_handshake_is_a_servers_error(data):
    client = Client(Address("127.0.0.1", 8000))
    client.connected(0)
    with pytest.raises(ServerError):
        client.receive_data(data, 9)
