"""What was handed in: which of the forms a file has, read without running it."""

import ast
from pathlib import Path
from typing import NamedTuple

from bench.grading.peers import PEERS
from bench.transports import TRANSPORTS

FORMS = {
    "client": "class Client(TickClient)",
    "serve": "async def serve(feed, listener, options)",
    "ticks": "async def ticks(url)",
    "handle": "async def handle(query, feed)",
}
"""The names by which a file's client or server is found, by form."""


class SubmissionError(ValueError):
    """What was handed in cannot be graded; the text is a sentence."""


class Part(NamedTuple):
    """What is graded in one go: files of one form; a pair is a file with a client and one with a server."""

    form: str
    transport: str
    files: tuple[Path, ...]


def read_parts(paths: list[Path]) -> list[Part]:
    """Return what the files have to be graded: each client and server, then the pairs among them.

    Raises:
        SubmissionError: If a file is missing, is no Python, or has none of the forms.
    """
    parts = [part for path in paths for part in _parts_of(path)]
    pairs = [
        Part("pair", client.transport, (client.files[0], server.files[0]))
        for client in parts
        for server in parts
        if client.form == "client" and server.form == "serve" and client.transport == server.transport
    ]
    return parts + pairs


def _parts_of(path: Path) -> list[Part]:
    tree = _parse(path)
    defined = _defined(tree)
    forms = [form for form in FORMS if ("Client" if form == "client" else form) in defined]
    if not forms:
        raise SubmissionError(
            f"{path} defines neither a client nor a server; it needs one of: {'; '.join(FORMS.values())}"
        )
    for form in forms:
        node = defined["Client" if form == "client" else form]
        if isinstance(node, ast.FunctionDef) and form != "client":
            raise SubmissionError(f"{path}, line {node.lineno}: {form} must be asynchronous: {FORMS[form]}")
        if (
            form == "ticks"
            and isinstance(node, ast.AsyncFunctionDef)
            and not any(isinstance(each, ast.Yield) for each in ast.walk(node))
        ):
            raise SubmissionError(f"{path}, line {node.lineno}: ticks must yield tick after tick")
    transport = _transport(path, tree)
    if "handle" in forms and transport not in ("short_polling", "long_polling"):
        raise SubmissionError(f"{path}: handle(query, feed) answers requests; for {transport} write serve")
    return [Part(form, transport, (path.resolve(),)) for form in forms]


def _parse(path: Path) -> ast.Module:
    if not path.is_file():
        raise SubmissionError(f"there is no file {path}")
    try:
        return ast.parse(path.read_text("utf-8"), str(path))
    except SyntaxError as error:
        raise SubmissionError(f"{path}, line {error.lineno}: {error.msg}; Python cannot read it") from None
    except ValueError as error:
        raise SubmissionError(f"{path} is no Python file: {error}") from None


def _defined(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return the names that a module binds at its top, and where."""
    names: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: node for alias in node.names})
        elif isinstance(node, ast.Assign):
            names.update({each.id: node for each in node.targets if isinstance(each, ast.Name)})
    return names


def _transport(path: Path, tree: ast.Module) -> str:
    """Return what a file speaks: its line TRANSPORT = "…", or its name if it is that of a transport."""
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and any(isinstance(each, ast.Name) and each.id == "TRANSPORT" for each in node.targets)
            and isinstance(node.value, ast.Constant)
        ):
            if node.value.value in PEERS:
                return str(node.value.value)
            raise SubmissionError(
                f"{path}, line {node.lineno}: there is no transport {node.value.value!r}; "
                f"there are {', '.join(PEERS)}"
            )
    if path.stem in TRANSPORTS:
        return TRANSPORTS[path.stem].protocol
    if path.stem in PEERS:
        return path.stem
    raise SubmissionError(f'{path}: say what it speaks by a line TRANSPORT = "…", one of {", ".join(PEERS)}')
