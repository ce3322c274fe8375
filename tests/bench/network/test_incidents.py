"""What happens in the middle of a box happens to real TCP as it does out there."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bench.measure.box import Box, running_box
from bench.measure.processes import TrialFailed
from bench.network.link import Link
from bench.network.middle_box import Stopped
from bench.network.namespaces import FAR, NEAR, NEAR_HOST
from servers.wire import now_ns
from tests.bench.network.boxes import need_box, python_at
from tests.waiting import LIMIT_S, wait_until

S = 1_000_000_000
HEARS_NOTHING_FOR_S = 0.3
SERVER = f"""
import socket, sys, threading
socks = []
def echo(sock):
    try:
        while data := sock.recv(100):
            sock.sendall(data)
    except OSError:
        pass
def accept():
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socks.append(sock)
        threading.Thread(target=echo, args=(sock,), daemon=True).start()
listener = socket.create_server(("{Box.host}", 5000))
threading.Thread(target=accept, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    text, clients = line.split()
    for sock in socks[:int(clients)]:
        sock.sendall(text.encode())
    print(*[sock.getpeername()[0] for sock in socks], flush=True)
"""
CLIENTS = f"""
import socket, sys
socks = {{}}
print("ready", flush=True)
for line in sys.stdin:
    word, name, text = line.split()
    try:
        if word == "open":
            socks[name] = socket.create_connection(("{Box.host}", 5000), {LIMIT_S})
            said = name
        elif word == "speak":
            socks[name].sendall(text.encode())
            said = text
        elif word == "hear":
            socks[name].settimeout(float(text))
            said = socks[name].recv(100).decode() or "end"
    except OSError as error:
        said = type(error).__name__
    print(said, flush=True)
"""


class Talk:
    """A box with a server at its far end, which echoes and pushes, and clients at its near end."""

    def __init__(self, box: Box, stack: ExitStack) -> None:
        self.box = box
        self._server = self._start(stack, FAR, SERVER)
        self._clients = self._start(stack, NEAR, CLIENTS)

    def _start(self, stack: ExitStack, end: str, code: str) -> "subprocess.Popen[str]":
        process = stack.enter_context(python_at(self.box, end, code, stdin=subprocess.PIPE))
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def _ask(self, process: "subprocess.Popen[str]", words: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(words + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    def open(self, *names: str) -> None:
        for name in names:
            assert self._ask(self._clients, f"open {name} -") == name
            assert self.echo(name) == "hello"  # the server has accepted it

    def speak(self, name: str, text: str) -> None:
        assert self._ask(self._clients, f"speak {name} {text}") == text

    def hear(self, name: str, within_s: float = LIMIT_S) -> str:
        """Return what a client hears next, or the name of the error."""
        return self._ask(self._clients, f"hear {name} {within_s}")

    def hear_all(self, name: str, length: int) -> str:
        heard = ""
        while len(heard) < length:
            heard += self.hear(name)
        return heard

    def echo(self, name: str) -> str:
        self.speak(name, "hello")
        return self.hear(name)

    def push(self, text: str, clients: int = 9) -> list[str]:
        """Send something to so many clients, the first, and return the addresses of all."""
        return self._ask(self._server, f"{text} {clients}").split()

    def stopped(self, why: Stopped) -> int:
        return self.box.reading().stopped.get(why, 0)

    def wait_until_stopped(self, why: Stopped, packets: int) -> None:
        wait_until(lambda: self.stopped(why) >= packets, f"{packets} packets were stopped: {why}")


@pytest.fixture
def talk() -> Iterator[Talk]:
    need_box()
    with ExitStack() as stack:
        yield Talk(stack.enter_context(running_box(Link(rtt_ms=4))), stack)


def test_a_cut_delays_and_loses_nothing(talk: Talk) -> None:
    talk.open("one")
    before = talk.box.reading()
    cut_ns = talk.box.cut()
    for text in "abcde":
        talk.push(text)
    talk.speak("one", "f")
    wait_until(lambda: now_ns() > cut_ns + S // 2, "half a second is over")
    assert talk.hear("one", 0.01) == "TimeoutError"
    talk.wait_until_stopped(Stopped.CUT, 8)  # all of them, and some were sent again
    assert cut_ns < talk.box.mend() < now_ns()
    assert talk.hear_all("one", 6) == "abcdef"
    after = talk.box.reading()
    assert after.far.retransmitted > before.far.retransmitted
    assert after.up.lost_data == after.down.lost_data == 0


def test_after_a_change_of_address_who_speaks_is_reset_and_who_listens_hears_nothing(
    talk: Talk,
) -> None:
    talk.open("speaker", "listener")
    talk.box.change_address()
    assert talk.push("x") == [NEAR_HOST] * 2
    talk.wait_until_stopped(Stopped.OLD_ADDRESS, 4)  # also what is sent again
    talk.speak("speaker", "x")
    assert talk.hear("speaker") == "ConnectionResetError"
    assert talk.hear("listener", HEARS_NOTHING_FOR_S) == "TimeoutError"
    talk.open("another")
    assert talk.push("x") == [NEAR_HOST, NEAR_HOST, "198.18.0.2"]
    assert talk.hear("another") == "x"
    assert talk.hear("listener", HEARS_NOTHING_FOR_S) == "TimeoutError"


def test_a_forgotten_connection_stays_silent_and_one_with_traffic_lives(
    talk: Talk,
) -> None:
    talk.open("quiet", "busy")
    armed_ns = talk.box.forget_idle(1.0)
    while now_ns() < armed_ns + 1.1 * S:
        assert talk.echo("busy") == "hello"
    talk.push("x")
    talk.speak("quiet", "y")
    talk.wait_until_stopped(Stopped.FORGOTTEN, 3)  # both, and one of them again
    assert talk.hear("quiet", HEARS_NOTHING_FOR_S) == "TimeoutError"
    assert talk.hear("busy") == "x"
    talk.open("another")


def test_of_each_connection_one_packet_is_lost_and_sent_again_once(talk: Talk) -> None:
    talk.open("one", "two", "silent")
    before = talk.box.reading()
    talk.box.lose_next_data()
    talk.open("later")
    for text in "abc":
        talk.push(text, clients=2)
        assert [talk.hear(name) for name in ("one", "two")] == [text, text]
    after = talk.box.reading()
    assert after.far.retransmitted - before.far.retransmitted == 2 == talk.stopped(Stopped.DATA)
    assert after.near.retransmitted == before.near.retransmitted
    assert after.down.lost_data == 0


def test_what_the_router_cannot_do_is_refused_and_it_goes_on(talk: Talk) -> None:
    box = talk.box
    with pytest.raises(TrialFailed, match=r'the router cannot do \{"do": "burn"\}; say'):
        box._do("burn")
    with pytest.raises(TrialFailed, match="above 0"):
        box.forget_idle(-1.0)
    box.write_line(b'{"do": "cut"}\n{"do": "mend"}\n')
    assert [box._read()["event"] for _ in range(3)] == ["done", "done", "counts"]
