"""``bench grade``: what Python imports is graded; what it does not is one sentence, and ends nothing else."""

import codecs
import contextlib
from pathlib import Path

import pytest

from bench.course.grading import VERSION, submission
from bench.course.grading.submission import SubmissionError, read_parts
from bench.course.grading.supervise import grade
from tests import ROOT
from tests.bench.course.grading import HANG_LIMIT_S, NEVER, POLLING, SOLUTIONS, report, write
from tests.waiting import LIMIT_S

SOLUTION = (SOLUTIONS / "polling_ticks.py").read_bytes()
FUTURE = b"from __future__ import annotations\n"
TYPED = b"import dataclasses, msgspec\n@dataclasses.dataclass\nclass A:\n    x: int\n"
TYPED += b"class B(msgspec.Struct):\n    y: list[int]\nassert msgspec.json.decode(b'{\"y\":[1]}', type=B).y\n"
LATIN = "# -*- coding: latin-1 -*-\nname = 'Müller'\nassert len(name) == 6\n".encode("latin-1")


SOURCES = {
    "byte_order_mark": codecs.BOM_UTF8 + SOLUTION,
    "coding": LATIN + SOLUTION,
    "future": FUTURE + TYPED + SOLUTION.partition(b'"""\n')[2],
    "annotated": SOLUTION.replace(b"TRANSPORT =", b"TRANSPORT: str ="),
    "crlf": SOLUTION.replace(b"\n", b"\r\n"),
    "within_if": b"if True:\n" + b"".join(b"    " + line for line in SOLUTION.splitlines(keepends=True)),
    "sys_modules": SOLUTION + b"\nimport sys\nassert sys.modules[__name__].ticks is ticks\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_what_python_imports_is_graded(name: str, tmp_path: Path) -> None:
    """Of the solution's rules the first is enough: it was imported, and is the solution."""
    (part,) = read_parts(write(tmp_path, SOURCES[name]))
    with contextlib.closing(grade(part, time_limit_s=LIMIT_S)) as verdicts:
        first = next(verdicts)
    assert first.passed, first


def test_any_name_will_do(tmp_path: Path) -> None:
    names = ["json.py", "asyncio.py", "my client (1).py", "aiohttp.py"]
    results, printed = report(*(write(tmp_path / name, POLLING + NEVER, name) for name in names))
    assert printed.count("RuntimeError: never") == len(names)
    assert not any(result.unusable for result in results)


# What is told before anything runs


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("async def ticks(url)\n    yield 1\n", "line 1: expected ':'"),
        ("x = 1\n", "defines neither a client nor a server"),
        ("", "is empty; it defines neither"),
        ("async def ticks(url):\n    yield 1\n", 'a line TRANSPORT = "…"'),
        (
            'TRANSPORT = "pigeon"\nasync def ticks(url):\n    yield 1\n',
            "line 1: there is no transport 'pigeon'",
        ),
        ('TRANSPORT = "websocket"\ndef ticks(url):\n    yield 1\n', "line 2: ticks must be asynchronous"),
        ('TRANSPORT = "websocket"\nasync def ticks(url):\n    return []\n', "line 2: ticks must yield"),
        ('TRANSPORT = "websocket"\nasync def handle(query, feed):\n    pass\n', "for websocket write serve"),
        ('TRANSPORT = "http_streaming"\nclass WatchfulClient: pass\n', "a WatchfulClient hears pings"),
        (
            'TRANSPORT = "long_polling"\nfrom clients.long_polling import Client\n',
            "line 2: it imports clients",
        ),
        ("x = " + "(" * 300, "too many nested parentheses"),
        ("x = " + "-" * 100_000 + "1", "is nested too deeply"),
        ("x = a" + ".b" * 100_000, "is nested too deeply"),
        (POLLING.encode("utf-16"), "is saved as UTF-16"),
        (b"x = '\xff'\n", "line 1: (unicode error)"),
        (b"# coding: nonsense\n", "unknown encoding"),
        (b"x = 1\0\n", "null bytes"),
        (b"#" * 2_000_000, "2,000,000 B"),
    ],
)
def test_wrong_files_are_one_sentence(tmp_path: Path, source: str | bytes, said: str) -> None:
    with pytest.raises(SubmissionError) as refused:
        read_parts(write(tmp_path, source))
    assert said in str(refused.value)
    assert "mine.py" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_python_file_is_one_sentence(tmp_path: Path) -> None:
    text = write(tmp_path, SOLUTION, "client.py.txt")
    for path, said in (
        (tmp_path, "is a folder; name its files"),
        (text, "does not end in .py"),
        (tmp_path / "none.py", "there is no file"),
    ):
        with pytest.raises(SubmissionError, match=said):
            read_parts(path)


def test_a_transport_without_rules_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transport of the registry that no exercise is about."""
    monkeypatch.delitem(submission.CONNECTIONS, "websocket")
    with pytest.raises(SubmissionError, match="and none for websocket"):
        read_parts(ROOT / "clients" / "websocket.py")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (POLLING + "import nothing_of_this_name\n" + NEVER,
         "No module named 'nothing_of_this_name', in mine.py line 3"),
        (POLLING + "raise SystemExit(0)\n" + NEVER, "SystemExit: 0, in mine.py line 3"),
        (POLLING + "raise KeyboardInterrupt\n" + NEVER, "KeyboardInterrupt, in mine.py line 3"),
        (POLLING + "while True: pass\n" + NEVER, "cannot be imported: the process did not answer"),
        (POLLING + "os._exit(0)\n" + NEVER, "cannot be imported: the process ended with exit code 0"),
        (POLLING + "class Client: pass\n", "must be a subclass of clients.base.TickClient"),
        (POLLING + "ticks = 5\n", "ticks is no function"),
        ('TRANSPORT = "websocket"\nWatchfulClient = 5\n', "WatchfulClient is no class"),
        (POLLING + NEVER + "del ticks\n", "ticks is no function"),
    ],
    ids=["import", "exit", "interrupt", "hang", "os_exit", "class", "number", "no_class", "deleted"],
)  # fmt: skip
def test_files_that_cannot_be_imported_are_one_sentence(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(SubmissionError) as refused:
        report(write(tmp_path, source), time_limit_s=HANG_LIMIT_S)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bad_file_ends_nothing(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "def"),
        write(tmp_path, POLLING + "import nothing_of_this_name\n" + NEVER, "other.py"),
        SOLUTIONS / "long_polling_client.py",
        tmp_path,
        write(tmp_path, POLLING.encode("utf-16"), "wide.py"),
    ]
    results, printed = report(*files)
    assert [bool(result.unusable) for result in results] == [True, True, False, True, True]
    assert [result.passed for result in results] == [False, False, True, False, False]
    assert f"5 files (grader {VERSION}): 1 keep every rule, 0 break some, 4 cannot be graded" in printed
    assert "Traceback" not in printed
