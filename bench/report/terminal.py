"""What a terminal can show: nothing is cut in a narrow one, and no sign is missing in an ASCII one."""

import codecs
import sys
import unicodedata
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.wording import shown

PIPED_WIDTH = 120
ERRORS = "in_ascii"
ASCII = {
    "µ": "u",
    "μ": "u",
    "×": "x",
    "→": "->",
    "←": "<-",
    "±": "+-",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "·": "|",
    "≠": "!=",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "√": "sqrt",
    "″": '"',
    "✓": "ok",
    "✗": "X",
    "’": "'",
    "“": '"',
    "”": '"',
    "•": "*",
    "λ": "lambda",
    "τ": "tau",
    "²": "^2",
}
"""What the signs of the tables and sentences become where an encoding lacks them."""


class PlainConsole(Console):
    """A console on which texts are shown, never obeyed: square brackets, ``:names:``, control characters."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a text of rich's of a string."""
        return super().render_str(_lines_shown(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print strings, texts and tables."""
        super().print(*(_text_shown(each) if isinstance(each, Text) else each for each in objects), **options)


def new_console(*, stderr: bool = False) -> PlainConsole:
    """Return the console for results, or for everything else."""
    file = sys.stderr if stderr else sys.stdout
    return PlainConsole(stderr=stderr, width=None if stderr or file.isatty() else PIPED_WIDTH)


def _lines_shown(text: str) -> str:
    return "\n".join(map(shown, text.expandtabs().split("\n")))


def _text_shown(text: Text) -> Text:
    plain = _lines_shown(text.plain)
    return text if plain == text.plain else Text(plain, style=text.style)


def replace_missing_signs() -> None:
    """Let standard output and error write every sign that their encoding lacks in ASCII, and never fail."""
    codecs.register_error(ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def print_table(table: Table, console: Console) -> None:
    """Print a table; one that is too wide for the console as a block of ``name: value`` for each row.

    Before that, words of its first column and of theory go below each other, if a column of words is there.

    Args:
        table: Its headings and cells are strings or ``Text``.
        console: Where to.
    """
    shown = table if _has_all_signs(console) else _in_ascii(table)
    if _is_cut(shown, console):
        _make_narrow(shown)
    if not _is_cut(shown, console):
        console.print(shown)
        return
    names = [words(column.header).replace("\n", " ") for column in shown.columns]
    for row in zip(*(column.cells for column in shown.columns), strict=True):
        first, *cells = row
        console.print()
        console.print(first)
        for name, cell in zip(names[1:], cells, strict=True):
            if words(cell):
                console.print(Text.assemble(f"  {name}: ", cell if isinstance(cell, Text) else str(cell)))
    console.print()


def _make_narrow(table: Table) -> None:
    """Make columns of words, and the first one, as narrow as their longest word, but for the widest one."""
    widths = {
        id(column): max(len(words(cell)) for cell in (column.header, *column.cells))
        for place, column in enumerate(table.columns)
        if not column.no_wrap or place == 0
    }
    for column in table.columns:
        if widths.get(id(column), max(widths.values())) < max(widths.values()):
            parts = (part for cell in (column.header, *column.cells) for part in words(cell).split())
            column.no_wrap, column.max_width = False, max(map(len, parts)) + 1


def _is_cut(table: Table, console: Console) -> bool:
    """Return whether rich would cut a word of a table to fit it in, by an ellipsis, or leave a column out."""
    lines = console.render_lines(table)
    shown = "".join(segment.text for line in lines for segment in line)
    cells = (words(cell) for column in table.columns for cell in (column.header, *column.cells))
    headings = (word for column in table.columns for word in words(column.header).split())
    return shown.count("…") > sum(cell.count("…") for cell in cells) or any(
        shown.count(word) < 1 for word in headings
    )


def words(cell: object) -> str:
    """Return the words of a heading or a cell."""
    return cell.plain if isinstance(cell, Text) else str(cell)


def in_ascii(text: str) -> str:
    """Write signs that ASCII lacks in ASCII: µs as us, × as x, ± as +-, → as ->."""
    return "".join(letter if letter.isascii() else _letter_in_ascii(letter) for letter in text)


def _letter_in_ascii(letter: str) -> str:
    if letter in ASCII:
        return ASCII[letter]
    if unicodedata.name(letter, "").startswith("BOX DRAWINGS"):
        return "-" if "HORIZONTAL" in unicodedata.name(letter) else "|"
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?" * cell_len(letter)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]), error.end


def _has_all_signs(console: Console) -> bool:
    return console.encoding.startswith("utf")


def _in_ascii(table: Table) -> Table:
    """Return the table with all signs in ASCII, so that its columns are as wide as they will be."""
    copy = Table(box=table.box, collapse_padding=table.collapse_padding, show_header=table.show_header)
    for column in table.columns:
        copy.add_column(
            Text(in_ascii(words(column.header))),
            justify=column.justify,
            no_wrap=column.no_wrap,
            style=column.style,
        )
    for row in zip(*(column.cells for column in table.columns), strict=True):
        copy.add_row(*(Text(in_ascii(words(cell)), style=getattr(cell, "style", "")) for cell in row))
    return copy
