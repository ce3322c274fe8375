"""Six connections: as many as Chromium opens by HTTP/1.1 to one host, whatever the number of tabs.

RFC 6202, section 5.1, and the WHATWG HTML standard, section 9.2.7, warn of it: a request that is held, and a
stream that never ends, keep their connection. WebSockets are counted apart (Chromium allows 255 of them).
"""

import psutil
import pytest
from playwright.sync_api import BrowserContext, Page

from bench.measure.subject import Server
from bench.transports import TRANSPORTS, Transport, main_names
from tests.asking import StartServer, is_websocket
from tests.browser.asking import ask_for_ticks, health_url, open_page, seqs
from tests.waiting import wait_until

CONNECTIONS = 6


def keeps_its_connection(transport: Transport) -> bool:
    """Return whether a client, while it waits for a tick, has a connection of HTTP for itself."""
    return transport.family != "pull" and not is_websocket(transport)


def transports(*, keep_their_connection: bool) -> pytest.MarkDecorator:
    chosen = [
        TRANSPORTS[name]
        for name in main_names()
        if keeps_its_connection(TRANSPORTS[name]) is keep_their_connection
    ]
    return pytest.mark.parametrize("transport", chosen, ids=lambda transport: transport.name)


ASK_TWENTY_TIMES = (
    "async url => { for (let count = 0; count < 20; count++) await fetch(url, {mode: 'no-cors'}) }"
)


def open_tabs(profile: BrowserContext, server: Server) -> list[Page]:
    """Open one tab more than there are connections, each with a page of the server."""
    first = open_page(profile, server)
    tabs = [first]
    while len(tabs) <= CONNECTIONS:
        with first.expect_popup() as opened:  # in the same process, which takes half the time
            first.evaluate("() => void open(location.href)")
        opened.value.wait_for_load_state()
        tabs.append(opened.value)
    return tabs


def connections(server: Server) -> int:
    """Count the server's connections, as its kernel knows them."""
    sockets = psutil.Process(server.ready["pid"]).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED for each in sockets)


@transports(keep_their_connection=True)
def test_the_seventh_tab_waits_until_another_is_closed(
    transport: Transport, start_server: StartServer, profile: BrowserContext
) -> None:
    server = start_server(transport, rate_hz=0)  # tick 1 is there, and no other will come
    *six, seventh = open_tabs(profile, server)
    for tab in six:
        ask_for_ticks(tab, server, transport, after=1)
    wait_until(lambda: connections(server) == CONNECTIONS, "six tabs have asked")

    ask_for_ticks(seventh, server, transport, after=0)  # the server has tick 1, and would answer at once
    seventh.evaluate(ASK_TWENTY_TIMES, health_url(server, "localhost"))  # another host: other connections
    assert seqs(seventh) == []

    six[0].close()
    wait_until(lambda: seqs(seventh) == [1], "the seventh tab gets tick 1")
    assert all(seqs(tab) == [] for tab in six[1:])


@transports(keep_their_connection=False)
def test_any_number_of_tabs_is_answered(
    transport: Transport, start_server: StartServer, profile: BrowserContext
) -> None:
    server = start_server(transport, rate_hz=0)
    tabs = open_tabs(profile, server)
    for tab in tabs:
        ask_for_ticks(tab, server, transport, after=0)
    wait_until(lambda: all(seqs(tab) == [1] for tab in tabs), "all tabs get tick 1")
    assert (connections(server) > CONNECTIONS) is is_websocket(transport)
