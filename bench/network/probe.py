"""How long a round trip takes: ``python -m bench.network.probe HOST`` prints the smallest of ten, in ms.

A connection to a port where nobody listens is refused by the other end's kernel, after one round trip. So no
server is needed, and the one that is measured is left alone.
"""

import select
import socket
import sys
import time

PROBES = 10
NOBODYS_PORT = 9
SPACING_S, PATIENCE_S = 0.002, 30.0


def smallest_rtt_ms(host: str, probes: int = PROBES) -> float | None:
    """Return the shortest time in which a connection was refused, in ms; None if none was in time."""
    begun: dict[int, tuple[socket.socket, float]] = {}
    found_ms: list[float] = []
    with select.epoll() as poller:

        def hear(patience_s: float) -> bool:
            events = poller.poll(patience_s)
            now_s = time.perf_counter()
            for fd, _ in events:
                sock, since_s = begun.pop(fd)
                found_ms.append((now_s - since_s) * 1e3)
                poller.unregister(fd)
                sock.close()
            return bool(events)

        for _ in range(probes):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            poller.register(sock.fileno(), select.EPOLLOUT)
            begun[sock.fileno()] = sock, time.perf_counter()
            sock.connect_ex((host, NOBODYS_PORT))
            hear(SPACING_S)
        while begun and hear(PATIENCE_S):
            pass
        for sock, _ in begun.values():
            sock.close()
    return min(found_ms, default=None)


if __name__ == "__main__":
    print(smallest_rtt_ms(sys.argv[1]), flush=True)
