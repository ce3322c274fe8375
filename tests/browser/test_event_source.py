"""EventSource, as Chromium does it: after a cut it goes on by itself, after a refusal it does not.

WHATWG HTML, section 9.2.3: a cut *reestablishes* the connection, another answer than 200 *fails* it.
"""

from playwright.sync_api import BrowserContext, Page, Request

from bench.transports import Transport
from tests.asking import StartServer, event_stream, of
from tests.browser.asking import ask_for_ticks, is_refused, open_page, seqs
from tests.waiting import wait_until

by_main_event_stream = of(framing="event stream", variant_of=None)
CONNECTING, OPEN, CLOSED = 0, 1, 2
"""The values of ``readyState``."""


def ready_state(page: Page) -> int:
    return page.evaluate("source.readyState")


@by_main_event_stream
def test_after_the_server_was_killed_and_came_back_no_tick_is_lost_or_doubled(
    transport: Transport, start_server: StartServer, profile: BrowserContext
) -> None:
    options = {"rate_hz": 100, "seed": 5, "plan": "bursty", "history_ticks": 10_000}
    first = start_server(transport, **options)
    page = open_page(profile, first)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    ask_for_ticks(page, first, transport, after=0)
    wait_until(lambda: len(seqs(page)) >= 30, "30 ticks have come")

    first.kill()
    wait_until(lambda: ready_state(page) == CONNECTING, "the loss is noticed")
    held = seqs(page)[-1]
    again = start_server(transport, **options, port=first.port, start_ns=first.ready["start_ns"])
    goal = again.health()["newest_seq"] + 30  # beyond what was due while nobody served
    wait_until(lambda: seqs(page)[-1] >= goal, f"tick {goal} has come")

    assert ready_state(page) == OPEN
    got = seqs(page)
    assert got == list(range(1, got[-1] + 1))
    asked, *_, asked_again = requests  # those between found nobody
    assert "last-event-id" not in asked.all_headers()
    assert asked_again.all_headers()["last-event-id"] == str(held)
    assert asked_again.url == asked.url


@by_main_event_stream
def test_after_a_refusal_it_has_given_up_for_good(
    transport: Transport, start_server: StartServer, profile: BrowserContext
) -> None:
    server = start_server(transport, rate_hz=0, max_clients=1)
    page = open_page(profile, server)
    with event_stream(server) as (_, blocks):
        next(blocks)
        ask_for_ticks(page, server, transport, after=0)  # 503
        wait_until(lambda: is_refused(page), "the page is told")
        assert ready_state(page) == CLOSED
    page.evaluate("() => { window.first = source }")

    def is_served() -> bool:
        """Ask by another EventSource: to come back is for the page to do."""
        ask_for_ticks(page, server, transport, after=0)
        wait_until(lambda: seqs(page) or is_refused(page), "an answer has come")
        return seqs(page) == [1]

    wait_until(is_served, "there is room again")
    assert page.evaluate("first.readyState") == CLOSED
