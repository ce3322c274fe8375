"""Solutions against servers as they are: started anew, silent, full, cut, and against us."""

import ast
import asyncio
import contextlib
import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import ClientResponseError
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from bench.measure.subject import Server, running_server
from bench.transports import TRANSPORTS
from clients.base import Address, ServerError
from servers.options import ServerOptions
from tests import ROOT
from tests.asking import wait_for_tick
from tests.waiting import LIMIT_S

NOTEBOOKS = ROOT / "notebooks"
GENERATORS = ["polling_ticks", "websocket_ticks", "mended_a", "mended_b", "mended_c"]
FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOWHERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
SILENCE = b""
TIMEOUT_S = 0.2

each_client = pytest.mark.parametrize("name", GENERATORS)


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Server]]:
    """Return the one server of each transport, at 50 Hz, that these tests share."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def server_of(transport: str) -> Server:
            options = ServerOptions(rate_hz=50)
            return stack.enter_context(running_server(TRANSPORTS[transport].server, options))

        yield server_of


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Load a solution whose waits take tenths of a second."""

    def load(name: str) -> ModuleType:
        module = load_solution(name)
        monkeypatch.setattr("random.uniform", lambda low, high: min(high, 0.01))
        for constant, value in (("TIMEOUT_S", TIMEOUT_S), ("TIMEOUTS", {"open_timeout": TIMEOUT_S})):
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, value)
        return module

    return load


