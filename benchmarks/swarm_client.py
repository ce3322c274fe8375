"""The swarm, measured as epoll_client.c measures itself: connect, warm up, measure, print one line of JSON.

``python -m benchmarks.swarm_client TRANSPORT PORT CONNECTIONS WARM_UP_S SECONDS`` from the repository's root.
"""

import gc
import json
import sys
import time
from typing import Any

from clients.base import Address, TickClient, load_client_class
from clients.load.swarm import Swarm
from clients.sockets.stamped_socket import measure_clock_offset
from servers.wire import now_ns

HOST = "127.0.0.1"
MSS_BYTES = 1460
CONNECT_TIMEOUT_S = 30


def build_clients(transport: str, port: int, connections: int) -> list[TickClient]:
    """Build the clients; those that poll ask again as soon as they have an answer (closed loop, no pause)."""
    client = load_client_class(transport)
    options: dict[str, Any] = {"poll_pause_s": 0.0} if "poll_pause_s" in client.settings else {}
    return [client(Address(HOST, port), **options) for _ in range(connections)]


def step_for(swarm: Swarm, seconds: float) -> None:
    """Step for so many seconds.

    Raises:
        RuntimeError: If a connection was lost: what was measured is then not what was meant.
    """
    end_ns = now_ns() + round(seconds * 1e9)
    while now_ns() < end_ns:
        swarm.step(wait_until_ns=end_ns)
    if swarm.errors:
        raise RuntimeError(f"the swarm lost connections: {dict(swarm.errors)}")


def measure(swarm: Swarm, warm_up_s: float, seconds: float) -> dict[str, float]:
    """Return the messages of the measured time, its CPU in µs (user and system), and its length in s."""
    swarm.connect(now_ns() + CONNECT_TIMEOUT_S * 1_000_000_000)
    gc.collect()
    gc.freeze()  # a full collection over all clients would count as work on messages
    step_for(swarm, warm_up_s)
    messages = sum(client.messages for client in swarm.clients)
    start_cpu_ns, start_ns = time.process_time_ns(), now_ns()
    step_for(swarm, seconds)
    cpu_ns, elapsed_ns = time.process_time_ns() - start_cpu_ns, now_ns() - start_ns
    messages = sum(client.messages for client in swarm.clients) - messages
    return {"messages": messages, "cpu_us": cpu_ns / 1e3, "seconds": elapsed_ns / 1e9}


def main() -> None:
    """Read the command line, measure, and print."""
    transport, port, connections, warm_up_s, seconds = sys.argv[1:]
    clients = build_clients(transport, int(port), int(connections))
    offset_ns = measure_clock_offset().offset_ns
    swarm = Swarm(clients, HOST, int(port), offset_ns=offset_ns, mss=MSS_BYTES, congestion="cubic")
    try:
        print(json.dumps(measure(swarm, float(warm_up_s), float(seconds))))
    finally:
        swarm.close()


if __name__ == "__main__":
    main()
