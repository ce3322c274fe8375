"""What keeps people from a page, as far as a program can tell: axe-core, inside axe-playwright-python."""

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page


def barriers(page: Page) -> str:
    """Return what axe finds on a page, on light paper and on dark; empty if it finds nothing."""
    page.evaluate(AXE_SCRIPT)
    found = ""
    for paper in ("light", "dark"):
        page.emulate_media(color_scheme=paper)
        results = AxeResults(page.evaluate("() => axe.run({resultTypes: ['violations']})"))
        assert results.response["passes"], "axe has looked at nothing"
        if results.violations_count:
            found += f"On {paper} paper: {results.generate_report()}"
    return found
