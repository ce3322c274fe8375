"""How a page asks for ticks, and what it remembers of the answers."""

from playwright.sync_api import BrowserContext, Page

from bench.measure.subject import Server
from bench.transports import Transport
from servers.base import MAX_HOLD_S

ASK = {
    "HTTP": "url => fetch(url, {cache: 'no-store'}).then(answer => answer.json()).then(take, refuse)",
    "event stream": """url => {
        window.source = new EventSource(url)
        source.onmessage = event => take(JSON.parse(event.data))
        source.onerror = () => source.readyState === EventSource.CLOSED && refuse()
    }""",
    "WebSocket": """url => {
        const socket = new WebSocket(url)
        socket.onmessage = event => take(JSON.parse(event.data))
        socket.onerror = refuse
    }""",
}
"""By what is put around an array of ticks, see bench/transports.py.

Without ``no-store``, tabs with the same question wait for each other at Chromium's cache.
"""
REMEMBER = """() => {
    window.seqs = []
    window.take = ticks => seqs.push(...ticks.map(tick => tick.seq))
    window.refused = false
    window.refuse = () => { refused = true }
}"""


def open_page(profile: BrowserContext, server: Server, host: str = "127.0.0.1") -> Page:
    """Open a tab with a page of the server that asks for nothing by itself."""
    tab = profile.new_page()
    tab.goto(health_url(server, host))
    return tab


def health_url(server: Server, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.port}/health"


def ticks_url(server: Server, transport: Transport, after: int) -> str:
    """Return the address for the ticks after this one; a request is never answered for having waited."""
    url = f"{server.url}?after={after}"
    return f"{url}&hold={MAX_HOLD_S:g}" if transport.family == "held" else url


def ask(tab: Page, url: str, framing: str) -> None:
    """Let a page ask for ticks, and remember what it gets; does not wait for an answer."""
    if framing == "WebSocket":
        url = url.replace("http", "ws", 1)
    tab.evaluate(REMEMBER)
    tab.evaluate(f"url => void ({ASK[framing]})(url)", url)


def ask_for_ticks(tab: Page, server: Server, transport: Transport, after: int) -> None:
    """Let a page ask a server for the ticks after this one."""
    ask(tab, ticks_url(server, transport, after), transport.framing)


def seqs(tab: Page) -> list[int]:
    """Return the ``seq`` of the ticks that the page has got, in the order of their coming."""
    return tab.evaluate("seqs")


def is_refused(tab: Page) -> bool:
    """Return whether the page was told that it gets nothing."""
    return tab.evaluate("refused")
