"""The decks: made of every notebook, whole without a network, figures in, code out, notes for the speaker."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.course.notebooks import FOLDER, NotebooksError, read
from bench.course.slides import build_deck, build_decks
from tests.test_notebooks import NOTEBOOKS, slide_type

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
LOADING_TAGS = {
    "script",
    "link",
    "img",
    "iframe",
    "audio",
    "video",
    "source",
    "object",
    "embed",
    "base",
    "form",
}

SITE = re.compile(r"https?://([\w.-]+)")
MENTIONED = {"revealjs.com", "hakim.se", "github.com"}
"""What reveal.js names in its licence, and in a message of its Markdown parser."""


class Deck(HTMLParser):
    """What a browser would find in a deck: addresses that it would load, scripts, styles, sections, notes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inside: list[str] = []
        self.styles = ""
        self.sections = self.notes = self.figures = 0
        self.depth = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes: Mapping[str, str | None] = dict(attrs)
        if tag in LOADING_TAGS:
            self.loads += [
                value or "" for name, value in attrs if name in ("src", "href", "data", "srcset", "action")
            ]
        self.sections += tag == "section"
        self.depth += tag == "section"
        self.notes += tag == "aside" and attributes.get("class") == "notes"
        self.figures += tag == "img"
        self.inside.append(tag)
        if tag in ("meta", "link", "img", "br", "hr", "input"):
            self.inside.pop()

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag == "section"
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside and self.inside[-1] == "style":
            self.styles += data


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """All decks as ``bench slides`` writes them, by name."""
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in build_decks((), tmp_path_factory.mktemp("slides"))
    }


@each_notebook
def test_a_deck_loads_nothing(path: Path, decks: Mapping[str, str]) -> None:
    """Links to click on may lead outside; nothing that a browser loads by itself may."""
    deck = Deck(decks[path.stem])
    assert all(address.startswith("data:") for address in deck.loads), deck.loads
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", deck.styles)
    linked = {site for cell in read(path).cells for site in SITE.findall(cell.source)}
    assert set(SITE.findall(decks[path.stem])) <= MENTIONED | linked


@each_notebook
def test_a_deck_has_all_slides_figures_and_notes(path: Path, decks: Mapping[str, str]) -> None:
    deck = Deck(decks[path.stem])
    notebook = read(path)
    kinds = [slide_type(cell) for cell in notebook.cells]
    shown = [
        output
        for cell in notebook.cells
        if slide_type(cell) not in ("skip", "notes")
        for output in cell.get("outputs", [])
    ]
    assert deck.depth == 0
    assert deck.sections == 2 * kinds.count("slide") + kinds.count("subslide")
    assert deck.notes == kinds.count("notes")
    assert deck.figures == sum("image/png" in output.get("data", {}) for output in shown)
    assert deck.figures >= 1


@each_notebook
def test_code_is_on_a_slide_only_where_it_is_wanted(path: Path, decks: Mapping[str, str]) -> None:
    wanted = [
        cell
        for cell in read(path).cells
        if "show-code" in cell.metadata.get("tags", []) and slide_type(cell) != "skip"
    ]
    assert decks[path.stem].count('<div class="code">') == len(wanted)


def test_the_page_of_all_decks_leads_to_each(tmp_path: Path) -> None:
    decks = build_decks((), tmp_path)
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert [deck.name for deck in decks] == [path.with_suffix(".html").name for path in NOTEBOOKS]
    assert all(f'href="{deck.name}"' in index for deck in decks)
    assert "://" not in index


def test_one_deck_can_be_made(tmp_path: Path) -> None:
    assert [deck.name for deck in build_decks(["01"], tmp_path)] == ["01_on_the_wire.html"]


def test_a_notebook_that_has_not_been_run_is_refused() -> None:
    path = FOLDER / "01_on_the_wire.ipynb"
    notebook = read(path)
    for cell in notebook.cells:
        cell.pop("outputs", None)
    with pytest.raises(NotebooksError, match="make notebooks"):
        build_deck(notebook, path.name)
