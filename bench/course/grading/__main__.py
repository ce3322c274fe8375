"""The process in which student code runs: ``python -m bench.course.grading FORM TRANSPORT FIRST FILE…``.

It reads a secret from its standard input, tries the checks from number FIRST on, and tells what it found by
sealed JSON lines (see seal.py) on its standard output. What the student's code prints goes to standard error.
It ends when its standard input ends.
"""

import contextlib
import importlib.util
import inspect
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from aiohttp import web

from bench.course.grading import guard
from bench.course.grading.base import Fault, describe, line_of, offences, try_check
from bench.course.grading.checks import checks_of, client, pair, watchful
from bench.course.grading.seal import SECRET_BYTES, Message, Seal
from bench.course.grading.simulated.clock import Clock
from bench.course.grading.simulated.generator_run import StudentGenerator
from bench.course.grading.simulated.visitor import StudentServer
from clients.base import TickClient
from servers.base import BadRequest, Query, Serve, parse_query
from servers.feed import Delivery, Feed
from servers.http import serve_http, ticks_response


class Unusable(Exception):
    """The file cannot be imported, or what it defines is not what its name says; the text is a sentence."""


def main(form: str, transport: str, first: int, files: list[Path], seal: Seal, out: int) -> None:
    """Import the files, and try their checks one after the other; ``out`` is a descriptor."""
    encode, write, find = msgspec.json.Encoder().encode, os.write, try_check  # as they are now, for good

    def send(message: Message) -> None:
        line = seal.line(encode(message))
        while line:
            line = line[write(out, line) :]

    clock = Clock()
    guard.set_clocks(clock)
    guard.keep_logged_exceptions()
    file = files[-1] if form == "pair" else files[0]
    checks = checks_of(form, transport, file.read_bytes())
    send(Message("begun"))
    guard.hide_grader()
    try:
        student = make_student(form, transport, clock, [import_file(file) for file in files], files)
    except Unusable as error:
        send(Message("unusable", unusable=str(error)))
        return
    send(Message("imported"))
    guard.refuse_to_block()
    for number, check in enumerate(checks[first:], start=first):
        send(Message("verdict", number=number, verdict=find(check, student, file)))


def make_student(
    form: str, transport: str, clock: Clock, modules: Sequence[ModuleType], files: Sequence[Path]
) -> Any:
    """Return the student's work as its checks take it."""
    first, name = modules[0], files[0].name
    if form == "client":
        return client.StudentClient(_client_class(first, name), transport)
    if form == "watchful":
        return watchful.StudentWatcher(_watchful_class(first, name))
    if form == "ticks":
        return StudentGenerator(_function(first, "ticks", name), transport, clock)
    if form == "pair":
        serve = _function(modules[-1], "serve", files[-1].name)
        return pair.StudentPair(_client_class(first, name), serve, transport, clock)
    if form == "serve":
        return StudentServer(_function(first, "serve", name), transport, clock)
    return StudentServer(_serve_by(_function(first, "handle", name), transport), transport, clock)


def _function(module: ModuleType, wanted: str, file_name: str) -> Any:
    found = getattr(module, wanted, None)
    if not callable(found):
        raise Unusable(f"{file_name}: {wanted} is no function")
    return found


def _client_class(module: ModuleType, file_name: str) -> type[TickClient]:
    found = getattr(module, "Client", None)
    if not (inspect.isclass(found) and issubclass(found, TickClient)):
        raise Unusable(f"{file_name}: Client must be a subclass of clients.base.TickClient")
    if missing := sorted(found.__abstractmethods__):
        raise Unusable(f"{file_name}: Client still lacks {', '.join(missing)}; see clients/base.py")
    return found


def _watchful_class(module: ModuleType, file_name: str) -> type:
    found = getattr(module, "WatchfulClient", None)
    if not inspect.isclass(found):
        raise Unusable(f"{file_name}: WatchfulClient is no class")
    return found


def _serve_by(handle: Callable[[Query, Feed], Awaitable[Delivery]], transport: str) -> Serve:
    """Make a server of a beginner's handler; what it raises is the offence, and not the 500 that it makes."""

    @contextlib.asynccontextmanager
    async def serve(feed: Feed, listener: Any, options: Any) -> AsyncIterator[None]:
        async def answer_ticks(request: web.Request) -> web.Response:
            query = parse_query(request.query, feed, holds=transport == "long_polling")
            try:
                delivery = await handle(query, feed)
                if not isinstance(delivery, Delivery):
                    raise _no_delivery(delivery)
            except BadRequest:
                raise
            except Exception as error:
                offences.append(error)
                raise
            return ticks_response(delivery)

        async with serve_http(transport, feed, listener, options, answer_ticks):
            yield

    return serve


def _no_delivery(returned: object) -> Fault:
    return Fault(
        "what handle returns is no delivery",
        seen=f"a {type(returned).__name__}",
        expected="what feed.after(query.cursor) returns",
        hint="return it as it is: it has the array, and what the client must know beside it",
        where="servers/feed.py, Delivery",
    )


def import_file(file: Path) -> ModuleType:
    """Import a file as Python would, under its own name unless something else has that already."""
    name = file.stem
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"submission_{name}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.append(str(file.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise Unusable(f"{file.name} cannot be imported: {describe(error)}{line_of(error, file)}") from None
    return module


def _end_with(harness: int) -> None:
    """End this process when the harness's end of the pipe is closed, whatever the student's code is at."""
    while os.read(harness, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    seal_ = Seal(os.read(0, SECRET_BYTES))
    threading.Thread(target=_end_with, args=(os.dup(0),), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # input() finds nothing
    lines = os.dup(1)
    os.dup2(2, 1)
    form_, transport_, first_, *files_ = sys.argv[1:]
    main(form_, transport_, int(first_), [Path(file) for file in files_], seal_, lines)
    os._exit(0)  # whatever threads the student's code has left
