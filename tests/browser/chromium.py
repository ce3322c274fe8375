"""A Chromium without a window, which ends when we end.

It is started with a pipe to Playwright's driver, and the driver with one to us. Each ends when its pipe is
closed, so neither outlives us, whatever we die of. The driver removes the browser's files.
"""

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-proxy-server"]
"""Beside Playwright's own, which keep Chromium from asking its maker's hosts."""


@contextlib.contextmanager
def running_chromium(path: str) -> Iterator[Browser]:
    """Run the Chromium at this path while the context is open."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
