"""``bench grade``: solutions pass, skeletons and planted faults fail with their words, and nothing hangs."""

import contextlib
import io
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from bench import cli
from bench.grading import client_checks
from bench.grading.base import Verdict, judge
from bench.grading.report import grade_files
from bench.grading.submission import Part, SubmissionError, read_parts
from bench.grading.supervise import grade
from clients.base import load
from tests.waiting import LIMIT_S, PATIENCE, interruptible, wait_until

ROOT = Path(__file__).parent.parent
SOLUTIONS = ROOT / "notebooks" / "solutions"
START = ROOT / "notebooks" / "exercises" / "start"
HANG_LIMIT_S = 1.5 * PATIENCE

POLLING = 'TRANSPORT = "short_polling"\nimport asyncio, os, sys, aiohttp\n'


def graded(*paths: Path, time_limit_s: float = LIMIT_S) -> tuple[bool, str]:
    """Grade files; return whether all passed, and what was printed."""
    printed = io.StringIO()
    passed = grade_files(list(paths), Console(file=printed, width=200), time_limit_s=time_limit_s)
    return passed, printed.getvalue()


@pytest.fixture(scope="module")
def all_graded() -> dict[Path, tuple[bool, str]]:
    """Grade every solution and every start file, two at a time."""
    files = [*SOLUTIONS.glob("*.py"), *START.glob("*.py")]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(files, pool.map(graded, files), strict=True))


@pytest.mark.parametrize("name", sorted(path.name for path in SOLUTIONS.glob("*.py")))
def test_every_solution_passes_entirely(name: str, all_graded: dict[Path, tuple[bool, str]]) -> None:
    passed, printed = all_graded[SOLUTIONS / name]
    assert passed, printed


def test_a_server_and_a_client_are_tried_as_a_pair() -> None:
    (pair,) = [part for part in read_parts([SOLUTIONS / "sse_server.py", SOLUTIONS / "sse_client.py"])
               if part.form == "pair"]  # fmt: skip
    assert [verdict.passed for verdict in grade(pair)] == [True] * 3


@pytest.mark.parametrize("name", ["short_polling", "long_polling", "websocket"])
def test_the_clients_of_the_house_pass(name: str) -> None:
    file = ROOT / "clients" / f"{name}.py"
    subject = client_checks.Subject(load(name), name)
    verdicts = [judge(check, subject, file) for check in client_checks.CHECKS]
    assert [verdict for verdict in verdicts if not verdict.passed] == []


def test_a_server_of_the_house_passes() -> None:
    passed, printed = graded(ROOT / "servers" / "websocket.py")
    assert passed, printed


SKELETONS = {
    "polling_ticks.py": ("2 of 7", "it stops by itself"),
    "websocket_ticks.py": ("2 of 7", "it stops by itself"),
    "long_polling_handle.py": ("5 of 11", "it does not hold the request"),
    "long_polling_client.py": ("2 of 10", "a read may end anywhere"),
    "sse_server.py": ("4 of 11", "it does not tell a client how many ticks it missed"),
    "sse_client.py": ("2 of 10", "no tick came"),
    "faulty_a.py": ("4 of 7", "ticks were lost"),
    "faulty_b.py": ("6 of 7", "ticks came twice"),
    "faulty_c.py": ("7 of 8", "its latency does not begin when the tick was due"),
}


@pytest.mark.parametrize("name", sorted(path.name for path in START.glob("*.py")))
def test_every_start_file_fails_with_its_message(name: str, all_graded: dict[Path, tuple[bool, str]]) -> None:
    score, said = SKELETONS[name]
    passed, printed = all_graded[START / name]
    assert not passed
    assert printed.splitlines()[-1] == score, printed
    assert said in printed
    assert "Traceback" not in printed


