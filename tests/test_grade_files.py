"""``bench grade``: what Python imports is graded; what it does not is one sentence, and ends nothing else."""

import codecs
from pathlib import Path

import pytest

from bench.course.grading.submission import SubmissionError, read_parts
from tests.grading import HANG_LIMIT_S, NEVER, POLLING, SOLUTIONS, graded, report, write

SOLUTION = (SOLUTIONS / "polling_ticks.py").read_bytes()
FUTURE = b"from __future__ import annotations\n"
TYPED = b"import dataclasses, msgspec\n@dataclasses.dataclass\nclass A:\n    x: int\n"
TYPED += b"class B(msgspec.Struct):\n    y: list[int]\nassert msgspec.json.decode(b'{\"y\":[1]}', type=B).y\n"
LATIN = "# -*- coding: latin-1 -*-\nname = 'Müller'\nassert len(name) == 6\n".encode("latin-1")


@pytest.mark.parametrize(
    "source",
    [
        codecs.BOM_UTF8 + SOLUTION,
        LATIN + SOLUTION,
        FUTURE + TYPED + SOLUTION.partition(b'"""\n')[2],
        SOLUTION.replace(b"TRANSPORT =", b"TRANSPORT: str ="),
        SOLUTION.replace(b"\n", b"\r\n"),
        b"if True:\n" + b"".join(b"    " + line for line in SOLUTION.splitlines(keepends=True)),
        SOLUTION + b"\nimport sys\nassert sys.modules[__name__].ticks is ticks\n",
    ],
    ids=["byte_order_mark", "coding", "future", "annotated", "crlf", "within_if", "sys_modules"],
)
def test_what_python_imports_is_graded(source: bytes, tmp_path: Path) -> None:
    passed, printed = graded(write(tmp_path, source))
    assert passed, printed


@pytest.mark.parametrize("name", ["json.py", "asyncio.py", "my client (1).py", "aiohttp.py"])
def test_any_name_will_do(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, POLLING + NEVER, name)
    results, printed = report(file)
    assert "RuntimeError: never" in printed
    assert not results[0].unusable


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
        (POLLING + NEVER + "del ticks\n", "ticks is no function"),
    ],
    ids=["import", "exit", "interrupt", "hang", "os_exit", "class", "number", "deleted"],
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
        SOLUTIONS / "polling_ticks.py",
        tmp_path,
        write(tmp_path, POLLING.encode("utf-16"), "wide.py"),
    ]
    results, printed = report(*files)
    assert [bool(result.unusable) for result in results] == [True, True, False, True, True]
    assert [result.passed for result in results] == [False, False, True, False, False]
    assert "5 files (grader 2): 1 keep every rule, 0 break some, 4 cannot be graded" in printed
    assert "Traceback" not in printed
