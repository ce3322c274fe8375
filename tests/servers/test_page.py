"""The page at ``/``: every server has it, whatever its library, and it needs nothing but this server."""

import base64
import contextlib
import hashlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from bench.transports import Transport
from servers.__main__ import addresses
from servers.browser.page import build_page
from servers.options import ServerOptions
from tests.asking import StartServer, Watch, get
from tests.waiting import LIMIT_S, interruptible

ASKS_BY = {
    ("pull", "HTTP"): 'fetch("/ticks" + after())',
    ("held", "HTTP"): 'fetch("/ticks" + after("hold=20"))',
    ("push", "WebSocket"): "new WebSocket(",
}
ASKS_BY_DEFAULT = "new EventSource("
"""What a page does, by the facts of the transport; a push over HTTP is for EventSource."""


def between(text: str, opening: str, closing: str) -> str:
    return text.partition(opening)[2].partition(closing)[0]


def policy_of(headers: http.client.HTTPMessage) -> dict[str, list[str]]:
    parts = [part.split() for part in headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, *sources in parts}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_every_server_has_a_page_that_asks_by_its_own_protocol(
    transport: Transport, start_server: StartServer
) -> None:
    server = start_server(transport, rate_hz=20, payload_bytes=200)
    assert server.ready["page"] == server.url.removesuffix("ticks")
    status, headers, page = get(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Content-Length"]) == len(page.encode())
    assert ASKS_BY.get((transport.family, transport.framing), ASKS_BY_DEFAULT) in page
    assert "20 a second; 200 bytes each" in page
    assert "each tick comes once" in page
    title = f"<title>{transport.server.replace('_', ' ')}: live ticks</title>"
    for needed in ('<html lang="en">', "<main>", title, "<h1>", 'href="/health"', 'role="status"'):
        assert page.count(needed) == 1, needed
    assert "{{" not in page


def test_a_page_runs_its_own_script_and_asks_its_own_server_only(
    transport: Transport, start_server: StartServer
) -> None:
    _, headers, page = get(start_server(transport), "/")
    policy = policy_of(headers)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["script-src"] == [digest(between(page, "<script>", "</script>"))]
    assert policy["style-src"] == [digest(between(page, "<style>", "</style>"))]
    assert policy["connect-src"] == ["'self'"]
    assert re.findall(r"""(?:src|href)="([^"]*)""", page) == ["data:,", "/health"]
    assert "http://" not in page
    assert "https://" not in page


def test_head_tells_of_the_page_without_it(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport)
    status, headers, page = get(server, "/", "HEAD")
    if transport.library == "picows":  # its parser knows GET only, and answers by itself
        assert status == 400
        return
    assert (status, page) == (200, "")
    assert int(headers["Content-Length"]) == len(get(server, "/")[2].encode())


def test_who_only_looks_takes_no_clients_place(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    server = start_server(transport, max_clients=1, rate_hz=20)
    assert get(server, "/")[0] == 200
    swarm = watch(server, transport)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 3, "the one client is served")
    assert get(server, "/")[0] == 200
    assert not swarm.swarm.errors


def test_a_browser_that_looks_at_health_takes_no_clients_place(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    """It keeps its connection, and on it asks for an icon by itself."""
    server = start_server(transport, max_clients=1, rate_hz=20)
    browser = http.client.HTTPConnection(server.host, server.port, timeout=LIMIT_S)
    with contextlib.closing(browser):
        for target, status in (("/health", 200), ("/favicon.ico", 404)):
            browser.request("GET", target)
            answer = browser.getresponse()
            assert (answer.status, bool(answer.read())) == (status, True)
        swarm = watch(server, transport)
        swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 3, "the one client is served")
        assert not swarm.swarm.errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate_hz": 0}, "one, then none: a silent market"),
        ({"rate_hz": 2.5, "plan": "bursty"}, "about 2.5 a second, plan bursty"),
        ({"plan": "replay", "recording": "a/<b>.csv", "speed": 2}, "those of &lt;b&gt;.csv, 2 times as fast"),
        ({"contract": "latest"}, '<span id="gone">0</span> superseded'),
        ({"contract": "every"}, '<span id="gone">0</span> missed'),
    ],
)
def test_a_page_says_what_is_served(options: dict[str, object], said: str) -> None:
    assert said in build_page("websocket", ServerOptions(**options), "web_socket.js").body.decode()


@pytest.mark.parametrize(
    ("host", "near"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")],
)
def test_a_page_is_where_a_browser_on_this_machine_finds_it(host: str, near: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = listener.getsockname()[1]
        assert addresses(listener, ServerOptions(host=host)) == {
            "url": f"http://{f'[{host}]' if ':' in host else host}:{port}/ticks",
            "page": f"http://{near}:{port}/",
        }


def test_whoever_serves_by_hand_is_told_what_to_open() -> None:
    """People read standard error; programs read standard output, which is one line of JSON."""
    with interruptible():
        process = subprocess.Popen(
            [sys.executable, "-m", "servers", "short_polling"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    with process:
        try:
            assert process.stdout is not None
            page = json.loads(process.stdout.readline())["page"]
            process.send_signal(signal.SIGINT)
            said, told = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert (process.returncode, said) == (0, "")
    assert told == f"open {page} in a browser; Ctrl-C stops the server\n"
