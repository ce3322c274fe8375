"""Compression: the same ticks in other bytes, and plain ones for whoever does not ask."""

import gzip
import itertools
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from bench.measure.trial import run_trial
from bench.scenario import Scenario, ScenarioError
from bench.transports import TRANSPORTS, main_names
from clients.base import Address, ServerError
from clients.headers import HEADER_SETS, header_lines
from clients.http import LARGEST_BODY_BYTES
from clients.websocket import LARGEST_FRAME_BYTES, Client
from servers.wire import MAX_PAYLOAD_BYTES, PADDINGS, Tick, decode_ticks, encode_array, encode_tick
from tests.clients.test_http_clients import answer, feed, whole
from tests.clients.test_websocket_client import (
    DATA,
    frame_lists,
    opened,
    recorder,
    reference,
    shake_hands,
)
from tests.pollers import ADDRESS, array, closed_poller, connect, long_poller

COMPRESSING = [name for name, transport in TRANSPORTS.items() if transport.compresses]
GZIP = "Content-Encoding: gzip"


# HTTP: gzip


@given(
    make=st.sampled_from([long_poller, closed_poller]),
    seqs=st.lists(st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=3),
    data=st.data(),
)
def test_a_gzip_body_says_the_same_however_it_is_cut(make, seqs, data):
    def anywhere(said: bytes) -> list[bytes]:
        places = data.draw(st.lists(st.integers(1, len(said) - 1), unique=True, max_size=6).map(sorted))
        return [said[start:end] for start, end in itertools.pairwise([0, *places, len(said)])]

    bodies = [array(*some) for some in seqs]
    plain = feed(make(), [answer(body) for body in bodies], whole)
    assert feed(make(), [answer(gzip.compress(body), GZIP) for body in bodies], anywhere) == plain


