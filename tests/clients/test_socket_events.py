"""What happens to connections is written down, each has one end, and nothing is lost or doubled by any."""

import errno
import os
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.load.connections.backoff import BACKOFFS, FIRST_LIMIT_S, LONGEST_LIMIT_S, Backoff
from clients.load.generator import DELIVERY_FIELDS
from clients.sockets.events import SocketEvent, end_by_errno
from clients.sockets.stamped_socket import NothingWhole
from tests.clients.simulated_network import (
    MS,
    TRIP_NS,
    Fate,
    Network,
    S,
    events_of,
    step_for,
    step_until,
    swarm_on,
)

SILENCE_S = 1.0
TCP_ENDS = {
    errno.ECONNRESET: SocketEvent.RESET,
    errno.EPIPE: SocketEvent.RESET,
    errno.ETIMEDOUT: SocketEvent.TIMED_OUT,
    errno.EHOSTUNREACH: SocketEvent.UNREACHABLE,
    errno.ENETUNREACH: SocketEvent.UNREACHABLE,
}
CONNECT_ENDS = TCP_ENDS | {errno.ECONNREFUSED: SocketEvent.REFUSED}
NONSENSE = b"\x00\xff\r\n\r\n nonsense"


def expected_end(fate: Fate) -> SocketEvent:
    if number := fate.error_at_once or fate.connect_error:
        return CONNECT_ENDS[number]
    if fate.unanswered or fate.end is None:
        return SocketEvent.SILENT
    if fate.end == NONSENSE:
        return SocketEvent.REFUSAL
    return SocketEvent.ENDED if fate.end == b"" else TCP_ENDS[fate.end]


fates = st.one_of(
    st.builds(Fate, error_at_once=st.sampled_from(sorted(CONNECT_ENDS))),
    st.builds(Fate, connect_error=st.sampled_from(sorted(CONNECT_ENDS))),
    st.just(Fate(unanswered=True)),
    st.builds(
        Fate,
        pieces=st.integers(0, 2),
        half=st.booleans(),
        end=st.none() | st.just(b"") | st.sampled_from(sorted(TCP_ENDS)),
    ),
    st.builds(Fate, pieces=st.integers(0, 2), end=st.just(NONSENSE)),
)


@given(
    transport=st.sampled_from(["websocket", "long_polling"]),
    fates=st.lists(fates, max_size=10),
    count=st.integers(1, 3),
    backoff=st.sampled_from(sorted(BACKOFFS)),
    herd=st.booleans(),
)
def test_each_connection_has_one_end_and_no_tick_is_lost_or_doubled(transport, fates, count, backoff, herd):
    network = Network(*fates, beats=100)
    swarm = swarm_on(
        network, transport, count, silence_s=SILENCE_S, backoff=Backoff(backoff, seed=1), herd=herd
    )
    step_until(
        swarm,
        lambda: (
            all(seat.usable and seat.client.cursor == network.last for seat in swarm._seats.values())
            and all(sock.fate == Fate() for sock in network.open_sockets())
        ),
    )
    flat, width = swarm.deliveries.tolist(), len(DELIVERY_FIELDS)
    got = Counter(zip(flat[::width], flat[1::width], strict=True))
    assert got == Counter((client, seq) for client in range(count) for seq in range(1, network.last + 1))
    for client in range(count):
        letters = {SocketEvent.ASKED: "a", SocketEvent.OPENED: "o"}
        story = "".join(letters.get(what, "e") for _, what in events_of(swarm, client))
        assert re.fullmatch("(ao?e)*ao", story)
    events = [what for _, what in events_of(swarm)]
    ends = [what for what in events if what.is_end]
    met = [sock.fate for sock in network.made if sock.fate != Fate()]
    assert Counter(ends) == Counter(map(expected_end, met))
    assert swarm.errors.total() == len(ends)
    assert len(swarm._silence.timers) <= count
    instants = [at_ns for at_ns, _ in events_of(swarm)]
    assert instants == sorted(instants)
    in_use = [seat.sock for seat in swarm._seats.values() if seat.sock is not None]
    assert len(in_use) == events.count(SocketEvent.ASKED) - len(ends)
    swarm.close()
    assert network.open_sockets() == []
    assert swarm.sockets.tolist()[2::3] == events, "what is open at the end has no end"


# Silence


def test_without_silence_a_connection_on_which_nothing_comes_is_kept():
    network = Network(Fate(pieces=1))
    swarm = swarm_on(network, "websocket", 1)
    step_until(swarm, lambda: swarm.clients[0].messages)
    assert swarm.next_deadline() is None
    step_for(swarm, network, 3_600)
    assert [what for _, what in events_of(swarm)] == [SocketEvent.ASKED, SocketEvent.OPENED]


