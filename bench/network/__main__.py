"""The router as a process: ``python -m bench.network '{"rtt_ms": 40}' SEED [CORE]``.

It says on standard output that it is ready, or why it cannot be. Then it moves packets, and answers each line
on standard input: an empty one with what it has counted so far; an order, such as ``{"do": "cut"}``, with the
instant of it (bench/network/middle_box.py). When standard input ends it ends, and with it both ends of the
link, and whoever is still in them.
"""

import json
import os
import sys

from bench.network.link import Link
from bench.network.middle_box import MiddleBox, OrderError
from bench.network.namespaces import BoxUnavailable, NetworkEnd, end_all_inside, make_ends
from bench.network.router import End, Router, go_first
from bench.network.way import Way
from servers.interrupts import end_at_interrupt
from servers.wire import now_ns


def main(link: Link, seed: int, core: int | None) -> int:
    """Move packets until standard input ends; return the exit code."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    go_first()
    try:
        networks = make_ends()
    except BoxUnavailable as unavailable:
        _say({"event": "unavailable", "reason": str(unavailable)})
        return 1
    near, far = (End(network.device, Way(link, 2 * seed + number)) for number, network in enumerate(networks))
    router, middle_box = Router(near, far), MiddleBox()
    _say({"event": "ready", "pid": os.getpid()})
    control, unfinished = sys.stdin.fileno(), b""
    try:
        while True:
            router.serve_until(control)
            if not (read := os.read(control, 4096)):
                return 0
            *lines, unfinished = (unfinished + read).split(b"\n")
            for line in lines:
                if line:
                    near.middle_box = middle_box  # from now on packets pass it
                    _say(_obeyed(middle_box, line))
                else:
                    _say(_counted(router, near, far, networks, middle_box))
    finally:
        end_all_inside(networks)


def _obeyed(middle_box: MiddleBox, order: bytes) -> dict[str, object]:
    at_ns = now_ns()
    try:
        middle_box.obey(order, at_ns)
    except OrderError as error:
        return {"event": "refused", "reason": str(error)}
    return {"event": "done", "at_ns": at_ns}


def _counted(
    router: Router, near: End, far: End, networks: tuple[NetworkEnd, NetworkEnd], middle_box: MiddleBox
) -> dict[str, object]:
    return {
        "event": "counts",
        "at_ns": now_ns(),
        "up": near.way.counts(),
        "down": far.way.counts(),
        "lags": [[step, count] for step, count in enumerate(router.lags) if count],
        "near": networks[0].counts(),
        "far": networks[1].counts(),
        "stopped": middle_box.stopped,
    }


def _say(words: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_at_interrupt()
    words, seed, *core = sys.argv[1:]
    sys.exit(main(Link(**json.loads(words)), int(seed), int(core[0]) if core else None))
