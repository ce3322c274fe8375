"""The rule that no figure in prose is typed: what counts as a figure, and where one may stand."""

import ast
import re
from collections.abc import Iterator

UNITS = (
    r"(?:[mµun]?s|sec(?:ond)?s?|milliseconds?|B|bytes?|[kKMG]i?B|[kMG]?bit/s|[kMG]bps|k?Hz"
    r"|times|fold|percent|clients?|ticks?|requests?|polls?|packets?|segments?|frames?|connections?)(?![\w/])"
    r"|%|×"
)
FIGURE = re.compile(rf"(?<![\w.,])\d[\d,.]*[\s-]?(?:{UNITS})")
"""A number with a unit, a ratio, or a count of what the course counts."""
CONFIDENCE_LEVEL = re.compile(r"\b95 %")
"""The level of every interval is a choice, not a finding."""
SOURCE = re.compile(r"\]\(https?://|\bRFC \d+")
CODE = re.compile(r"```.*?```|`[^`]*`|<!--.*?-->|\]\([^)]*\)", re.DOTALL)
SENTENCE_END = re.compile(r"(?<=[.?!;])\s+|\n\s*[-*\d]+[.)]?\s")


def typed_figures(markdown: str) -> list[str]:
    """Return the figures in Markdown that somebody typed and should have computed.

    A figure may stand in code, in a quotation (``>``) that links to its source or names its RFC, and in a
    sentence that names the RFC which defines it.
    """
    found = []
    for block in re.split(r"\n\s*\n", markdown):
        quoted = all(line.lstrip().startswith(">") for line in block.strip().splitlines())
        if quoted and SOURCE.search(block):
            continue
        for sentence in SENTENCE_END.split(block):
            if not re.search(r"\bRFC \d+", sentence):
                plain = CONFIDENCE_LEVEL.sub("", CODE.sub(" ", sentence))
                found += [match.group() for match in FIGURE.finditer(plain)]
    return found


def said(source: str) -> Iterator[str]:
    """Yield the Markdown of each ``say(…)`` in a cell's code, with {} where a number is computed."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            yield "".join(_text(argument) for argument in node.args)


def _text(node: ast.expr) -> str:
    """Return the text of a string or f-string; other expressions are computed."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "{}"
