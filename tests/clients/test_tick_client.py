"""What every client does: it holds the newest tick's ``seq``; and when those that poll ask."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients import short_polling
from clients.base import ServerError, TickClient, load_client_class
from clients.http import HttpClient
from clients.websocket import Client as WebSocketClient
from servers.wire import TickStamp, encode_array, encode_tick
from tests.pollers import ADDRESS, MS, address_asked, array, closed_poller, connect, long_poller, open_poller


class Bare(TickClient):
    """A client without a transport: each piece of data is one JSON array."""

    def connected(self, now_ns):
        self.ready = True

    def receive_data(self, data, arrived_ns):
        return self._read(data)

    def disconnected(self):
        self.ready = False


def client_of(arrays: list[list[int]], **options) -> Bare:
    """Return a client that has received arrays of ticks with these seqs."""
    client = Bare(ADDRESS, **options)
    for seqs in arrays:
        ticks = [encode_tick(seq, 1_000 + seq, "ACME", 1.0, 96) for seq in seqs]
        received = client.receive_data(encode_array(ticks), 0)
        assert received == [TickStamp(seq, 1_000 + seq) for seq in seqs]
    return client


@given(
    start=st.none() | st.integers(0, 5), arrays=st.lists(st.lists(st.integers(1, 15), max_size=5), max_size=8)
)
@example(start=0, arrays=[[1, 2, 5], [3], [4]])
@example(start=None, arrays=[[41, 42], []])
def test_the_cursor_is_the_newest_tick_in_whatever_order_they_come(start, arrays):
    held = [] if start is None else [start]
    seqs = held + [seq for seqs in arrays for seq in seqs]
    assert client_of(arrays, after=start).cursor == max(seqs, default=None)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"[", b'[{"seq":1}]', b"\xff", b"null"])
def test_what_is_no_array_of_ticks_is_a_servers_error(data):
    with pytest.raises(ServerError, match="not an array of ticks"):
        client_of([]).receive_data(data, 0)


def test_data_to_send_is_given_once():
    client = client_of([])
    client.outbox = b"hello"
    assert (client.data_to_send(), client.data_to_send()) == (b"hello", b"")


def test_a_transport_is_found_by_its_name():
    assert load_client_class("websocket") is WebSocketClient
    assert issubclass(load_client_class("long_polling"), HttpClient)


# When those that poll ask


def answer(body: bytes, header: str = "Server: test") -> bytes:
    return f"HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("make", "address"), [(open_poller, "/ticks?after=0"), (long_poller, "/ticks?after=0&hold=30")]
)
def test_the_first_question_comes_with_the_connection(make, address):
    client = make()
    client.connected(1_010 * MS)
    assert (address_asked(client), client.request_due_ns, client.requests) == (address, 1_010 * MS, 1)


def test_without_a_cursor_the_question_has_none():
    client = short_polling.Client(ADDRESS, poll_pause_s=1)
    client.connected(0)
    assert address_asked(client) == "/ticks"


def test_the_cursor_follows_the_ticks():
    client = long_poller(hold_s=2.5)
    connect(client)
    client.receive_data(answer(array(1, 2, 3)), 0)
    assert address_asked(client) == "/ticks?after=3&hold=2.5"


def test_open_loop_polls_are_due_at_exact_instants_however_late_the_loop_is():
    client, due = open_poller(), []
    connect(client, 1_000 * MS)
    for late_ns in (0, 7, 99 * MS, 0):
        client.receive_data(answer(b"[]"), client.deadline_ns - 1)
        client.on_deadline(client.deadline_ns + late_ns)
        assert address_asked(client)
        due.append(client.request_due_ns)
    assert due == [1_025 * MS, 1_125 * MS, 1_225 * MS, 1_325 * MS]
    assert (client.polls_skipped, client.empty_responses) == (0, 4)


def test_open_loop_skips_and_counts_the_polls_while_an_answer_is_out():
    client = open_poller()
    connect(client, 1_000 * MS)
    for _ in range(3):
        client.on_deadline(client.deadline_ns)
        assert not client.outbox
    client.receive_data(answer(array(1)), 1_300 * MS)
    client.on_deadline(client.deadline_ns)
    assert (client.polls_skipped, client.requests, client.request_due_ns) == (3, 2, 1_325 * MS)


def test_closed_loop_asks_a_pause_after_each_answer_the_first_time_after_a_part_of_it():
    client = closed_poller()
    connect(client)
    for arrived_ns, pause_ns in ((10 * MS, 500 * MS), (900 * MS, 1_000 * MS), (3_000 * MS, 1_000 * MS)):
        client.receive_data(answer(b"[]"), arrived_ns)
        assert (client.outbox, client.deadline_ns) == (b"", arrived_ns + pause_ns)
        client.on_deadline(client.deadline_ns + 5)
        assert (client.request_due_ns, client.deadline_ns) == (arrived_ns + pause_ns, None)
        assert address_asked(client)


@pytest.mark.parametrize("make", [open_poller, closed_poller, long_poller])
@pytest.mark.parametrize("header", ["Ticks-Waiting: 5", "ticks-waiting: 5"])
def test_when_more_is_waiting_every_client_asks_at_once(make, header):
    client = make()
    connect(client)
    client.receive_data(answer(array(1), header), 1_010 * MS)
    assert (address_asked(client).split("&")[0], client.request_due_ns) == ("/ticks?after=1", 1_010 * MS)


def test_long_polling_asks_at_once_after_an_empty_answer_too():
    client = long_poller()
    connect(client)
    client.receive_data(answer(b"[]"), 30_000 * MS)
    assert (address_asked(client), client.request_due_ns) == ("/ticks?after=0&hold=30", 30_000 * MS)
    assert client.empty_responses == 1


@pytest.mark.parametrize("options", [{}, {"poll_interval_s": 1, "poll_pause_s": 1}])
def test_short_polling_needs_either_an_interval_or_a_pause(options):
    with pytest.raises(ValueError, match="either poll_interval_s or poll_pause_s"):
        short_polling.Client(ADDRESS, **options)
