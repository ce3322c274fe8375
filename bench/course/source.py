"""Code of the repository, shown in a notebook as it stands in its file."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCUMENTED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def code_of(path: str, *names: str) -> str:
    """Return functions and classes of a file as Markdown, in the order asked for, without their docstrings.

    Args:
        path: The file, from the root of the repository.
        names: What stands at its top level.

    Raises:
        ValueError: If the file has no such name.
    """
    source = (ROOT / path).read_text(encoding="utf-8")
    found = {node.name: node for node in ast.parse(source).body if isinstance(node, DOCUMENTED)}
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{path} has no {missing[0]}; it has: {', '.join(found)}")
    lines = source.splitlines()
    return "```python\n" + "\n\n".join(_without_docstrings(found[name], lines) for name in names) + "\n```"


def _without_docstrings(top: DOCUMENTED, lines: list[str]) -> str:
    left_out: set[int] = set()
    for node in ast.walk(top):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            last = node.body[0].end_lineno or 0
            left_out.update(range(node.body[0].lineno, last + 1))
            left_out.update({last + 1} if not lines[last].strip() else ())
    first = min([top.lineno, *(each.lineno for each in top.decorator_list)])
    shown = range(first, (top.end_lineno or 0) + 1)
    return "\n".join(lines[number - 1] for number in shown if number not in left_out)