@pytest.mark.parametrize(
    ("body", "encoding", "sentence"),
    [
        (array(1), "gzip", "not gzip"),
        (gzip.compress(array(1))[:-1], "gzip", "not whole"),
        (gzip.compress(array(1)) + b"more", "gzip", "not whole"),
        (b"", "gzip", "not whole"),
        (gzip.compress(bytes(LARGEST_BODY_BYTES + 1)), "gzip", "over 1 MiB"),
        (array(1), "br", "encoded as br; gzip was asked for"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_a_servers_error(body, encoding, sentence):
    client = long_poller()
    connect(client)
    with pytest.raises(ServerError, match=sentence):
        client.receive_data(answer(body, f"Content-Encoding: {encoding}"), 0)


def test_only_who_compresses_or_is_a_browser_asks_for_gzip():
    asks = {
        (headers, compression): "Accept-Encoding: " in header_lines(headers, ADDRESS, compression=compression)
        for headers in HEADER_SETS
        for compression in (False, True)
    }
    assert [choice for choice, asked in asks.items() if not asked] == [("minimal", False)]
    assert "Accept-Encoding: gzip\r\n" in header_lines("minimal", ADDRESS, compression=True)


@pytest.mark.parametrize("name", ["short_polling", "long_polling"])
@pytest.mark.parametrize(
    ("accepts", "compressed"),
    [
        (None, False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip, deflate, br, zstd", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, deflate", False),
        ("deflate", False),
        ("xgzip", False),
    ],
)
def test_gzip_is_for_those_who_accept_it(name, accepts, compressed, start_server):
    server = start_server(TRANSPORTS[name], compression=True, rate_hz=20)
    headers = {} if accepts is None else {"Accept-Encoding": accepts}
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}?after=0", headers=headers)) as said:
        body = said.read()
        assert said.headers.get("Content-Encoding") == ("gzip" if compressed else None)
        assert said.headers["Vary"] == "Accept-Encoding"  # also of the other answer (RFC 9110, 12.5.5)
    assert decode_ticks(gzip.decompress(body) if compressed else body)[0].seq == 1


# WebSocket: permessage-deflate (RFC 7692)


@st.composite
def compressed_streams(draw) -> tuple[list[Frame], list[bool], list[int]]:
    """Draw frames, which messages of them are compressed, and where to cut (in thousandths of the whole)."""
    frames = draw(frame_lists())
    compressed = draw(st.lists(st.booleans(), min_size=len(frames), max_size=len(frames)))
    return frames, compressed, draw(st.lists(st.integers(1, 999), max_size=8))


def serialize(frames: list[Frame], compressed: list[bool], extensions) -> list[bytes]:
    """Return the bytes of each frame; a message is compressed as a whole, so its first frame decides."""
    pieces, by = [], None
    for frame, choice in zip(frames, compressed, strict=True):
        if frame.opcode is Opcode.TEXT:
            by = extensions if choice else None
        pieces.append(frame.serialize(mask=False, extensions=by if frame.opcode in DATA else None))
    return pieces


@given(compressed_streams())
def test_frames_say_the_same_compressed_or_not_and_however_they_are_cut(stream):
    frames, compressed, thousandths = stream
    messages, recording = recorder()
    client, server = opened(compression=True, **recording)
    pieces = serialize(frames, compressed, server.extensions)
    data, ends = b"".join(pieces), list(itertools.accumulate(map(len, pieces)))
    message_ends = [e for e, frame in zip(ends, frames, strict=True) if frame.opcode in DATA and frame.fin]
    cuts = {0, len(data), *(len(data) * place // 1000 for place in thousandths)}
    for start, end in itertools.pairwise(sorted(cuts)):
        client.receive_data(data[start:end], 9)
        completed = [place for place in message_ends if start < place <= end]
        assert client.stamp_shared == (len(completed) > 1 or (len(completed) == 1 and completed[0] < end))
    assert messages == reference(b"".join(frame.serialize(mask=False) for frame in frames))
    server.receive_data(client.data_to_send())
    pings = [frame.data for frame in frames if frame.opcode is Opcode.PING]
    assert [frame.data for frame in server.events_received()] == pings


@pytest.mark.parametrize("headers", HEADER_SETS)
def test_what_is_offered_is_what_chrome_offers(headers):
    offer = b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    for compression in (True, False):
        client = Client(Address("127.0.0.1", 8000), headers=headers, compression=compression)
        client.connected(0)
        request = client.data_to_send()
        assert (offer in request) == compression
        assert request.lower().count(b"sec-websocket-extensions") == compression


def test_a_new_connection_begins_with_a_new_window():
    client, server = opened(compression=True)
    client.receive_data(
        Frame(Opcode.TEXT, array(1, 2)).serialize(mask=False, extensions=server.extensions), 9
    )
    client.disconnected()
    client.connected(7)
    server, accepted = shake_hands(client.data_to_send())
    again = Frame(Opcode.TEXT, array(3)).serialize(mask=False, extensions=server.extensions)
    assert [tick.seq for tick in client.receive_data(accepted + again, 9)] == [3]


@pytest.mark.parametrize(
    "make",
    [
        lambda extensions: b"\xc1\x02no",
        lambda extensions: Frame(Opcode.TEXT, bytes(LARGEST_FRAME_BYTES + 1)).serialize(
            mask=False, extensions=extensions
        ),
    ],
    ids=["no deflate", "a bomb"],
)
def test_a_message_that_cannot_be_decoded_is_a_servers_error(make):
    client, server = opened(compression=True)
    with pytest.raises(ServerError, match="against RFC 6455"):
        client.receive_data(make(server.extensions), 9)


# Servers and swarms


def heard(server, transport, watch, ticks: int, **settings) -> tuple[list[Tick], int]:
    """Return the first ticks that a client gets (less when they were due), and all bytes that came."""
    got: list[Tick] = []

    def keep(body: bytes) -> list[Tick]:
        got.extend(decode_ticks(body))
        return decode_ticks(body)

    watched = watch(server, transport, after=0, decode=keep, **settings)
    watched.until(lambda: len(got) >= ticks, f"{ticks} ticks")
    assert not watched.swarm.errors
    return got, watched.swarm.bytes_down


@pytest.mark.parametrize("name", COMPRESSING)
def test_the_ticks_are_the_same(name, start_server, watch):
    transport = TRANSPORTS[name]
    ticks = {}
    for compression in (False, True):
        server = start_server(transport, compression=compression, rate_hz=50, payload_bytes=2048)
        got, down = heard(server, transport, watch, 30, compression=compression)
        assert [tick.seq for tick in got] == list(range(1, len(got) + 1))
        ticks[compression] = [(tick.seq, tick.symbol, tick.price) for tick in got[:30]]
        assert (down < len(got) * 2048) == compression
    assert ticks[False] == ticks[True]


@pytest.mark.parametrize("name", COMPRESSING)
@pytest.mark.parametrize(
    ("server_does", "client_asks"), [(False, True), (True, False)], ids=["client asks", "server offers"]
)
def test_nothing_is_compressed_unless_both_want_it(name, server_does, client_asks, start_server, watch):
    transport = TRANSPORTS[name]
    server = start_server(transport, compression=server_does, rate_hz=50, payload_bytes=1024)
    got, down = heard(server, transport, watch, 10, compression=client_asks, headers="minimal")
    assert down > len(got) * 1024


@pytest.mark.parametrize("name", main_names())
def test_text_compresses_better_than_noise(name, start_server, watch):
    transport, bytes_per_tick = TRANSPORTS[name], {}
    for padding in PADDINGS:
        server = start_server(transport, compression=True, rate_hz=50, payload_bytes=1024, padding=padding)
        got, down = heard(server, transport, watch, 30, compression=True)
        bytes_per_tick[padding] = down / len(got)
    assert bytes_per_tick["text"] < 0.6 * bytes_per_tick["noise"]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("payload_bytes", [128, 1024, MAX_PAYLOAD_BYTES])
def test_whatever_fills_a_tick_up_it_has_its_exact_size(padding, payload_bytes):
    ticks = [encode_tick(seq, seq, "ACME", 1.5, payload_bytes, padding) for seq in (1, 2, 10**9)]
    assert [len(tick) for tick in ticks] == [payload_bytes] * 3
    assert len({decode_ticks(encode_array([tick]))[0].padding for tick in ticks}) == 3


@pytest.mark.parametrize("name", ["websocket"])
def test_a_client_that_fell_behind_catches_up(name, start_server, watch):
    """It reads only after the server could write no more to it, and took it out of the broadcast."""
    transport = TRANSPORTS[name]
    server = start_server(
        transport, compression=True, rate_hz=1_000, payload_bytes=10_000, history_ticks=6_000
    )
    stalled, other = (watch(server, transport, compression=True) for _ in range(2))
    stalled.connect()
    goal = (stalled.clients[0].cursor or 0) + 2_000
    other.until(lambda: (other.clients[0].cursor or 0) >= goal, "2,000 ticks, some 15 MB compressed")
    stalled.until(lambda: (stalled.clients[0].cursor or 0) >= goal + 500, "2,500 ticks")
    for swarm in (stalled, other):
        seqs = swarm.seqs(0)
        assert seqs == list(range(seqs[0], seqs[-1] + 1))
        assert not swarm.swarm.errors


@pytest.mark.parametrize("name", main_names())
@pytest.mark.parametrize("tls", [False, True])
def test_a_trial_is_compressed(name, tls):
    scenario = Scenario(
        name, clients=2, compression=True, tls=tls, payload_bytes=2048, warmup_s=0.1, window_s=0.5
    )
    row = run_trial(scenario, seed=1).row
    assert (row["delivered"], row["missed"], row["connection_errors"]) == (row["expected"], 0, "")
    assert row["app_bytes_per_delivery_down"] < 2048


@pytest.mark.parametrize("name", sorted(set(TRANSPORTS) - set(COMPRESSING)))
def test_a_scenario_for_a_server_that_does_not_compress_is_refused(name):
    with pytest.raises(ScenarioError, match=f"{name} does not compress; use "):
        Scenario(name, compression=True)
