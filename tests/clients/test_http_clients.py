"""The polling clients, fed bytes by hand: however an answer is cut, the same ticks and the same counts."""

import gzip
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import http
from clients.base import ServerError
from tests.pollers import MS, address_asked, array, closed_poller, connect, long_poller, open_poller

PLAIN_HEADERS = ["Content-Type: application/json", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Server: aiohttp"]


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *PLAIN_HEADERS, f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def state(client) -> dict[str, object]:
    """Return all that a client lets us see (and what it would send)."""
    names = (
        "cursor deadline_ns done_with_connection empty_responses messages outbox polls_skipped ready "
        "request_due_ns requests wants_connection"
    )
    return {name: getattr(client, name) for name in names.split()}


def feed(client, answers: list[bytes], cut) -> tuple[list[int], list[dict[str, object]]]:
    """Give each answer in pieces to a client that asks again in between; return seqs and states."""
    seqs, states = [], []
    connect(client)
    for number, whole in enumerate(answers):
        now_ns = number * 2_000 * MS
        for piece in cut(whole):
            assert not client.outbox
            seqs += [tick.seq for tick in client.receive_data(piece, now_ns)]
        states.append(state(client))
        if client.done_with_connection:
            client.disconnected()
            client.connected(now_ns)
        if client.deadline_ns is not None:
            client.on_deadline(client.deadline_ns)
        if not client.ready:
            client.connected(now_ns)
        client.data_to_send()
    return seqs, states


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


@st.composite
def answers(draw) -> bytes:
    """Any valid answer with ticks: other orders and cases of headers, more of them, chunks, gzip, a close."""
    body = array(*draw(st.lists(st.integers(1, 9), max_size=3)))
    compressed = draw(st.booleans())
    if compressed:
        body = gzip.compress(body)
    extra = ["Connection: keep-alive", "Connection: close", "Ticks-Waiting: 3", "Ticks-Missed: 2", "X-Y: z"]
    headers = draw(
        st.lists(st.sampled_from(PLAIN_HEADERS + extra), unique_by=lambda line: line.split(":")[0])
    )
    if compressed:
        headers.append(draw(st.sampled_from(["Content-Encoding: gzip", "Content-Encoding: GZIP"])))
    if draw(st.booleans()):
        size = draw(st.integers(1, 200))
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        headers.append("Transfer-Encoding: chunked")
    else:
        headers.append(f"Content-Length: {len(body)}")
    headers = draw(st.permutations(headers))
    change = draw(st.sampled_from([str, str.lower, str.upper]))
    lines = ["HTTP/1.1 " + draw(st.sampled_from(["200 OK", "200 Fine", "200 "]))]
    lines += [change(name) + value for name, value in (line.split(" ", 1) for line in headers)]
    return "\r\n".join(line.replace(":", ": ", 1) for line in lines).encode() + b"\r\n\r\n" + body


makes = st.sampled_from([long_poller, closed_poller])


@given(make=makes, said=st.lists(answers(), min_size=1, max_size=3), data=st.data())
def test_an_answer_may_be_cut_at_any_place(make, said, data):
    def anywhere(answer: bytes) -> list[bytes]:
        places = data.draw(st.lists(st.integers(1, len(answer) - 1), unique=True, max_size=6).map(sorted))
        return [answer[start:end] for start, end in itertools.pairwise([0, *places, len(answer)])]

    assert feed(make(), said, anywhere) == feed(make(), said, whole)


@given(make=makes, said=answers())
def test_an_answer_may_come_byte_by_byte(make, said):
    assert feed(make(), [said], bytewise) == feed(make(), [said], whole)


@given(make=makes, said=st.lists(answers(), min_size=1, max_size=3))
def test_the_short_way_reads_what_the_parser_reads(make, said):
    fast = feed(make(), said, whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "_body_bytes", {})
        patch.setattr(http, "_plain_body_bytes", lambda head: -1)
        assert feed(make(), said, whole) == fast


def test_the_usual_answer_never_reaches_the_parser():
    client = long_poller()
    connect(client)
    client._parser = None
    assert [tick.seq for tick in client.receive_data(answer(array(1, 2)), 0)] == [1, 2]


# What is wrong with an answer


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        answer(b"no json"),
        answer(b'{"error": "none"}'),
        answer(array(1)) + answer(array(2)),
        answer(array(1)) + b"garbage",
    ],
)
def test_what_is_no_answer_with_ticks_is_a_servers_error(data):
    client = long_poller()
    connect(client)
    with pytest.raises(ServerError):
        client.receive_data(data, 0)