def load_solution(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, NOTEBOOKS / "solutions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def take(module: ModuleType, url: str, seqs: list[int], enough: Callable[[], bool]) -> None:
    """Collect the seqs of a solution's ticks until there are enough."""
    url = url.replace("http:", "ws:") if module.TRANSPORT == "websocket" else url
    settings = {} if module.TRANSPORT == "websocket" else {"poll_interval_s": 0.02}
    async with asyncio.timeout(LIMIT_S), contextlib.aclosing(module.ticks(url, **settings)) as coming:
        async for tick in coming:
            seqs.append(tick["seq"])
            if enough():
                return


@each_client
def test_a_client_begins_anew_with_a_server_that_was_started_anew(
    name: str, quick: Callable[[str], ModuleType]
) -> None:
    """Its cursor is ahead of the new server, which refuses it: HTTP 400, or close 4400."""
    module = quick(name)
    transport = TRANSPORTS[module.TRANSPORT].server
    seqs: list[int] = []

    async def play() -> None:
        with running_server(transport, ServerOptions(rate_hz=200)) as first:
            wait_for_tick(first, 30)
            client = asyncio.create_task(take(module, first.url, seqs, lambda: seqs[-1] < 30))
            while not seqs:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(first.stop)
        with running_server(transport, ServerOptions(rate_hz=5, port=first.port)):
            await client

    asyncio.run(play())
    before, after = seqs[:-1], seqs[-1]
    assert before == list(range(before[0], before[-1] + 1))
    assert after < 30 <= before[0]


@contextlib.asynccontextmanager
async def before(port: int, answers: list[bytes]) -> AsyncIterator[str]:
    """Stand before a server: the first connections get these answers (none is silence), later ones get it."""
    tasks: set[asyncio.Task[Any]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while data := await reader.read(65_536):
                writer.write(data)

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError), contextlib.closing(writer):
            if answers:
                answer = answers.pop(0)
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                if answer == SILENCE:
                    await reader.read()
            else:
                there = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ticks"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("name", ["polling_ticks", "websocket_ticks"])
@pytest.mark.parametrize(
    "answers",
    [[FULL, FULL], [SILENCE], [FULL[:20]]],
    ids=["full", "silent", "cut"],
)
def test_a_client_comes_back_after_what_may_pass(
    name: str,
    answers: list[bytes],
    quick: Callable[[str], ModuleType],
    servers: Callable[[str], Server],
) -> None:
    module = quick(name)
    seqs: list[int] = []

    async def play() -> None:
        async with before(servers(module.TRANSPORT).port, [*answers]) as url:
            await take(module, url, seqs, lambda: len(seqs) == 5)

    asyncio.run(play())
    assert seqs == list(range(seqs[0], seqs[0] + 5))


@each_client
@pytest.mark.parametrize("answers", [[], [NOWHERE]], ids=["a query that nobody knows", "nowhere"])
def test_a_client_gives_up_where_it_would_ask_for_ever(
    name: str,
    answers: list[bytes],
    quick: Callable[[str], ModuleType],
    servers: Callable[[str], Server],
) -> None:
    module = quick(name)

    async def play() -> None:
        async with before(servers(module.TRANSPORT).port, [*answers]) as url:
            await take(module, f"{url}?sequence=1", [], lambda: False)

    with pytest.raises((ClientResponseError, ConnectionClosedError, InvalidStatus)):
        asyncio.run(play())


@pytest.mark.parametrize("name", ["polling_ticks", "websocket_ticks"])
def test_clients_wait_longer_each_time_but_not_for_ever(name: str) -> None:
    module = load_solution(name)
    longest = [max(module.pause_s(failures) for _ in range(300)) for failures in (1, 3, 10_000)]
    assert longest == sorted(longest)
    assert longest[-1] <= module.LONGEST_PAUSE_S


# The client without I/O

ARRAY = json.dumps([{"seq": 1, "due_ns": 1, "symbol": "A", "price": 1.0, "padding": ""}]).encode()
OK = b"HTTP/1.1 200 OK\r\n"


def long_polling_client() -> Any:
    client = load_solution("long_polling_client").Client(Address("127.0.0.1", 1))
    client.connected(0)
    client.data_to_send()
    return client


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/2 200\r\nContent-Length: 2\r\n\r\n[]",
        OK + b"\r\n",
        OK + b"Content-Length: two\r\n\r\n[]",
        OK + b"Content-Length: -2\r\n\r\n[]",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        OK + b"Content-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 4\r\n\r\nnull",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 503\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_what_cannot_be_read_is_a_sentence(answer: bytes) -> None:
    with pytest.raises(ServerError, match=r"."):
        long_polling_client().receive_data(answer, 0)


@given(
    data=st.one_of(st.binary(max_size=80), st.binary(max_size=30).map(lambda head: OK + head + b"\r\n\r\n"))
)
def test_whatever_comes_is_ticks_or_a_sentence(data: bytes) -> None:
    with contextlib.suppress(ServerError):
        assert long_polling_client().receive_data(data, 0) == ()


def test_a_cursor_that_is_refused_is_forgotten() -> None:
    client = long_polling_client()
    client.receive_data(OK + b"content-length: %d\r\n\r\n%b" % (len(ARRAY), ARRAY), 0)
    assert b"after=1&" in client.data_to_send()
    with pytest.raises(ServerError, match="start anew"):
        client.receive_data(
            b'HTTP/1.1 400 Bad Request\r\nContent-Length: 22\r\n\r\n{"error":"start anew"}', 0
        )
    client.disconnected()
    client.connected(0)
    assert b"after=" not in client.data_to_send()


# What students copy


def code_of_the_course() -> Iterator[tuple[str, str]]:
    """Yield name and source of each file and notebook cell."""
    for path in NOTEBOOKS.glob("**/*.py"):
        yield path.name, path.read_text(encoding="utf-8")
    for path in NOTEBOOKS.glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield f"{path.name} {cell['id']}", "".join(cell["source"])


def test_what_is_opened_is_closed_and_every_wait_has_an_end() -> None:
    """A response that is not closed keeps its connection; a call without a time-out may wait for ever."""
    ends = {"ClientSession": "timeout", "create_connection": "timeout", "HTTPConnection": "timeout"}
    for where, source in code_of_the_course():
        tree = ast.parse(source)
        in_with = {
            id(item.context_expr)
            for node in ast.walk(tree)
            if isinstance(node, ast.With | ast.AsyncWith)
            for item in node.items
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called = ast.unparse(node.func)
                if called == "session.get":
                    assert id(node) in in_with, f"{where}: {called} outside of async with"
                if node.func.attr in ends:
                    named = {keyword.arg for keyword in node.keywords}
                    assert ends[node.func.attr] in named, f"{where}: {called} without a time-out"


def cells_of(number: str) -> list[Any]:
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return [
        cell | {"source": "".join(cell["source"])}
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    ]


class Trickle:
    """A connection whose reads end anywhere: ``sizes`` bytes each, then all that is left, then its end."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data, self.sizes = data, sizes

    def recv(self, most: int) -> bytes:
        size = min(self.sizes.pop(0) if self.sizes else len(self.data), most)
        read, self.data = self.data[:size], self.data[size:]
        return read


@given(sizes=st.lists(st.integers(1, 200)), length=st.sampled_from([0, 98, 125, 126, 130, 70_000]))
def test_the_plain_sockets_of_notebook_01_read_streams(sizes: list[int], length: int) -> None:
    """One read may hold half an answer, or what comes behind the 101 too."""
    sources = [cell["source"] for cell in cells_of("01") if "def receive(" in cell["source"]]
    sources += [cell["source"] for cell in cells_of("01") if "def read_frame(" in cell["source"]]
    code: dict[str, Any] = {}
    exec("import re\n" + "\n".join(sources), code)
    short, wide = (length, 0) if length < 126 else (126, 2) if length < 65_536 else (127, 8)
    frame = bytes([0x81, short]) + (length.to_bytes(wide) if wide else b"") + bytes(length)
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    connection = Trickle(head + frame + b"\x81\x00", [*sizes])
    got_head, end, rest = code["read_head"](connection).partition(b"\r\n\r\n")
    assert (got_head + end, code["read_frame"](connection, rest)) == (head, frame)
    with pytest.raises(ConnectionError):
        code["read_head"](Trickle(b"HTTP/1.1 200 OK\r\nContent-", []))


@pytest.mark.alone
def test_the_stopped_client_of_notebook_07_comes_back(tmp_path: Path) -> None:
    """Exercise 2 as a student would run it; only the latency from when it was due notices."""
    cells = cells_of("07")
    names = ("PACE_S,", "def stall(", "def wait_until(", "def all_latencies_ms(", "def measure_client(")
    sources = [
        cell["source"] for name in names for cell in cells if name in cell["source"].partition("live(")[0]
    ]
    (exercise,) = [cell["source"] for cell in cells if cell["source"].startswith("## Exercise")]
    ask = "client_ms = measure_client()"
    assert f"`{ask}`" in exercise
    script = tmp_path / "exercise.py"
    script.write_text(
        "import contextlib, http.client, multiprocessing, os, signal, threading, time\nimport numpy as np\n"
        "from concurrent.futures import ProcessPoolExecutor\nfrom bench.course.lesson import serving\n"
        + "\n".join(sources).replace("measured_ms = live(measure, otherwise=lambda: simulated_ms)", "")
        + f"\n{ask}\nprint(*np.quantile(client_ms, 0.99, axis=0), STALL_S)\n",
        encoding="utf-8",
    )
    ran = subprocess.run(
        [sys.executable, script], capture_output=True, encoding="utf-8", timeout=3 * LIMIT_S,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    from_asking_ms, from_due_ms, stall_s = map(float, ran.stdout.split())
    assert from_due_ms > 500 * stall_s > from_asking_ms
