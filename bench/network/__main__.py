"""The router as a process: ``python -m bench.network '{"rtt_ms": 40}' SEED [CORE]``.

It says on standard output that it is ready, or why it cannot be. Then it moves packets. To a line on standard
input it answers with what it has counted so far; when standard input ends it ends, and with it both ends of
the link, and whoever is still in them.
"""

import json
import os
import sys

from bench.network.link import Link
from bench.network.namespaces import BoxUnavailable, end_all_inside, make_ends
from bench.network.router import End, Router
from bench.network.way import Way
from servers.interrupts import end_at_interrupt
from servers.wire import now_ns


def main(link: Link, seed: int, core: int | None) -> int:
    """Move packets until standard input ends; return the exit code."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        near, far = make_ends()
    except BoxUnavailable as unavailable:
        _say({"event": "unavailable", "reason": str(unavailable)})
        return 1
    ways = Way(link, 2 * seed), Way(link, 2 * seed + 1)
    router = Router(End(near.device, ways[0]), End(far.device, ways[1]))
    _say({"event": "ready", "pid": os.getpid()})
    control = sys.stdin.fileno()
    try:
        while True:
            router.serve_until(control)
            if not os.read(control, 4096):
                return 0
            _say(
                {
                    "event": "counts",
                    "at_ns": now_ns(),
                    "up": ways[0].counts(),
                    "down": ways[1].counts(),
                    "lags": [[step, count] for step, count in enumerate(router.lags) if count],
                    "near": near.counts(),
                    "far": far.counts(),
                }
            )
    finally:
        end_all_inside((near, far))


def _say(words: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_at_interrupt()
    words, seed, *core = sys.argv[1:]
    sys.exit(main(Link(**json.loads(words)), int(seed), int(core[0]) if core else None))
