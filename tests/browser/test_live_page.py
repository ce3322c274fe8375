"""The page at ``/`` of every server: its ticks live, nothing lost when the server comes back, open to all."""

import pytest
from playwright.sync_api import BrowserContext, Page

from bench.transports import TRANSPORTS, main_names
from tests.asking import StartServer
from tests.browser.accessibility import barriers
from tests.waiting import wait_until

AWAY = "the server is away; asking again …"
OPTIONS = {"rate_hz": 10, "seed": 5, "history_ticks": 10_000}


def watch(profile: BrowserContext, address: str, faults: list[str]) -> Page:
    """Open a live page; what its script raises, and what its policy forbids it, goes to the faults."""
    page = profile.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda told: "Policy" in told.text and faults.append(told.text))
    page.goto(address)
    return page


def status(page: Page) -> str:
    return page.inner_text("#status")


def shown(page: Page) -> dict[str, int]:
    """Return what the page says of its ticks: how many in three counts, and the newest of its table."""
    return page.evaluate(
        """() => Object.fromEntries([
            ...["received", "gone", "twice"].map(id => [id, Number(at(id).textContent)]),
            ["newest", Number(document.querySelector("#ticks td")?.textContent ?? 0)],
        ])"""
    )


def wait_for_ticks(page: Page, count: str, goal: int) -> None:
    """Return when the page says live, and one of its counts has come so far."""
    wait_until(lambda: shown(page)[count] >= goal, f"{count} {goal} on the page {page.title()!r}")
    assert status(page) == "live"


def wait_for_loss(page: Page) -> None:
    wait_until(lambda: status(page) == AWAY, f"the page {page.title()!r} says that its server is away")


@pytest.mark.parametrize("protocol", main_names())
def test_pages_show_ticks_live_and_go_on_when_their_servers_come_back(
    protocol: str, start_server: StartServer, profile: BrowserContext
) -> None:
    """The servers of one protocol at once, whatever their library, so that their pages wait together."""
    transports = [each for each in TRANSPORTS.values() if each.protocol == protocol]
    servers = [start_server(transport, **OPTIONS) for transport in transports]
    faults: list[str] = []
    pages = [watch(profile, server.ready["page"], faults) for server in servers]
    for page in pages:
        wait_for_ticks(page, "received", 3)
    held = [shown(page) for page in pages]

    for server in servers:
        server.kill()
    for page in pages:
        wait_for_loss(page)
    for transport, server, page, before in zip(transports, servers, pages, held, strict=True):
        again = start_server(transport, **OPTIONS, port=server.port, start_ns=server.ready["start_ns"])
        wait_for_ticks(page, "newest", again.health()["newest_seq"] + 2)  # beyond what nobody served
        after = shown(page)
        assert (after["gone"], after["twice"]) == (0, 0)
        assert after["received"] - before["received"] == after["newest"] - before["newest"]
    assert not faults
    assert not barriers(pages[0])  # the others differ in nothing that it looks at
