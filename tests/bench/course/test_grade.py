"""``bench grade``: solutions pass; skeletons and planted faults fail with their words."""

import re
from pathlib import Path

import pytest

from bench.course.grading.base import try_check
from bench.course.grading.checks import checks_of, client
from bench.course.grading.submission import Part, read_parts, read_submissions
from bench.course.grading.supervise import grade
from bench.transports import TRANSPORTS, Transport
from clients.base import load_client_class
from tests import ROOT
from tests.bench.course.grading import SOLUTIONS, START, graded, report, write
from tests.waiting import LIMIT_S


def test_every_solution_passes_entirely() -> None:
    """With the pair that streams over HTTP, which is one more."""
    files = sorted(SOLUTIONS.glob("*.py"))
    results, printed = report(*files)
    assert len(results) == len(files) + 1
    assert all(result.passed for result in results), printed


def test_a_server_and_a_client_are_tried_as_a_pair() -> None:
    *_, pair = read_submissions([SOLUTIONS / "stream_server.py", SOLUTIONS / "stream_client.py"])
    (part,) = pair.parts
    assert part.form == "pair"
    assert len(checks_of(part.form, part.transport, b"")) == 3


def test_pairs_are_of_one_folder_where_there_are_several() -> None:
    files = [START / "stream_server.py", START / "stream_client.py", SOLUTIONS / "stream_server.py"]
    files.append(SOLUTIONS / "stream_client.py")
    pairs = [each.parts[0].files for each in read_submissions(files)[len(files) :]]
    assert pairs == [(files[1], files[0]), (files[3], files[2])]


@pytest.mark.parametrize("name", ["short_polling", "long_polling", "websocket"])
def test_the_clients_of_the_house_pass(name: str) -> None:
    file = ROOT / "clients" / f"{name}.py"
    assert read_parts(file) == [Part("client", name, (file,))]
    student = client.StudentClient(load_client_class(name), name)
    verdicts = [try_check(check, student, file) for check in client.checks(name)]
    assert [verdict for verdict in verdicts if not verdict.passed] == []


def test_servers_of_the_house_pass() -> None:
    """One by a library that pushes, and one that is written upon a parser."""
    files = [ROOT / "servers" / "websocket.py", *(ROOT / "servers" / "variants").glob("long_polling_*.py")]
    assert len(files) == 2
    passed, printed = graded(*files)
    assert passed, printed


SKELETONS = {
    "polling_ticks.py": ("2 of 11", "it stops by itself"),
    "websocket_ticks.py": ("2 of 11", "it stops by itself"),
    "long_polling_handle.py": ("5 of 11", "it does not hold the request"),
    "long_polling_client.py": ("3 of 12", "a read may end anywhere"),
    "stream_server.py": ("5 of 15", "it does not tell a client how many ticks it missed"),
    "stream_client.py": ("2 of 15", "no tick came"),
    "watchful_client.py": ("5 of 14", "it does not give up a dead connection"),
    "faulty_a.py": ("4 of 11", "ticks were lost"),
    "faulty_b.py": ("7 of 11", "ticks came twice"),
    "faulty_c.py": ("11 of 12", "its latency does not begin when the tick was due"),
}


def test_every_start_file_fails_with_its_message(tmp_path: Path) -> None:
    files = sorted(START.glob("*.py"))
    assert [file.name for file in files] == sorted(SKELETONS)
    results, _ = report(*files, folder=tmp_path)
    assert not any(result.passed for result in results)
    for file in files:
        score, said = SKELETONS[file.name]
        (written,) = tmp_path.glob(f"*-{file.name}.txt")
        printed = written.read_text(encoding="utf-8")
        assert printed.splitlines()[-1] == score, printed
        assert said in printed
        assert "Traceback" not in printed


def test_the_exercises_name_every_file() -> None:
    exercises, solutions = (
        (folder / "README.md").read_text(encoding="utf-8") for folder in (START.parent, SOLUTIONS)
    )
    assert not [path.name for path in START.glob("*.py") if path.stem.removeprefix("faulty") not in exercises]
    assert not [path.name for path in SOLUTIONS.glob("*.py") if path.name not in solutions]


def test_the_exercises_say_how_many_rules_there_are() -> None:
    serve, client_, pair = (
        len(checks_of(form, "http_streaming", b"")) for form in ("serve", "client", "pair")
    )
    said = re.findall(r"at (\d+) of (\d+)", (START.parent / "README.md").read_text(encoding="utf-8"))
    assert said == [(str(count),) * 2 for count in (serve, serve + client_ + pair)]


def test_the_entry_of_exercise_12_says_nothing_that_another_transport_says() -> None:
    """A framing that theory knows would give wrong bytes, a colour that is used two lines alike."""
    text = (SOLUTIONS / "README.md").read_text(encoding="utf-8")
    (written,) = re.findall(r"`(Transport\(.*?\))`", text)
    entry = eval(written, {"Transport": Transport})
    for each in TRANSPORTS.values():
        assert not {entry.name, entry.label, entry.colour, entry.framing} & {
            each.name, each.label, each.colour, each.framing
        }  # fmt: skip


# Faults of servers of other forms and transports


def titles_until(file: Path, part: Part, wrong: str) -> list[str]:
    """Return the titles of the verdicts on a file, up to one."""
    titles = []
    for verdict in grade(part, time_limit_s=LIMIT_S):
        titles.append(verdict.title)
        if verdict.title == wrong:
            break
    return titles


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
        ("await feed.newer_than(query.cursor, 1); return feed.after(query.cursor)",
         "it answers at the wrong time"),
    ],
    ids=["doubles", "no_cursor", "silent", "reencoded", "holds"],
)  # fmt: skip
def test_faults_of_short_polling_servers_are_found(tmp_path: Path, handle: str, wrong: str) -> None:
    file = write(
        tmp_path, f'TRANSPORT = "short_polling"\nimport json\nasync def handle(query, feed):\n    {handle}\n'
    )
    assert titles_until(file, Part("handle", "short_polling", (file,)), wrong)[-1] == wrong


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
    file, wrong = write(tmp_path, HOARDER), "a client that does not read makes the server's memory grow"
    assert titles_until(file, Part("serve", "websocket", (file,)), wrong)[-1] == wrong


BROKEN = """
TRANSPORT = "short_polling"
import contextlib
from servers.http import serve_http

@contextlib.asynccontextmanager
async def serve(feed, listener, options):
    async def answer(request):
        return feed.after(int(request.query["after"]) + "1")
    async with serve_http(TRANSPORT, feed, listener, options, answer):
        yield
"""


def test_an_exception_that_a_server_swallowed_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, BROKEN)
    verdicts = list(grade(Part("serve", "short_polling", (file,)), time_limit_s=LIMIT_S))
    (lost,) = [verdict for verdict in verdicts if verdict.rule == "gives the whole history at after=0"]
    assert "500" in lost.seen
    assert "TypeError: unsupported operand" in lost.seen
    assert "in mine.py line 9" in lost.seen
