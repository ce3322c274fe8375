"""``bench grade``: student code does not fool the grader, hang it or outlive it."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.course.grading.base import Verdict
from bench.course.grading.seal import Seal, new_secret
from bench.course.grading.submission import Part
from bench.course.grading.supervise import grade
from tests.bench.course.grading import HANG_LIMIT_S, POLLING, report, write
from tests.waiting import LIMIT_S, interruptible

# What goes wrong while it runs


def first_verdict(tmp_path: Path, body: str) -> Verdict:
    """Grade a generator with this body; return the first verdict."""
    file = write(tmp_path, POLLING + f"async def ticks(url, poll_interval_s=1.0):\n{body}\n    yield 1\n")
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
        ("    raise KeyboardInterrupt", "it crashed, in mine.py line 4", "KeyboardInterrupt"),
        ("    raise ValueError('\\ud800')", "it crashed, in mine.py line 4", r"ValueError: \ud800"),
        ("    input()", "it crashed, in mine.py line 4", "EOFError"),
        ("    async with asyncio.timeout(1): await asyncio.sleep(2)", "it crashed", "TimeoutError"),
        ("    import time; time.sleep(9)", "it stops everything to wait", "time.sleep(9), in mine.py line 4"),
        (
            "    import time\n    try: time.sleep(9)\n    except Exception: pass",
            "it stops everything to wait",
            "time.sleep(9), in mine.py line 5",
        ),
        (
            "    import urllib.request; urllib.request.urlopen(url)",
            "it blocks: it waits without an await",
            "a blocking connection to ('127.0.0.1', ",
        ),
        (
            "    import urllib.request; await asyncio.to_thread(urllib.request.urlopen, url)",
            "it blocks: it waits without an await",
            "a blocking connection to ('127.0.0.1', ",
        ),
        (
            "    import subprocess; subprocess.run(['curl', url])",
            "it blocks: it waits without an await",
            "subprocess.Popen",
        ),
        ("    while True: await asyncio.sleep(0)", "it spins: it looks again", "and no time passed"),
        ("    await asyncio.Event().wait()", "it asks nothing", "no request came"),
        (
            "    async with aiohttp.ClientSession() as s:\n        while True: await s.get(url)",
            "it asks again and again without a pause",
            "300 requests at one instant",
        ),
    ],
    ids=["output", "exit", "killed", "crash", "sys_exit", "interrupt", "surrogate", "input", "time_limit",
         "sleep",
         "sleep_caught", "urllib", "thread", "program", "spin", "silence", "no_pause"],
)  # fmt: skip
def test_what_goes_wrong_is_told(tmp_path: Path, body: str, wrong: str, seen: str) -> None:
    verdict = first_verdict(tmp_path, body)
    assert not verdict.passed
    assert verdict.title.startswith(wrong)
    assert seen in verdict.seen


def test_after_two_hangs_the_rest_is_not_tried(tmp_path: Path) -> None:
    stuck = "    import threading\n    threading.Event().wait()\n    yield 1\n"
    file = write(tmp_path, POLLING + "async def ticks(url):\n" + stuck)
    verdicts = list(grade(Part("ticks", "short_polling", (file,)), time_limit_s=HANG_LIMIT_S))
    assert [verdict.title for verdict in verdicts[:2]] == ["it does not come to an end"] * 2
    assert [verdict.title.startswith("not tried") for verdict in verdicts[2:]] == [True] * 9


def test_a_file_has_no_more_time_than_three_checks(tmp_path: Path) -> None:
    slow = "async def ticks(url):\n    import hashlib\n    while True:\n        yield {'seq': 1}\n"
    slow += f"        hashlib.pbkdf2_hmac('sha256', b'', b'', {10**6})\n"
    file = write(tmp_path, POLLING + slow)
    verdicts = list(grade(Part("ticks", "short_polling", (file,)), time_limit_s=0.1))
    assert not any(verdict.passed for verdict in verdicts)
    assert verdicts[-1].title.startswith("not tried")


# What tries to look as if it had passed

FORGE = """
import json
def forge(descriptors=range(3, 64)):
    for number in range(20):
        for told in ({"step": "imported"},
                     {"step": "verdict", "number": number, "verdict": {"passed": True, "title": "x"}}):
            line = json.dumps(told).encode()
            for text in (line, b"0" * 64 + b" " + line, b"10 of 10"):
                for descriptor in descriptors:
                    try: os.write(descriptor, b"\\n" + text + b"\\n")
                    except OSError: pass
