"""What no client should send, sent to every server: one answer on all, a 4xx, and nothing on the terminal.

Where a library breaks RFC 6455, the table below says so, and so does the docstring of its server.
"""

import contextlib
import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from bench.measure import processes
from bench.measure.processes import TrialFailed
from bench.measure.subject import Server, running_server
from bench.transports import TRANSPORTS, Transport
from servers.door import HEAD_TIMEOUT_S, SPARE_CONNECTIONS
from servers.options import ServerOptions
from tests.asking import HANDSHAKE, by_websocket, is_websocket
from tests.waiting import LIMIT_S

TICKS = b"GET /ticks?after=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Run one server of each kind, for all tests that may not harm it."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(running_server(transport.server, ServerOptions(rate_hz=100)))
            for name, transport in TRANSPORTS.items()
        }


def ask(server: Server, request: bytes, *, patience_s: float = 20.0) -> bytes:
    """Send bytes and return what comes until the server closes, or a whole head of an answer is here.

    An answer that closes the connection comes whole, unless it has no end.
    """
    received = b""
    with (
        socket.create_connection((server.host, server.port), timeout=patience_s) as client,
        contextlib.suppress(ConnectionError),
    ):
        client.sendall(request)
        while b"\r\n\r\n" not in received and (more := client.recv(65_536)):
            received += more
        if b"connection: close" in received.lower() and b"text/event-stream" not in received:
            while more := client.recv(65_536):
                received += more
    return received


def status_of(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1])


def complaints(server: Server) -> str:
    return b"".join(server._complaints).decode()


# Heads


