"""What a terminal can show: nothing is cut in a narrow one, and no sign is missing in an ASCII one."""

import codecs
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
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


class GroupedTable(Table):
    """A table whose first column tells what a group of rows shares: at the first, empty at the others.

    A terminal gets that as a line above the group, as wide as it is. A row takes one line.
    """


def print_table(table: Table, console: Console) -> None:
    """Print a table; one that is too wide for the console as a block of ``name: value`` for each row.

    Args:
        table: Its headings and cells are strings or ``Text``.
        console: Where to.
    """
    shown = table if _has_all_signs(console) else _in_ascii(table)
    groups = [""] * shown.row_count
    if isinstance(shown, GroupedTable):
        groups = [words(cell) for cell in shown.columns[0].cells]
        shown = _part(shown, 1, one_line=True)
    if _is_cut(shown, console):
        _print_blocks(shown, groups, console)
    else:
        _print_groups(shown, groups, console)


def _print_groups(table: Table, groups: Sequence[str], console: Console) -> None:
    """Print a table, and above each group of rows what it shares, if that is told."""
    if not any(groups):
        console.print(table)
        return
    lines = console.render_lines(table, pad=False)
    below = len(lines) - 1 - table.row_count  # a last line, without words, ends the table
    for place, line in enumerate(lines):
        row = place - below
        if 0 <= row < len(groups) and groups[row]:
            console.print(("\n" if row else "") + f"  {groups[row]}:")
        console.print(Segments([*line, Segment.line()]), end="")


def _print_blocks(table: Table, groups: Sequence[str], console: Console) -> None:
    """Print each row as a block of ``name: value``; what is not set is left out."""
    names = [words(column.header).replace("\n", " ") for column in table.columns]
    rows = zip(*(column.cells for column in table.columns), strict=True)
    for group, (first, *cells) in zip(groups, rows, strict=True):
        console.print()
        if group:
            console.print(f"{group}:\n")
        console.print(first)
        for name, cell in zip(names[1:], cells, strict=True):
            if words(cell):
                console.print(Text.assemble(f"  {name}: ", cell if isinstance(cell, Text) else str(cell)))
    console.print()


def _is_cut(table: Table, console: Console) -> bool:
    """Return whether rich would cut a word of a table to fit it in, by an ellipsis, or leave a column out."""
    lines = console.render_lines(table)
    shown = "".join(segment.text for line in lines for segment in line)
    cells = (words(cell) for column in table.columns for cell in (column.header, *column.cells))
    headings = (word for column in table.columns for word in words(column.header).split())
    return shown.count("…") > sum(cell.count("…") for cell in cells) or any(
        word not in shown for word in headings
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
    return _part(table, 0, in_ascii, type(table))


def _part(
    table: Table,
    first: int,
    spelled: Callable[[str], str] = str,
    kind: type[Table] = Table,
    *,
    one_line: bool = False,
) -> Table:
    """Return a table with the columns from the ``first`` on, its words spelled otherwise, or never broken."""
    columns = table.columns[first:]
    part = kind(box=table.box, collapse_padding=table.collapse_padding, show_header=table.show_header)
    for column in columns:
        part.add_column(
            Text(spelled(words(column.header))),
            justify=column.justify,
            no_wrap=column.no_wrap or one_line,
            style=column.style,
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*(Text(spelled(words(cell)), style=getattr(cell, "style", "")) for cell in row))
    return part