"""
BAD = "async def ticks(url, poll_interval_s=1.0):\n    yield {'seq': 1}\n"


def before_yield(*lines: str) -> str:
    """Return the bad generator with these lines at its beginning."""
    return BAD.replace("    yield", "".join(f"    {line}\n" for line in lines) + "    yield")


ATTACKS = {
    "prints": "print('10 of 10')\n" + BAD,
    "writes to all descriptors": FORGE + "forge()\n" + BAD,
    "writes, and ends its process": FORGE + before_yield("forge()", "os._exit(0)"),
    "ends its process with 0": before_yield("os._exit(0)"),
    "becomes another program": before_yield("os.execv('/bin/echo', ['echo', '10 of 10'])"),
    "replaces what could tell": """
import builtins, io, json, msgspec
sys.stdout = sys.stderr = io.StringIO()
builtins.print = lambda *a, **k: None
json.dumps = msgspec.json.encode = lambda *a, **k: b'{"step":"verdict","verdict":{"passed":true,"title":""}}'
write = os.write
os.write = lambda descriptor, data: write(descriptor, data.replace(b"false", b"true"))
""" + BAD,
    "replaces the grader": """
import __main__
import bench.course.grading.base as base, bench.course.grading.seal as seal
import bench.course.grading.checks.ticks as checks
passes = lambda *a, **k: base.Verdict(True, "x")
base.try_check = checks.try_check = __main__.try_check = passes
base.fail = checks.fail = base.expect_order = checks.expect_order = lambda *a, **k: None
seal.Seal.line = lambda self, told: told
""" + BAD,
    "signs with what it finds": FORGE + """
import glob, hashlib
found = {b""}
for path in (*glob.glob("/proc/self/fd/*"), "/proc/self/environ", "/proc/self/cmdline"):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        found.update(part[:64] for part in os.read(descriptor, 65536).split(b"\\0"))
    except OSError: pass
told = b'{"step":"verdict","number":0,"verdict":{"passed":true,"title":"x"}}'
for secret in found:
    line = hashlib.blake2b(told, key=secret, digest_size=32).hexdigest().encode() + b" " + told
    for descriptor in range(3, 64):
        try: os.write(descriptor, b"\\n" + line + b"\\n")
        except OSError: pass
""" + BAD,
    "steals lines and writes them again": """
import glob, threading
def steal(descriptor):
    while True:
        line = os.read(descriptor, 65536)
        for other in range(3, 32):
            try: os.write(other, line.replace(b"false", b"true") + line)
            except OSError: pass
for path in glob.glob("/proc/self/fd/*"):
    try:
        if os.readlink(path).startswith("pipe:"):
            threading.Thread(target=steal, args=(os.open(path, os.O_RDONLY),), daemon=True).start()
    except OSError: pass
""" + BAD,
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_is_printed_or_written_counts(attack: str, tmp_path: Path) -> None:
    file = write(tmp_path, POLLING + ATTACKS[attack])
    (result,), printed = report(file, format_="json", time_limit_s=HANG_LIMIT_S)
    assert result.rules_kept == 0, printed
    assert not result.passed
    assert result.unusable or len(result.verdicts) == 11  # who steals its own lines may not even be graded


def test_numbers_that_are_equal_to_all_are_no_numbers(tmp_path: Path) -> None:
    always = (
        "class Always(int):\n    def __eq__(self, other): return True\n    def __hash__(self): return 5\n"
    )
    file = write(tmp_path, POLLING + always + BAD.replace("{'seq': 1}", "{'seq': Always(5)}"))
    (result,), _ = report(file)
    assert result.rules_kept == 0


def test_only_the_secret_makes_a_seal() -> None:
    seal, other = Seal(new_secret()), Seal(new_secret())
    line = seal.line(b"told").strip()
    assert seal.open(line) == b"told"
    assert other.open(line) is None
    assert seal.open(line.replace(b"told", b"gold")) is None
    assert seal.open(b"") is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kill_leave_no_process(tmp_path: Path, number: signal.Signals) -> None:
    mark = tmp_path / "child"
    stuck = f"    open({str(mark)!r}, 'w').write(str(os.getpid()))\n    while True: pass\n    yield 1\n"
    file = write(tmp_path, POLLING + "async def ticks(url):\n" + stuck)
    words = [sys.executable, "-m", "bench", "grade", str(file)]
    with interruptible():
        grading = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + LIMIT_S
    while not (mark.exists() and mark.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = psutil.Process(int(mark.read_text(encoding="utf-8")))
    grading.send_signal(number)
    _, complaint = grading.communicate(timeout=LIMIT_S)
    assert grading.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Traceback" not in complaint
    child.wait(timeout=LIMIT_S)
