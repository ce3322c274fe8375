"""The router, between two sockets instead of devices: what it moves, when, and what it says of itself."""

import itertools
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from bench.network.link import Link
from bench.network.middle_box import MiddleBox, Stopped
from bench.network.router import LAG_STEP_NS, End, Router, RunDelays
from bench.network.way import Way
from servers.wire import now_ns
from tests.waiting import LIMIT_S, wait_until

PACKET = b"\x45 a packet"


class Wired:
    """A router in a thread, and the sockets that are where the namespaces would be."""

    def __init__(self, link: Link) -> None:
        self.near, near_device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.far, far_device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control, stop = os.pipe()
        self._files = [self.near, near_device, self.far, far_device]
        self._stop = os.fdopen(stop, "wb")
        near_device.setblocking(False)
        far_device.setblocking(False)
        for sock in (self.near, self.far):
            sock.settimeout(LIMIT_S)
        self.up, self.down = Way(link, 1), Way(link, 2)
        self.router = Router(End(near_device.fileno(), self.up), End(far_device.fileno(), self.down))
        self._thread = threading.Thread(target=self.router.serve_until, args=(self.control,))
        self._thread.start()

    def close(self) -> None:
        self._stop.close()
        self._thread.join(LIMIT_S)
        os.close(self.control)
        for file in self._files:
            file.close()


@pytest.fixture
def wired(request: pytest.FixtureRequest) -> Iterator[Wired]:
    made = Wired(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("wired", [Link(), Link(rtt_ms=20)], indirect=True)
def test_packets_go_both_ways_in_order_and_no_sooner_than_asked(wired: Wired) -> None:
    delay_ns = wired.up._delay_ns
    for sender, receiver in ((wired.near, wired.far), (wired.far, wired.near)):
        before_ns = now_ns()
        for number in range(100):
            sender.send(PACKET + bytes([number]))
        assert [receiver.recv(100)[-1] for _ in range(100)] == list(range(100))
        assert now_ns() - before_ns >= delay_ns
    assert wired.up.counts().packets == wired.down.counts().packets == 100
    wait_until(lambda: sum(wired.router.lags) == 200, "every packet's lag")


@pytest.mark.parametrize("wired", [Link()], indirect=True)
def test_ipv6_is_left_out(wired: Wired) -> None:
    wired.near.send(b"\x60 who is my neighbour?")
    wired.near.send(PACKET)
    assert wired.far.recv(100) == PACKET
    assert wired.up.counts().packets == 1


def test_the_time_before_a_packet_was_taken_up_is_part_of_its_lag() -> None:
    """A device does not tell when a packet has come: since it was empty last, at most."""
    near, far = (socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    for pair in (near, far):
        pair[1].setblocking(False)
    way = Way(Link(rtt_ms=2), 1)
    end = End(near[1].fileno(), way)
    router = Router(end, End(far[1].fileno(), Way(Link(), 2)))
    end.empty_ns -= 7_000_000
    near[0].send(PACKET)
    router._take_in(end)
    wait_until(lambda: router._release() is None, "the packet is due")
    (step,) = (step for step, count in enumerate(router.lags) if count)
    assert step * LAG_STEP_NS >= 6_900_000
    for sock in (*near, *far):
        sock.close()


def test_at_a_cut_what_is_on_its_way_up_arrives_and_what_comes_down_does_not() -> None:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    near, far = (End(pair[1].fileno(), Way(Link(rtt_ms=2), 1)) for pair in pairs)
    router, box = Router(near, far), MiddleBox()
    for (sender, device), end in zip(pairs, (near, far), strict=True):
        device.setblocking(False)
        sender.send(PACKET)
        router._take_in(end)
    box.cut()
    near.middle_box = box
    pairs[0][0].send(PACKET + b", too late")
    router._take_in(near)
    wait_until(lambda: router._release() is None, "nothing is on its way any more")
    assert box.stopped == {Stopped.CUT: 2}
    assert near.way.counts().packets == 1
    box.mend()
    pairs[0][0].send(PACKET + b" after it")
    router._take_in(near)
    wait_until(lambda: router._release() is None, "nothing is on its way any more")
    assert [pairs[1][0].recv(100) for _ in range(2)] == [PACKET, PACKET + b" after it"]
    assert near.way.counts().lost_data == far.way.counts().lost_data == 0
    for sock in itertools.chain(*pairs):
        sock.close()


def test_delays_of_running_add_up() -> None:
    delays = RunDelays()
    assert delays.since_last() >= 0
    assert delays.since_last() < 10**9
