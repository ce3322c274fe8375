"""Clients with ``headers=browser`` send what Chromium sends: the same lines, in its order."""

from playwright.sync_api import BrowserContext

from clients.base import Address
from clients.headers import event_source_lines, header_lines, websocket_headers
from tests.browser.plain_server import PlainServer, plain_server
from tests.waiting import wait_until

COOKIE = "session=0123456789abcdef012345"
NAMING_A_PRODUCT = ("User-Agent: ", "sec-ch-ua: ", "sec-ch-ua-platform: ")
"""Headers whose values name the browser, its version or the system."""
OF_EVERY_HANDSHAKE = ("Host: ", "Connection: ", "Upgrade: ", "Sec-WebSocket-")
"""RFC 6455, section 4.1."""
CLOSING = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: "
NO_TICKS = f"{CLOSING}application/json\r\n\r\n[]"
EVENT_41 = f"{CLOSING}text/event-stream\r\n\r\nretry: 1\nid: 41\ndata: []\n\n"


def heads(profile: BrowserContext, server: PlainServer, question: str, count: int = 1) -> list[list[str]]:
    """Let a page ask at /ticks; return the lines of its requests, each without the first one."""
    origin = f"http://127.0.0.1:{server.port}"
    name, _, value = COOKIE.partition("=")
    profile.add_cookies([{"name": name, "value": value, "url": origin}])
    page = profile.new_page()
    page.goto(f"{origin}/")
    page.evaluate(f"() => void {question}")
    wait_until(lambda: len(server.heads.get("/ticks", [])) >= count, f"it has asked {count} times")
    page.close()
    return [head[1:] for head in server.heads["/ticks"][:count]]


def without_products(lines: list[str]) -> list[str]:
    """Return header lines, of those that name a product the name only."""
    return [next(filter(line.startswith, NAMING_A_PRODUCT), line) for line in lines]


def test_a_poll_is_what_fetch_sends(profile: BrowserContext) -> None:
    with plain_server({"/ticks": NO_TICKS}) as server:
        [sent] = heads(profile, server, "fetch('/ticks')")
    ours = header_lines("browser", Address("127.0.0.1", server.port), cookie_bytes=len(COOKIE))
    assert without_products(ours.splitlines()) == without_products(sent)


def test_a_question_for_events_is_what_event_source_sends(profile: BrowserContext) -> None:
    with plain_server({"/ticks": EVENT_41}) as server:
        sent, sent_after_the_cut = heads(profile, server, "new EventSource('/ticks')", count=2)
    ours = event_source_lines("browser", Address("127.0.0.1", server.port), cookie_bytes=len(COOKIE))
    assert without_products(ours.splitlines()) == without_products(sent)
    assert sorted(sent_after_the_cut) == sorted([*sent, "Last-Event-ID: 41"])


def test_a_handshake_has_beside_what_every_one_has_what_websocket_sends(profile: BrowserContext) -> None:
    with plain_server({}) as server:
        [sent] = heads(profile, server, "new WebSocket(`ws://${location.host}/ticks`)")
    ours = websocket_headers("browser", Address("127.0.0.1", server.port), cookie_bytes=len(COOKIE))
    own = [line for line in sent if not line.startswith(OF_EVERY_HANDSHAKE)]
    assert without_products([f"{name}: {value}" for name, value in ours]) == without_products(own)