@pytest.mark.parametrize("status", ["400 Bad Request", "503 Service Unavailable"])
def test_a_refusal_is_told_in_the_servers_words(status):
    client = long_poller()
    connect(client)
    with pytest.raises(ServerError, match=rf"^HTTP {status[:3]}: try later$"):
        client.receive_data(answer(json.dumps({"error": "try later"}).encode(), status=status), 0)


def test_a_refusal_in_no_json_is_told_as_it_came():
    client = long_poller()
    connect(client)
    with pytest.raises(ServerError, match=r"^HTTP 502: <h1>Bad gateway</h1>$"):
        client.receive_data(answer(b"<h1>Bad gateway</h1>", status="502 Bad Gateway"), 0)


def test_an_answer_that_nobody_asked_for_is_a_servers_error():
    client = closed_poller()
    connect(client)
    client.receive_data(answer(array(1)), 0)
    with pytest.raises(ServerError, match="without a question"):
        client.receive_data(answer(array(2)), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        answer(b"no json"),
        answer(b"{}", status="503 Service Unavailable"),
        answer(array(1)) + answer(array(2)),
        answer(array(1), "X-Y: z") + b"garbage",
        answer(gzip.compress(array(1))[:-1], "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nTicks-Waiting: 1\r\nContent-Length: 9\r\n\r\n[",
    ],
)
@pytest.mark.parametrize("make", [long_poller, closed_poller])
def test_the_question_is_asked_again_after_a_wrong_answer(make, wrong):
    client, fresh = make(), make()
    connect(client)
    try:
        client.receive_data(wrong, 0)
    except ServerError:
        assert client.cursor == 0
    client.disconnected()
    assert client.wants_connection
    assert connect(client) == connect(fresh)
    for piece in bytewise(answer(array(1, 2))):
        client.receive_data(piece, 5)
    fresh.receive_data(answer(array(1, 2)), 5)
    assert (client.cursor, client.deadline_ns, client.outbox) == (2, fresh.deadline_ns, fresh.outbox)


# Connections


@given(place=st.integers(0, len(answer(array(1, 2))) - 1))
def test_a_cut_within_an_answer_loses_and_doubles_nothing(place):
    client = long_poller()
    question = connect(client)
    if place:
        client.receive_data(answer(array(1, 2))[:place], 0)
    client.disconnected()
    assert connect(client, 7) == question
    assert [tick.seq for tick in client.receive_data(answer(array(1, 2)), 8)] == [1, 2]
    assert (client.cursor, client.requests) == (2, 3)


def test_an_idle_client_needs_no_connection_until_it_asks_again():
    client = open_poller()
    connect(client)
    client.receive_data(answer(array(1)), 0)
    client.disconnected()
    assert not client.wants_connection
    client.on_deadline(client.deadline_ns)
    assert client.wants_connection
    client.connected(1_030 * MS)
    assert (address_asked(client), client.requests) == ("/ticks?after=1", 2)
    assert client.request_due_ns == 1_025 * MS


@pytest.mark.parametrize("headers", ["minimal", "browser"])
def test_a_client_may_ask_for_a_connection_per_answer(headers):
    client = long_poller(keep_alive=False, headers=headers)
    assert connect(client).lower().count(b"\r\nconnection: close\r\n") == 1
    client.receive_data(answer(array(1), "Connection: close"), 0)
    assert client.done_with_connection
    client.disconnected()
    client.connected(3)
    assert (address_asked(client).split("&")[0], client.requests) == ("/ticks?after=1", 2)
    assert not client.done_with_connection
