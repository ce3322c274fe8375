"""Pages are open to all, as far as axe can tell; those of servers are looked at in test_live_page.py."""

import shutil
from pathlib import Path

from playwright.sync_api import BrowserContext

from bench.report.page import write_page
from bench.results.run import Run
from tests import ROOT
from tests.browser.accessibility import barriers

WRONG = {
    "image-alt": '<img src="data:,">',
    "color-contrast": '<p style="color: #999; background: #fff">faint</p>',
    "link-name": '<a href="#x"></a>',
    "label": "<input>",
    "button-name": "<button></button>",
    "document-title": "",
}
"""What axe has to find, by the name of its rule."""
DARK_ON_DARK = """<html lang="en"><title>t</title>
<style>@media (prefers-color-scheme: dark) { p { color: #333; background: #222 } }</style>
<main><h1>Ticks</h1><p>words</p></main>"""


def test_what_is_wrong_is_found(profile: BrowserContext) -> None:
    page = profile.new_page()
    page.set_content(f"<main><h1>Ticks</h1>{''.join(WRONG.values())}</main>")
    found = barriers(page)
    assert [rule for rule in (*WRONG, "html-has-lang") if f"{rule} - " not in found] == []


def test_what_is_wrong_on_dark_paper_only_is_found(profile: BrowserContext) -> None:
    page = profile.new_page()
    page.set_content(DARK_ON_DARK)
    assert barriers(page).startswith("On dark paper: Found 1 ")


def test_the_page_of_a_run_is_open_to_all(tmp_path: Path, profile: BrowserContext) -> None:
    """One experiment is enough: the sections of all have the same parts."""
    folder = tmp_path / "run"
    shutil.copytree(ROOT / "results" / "reference", folder)
    run = Run.open(folder)
    run.facts["experiments"] = ["handshake"]
    page = profile.new_page()
    page.goto(write_page(run).as_uri())
    assert page.locator("section figure img").count()
    assert not barriers(page)
