"""What a page may read of a server of another origin: nothing by HTTP, everything by WebSocket.

An origin is scheme, host and port, so ``localhost`` is another one than ``127.0.0.1``, though the same server
answers. Over HTTP the answer must permit it by Access-Control-Allow-Origin (WHATWG Fetch, section 3.3), which
ours do not. A WebSocket needs no leave: a server that is not for everybody has to look at the Origin of the
handshake by itself (RFC 6455, section 10.2). Either way the server has been asked: what a request *does* is
done, whoever may read the answer.
"""

import pytest
from playwright.sync_api import BrowserContext

from bench.transports import TRANSPORTS, Transport, main_names
from tests.asking import StartServer, is_websocket
from tests.browser.asking import ask, ask_for_ticks, is_refused, open_page, seqs
from tests.browser.plain_server import plain_server
from tests.waiting import wait_until

OTHER_HOST = "localhost"
TICK_1 = {
    "HTTP": ("application/json", '[{"seq": 1}]'),
    "event stream": ("text/event-stream", 'data: [{"seq": 1}]\n\n'),
}
"""For each framing a content type, and a body that brings tick 1."""


@pytest.mark.parametrize(
    "transport", [TRANSPORTS[name] for name in main_names()], ids=lambda transport: transport.name
)
def test_a_page_of_another_origin_reads_by_websocket_only(
    transport: Transport, start_server: StartServer, profile: BrowserContext
) -> None:
    server = start_server(transport, rate_hz=0)
    stranger = open_page(profile, server, OTHER_HOST)
    ask_for_ticks(stranger, server, transport, after=0)
    wait_until(lambda: seqs(stranger) or is_refused(stranger), "the stranger is served or refused")
    assert (seqs(stranger), is_refused(stranger)) == (([1], False) if is_websocket(transport) else ([], True))


@pytest.mark.parametrize("framing", TICK_1)
def test_the_answer_says_who_may_read_it(framing: str, profile: BrowserContext) -> None:
    content_type, body = TICK_1[framing]
    answers: dict[str, str] = {}
    with plain_server(answers) as server:
        origin = f"http://{OTHER_HOST}:{server.port}"
        stranger = profile.new_page()
        for allowed, may_read in {None: False, "*": True, origin: True, "http://example.org": False}.items():
            head = ["HTTP/1.1 200 OK", "Connection: close", f"Content-Type: {content_type}"]
            head += [f"Access-Control-Allow-Origin: {allowed}"] if allowed else []
            answers["/ticks"] = "\r\n".join([*head, "", body])
            stranger.goto(f"{origin}/")
            ask(stranger, f"http://127.0.0.1:{server.port}/ticks", framing)
            wait_until(lambda: seqs(stranger) or is_refused(stranger), "the stranger is served or refused")
            assert (seqs(stranger) == [1]) is may_read, f"permitted to {allowed}"
            assert f"Origin: {origin}" in server.heads["/ticks"][-1]  # it was asked, whether or not
