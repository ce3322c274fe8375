"""Slides: a deck per notebook, one HTML file that needs no network, by nbconvert and reveal.js."""

import html
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.course.notebooks import NotebooksError, find_notebooks, need_extra, read

REVEAL = Path(__file__).parent / "reveal"
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Slides</title>
<style>body { font: 24px/1.5 sans-serif; margin: 3em; }</style></head><body>
<h1>Slides</h1>
<p>In a deck: <b>S</b> opens the speaker's view with the notes, <b>F</b> fills the screen, <b>O</b> shows all,
<b>?</b> lists the keys.</p>
LECTURES</body></html>
"""


def build_decks(names: Sequence[str], folder: Path) -> list[Path]:
    """Write decks, and a page that lists them by lecture.

    Args:
        names: Beginnings of notebooks' names, such as ``01``; none: all.
        folder: Where to write.

    Returns:
        The decks.

    Raises:
        NotebooksError: If the extra is not installed, or a notebook has not been run.
        UnknownNotebook: If a name fits none.
    """
    need_extra()
    notebooks = {path: read(path) for path in find_notebooks(names)}
    folder.mkdir(parents=True, exist_ok=True)
    decks = []
    for path, notebook in notebooks.items():
        deck = folder / f"{path.stem}.html"
        deck.write_text(build_deck(notebook, path.name), encoding="utf-8")
        decks.append(deck)
    (folder / "index.html").write_text(_index(decks, list(notebooks.values())), encoding="utf-8")
    return decks


def build_deck(notebook: Any, name: str) -> str:
    """Return the deck of a notebook: one HTML file with figures, style and reveal.js inside.

    Raises:
        NotebooksError: If the notebook holds no outputs.
    """
    from nbconvert.exporters import SlidesExporter

    if not any(cell.get("outputs") for cell in notebook.cells):
        raise NotebooksError(f"{name} has no outputs; make them with: make notebooks")
    exporter = SlidesExporter(  # type: ignore[no-untyped-call]
        extra_template_basedirs=[str(REVEAL.parent)], template_name=REVEAL.name
    )
    body, _ = exporter.from_notebook_node(notebook, resources={"deck": _Parts(notebook)})
    return str(body)


class _Parts:
    """What the template puts into the deck beside the notebook's cells."""

    def __init__(self, notebook: Any) -> None:
        self.styles = "\n".join(_part(name) for name in ("reset.css", "reveal.css", "course.css"))
        self.reveal, self.notes = (
            _part(name).replace("</script", r"<\/script") for name in ("reveal.js", "notes.js")
        )
        self._titles: dict[str, str] = {}
        title = ""
        for cell in notebook.cells:
            found = HEADING.findall(cell.source) if cell.cell_type == "markdown" else []
            title = found[-1] if found else title
            self._titles[cell.id] = title

    def alt(self, cell: Any) -> str:
        """Return the text for those who cannot see a figure: the heading that it stands under."""
        return html.escape(f"Figure: {self._titles[cell.id]}", quote=True)


def _part(name: str) -> str:
    return (REVEAL / name).read_text(encoding="utf-8")


def _index(decks: Sequence[Path], notebooks: Sequence[Any]) -> str:
    lectures: dict[int, list[str]] = defaultdict(list)
    for deck, notebook in zip(decks, notebooks, strict=True):
        course = notebook.metadata.course
        lectures[course.lecture].append(f'<li><a href="{deck.name}">{html.escape(course.title)}</a></li>')
    return INDEX.replace(
        "LECTURES",
        "\n".join(
            f"<h2>Lecture {number}</h2>\n<ul>{''.join(items)}</ul>"
            for number, items in sorted(lectures.items())
        ),
    )