def test_the_exercises_name_every_file() -> None:
    exercises, solutions = (
        (folder / "README.md").read_text(encoding="utf-8") for folder in (START.parent, SOLUTIONS)
    )
    assert not [path.name for path in START.glob("*.py") if path.stem.removeprefix("faulty") not in exercises]
    assert not [path.name for path in SOLUTIONS.glob("*.py") if path.name not in solutions]


# What is told before anything runs


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def ticks(url)\n    yield 1\n", "line 1: expected ':'"),
        ("x = 1\n", "defines neither a client nor a server"),
        ("async def ticks(url):\n    yield 1\n", 'a line TRANSPORT = "…"'),
        (
            'TRANSPORT = "pigeon"\nasync def ticks(url):\n    yield 1\n',
            "line 1: there is no transport 'pigeon'",
        ),
        ('TRANSPORT = "websocket"\ndef ticks(url):\n    yield 1\n', "line 2: ticks must be asynchronous"),
        ('TRANSPORT = "websocket"\nasync def ticks(url):\n    return []\n', "line 2: ticks must yield"),
        ('TRANSPORT = "websocket"\nasync def handle(query, feed):\n    pass\n', "for websocket write serve"),
    ],
)
def test_wrong_files_are_one_sentence(tmp_path: Path, source: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source, encoding="utf-8")
    with pytest.raises(SubmissionError) as refused:
        read_parts([file])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            POLLING + "import nothing_of_this_name\n",
            "No module named 'nothing_of_this_name', in mine.py line 3",
        ),
        (POLLING + "raise SystemExit(0)\n", "SystemExit: 0, in mine.py line 3"),
        (POLLING + "while True: pass\n", "cannot be imported: the process did not answer"),
        (POLLING + "class Client: pass\n", "must be a subclass of clients.base.TickClient"),
    ],
    ids=["import", "exit", "hang", "class"],
)
def test_files_that_cannot_be_imported_are_one_sentence(tmp_path: Path, source: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        source + ("async def ticks(url):\n    yield 1\n" if "Client" not in source else ""), encoding="utf-8"
    )
    with pytest.raises(SubmissionError) as refused:
        graded(file, time_limit_s=HANG_LIMIT_S)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


# What goes wrong while it runs


def first_verdict(tmp_path: Path, body: str) -> Verdict:
    """Grade a generator with this body; return the first verdict."""
    file = tmp_path / "mine.py"
    file.write_text(
        POLLING + f"async def ticks(url, poll_interval_s=1.0):\n{body}\n    yield 1\n", encoding="utf-8"
    )
    with contextlib.closing(
        grade(Part("ticks", "short_polling", (file,)), time_limit_s=HANG_LIMIT_S)
    ) as found:
        return next(found)


@pytest.mark.parametrize(
    ("body", "wrong", "seen"),
    [
        ("    while True: print('x' * 1000)", "it does not come to an end", "it printed last: xxx"),
        ("    os._exit(7)", "its process died", "exit code 7"),
        ("    os.kill(os.getpid(), 9)", "its process died", "signal 9"),
        ("    1 / 0", "it crashed, in mine.py line 4", "ZeroDivisionError"),
        ("    sys.exit('no')", "it crashed, in mine.py line 4", "SystemExit: no"),
        ("    input()", "it crashed, in mine.py line 4", "EOFError"),
        ("    import time; time.sleep(9)", "it stops everything to wait", "time.sleep(9)"),
        ("    await asyncio.Event().wait()", "it asks nothing", "no request came"),
        (
            "    async with aiohttp.ClientSession() as s:\n        while True: await s.get(url)",
            "it asks again and again without a pause",
            "300 requests at one instant",
        ),
    ],
    ids=["output", "exit", "killed", "crash", "sys_exit", "input", "sleep", "silence", "no_pause"],
)
def test_what_goes_wrong_is_told(tmp_path: Path, body: str, wrong: str, seen: str) -> None:
    verdict = first_verdict(tmp_path, body)
    assert not verdict.passed
    assert verdict.title == wrong
    assert seen in verdict.seen


