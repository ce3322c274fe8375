"""The conversation of two lines: a message that is written as two takes 40 ms, whatever protocol it is of.

One side writes a header, then what it is the header of, and waits for an answer; the other reads both, and
answers. Two rules of TCP, each of them sensible, meet:

* Nagle's (RFC 896): while something is not yet acknowledged, a small segment waits. So the second write waits
  until the first is acknowledged.
* The delayed ACK (RFC 1122, section 4.2.3.2): who receives waits for something to send along with the ACK,
  for 500 ms at most. Linux waits 40 ms (TCP_DELACK_MIN) where both sides have been talking, and acknowledges
  at once where only one does (TCP_QUICKACK, tcp(7)).

So each message takes 40 ms more, on the fastest of networks. Either cure is enough: to write both at once, or
to turn Nagle's rule off (TCP_NODELAY). A feed, which nobody answers, does not show it.
"""

import contextlib
import queue
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.theory.traffic import websocket_header_bytes

PAYLOAD_BYTES = 128
HEADER_BYTES = websocket_header_bytes(PAYLOAD_BYTES)
ROUNDS, FIRST_ROUNDS = 25, 2
"""So many are counted, after the first: a connection that has just begun acknowledges at once."""
PATIENCE_S = 10.0


class Way(NamedTuple):
    """How a message is written.

    Attributes:
        apart: The header in a write of its own; else both at once.
        no_delay: With TCP_NODELAY.
        answered: The other side answers each message; else it only reads.
    """

    apart: bool
    no_delay: bool
    answered: bool = True


WAYS = (
    Way(apart=True, no_delay=False),
    Way(apart=True, no_delay=True),
    Way(apart=False, no_delay=False),
    Way(apart=False, no_delay=True),
    Way(apart=True, no_delay=False, answered=False),
)


def measure_two_writes(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Measure all ways, over loopback; about 1.2 s for the slow one.

    Returns:
        For run.json, an object for each way: apart, no_delay, answered; rounds; median_ms, mean_ms and sd_ms
        of a message, from before its first write until the other side has read all of it.

    Raises:
        OSError: If there is no loopback, or the other side does not go on.
    """
    return [_measured(way, rounds) for way in WAYS]


def _measured(way: Way, rounds: int) -> dict[str, Any]:
    with _connected() as (speaker, listener):
        for side in (speaker, listener):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, way.no_delay)
        took_ms = list(_messages_ms(way, speaker, listener, FIRST_ROUNDS + rounds))[FIRST_ROUNDS:]
    return {
        **way._asdict(),
        "rounds": rounds,
        "median_ms": round(statistics.median(took_ms), 4),
        "mean_ms": round(statistics.fmean(took_ms), 4),
        "sd_ms": round(statistics.stdev(took_ms), 4),
    }


@contextlib.contextmanager
def _connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a connection over loopback."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), PATIENCE_S) as speaker,
        server.accept()[0] as listener,
    ):
        listener.settimeout(PATIENCE_S)
        yield speaker, listener


def _messages_ms(way: Way, speaker: socket.socket, listener: socket.socket, messages: int) -> Iterator[float]:
    """Yield how long each message took, one after the other; a thread is the other side."""
    header, payload = bytes(HEADER_BYTES), bytes(PAYLOAD_BYTES)
    arrived: queue.Queue[float] = queue.Queue()

    def listen() -> None:
        with contextlib.suppress(OSError):  # the connection was closed: that is the end
            for _ in range(messages):
                _read(listener, HEADER_BYTES + PAYLOAD_BYTES)
                arrived.put(time.perf_counter())
                if way.answered:
                    listener.sendall(header + payload)

    other_side = threading.Thread(target=listen, daemon=True)
    other_side.start()
    try:
        for _ in range(messages):
            begun = time.perf_counter()
            for part in (header, payload) if way.apart else (header + payload,):
                speaker.sendall(part)
            if way.answered:
                _read(speaker, HEADER_BYTES + PAYLOAD_BYTES)
            yield (arrived.get(timeout=PATIENCE_S) - begun) * 1e3
    except queue.Empty:
        raise TimeoutError("a message over loopback did not arrive") from None
    finally:
        speaker.shutdown(socket.SHUT_RDWR)
        other_side.join(PATIENCE_S)


def _read(sock: socket.socket, size_bytes: int) -> None:
    """Read so many bytes.

    Raises:
        OSError: If they do not come.
    """
    while size_bytes:
        got = len(sock.recv(size_bytes))
        if not got:
            raise ConnectionError("the other side of a connection over loopback has closed it")
        size_bytes -= got
