"""The portable poller tells the same of a pair of sockets as epoll does."""

import contextlib
import select
import socket

import pytest

from clients.sockets.poller import READABLE, WRITABLE, SelectorsPoller, new_poller

BOTH = READABLE | WRITABLE
pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no epoll here to compare with")


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        yield here, there


@pytest.fixture
def pollers():
    both = select.epoll(), SelectorsPoller()
    yield both
    for poller in both:
        poller.close()


def ready(poller, watched: int) -> int:
    """Return what the poller says of its only descriptor, of that which is watched."""
    events = poller.poll(0, 16)
    return events[0][1] & watched if events else 0


def register(pollers, fd: int, mask: int) -> None:
    for poller in pollers:
        poller.register(fd, mask)


@pytest.mark.parametrize(
    ("mask", "bytes_there", "expected"),
    [
        (READABLE, b"", 0),
        (READABLE, b"x", READABLE),
        (WRITABLE, b"", WRITABLE),
        (WRITABLE, b"x", WRITABLE),
        (BOTH, b"", WRITABLE),
        (BOTH, b"x", BOTH),
    ],
)
def test_both_say_what_a_socket_is_ready_for(pair, pollers, mask, bytes_there, expected):
    here, there = pair
    register(pollers, here.fileno(), mask)
    there.sendall(bytes_there)
    assert [ready(poller, mask) for poller in pollers] == [expected, expected]


def test_both_say_readable_when_the_peer_has_closed(pair, pollers):
    here, there = pair
    register(pollers, here.fileno(), BOTH)
    there.close()
    assert [ready(poller, READABLE) for poller in pollers] == [READABLE, READABLE]


def test_a_socket_that_is_full_is_not_writable(pair, pollers):
    here, _ = pair
    register(pollers, here.fileno(), BOTH)
    with contextlib.suppress(BlockingIOError):
        while here.send(bytes(65_536)):
            pass
    assert [ready(poller, BOTH) for poller in pollers] == [0, 0]


def test_both_can_be_asked_for_something_else(pair, pollers):
    here, _ = pair
    register(pollers, here.fileno(), READABLE)
    before = [ready(poller, BOTH) for poller in pollers]
    for poller in pollers:
        poller.modify(here.fileno(), BOTH)
    assert (before, [ready(poller, BOTH) for poller in pollers]) == ([0, 0], [WRITABLE, WRITABLE])


def test_both_forget_a_socket(pair, pollers):
    here, _ = pair
    register(pollers, here.fileno(), WRITABLE)
    for poller in pollers:
        poller.unregister(here.fileno())
    assert [list(poller.poll(0, 16)) for poller in pollers] == [[], []]


def test_both_return_no_more_events_than_asked_for(pair, pollers):
    for sock in pair:
        register(pollers, sock.fileno(), WRITABLE)
    assert [len(poller.poll(0, 1)) for poller in pollers] == [1, 1]
    assert [len(poller.poll(0, 16)) for poller in pollers] == [2, 2]


def test_linux_gets_epoll():
    poller = new_poller()
    poller.close()
    assert isinstance(poller, select.epoll)
