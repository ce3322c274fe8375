"""Where people are: servers of others, terminals that obey, Ctrl-C at any time, settings of matplotlib."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import matplotlib as mpl
import nbformat
import pytest
from rich.text import Text

from bench.course import lesson
from bench.course.notebooks import run_all
from bench.experiments.catalogue import EXPERIMENTS
from bench.measure.certificate import make_certificate
from bench.report.plots.base import STYLE, rendered
from bench.report.plots.figures import FIGURES, draw
from bench.report.terminal import new_console, shown
from bench.results.run import REFERENCE, Run
from bench.transports import TRANSPORTS, Transport
from clients.base import Address
from clients.load.stream import AddressError, ServerUrl, read_url, stream
from servers import interrupts
from servers.wire import now_ns
from tests import ROOT
from tests.asking import StartServer
from tests.commands import Done, run_bench
from tests.conftest import LIMIT_S

HOSTILE = "\x1b[2J\x9b31m\u202e[/b][red]:x:\r\n\x00"
HARMLESS = r"\x1b[2J\x9b31m\u202e[/b][red]:x:\r\n\x00"
LEAKS = {"font.family": ["serif"], "savefig.bbox": "tight", "savefig.transparent": True, "text.usetex": True}


@pytest.fixture
def bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    monkeypatch.chdir(tmp_path)
    return partial(run_bench, monkeypatch, capsys)


# Addresses


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:8000/ticks", ServerUrl(Address("127.0.0.1", 8000), False)),
        ("localhost:8001/ticks", ServerUrl(Address("localhost", 8001), False)),
        ("localhost:8001", ServerUrl(Address("localhost", 8001), False)),
        ("ws://localhost", ServerUrl(Address("localhost", 80), False)),
        ("wss://example.org/a/b", ServerUrl(Address("example.org", 443, "/a/b"), True)),
        ("https://example.org:8443", ServerUrl(Address("example.org", 8443), True)),
        ("HTTPS://[::1]:8443/ticks", ServerUrl(Address("::1", 8443), True)),
        (
            "http://bücher.example/ö",
            ServerUrl(Address("xn--bcher-kva.example", 80, "/%C3%B6"), False),
        ),
    ],
)
def test_an_address_is_read_whole(url: str, found: ServerUrl) -> None:
    assert read_url(url, upgrades=True) == found


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://localhost/ticks", "it begins with ftp://"),
        ("http://localhost:65536/ticks", "Port out of range"),
        ("localhost:-1", "Port"),
        ("http://localhost:0/ticks", "port 0"),
        ("http://localhost:abc", "Port could not be cast"),
        ("http://", "names no host"),
        (":8000/ticks", "names no host"),
        ("", "names no host"),
        ("http://[::1/ticks", "Invalid IPv6"),
        ("http://me:secret@localhost/ticks", "no user"),
        ("http://localhost/ticks?after=0", "write the query"),
        ("http://localhost/ticks?", "write the query"),
        ("http://localhost/ticks#top", "write the query"),
        ("http://localhost/a b", "a space"),
        ("http://localhost/a\r\nX: y", "control character"),
        ("http://" + "a" * 70, "label"),
    ],
)
def test_what_no_client_can_use_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(AddressError, match=why):
        read_url(url, upgrades=True)


def test_only_websockets_have_schemes_of_websockets(transport: Transport) -> None:
    with contextlib.ExitStack() as stack:
        if transport.framing != "WebSocket":
            stack.enter_context(pytest.raises(AddressError, match="must with http://, https://"))
        stream(transport.client, "ws://localhost/ticks").close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["websocket", "--ticks", "0"], "--ticks is 0"),
        (["websocket", "--ticks=-1"], "--ticks is -1"),
        (["websocket", "--ca", "ca.pem"], "give its --url"),
        (["websocket", "--ca", "ca.pem", "--url", "localhost:1"], "write https://"),
        (["websocket", "--ca", "no[/b].pem", "--url", "wss://localhost:1"], "no[/b].pem cannot be read"),
        (["websocket", "--url", "localhost:1", "--set", "rate_hz=3"], "leave out --set rate_hz"),
        (["short_polling", "--url", "wss://localhost:1"], "it begins with wss://"),
        (["websocket", "--url", "http://localhost/[/b]?x"], "http://localhost/[/b]?x is no address"),
    ],
)
def test_what_watch_cannot_do_is_one_sentence(
    bench: Callable[..., Done], arguments: list[str], said: str
) -> None:
    done = bench("watch", *arguments)
    assert done.code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_wire_listens_for_a_time(bench: Callable[..., Done], seconds: str) -> None:
    done = bench("wire", "websocket", f"--seconds={seconds}")
    assert (done.code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(("transport", "scheme"), [("websocket", "wss"), ("long_polling", "https")])
def test_watch_speaks_tls_with_whom_it_is_told_to_trust(
    bench: Callable[..., Done],
    start_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    transport: str,
    scheme: str,
) -> None:
    certificate, ca = make_certificate(tmp_path, "127.0.0.1")
    server = start_server(TRANSPORTS[transport], certificate=certificate, rate_hz=50)
    url = f"{scheme}://127.0.0.1:{server.port}"
    done = bench("watch", transport, "--url", url, "--ca", ca, "--ticks", "2")
    assert done.code == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    if transport == "websocket":
        monkeypatch.setattr("clients.load.stream.CONNECT_TIMEOUT_S", 1.0)
        done = bench("watch", transport, "--url", url, "--ticks", "2")
        assert done.code == 1
        assert "certificate does not verify" in done.stderr


# What others send


class Hostile(http.server.BaseHTTPRequestHandler):
    """A feed whose symbols, then whose errors, are what a terminal would obey."""

    def do_GET(self) -> None:
        fine = self.path.startswith("/ticks")
        tick = {"seq": 1, "due_ns": now_ns(), "symbol": HOSTILE, "price": 1.5, "padding": ""}
        body = json.dumps([tick] if fine else {"error": HOSTILE}).encode()
        self.send_response(200 if fine else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hostile() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_feed_is_shown_and_never_obeyed(bench: Callable[..., Done], hostile: str) -> None:
    done = bench("watch", "short_polling", "--url", f"{hostile}/ticks", "--ticks", "1")
    assert done.code == 0, done.stderr
    assert HARMLESS in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_an_error_is_shown_and_never_obeyed(
    bench: Callable[..., Done], hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.load.stream.CONNECT_TIMEOUT_S", 0.5)
    done = bench("watch", "short_polling", "--url", f"{hostile}/other", "--ticks", "1")
    assert done.code == 1
    assert HARMLESS in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert all(line.isprintable() for line in done.stderr.splitlines())


def test_every_text_on_a_console_is_shown_and_never_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(HOSTILE) == HARMLESS
    assert shown("95\u202f% of ETH[/usd] → µ") == "95\u202f% of ETH[/usd] → µ"
    assert shown("\udcff") == r"\udcff"
    console = new_console()
    console.print(HOSTILE, soft_wrap=True)
    console.print(Text(HOSTILE, style="bold"), soft_wrap=True)
    console.print("two\nlines\tand a tab")
    printed = capsys.readouterr().out
    assert printed.count(r"\x1b[2J\x9b31m\u202e[/b][red]:x:") == 2
    assert all(line.isprintable() for line in printed.splitlines())
    assert "two\nlines" in printed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("show --results a[/b]", 1),
        ("plot [/b]", 1),
        ("report [red]", 1),
        ("compare [/a] [/b]", 1),
        ("claims [/b]", 1),
        ("run [/b]", 2),
        ("run all --set [/b]=1", 2),
        ("run all --set plan=[/b]", 2),
        ("run freshness --set plan=replay --set recording=[/b].csv", 2),
        ("watch [/b]", 2),
        ("wire websocket --figure [/b]", 2),
        ("slides [/b]", 2),
        ("grade a[/b].py", 2),
        ("[/b]", 2),
    ],
)
def test_square_brackets_are_kept(bench: Callable[..., Done], arguments: str, code: int) -> None:
    done = bench(*arguments.split())
    assert done.code == code
    word = next(part for part in ("[/b]", "[red]") if part in arguments)
    assert word in done.stderr or "[/a]" in done.stderr


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_terminal_that_is_ascii_gets_ascii(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "wire", "long_polling", "--seconds", "0.1"],
        capture_output=True,
        timeout=LIMIT_S * 3,
        cwd=ROOT,
        env={**os.environ, "PYTHONCOERCECLOCALE": "0", **variables},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"-> server" in done.stdout
    assert b"\\x" not in done.stdout


# Ctrl-C

INTERRUPTED_AT = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv = [{program!r}, {command!r}]
runpy.run_module({program!r}, run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")
@pytest.mark.parametrize(
    ("program", "command", "module", "said"),
    [
        ("bench", "list", "bench.commands.app", ""),
        ("bench", "list", "numpy", ""),
        ("bench", "show", "pandas", "bench: interrupted\n"),  # the command has begun
        ("servers", "list", "servers.base", ""),
        ("clients.load", "list", "clients.load.swarm", ""),
        ("clients.load.crowd", "list", "asyncio", ""),
        ("bench.locust.watched_beginners", "list", "locust", ""),
    ],
)
def test_ctrl_c_while_a_program_is_imported_is_quiet(
    program: str, command: str, module: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT.format(program=program, command=command, module=module)],
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S * 3,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


def test_ctrl_c_in_a_command_is_one_line_and_code_130(
    bench: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.results.run.find_run", interrupted)
    done = bench("show")
    assert (done.code, done.stdout, done.stderr) == (130, "", "bench: interrupted\n")


def test_what_else_was_set_for_ctrl_c_is_kept() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupts.end_at_interrupt()
        interrupts.raise_at_interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupts.end_at_interrupt()
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        interrupts.raise_at_interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


# Settings of matplotlib


@pytest.mark.parametrize("name", ["freshness", "instrument"])
def test_a_matplotlibrc_leaks_into_no_figure(name: str) -> None:
    run = Run.open(ROOT / "results" / REFERENCE)
    assert name in EXPERIMENTS
    drawing = next(iter(FIGURES.get(name, ())), None) or FIGURES["freshness"][-1]
    expected = rendered(draw(drawing, run, name), "svg")
    with mpl.rc_context(LEAKS):
        assert rendered(draw(drawing, run, name), "svg") == expected
    mpl.pyplot.close("all")


def test_a_notebook_begins_with_the_projects_style_only() -> None:
    with mpl.rc_context(LEAKS):
        lesson.open_run(REFERENCE)
        wanted = {**{key: mpl.rcParamsDefault[key] for key in LEAKS}, **STYLE}
        assert {key: mpl.rcParams[key] for key in wanted} == wanted


def test_figures_stand_in_a_notebook_whatever_the_shell_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    path = tmp_path / "01_figure.ipynb"
    cell = nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    (notebook,) = run_all([path], {})
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[0].outputs)


def test_a_backend_of_the_shell_does_no_harm_and_a_broken_matplotlibrc_is_named(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe")
    command = [sys.executable, "-m", "bench", "plot", str(ROOT / "results" / REFERENCE)]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S * 3,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "module://nowhere.backend"},
    )
    assert done.returncode == 1
    assert "mend or remove the file matplotlibrc" in done.stderr
    assert "Traceback" not in done.stderr
