"""The process in which student code runs: ``python -m bench.grading FORM TRANSPORT FIRST FILE…``.

It tries the checks from number FIRST on, and tells what it found by JSON lines on its standard output. What
the student's code prints goes to standard error. It ends when its standard input ends.
"""

import contextlib
import importlib.util
import inspect
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NoReturn

import msgspec
from aiohttp import web

from bench.grading import client_checks, pair_checks, server_checks, ticks_checks
from bench.grading.base import Check, Fault, describe, judge, line_of
from bench.grading.server_client import Subject as ServerSubject
from bench.grading.virtual import Clock
from clients.base import TickClient
from servers import wire
from servers.base import Query, Serve, parse_query
from servers.feed import Delivery, Feed
from servers.http import serve_http, ticks_response


class Unusable(Exception):
    """The file cannot be imported, or what it defines is not what its name says; the text is a sentence."""


def main(form: str, transport: str, first: int, files: list[Path], out: BinaryIO) -> None:
    """Import the files, and try their checks one after the other."""

    def tell(**line: Any) -> None:
        out.write(msgspec.json.encode(line) + b"\n")
        out.flush()

    clock = Clock()
    _set_clocks(clock)
    tell()  # the student's time begins
    try:
        modules = [_import(file) for file in files]
        checks, subject = _cast(form, transport, clock, modules, files)
    except Unusable as error:
        tell(unusable=str(error))
        return
    tell(titles=[check.title for check in checks])
    for number, check in enumerate(checks[first:], start=first):
        tell(number=number, verdict=judge(check, subject, files[-1] if form == "pair" else files[0]))


def _cast(
    form: str, transport: str, clock: Clock, modules: Sequence[ModuleType], files: Sequence[Path]
) -> tuple[Sequence[Check[Any]], Any]:
    """Return the checks for a form, and what they are to check."""
    first = modules[0]
    if form == "client":
        return client_checks.CHECKS, client_checks.Subject(_client_class(first), transport)
    if form == "ticks":
        return ticks_checks.checks(files[0].read_text("utf-8")), ticks_checks.Subject(
            first.ticks, transport, clock
        )
    if form == "pair":
        return pair_checks.CHECKS, pair_checks.Subject(
            _client_class(first), modules[-1].serve, transport, clock
        )
    serve = first.serve if form == "serve" else _serve_by(first.handle, transport)
    return server_checks.CHECKS, ServerSubject(serve, transport, clock)


def _client_class(module: ModuleType) -> type[TickClient]:
    found = module.Client
    if not (inspect.isclass(found) and issubclass(found, TickClient)):
        raise Unusable(f"{module.__name__}.py: Client must be a subclass of clients.base.TickClient")
    if missing := sorted(found.__abstractmethods__):
        raise Unusable(f"{module.__name__}.py: Client still lacks {', '.join(missing)}; see clients/base.py")
    return found


def _serve_by(handle: Callable[[Query, Feed], Awaitable[Delivery]], transport: str) -> Serve:
    """Make a server of a beginner's handler."""

    @contextlib.asynccontextmanager
    async def serve(feed: Feed, listener: Any, options: Any) -> AsyncIterator[None]:
        async def answer_ticks(request: web.Request) -> web.Response:
            query = parse_query(request.query, feed, holds=transport == "long_polling")
            return ticks_response(await handle(query, feed))

        async with serve_http(transport, feed, listener, options, answer_ticks):
            yield

    return serve


def _import(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise Unusable(f"{file.name} cannot be imported: {describe(error)}{line_of(error, file)}") from None
    return module


def _set_clocks(clock: Clock) -> None:
    """Put this process on the simulated clock, before student code asks what time it is."""
    wire.now_ns = clock
    time.perf_counter_ns = clock
    time.perf_counter = lambda: clock() / 1e9
    time.sleep = _refuse_to_sleep  # type: ignore[assignment]


def _refuse_to_sleep(seconds: float) -> NoReturn:
    raise Fault(
        "it stops everything to wait",
        seen=f"time.sleep({seconds:g})",
        expected=f"await asyncio.sleep({seconds:g}), or a deadline",
        hint="time.sleep stops the whole event loop, with all its other clients",
        where="the documentation of asyncio: Developing with asyncio, Running Blocking Code",
    )


def _end_with(harness: int) -> None:
    """End this process when the harness's end of the pipe is closed, whatever the student's code is at."""
    while os.read(harness, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.dup(0),), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # input() finds nothing
    with os.fdopen(os.dup(1), "wb") as lines:
        os.dup2(2, 1)
        form_, transport_, first_, *files_ = sys.argv[1:]
        main(form_, transport_, int(first_), [Path(file) for file in files_], lines)
        sys.stdout.flush()
    os._exit(0)  # whatever threads the student's code has left
