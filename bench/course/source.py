"""Code of the repository, shown in a notebook as it stands in its file."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def code_of(path: str, *names: str) -> str:
    """Return functions and classes of a file as Markdown, in the order asked for.

    Args:
        path: The file, from the root of the repository.
        names: What stands at its top level.

    Raises:
        ValueError: If the file has no such name.
    """
    source = (ROOT / path).read_text(encoding="utf-8")
    found = {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{path} has no {missing[0]}; it has: {', '.join(found)}")
    return "```python\n" + "\n\n".join(found[name] for name in names) + "\n```"