def test_after_two_hangs_the_rest_is_not_tried(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(POLLING + "async def ticks(url):\n    while True: pass\n    yield 1\n", encoding="utf-8")
    verdicts = list(grade(Part("ticks", "short_polling", (file,)), time_limit_s=HANG_LIMIT_S))
    assert [verdict.title for verdict in verdicts[:2]] == ["it does not come to an end"] * 2
    assert [verdict.title.startswith("not tried") for verdict in verdicts[2:]] == [True] * 5


@pytest.mark.parametrize(
    ("handle", "wrong"),
    [
        ("return feed.after(query.cursor - 1)", "ticks came twice"),
        ("return feed.after(feed.newest_only())", "ticks were lost"),
        (
            "return feed.after(query.cursor)._replace(missed=0)",
            "it does not tell a client how many ticks it missed",
        ),
        (
            "d = feed.after(query.cursor); return d._replace(body=json.dumps(json.loads(d.body)).encode())",
            "its arrays have not the bytes that they should",
        ),
    ],
    ids=["doubles", "no_cursor", "silent", "reencoded"],
)
def test_faults_of_servers_are_found(tmp_path: Path, handle: str, wrong: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        f'TRANSPORT = "short_polling"\nimport json\nasync def handle(query, feed):\n    {handle}\n',
        encoding="utf-8",
    )
    titles = []
    for verdict in grade(Part("handle", "short_polling", (file,)), time_limit_s=LIMIT_S):
        titles.append(verdict.title)
        if verdict.title == wrong:
            break
    assert titles[-1] == wrong


HOARDER = """
TRANSPORT = "websocket"
import contextlib
from websockets.asyncio.server import broadcast, serve as serve_websockets

@contextlib.asynccontextmanager
async def serve(feed, listener, options):
    clients = set()
    async def answer(connection):
        clients.add(connection)
        await connection.send(feed.after(feed.newest_only()).body, text=True)
        async for _ in connection: pass
    sent = feed.newest_seq
    def publish():
        nonlocal sent
        broadcast(clients, feed.after(sent).body, text=True)
        sent = feed.newest_seq
    feed.listeners.add(publish)
    async with serve_websockets(answer, sock=listener, compression=None):
        yield
"""


def test_a_server_that_hoards_for_a_slow_client_is_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HOARDER, encoding="utf-8")
    titles = [verdict.title for verdict in grade(Part("serve", "websocket", (file,)), time_limit_s=LIMIT_S)]
    assert "a client that does not read makes the server's memory grow" in titles


# The command


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        (SOLUTIONS / "long_polling_client.py", 0, "10 of 10"),
        (START / "long_polling_client.py", 1, "2 of 10"),
        (START / "missing.py", 2, f"bench: there is no file {START / 'missing.py'}"),
    ],
    ids=["passed", "failed", "usage"],
)
def test_the_command_says_so_by_its_exit_code(
    file: Path, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "grade", str(file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert (printed.out or printed.err).strip().splitlines()[-1] == said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kill_leave_no_process(tmp_path: Path, number: signal.Signals) -> None:
    mark = tmp_path / "child"
    file = tmp_path / "mine.py"
    file.write_text(
        POLLING + "import subprocess\nasync def ticks(url):\n"
        f"    open({str(mark)!r}, 'w').write(str(os.getpid()))\n    while True: pass\n    yield 1\n",
        encoding="utf-8",
    )
    with interruptible():
        grading = subprocess.Popen(
            [sys.executable, "-m", "bench", "grade", str(file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    wait_until(lambda: mark.exists() and mark.read_text(encoding="utf-8"), "the student's code runs")
    child = psutil.Process(int(mark.read_text(encoding="utf-8")))
    grading.send_signal(number)
    _, complaint = grading.communicate(timeout=LIMIT_S)
    assert grading.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Traceback" not in complaint
    child.wait(timeout=LIMIT_S)
