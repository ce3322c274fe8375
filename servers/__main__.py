"""Serve the live ticker over one transport: ``python -m servers websocket --port 8000``.

Prints one JSON line (url, pid …) when ready, and on standard error the address to open in a browser. Stops at
Ctrl-C or SIGTERM, answering whoever waits. With --stop-with-stdin it says nothing to people, stops when
standard input ends, and until then answers what is asked there.
"""

if __name__ == "__main__":
    from servers.interrupts import end_at_interrupt

    end_at_interrupt()  # until the loop listens for it

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from servers.base import PATH, congestion_in_force, listen, load_serve, server_modules
from servers.browser.page import PAGE_PATH
from servers.conditions import conditions
from servers.door import clients_that_fit, raise_descriptor_limit
from servers.feed import Feed
from servers.options import ServerOptions, add_options
from servers.questions import Questions
from servers.variants import current_name
from servers.wire import now_ns
from servers.workloads.market import random_walk
from servers.workloads.plan import due_times, due_times_again
from servers.workloads.recording import RecordingError, read_recording


def build_feed(options: ServerOptions) -> tuple[Feed, int]:
    """Build the feed that the options describe; return it and its start, from which its plan counts.

    A new feed starts when a recording has been read, however long that took. With ``start_ns`` it is the feed
    of an earlier server, and holds what its history would hold by now. For start, seed and options say all of
    a feed, and the bench clock is one for all processes of a machine until that boots again. So a client goes
    on from its cursor as if the server had never been away.

    Raises:
        ValueError: If ``start_ns`` is to come, or too long ago.
    """
    recording, offsets_ns = None, None
    if options.recording is not None:
        recording = read_recording(
            Path(options.recording),
            payload_bytes=options.payload_bytes,
            speed=options.speed,
            time_unit=options.time_unit,
        )
        offsets_ns = recording.offsets_ns
    now = now_ns()
    start_ns = now if options.start_ns is None else options.start_ns
    if start_ns > now:
        raise ValueError(
            f"start_ns is {start_ns}, but this machine's clock, which counts since it booted, is at {now}; "
            "give what an earlier server told when it was ready"
        )
    plan: dict[str, Any] = {
        "plan": options.plan,
        "rate_hz": options.rate_hz,
        "seed": options.seed,
        "start_ns": start_ns,
        "open_after_s": options.open_after_s,
    }
    left_out, due = 0, due_times(**plan, offsets_ns=offsets_ns)
    if options.start_ns is not None:
        left_out, due = due_times_again(now_ns=now, kept=options.history_ticks, offsets_ns=offsets_ns, **plan)
    feed = Feed(
        due,
        random_walk(options.seed, after=left_out) if recording is None else recording.loop(after=left_out),
        payload_bytes=options.payload_bytes,
        padding=options.padding,
        contract=options.contract,
        history_ticks=options.history_ticks,
        left_out=left_out,
        plan=plan,
    )
    if options.start_ns is not None:
        feed.rebuild()
    return feed, start_ns


def addresses(listener: socket.socket, options: ServerOptions) -> dict[str, str]:
    """Return where the ticks are, and the page; that one where a browser on this machine finds it."""
    scheme = "http" if options.certificate is None else "https"
    host, port = listener.getsockname()[:2]
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    origin, page = (f"{scheme}://{f'[{each}]' if ':' in each else each}:{port}" for each in (host, near))
    return {"url": f"{origin}{PATH}", "page": f"{page}{PAGE_PATH}"}


@contextlib.asynccontextmanager
async def serving(transport: str, options: ServerOptions) -> AsyncIterator[tuple[dict[str, Any], Feed]]:
    """Serve a transport while the context is open; yields the line that says where and how, and the feed."""
    serve = load_serve(transport)
    feed, start_ns = build_feed(options)
    with listen(options) as listener:
        listens_ns = now_ns()
        publishing = asyncio.create_task(feed.run())
        try:
            async with serve(feed, listener, options):
                try:
                    ready = {
                        "event": "ready",
                        "transport": transport,
                        **addresses(listener, options),
                        "pid": os.getpid(),
                        "start_ns": start_ns,
                        "listens_ns": listens_ns,
                        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
                        "python": platform.python_version(),
                        "mss": options.mss,
                        "congestion": congestion_in_force(listener),
                        "conditions": conditions(),
                    }
                    yield ready, feed
                finally:
                    feed.close()
        finally:
            publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await publishing


def _listen_for_the_end() -> asyncio.Event:
    """Return what will be set by Ctrl-C or SIGTERM.

    Where SIGINT came in ignored it stays so: a shell starts the background jobs of a script like that, and
    Ctrl-C is for what is in the foreground.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stopped.set)
    return stopped


def _answer_until_stdin_ends(feed: Feed, stopped: asyncio.Event) -> None:
    """Answer what is asked on standard input (servers/questions.py); stop when it ends, or nobody listens."""
    questions = Questions(sys.stdin.fileno(), feed)

    def read_stdin() -> None:
        answers = questions.read()
        try:
            sys.stdout.buffer.writelines(answers or [])
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            answers = None
        if answers is None:
            stopped.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), read_stdin)


async def _run(transport: str, options: ServerOptions) -> None:
    stopped = _listen_for_the_end()
    async with serving(transport, options) as (ready, feed):
        print(json.dumps(ready), flush=True)  # whoever reads it may stop us at once
        if options.stop_with_stdin:
            _answer_until_stdin_ends(feed, stopped)
        else:
            print(f"open {ready['page']} in a browser; Ctrl-C stops the server", file=sys.stderr, flush=True)
        await stopped.wait()


def run(transport: str, options: ServerOptions) -> None:
    """Serve a transport until stopped; prints one JSON line when ready.

    Raises:
        RecordingError: If the recording cannot be replayed.
        ValueError: If the certificate cannot be read.
        OSError: If the address cannot be listened on.
    """
    max_clients = clients_that_fit(options.max_clients, raise_descriptor_limit())
    options = dataclasses.replace(options, max_clients=max_clients)
    if options.core is not None and hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(0, {options.core})
        except OSError as error:
            cores = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
            raise ValueError(f"core is {options.core}; this process may run on {cores}") from error
    loop_factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_run(transport, options))


def main(arguments: list[str] | None = None, *, program: str = "python -m servers") -> int:
    """Read the command line, run one server, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog=program, description="Serve the live ticker over one transport, until Ctrl-C."
    )
    parser.add_argument("transport", type=current_name, choices=sorted(server_modules()))
    add_options(parser)
    words = vars(parser.parse_args(arguments))
    transport = words.pop("transport")
    try:
        run(transport, ServerOptions(**words))
    except (RecordingError, ValueError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"{program}: cannot start: {error}; if it is the address, choose another --host or --port",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