@pytest.mark.parametrize("fate", [Fate(unanswered=True), Fate(pieces=0), Fate(pieces=2, half=True)])
@pytest.mark.parametrize("transport", ["websocket", "long_polling"])
def test_it_is_given_up_when_nothing_was_heard_for_so_long(transport, fate):
    network = Network(fate)
    swarm = swarm_on(network, transport, 1, silence_s=SILENCE_S)
    step_until(swarm, lambda: swarm.clients[0].cursor == network.last)
    end_ns, end = next(event for event in events_of(swarm) if event[1].is_end)
    sock = network.made[0]
    quiet_since_ns = sock.last_heard_ns or sock.last_asked_ns
    if transport == "long_polling":
        quiet_since_ns = max(sock.last_heard_ns, sock.last_asked_ns)
    assert (end, end_ns - quiet_since_ns) == (SocketEvent.SILENT, round(SILENCE_S * S))
    assert sock.closed, "one that was given up is not waited for"
    reason = "nothing was heard for 1 s"
    assert swarm.errors == {f"no connection: {reason}" if fate.unanswered else reason: 1}


def test_heartbeats_are_heard():
    network = Network(gap_ns=900 * MS, beats=20, beat_ns=900 * MS)
    swarm = swarm_on(network, "websocket", 1, silence_s=SILENCE_S)
    step_until(swarm, lambda: len(events_of(swarm)) > 2)
    end_ns, end = events_of(swarm)[2]
    heard_for_ns = TRIP_NS + (network.last // 2 + network.beats) * 900 * MS
    assert end is SocketEvent.SILENT
    assert end_ns - events_of(swarm)[1][0] == heard_for_ns + round(SILENCE_S * S)


def test_part_of_what_cannot_be_read_yet_is_heard():
    """As with TLS, whose records can be read when they are whole."""
    network = Network(Fate(pieces=1))
    swarm = swarm_on(network, "websocket", 1, silence_s=SILENCE_S)
    step_until(swarm, lambda: swarm.clients[0].messages)

    def receive():
        raise NothingWhole(sock.coming.popleft()[0])

    sock = network.made[0]
    sock.receive = receive
    sock.say(b"part of a record", 900 * MS)
    heard_ns = network.now_ns + 900 * MS
    step_until(swarm, lambda: len(events_of(swarm)) > 2)
    assert events_of(swarm)[2] == (heard_ns + round(SILENCE_S * S), SocketEvent.SILENT)


def test_a_client_that_asks_seldom_hears_nothing_meanwhile_and_that_is_no_silence():
    network = Network(Fate(pieces=3))
    swarm = swarm_on(network, "short_polling", 1, settings={"poll_pause_s": 10.0}, silence_s=SILENCE_S)
    step_until(swarm, lambda: swarm.clients[0].requests == 4)
    assert [what for _, what in events_of(swarm)] == [SocketEvent.ASKED, SocketEvent.OPENED]
    asked_ns = network.made[0].last_asked_ns
    step_until(swarm, lambda: len(events_of(swarm)) > 2)
    assert events_of(swarm)[2] == (asked_ns + round(SILENCE_S * S), SocketEvent.SILENT)
    step_until(swarm, lambda: swarm.clients[0].cursor == 8)
    assert swarm.clients[0].requests == 5, "the question was asked again"


@pytest.mark.parametrize("transport", ["websocket", "long_polling"])
def test_a_late_swarm_reads_first_and_then_says_what_was_silent(transport):
    network = Network(gap_ns=600 * MS)
    swarm = swarm_on(network, transport, 3, silence_s=SILENCE_S)
    step_until(swarm, lambda: all(client.messages for client in swarm.clients))
    network.now_ns += 5 * S // 2  # the swarm stands still; meanwhile there is what it does not read
    swarm.step(wait_until_ns=0)
    swarm.step(wait_until_ns=0)
    assert {what for _, what in events_of(swarm)} == {SocketEvent.ASKED, SocketEvent.OPENED}


def test_what_is_still_unread_is_not_called_silent():
    network = Network(gap_ns=600 * MS)
    swarm = swarm_on(network, "websocket", 3, silence_s=SILENCE_S)
    step_until(swarm, lambda: all(client.messages for client in swarm.clients))
    network.now_ns += 3 * S // 2
    swarm.step(max_events=1, wait_until_ns=0)
    assert {what for _, what in events_of(swarm)} == {SocketEvent.ASKED, SocketEvent.OPENED}


def test_who_has_gone_is_missed_no_more():
    network = Network(Fate(pieces=1))
    swarm = swarm_on(network, "websocket", 1, silence_s=SILENCE_S)
    step_until(swarm, lambda: swarm.clients[0].messages)
    swarm.remove([0])
    step_for(swarm, network, 5)
    assert [what for _, what in events_of(swarm)][2:] == [SocketEvent.DONE]
    assert swarm.next_deadline() is None


# Why it ended


def test_an_error_that_sending_met_is_the_reason_of_the_end():
    """The kernel tells an error once: the read that follows then finds only the end."""
    network = Network(Fate(pieces=1))
    swarm = swarm_on(network, "long_polling", 1)
    step_until(swarm, lambda: events_of(swarm) and events_of(swarm)[-1][1] is SocketEvent.OPENED)
    network.made[0].send_error = errno.ETIMEDOUT
    step_until(swarm, lambda: swarm.clients[0].messages == 1)
    network.made[0].say(b"")
    step_until(swarm, lambda: bool(swarm.errors))
    assert events_of(swarm)[2][1] is SocketEvent.TIMED_OUT
    assert swarm.errors == {os.strerror(errno.ETIMEDOUT): 1}


@pytest.mark.parametrize(("number", "end"), CONNECT_ENDS.items())
def test_errors_of_the_kernel_are_told_apart(number, end):
    assert end_by_errno(number) is end
    assert end.is_end


def test_what_has_no_number_is_a_breach_of_the_protocol():
    assert end_by_errno(OSError("the certificate does not verify").errno) is SocketEvent.REFUSAL
    assert not SocketEvent.ASKED.is_end
    assert not SocketEvent.OPENED.is_end


# Coming back


def cut_all(network: Network) -> None:
    for sock in network.open_sockets():
        sock.say(b"")


def returns(count: int, **options: object) -> list[tuple[int, SocketEvent]]:
    """Let all connections be cut at one instant; return what happened from then until all have come back."""
    network = Network(beats=10)
    swarm = swarm_on(network, "websocket", count, connecting_at_once=1, **options)
    step_until(swarm, lambda: swarm.ready == count)
    before = len(events_of(swarm))
    for sock in network.open_sockets():
        sock.coming.clear()
    cut_all(network)
    step_until(swarm, lambda: len(events_of(swarm)) == before + 3 * count)
    return [event for event in events_of(swarm)[before:] if not event[1].is_end]


def test_clients_that_come_back_stand_in_line_unless_they_are_a_herd():
    in_line = [what for _, what in returns(5, backoff=Backoff("none"))]
    assert in_line == [SocketEvent.ASKED, SocketEvent.OPENED] * 5
    herd = returns(5, backoff=Backoff("none"), herd=True)
    assert [what for _, what in herd] == [SocketEvent.ASKED] * 5 + [SocketEvent.OPENED] * 5
    assert len({at_ns for at_ns, what in herd if what is SocketEvent.ASKED}) == 1


def test_clients_that_have_never_been_ready_are_no_herd():
    network = Network(*[Fate(pieces=0, end=b"")] * 2)
    swarm = swarm_on(network, "websocket", 5, connecting_at_once=1, herd=True)
    most_in_use = 0
    while swarm.ready < 5:
        swarm.step()
        unproved = [seat for seat in swarm._seats.values() if seat.sock is not None and not seat.been_ready]
        most_in_use = max(most_in_use, len(unproved))
    assert most_in_use == 1


def test_a_herd_does_not_keep_the_swarm_from_reading():
    network = Network(beats=10)
    swarm = swarm_on(network, "websocket", 5, backoff=Backoff("none"), herd=True)
    step_until(swarm, lambda: swarm.ready == 5)
    for sock in network.open_sockets():
        sock.coming.clear()
    cut_all(network)
    step_until(swarm, lambda: sum(what.is_end for _, what in events_of(swarm)) == 5)
    network.now_ns += 50 * MS
    swarm.step(max_events=2, wait_until_ns=0)
    assert len(network.made) == 5 + 2


def test_jitter_spreads_those_whom_one_instant_has_cut():
    def instants(backoff: str) -> list[int]:
        asked = returns(20, backoff=Backoff(backoff, seed=7), herd=True)
        return [at_ns for at_ns, what in asked if what is SocketEvent.ASKED]

    assert len(set(instants("jittered"))) == 20
    assert len(set(instants("doubling"))) == len(set(instants("none"))) == 1


@pytest.mark.parametrize("name", BACKOFFS)
def test_the_limit_doubles_and_has_an_end(name):
    backoff, limit_s, limits = Backoff(name, seed=3), 0.0, []
    for _ in range(8):
        limits.append(limit_s := backoff.next_limit_s(limit_s))
        assert 0 <= backoff.wait_s(limit_s) <= limit_s
    assert limits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert (limits[0], limits[-1]) == (FIRST_LIMIT_S, LONGEST_LIMIT_S)


def test_each_way_waits_as_it_says():
    assert [Backoff("doubling").wait_s(limit_s) for limit_s in (0.05, 2.0)] == [0.05, 2.0]
    assert [Backoff("none").wait_s(limit_s) for limit_s in (0.05, 2.0)] == [FIRST_LIMIT_S] * 2
    jittered = Backoff("jittered", seed=5)
    waits_s = [jittered.wait_s(2.0) for _ in range(1_000)]
    assert waits_s == [random.Random(5).uniform(0, 2.0), *waits_s[1:]]
    assert sum(waits_s) / 1_000 == pytest.approx(1.0, rel=0.1)  # full jitter: half the limit on average
    assert min(waits_s) < 0.1
    assert max(waits_s) > 1.9


def test_a_way_to_wait_that_is_none_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="backoff is 'soon'; choose one of jittered, doubling, none"):
        Backoff("soon")
