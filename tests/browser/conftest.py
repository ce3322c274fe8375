"""Fixtures: one Chromium for all tests of this folder, and a new profile for each.

Playwright runs an event loop in this thread for as long as it is started, and ``asyncio.run`` refuses to
run beside it. So Chromium belongs to this folder (pytest's scope ``package``): when other tests run, it has
ended.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.chromium import running_chromium
from tests.tools import tool
from tests.waiting import LIMIT_S


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A Chromium without a window."""
    with running_chromium(tool("chromium")) as browser:
        yield browser


@pytest.fixture
def profile(chromium: Browser) -> Iterator[BrowserContext]:
    """A new profile: cookies, cache and connections of its own, which its tabs share."""
    context = chromium.new_context()
    context.set_default_timeout(LIMIT_S * 1_000)
    yield context
    context.close()