HEADS = {
    "two slashes": (TICKS.replace(b"/ticks?after=0", b"//["), 400),
    "brackets": (TICKS.replace(b"after=0", b"after=[0]"), 400),
    "fragment": (TICKS.replace(b"after=0", b"after=0#1"), 400),
    "half an escape": (TICKS.replace(b"after=0", b"after=%4"), 400),
    "no host": (TICKS.replace(b"Host: x\r\n", b""), 400),
    "two hosts": (TICKS.replace(b"Host: x\r\n", b"Host: a\r\nHost: b\r\n"), 400),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_malformed_head_gets_400_on_all_servers(
    transport: Transport, servers: dict[str, Server], case: str
) -> None:
    request, status = HEADS[case]
    if is_websocket(transport):
        head = TICKS.partition(b"Connection")[0]
        request = HANDSHAKE.replace(head, request.partition(b"Connection")[0])
    answer = ask(servers[transport.name], request)
    assert status_of(answer) == status
    assert b"Traceback" not in answer


def test_the_absolute_form_of_a_target_is_understood(
    transport: Transport, servers: dict[str, Server]
) -> None:
    """A server must take it (RFC 9112, section 3.2.2)."""
    request = HANDSHAKE if is_websocket(transport) else TICKS
    answer = ask(servers[transport.name], request.replace(b"GET /ticks", b"GET http://x/ticks"))
    assert status_of(answer) == (101 if is_websocket(transport) else 200)


def test_a_doubled_parameter_is_refused(transport: Transport, servers: dict[str, Server]) -> None:
    request = HANDSHAKE if is_websocket(transport) else TICKS
    request = request.replace(b"?after=0 ", b"?after=1&after=0 ")
    server, received = servers[transport.name], b""
    with socket.create_connection((server.host, server.port), timeout=20) as client:
        client.sendall(request)
        while b"given twice" not in received and (more := client.recv(65_536)):
            received += more
    if is_websocket(transport):  # after the handshake, because a browser cannot read its refusal
        assert struct.pack("!H", 4400) + b"a parameter is given twice" in received
    else:
        assert status_of(received) == 400
        assert b"given twice" in received


def test_health_is_told_to_head_without_a_body(transport: Transport, servers: dict[str, Server]) -> None:
    answer = ask(servers[transport.name], b"HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    if transport.library == "picows":  # its parser knows GET only: its docstring says so
        assert status_of(answer) == 400
        return
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\n")


@by_websocket
@pytest.mark.parametrize("version", [b"8", b"14", b"13, 8", b"x"])
def test_another_version_is_told_which_one_is_spoken(
    transport: Transport, servers: dict[str, Server], version: bytes
) -> None:
    """RFC 6455, section 4.2.2."""
    answer = ask(servers[transport.name], HANDSHAKE.replace(b"Version: 13", b"Version: " + version))
    assert status_of(answer) in (400, 426)
    assert b"sec-websocket-version: 13\r\n" in answer.lower()


def mutated(chance: random.Random) -> bytes:
    """Return a valid request in which something is wrong."""
    words = [
        b"\r\n", b"\n", b"\0", b"\xff", b"%", b"[", b"//", b":", b"#", b"&", b"\x81", b"HEAD", b"OPTIONS *",
        b"HTTP/9.9", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n", b"Sec-WebSocket-Version: 8\r\n", b"Sec-WebSocket-Protocol: ,,\r\n",
        b"Sec-WebSocket-Extensions: permessage-deflate; x\r\n", b"Cookie: \xe9\r\n", b"A" * 9_000,
    ]  # fmt: skip
    request = bytearray(
        chance.choice(
            [TICKS, HANDSHAKE, HANDSHAKE + b"\x88\x82\1\2\3\4\2\xea",
             b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
             b"POST /ticks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
        )
    )  # fmt: skip
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(request))
        match chance.randrange(3):
            case 0:
                request[place:place] = chance.choice(words)
            case 1:
                del request[place : place + chance.randrange(1, 8)]
                request = request or bytearray(b"x")
            case 2:
                request[place] = chance.randrange(256)
    return bytes(request)


def test_whatever_is_sent_is_no_fault_of_the_server(transport: Transport, servers: dict[str, Server]) -> None:
    """300 requests that are wrong somewhere; every third client leaves with a reset."""
    chance, server = random.Random(6455), servers[transport.name]
    for number in range(300):
        request = mutated(chance)
        with contextlib.suppress(OSError):
            with socket.create_connection((server.host, server.port), timeout=0.05) as client:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                if number % 3 == 0:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    continue
                answer = client.recv(4096)
            assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500")), request
    assert server.health()["newest_seq"] > 0
    assert complaints(server) == ""


@by_websocket
def test_what_a_client_offers_is_not_printed(transport: Transport, servers: dict[str, Server]) -> None:
    offer = b"\r\nSec-WebSocket-Protocol: \x1b[2Jgraphql-ws\r\nSec-WebSocket-Version"
    ask(servers[transport.name], HANDSHAKE.replace(b"\r\nSec-WebSocket-Version", offer))
    assert servers[transport.name].health()["newest_seq"] > 0
    assert complaints(servers[transport.name]) == ""


# Connections that ask for nothing


def test_half_a_head_is_not_held_for_long_and_counts(servers: dict[str, Server]) -> None:
    """All servers at once: 60 clients that begin to ask, where three are allowed."""
    with contextlib.ExitStack() as stack:
        standing = {
            name: stack.enter_context(running_server(transport.server, ServerOptions(max_clients=3)))
            for name, transport in TRANSPORTS.items()
        }
        held: dict[str, list[socket.socket]] = {name: [] for name in standing}
        for name, server in standing.items():
            for _ in range(60):
                client = stack.enter_context(socket.create_connection((server.host, server.port), timeout=20))
                with contextlib.suppress(ConnectionError):
                    client.sendall(b"GET /ticks?after=0 HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                held[name].append(client)
        deadline_s = time.monotonic() + 10 * HEAD_TIMEOUT_S
        for name, clients in held.items():
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.settimeout(max(deadline_s - time.monotonic(), 0.001))
                    while client.recv(4096):  # a refusal, then the end
                        pass
            assert standing[name].health()["clients"] <= 1
        assert time.monotonic() < deadline_s


@pytest.mark.parametrize("name", [name for name, each in TRANSPORTS.items() if each.library != "picows"])
def test_a_server_with_few_files_says_once_that_it_is_full_and_recovers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """picows accepts until there are no files, and says so: its docstring tells."""
    command = processes.python_command
    monkeypatch.setattr(
        processes,
        "python_command",
        lambda *words: ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *command(*words)],
    )
    with running_server(TRANSPORTS[name].server, ServerOptions(rate_hz=5)) as server:
        asked = HANDSHAKE if is_websocket(TRANSPORTS[name]) else TICKS.replace(b"Connection: close\r\n", b"")
        with contextlib.ExitStack() as stack:
            answers = []
            for _ in range(120):
                client = stack.enter_context(socket.create_connection((server.host, server.port), timeout=20))
                with contextlib.suppress(ConnectionError):
                    client.sendall(asked)
                    answers.append(client.recv(4096))
        served = sum(answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")) for answer in answers)
        assert 0 < served < 64 - SPARE_CONNECTIONS + 20
        deadline_s = time.monotonic() + LIMIT_S
        while True:  # those who have left are forgotten, and it goes on
            with contextlib.suppress(TrialFailed):
                assert server.health()["newest_seq"] > 0
                break
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert complaints(server).count("the server is full") == 1
        assert "Traceback" not in complaints(server)


# Frames (RFC 6455)


def frame(first_byte: int, payload: bytes = b"", *, masked: bool = True) -> bytes:
    length = len(payload) | masked << 7
    if len(payload) > 125:
        return bytes([first_byte, 126 | masked << 7]) + struct.pack("!H", len(payload)) + bytes(4) + payload
    return bytes([first_byte, length]) + bytes(4 * masked) + payload


FRAMES = {
    "unmasked (5.1)": frame(0x81, b"hi", masked=False),
    "RSV1 without an extension (5.2)": frame(0xC1, b"hi"),
    "RSV2 (5.2)": frame(0xA1, b"hi"),
    "RSV3 (5.2)": frame(0x91, b"hi"),
    "unknown opcode (5.2)": frame(0x83, b"hi"),
    "unknown control opcode (5.2)": frame(0x8B),
    "longer length than needed (5.2)": b"\x81\xfe\0\5" + bytes(4) + b"hello",
    "continuation of nothing (5.4)": frame(0x80, b"hi"),
    "message within a message (5.4)": frame(0x01, b"a") + frame(0x81, b"b"),
    "ping in fragments (5.5)": frame(0x09, b"a"),
    "ping of 126 bytes (5.5)": frame(0x89, b"a" * 126),
    "close of one byte (5.5.1)": frame(0x88, b"\3"),
    "close 999 (7.4.2)": frame(0x88, struct.pack("!H", 999)),
    "close 1005 (7.4.1)": frame(0x88, struct.pack("!H", 1005)),
    "close 5000 (7.4.2)": frame(0x88, struct.pack("!H", 5000)),
    "close with a broken reason (8.1)": frame(0x88, struct.pack("!H", 1000) + b"\xff"),
    "broken UTF-8 (8.1)": frame(0x81, b"\xce\xba\xed\xa0\x80"),
}
BORNE = {
    "websockets": {"longer length than needed (5.2)"},
    "aiohttp": {"unmasked (5.1)", "longer length than needed (5.2)", "close 5000 (7.4.2)"},
    "picows": {
        "RSV1 without an extension (5.2)", "RSV2 (5.2)", "RSV3 (5.2)", "continuation of nothing (5.4)",
        "message within a message (5.4)", "close 5000 (7.4.2)", "broken UTF-8 (8.1)",
    },
}  # fmt: skip
"""What a library takes though RFC 6455 has the connection failed."""


@by_websocket
@pytest.mark.parametrize("fault", FRAMES)
def test_a_broken_frame_fails_the_connection(
    transport: Transport, servers: dict[str, Server], fault: str
) -> None:
    with socket.create_connection(
        (servers[transport.name].host, servers[transport.name].port), timeout=20
    ) as client:
        client.sendall(HANDSHAKE)
        received = b""
        while b"\r\n\r\n" not in received:
            received += client.recv(65_536)
        client.sendall(FRAMES[fault])
        if fault in BORNE[transport.library] and not fault.startswith("close"):
            client.sendall(frame(0x88, struct.pack("!H", 1000)))  # which is answered by its own code
        with contextlib.suppress(ConnectionError):
            while more := client.recv(65_536):
                received += more
    failed = any(
        b"\x88" + bytes([length, 3, code]) in received for length in range(2, 126) for code in (234, 239)
    )
    assert failed == (fault not in BORNE[transport.library]), received[-80:]
