"""What was handed in: which of the forms a file has, read without running it."""

import ast
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.course.grading.simulated.server_connections import CONNECTIONS
from bench.transports import TRANSPORTS
from bench.wording import shown

FORMS = {
    "client": "class Client(TickClient)",
    "watchful": "class WatchfulClient",
    "serve": "async def serve(feed, listener, options)",
    "ticks": "async def ticks(url)",
    "handle": "async def handle(query, feed)",
}
"""The names by which a file's client or server is found, by form."""
CLASSES = {"client": "Client", "watchful": "WatchfulClient"}
"""Those of them that are classes."""
LARGEST_FILE_BYTES = 1_000_000
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
HOUSE_CLIENTS = Path(__file__).parent.parent.parent.parent / "clients"


class SubmissionError(ValueError):
    """What was handed in cannot be graded; the text is a sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(shown(sentence))


class Part(NamedTuple):
    """What is graded in one go: files of one form; a pair is a file with a client and one with a server."""

    form: str
    transport: str
    files: tuple[Path, ...]


class Submission(NamedTuple):
    """A file that was handed in (or two that make a pair): its parts, or why there are none."""

    name: str
    parts: tuple[Part, ...] = ()
    unusable: str = ""


def read_submissions(paths: Sequence[Path]) -> list[Submission]:
    """Return what each file has to be graded; then the pairs among them, each a submission of its own.

    A client and a server are a pair if they speak the same transport, and are the only two in their folder
    (or among all files) that do.
    """
    found = [_read(path) for path in dict.fromkeys(paths)]
    return found + _pairs(found)


def _read(path: Path) -> Submission:
    try:
        return Submission(str(path), tuple(read_parts(path)))
    except SubmissionError as error:
        return Submission(str(path), unusable=str(error))


def _pairs(found: Sequence[Submission]) -> list[Submission]:
    clients, servers = (
        [(each.name, part) for each in found for part in each.parts if part.form == form]
        for form in ("client", "serve")
    )
    pairs = []
    for client_name, client in clients:
        fitting = [(name, part) for name, part in servers if part.transport == client.transport]
        rivals = [part for _, part in clients if part.transport == client.transport]
        if len(fitting) > 1 or len(rivals) > 1:
            folder = client.files[0].parent
            fitting = [(name, part) for name, part in fitting if part.files[0].parent == folder]
            rivals = [part for part in rivals if part.files[0].parent == folder]
        if len(fitting) == len(rivals) == 1:
            name, server = fitting[0]
            pair = Part("pair", client.transport, (client.files[0], server.files[0]))
            pairs.append(Submission(f"{client_name} with {Path(name).name}", (pair,)))
    return pairs


def read_parts(path: Path) -> list[Part]:
    """Return what a file has to be graded: its client, its server, or both.

    Raises:
        SubmissionError: If the file is missing, is no Python, or has none of the forms.
    """
    tree = _parse(path)
    defined = _defined(tree)
    forms = [form for form in FORMS if _name_of(form) in defined]
    if not forms:
        empty = "" if tree.body else " is empty; it"
        raise SubmissionError(
            f"{path}{empty} defines neither a client nor a server; "
            f"it needs one of: {'; '.join(FORMS.values())}"
        )
    for form in forms:
        _hold_to_form(path, form, defined[_name_of(form)])
    transport = _transport(path, tree)
    if "handle" in forms and transport not in ("short_polling", "long_polling"):
        raise SubmissionError(f"{path}: handle(query, feed) answers requests; for {transport} write serve")
    if "watchful" in forms and transport != "websocket":
        raise SubmissionError(
            f"{path}: a WatchfulClient hears pings: its TRANSPORT is websocket, not {transport}"
        )
    if "client" in forms or "watchful" in forms:
        _refuse_the_house_clients(path, tree)
    return [Part(form, transport, (path.resolve(),)) for form in forms]


def _name_of(form: str) -> str:
    return CLASSES.get(form, form)


def _hold_to_form(path: Path, form: str, node: ast.stmt) -> None:
    if isinstance(node, ast.FunctionDef) and form not in CLASSES and not node.decorator_list:
        raise SubmissionError(f"{path}, line {node.lineno}: {form} must be asynchronous: {FORMS[form]}")
    if (
        form == "ticks"
        and isinstance(node, ast.AsyncFunctionDef)
        and not any(isinstance(each, ast.Yield) for each in ast.walk(node))
    ):
        raise SubmissionError(f"{path}, line {node.lineno}: ticks must yield tick after tick")


def _refuse_the_house_clients(path: Path, tree: ast.Module) -> None:
    """Let nobody hand in the client of the house: only clients/base.py is there to build upon."""
    if path.resolve().parent == HOUSE_CLIENTS:
        return
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            modules = [node.module]
            if node.module == "clients":
                modules = [f"clients.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            if module.startswith("clients.") and module != "clients.base":
                raise SubmissionError(
                    f"{path}, line {getattr(node, 'lineno', '?')}: it imports {module}; "
                    "write the client yourself, upon clients.base alone"
                )


def _parse(path: Path) -> ast.Module:
    """Parse a file's bytes as Python does: with a byte order mark, a coding cookie, any line ends."""
    if path.is_dir():
        raise SubmissionError(f"{path} is a folder; name its files: bench grade {path}/*.py")
    if not path.is_file():
        raise SubmissionError(f"there is no file {path}")
    if path.suffix != ".py":
        raise SubmissionError(f"{path} does not end in .py, so Python does not import it: rename it")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read: {error.strerror}") from None
    if source.startswith(BYTE_ORDER_MARKS):
        raise SubmissionError(f"{path} is saved as UTF-16, which Python cannot read; save it as UTF-8")
    if len(source) > LARGEST_FILE_BYTES:
        raise SubmissionError(f"{path} has {len(source):,} B; nobody writes so much by hand")
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(source, str(path))
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise SubmissionError(f"{path}{where}: {error.msg}; Python cannot read it") from None
    except (RecursionError, MemoryError):
        raise SubmissionError(f"{path} is nested too deeply; Python cannot read it") from None
    except ValueError as error:
        raise SubmissionError(f"{path} is no Python file: {error}") from None


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, also those within if, try and with."""
    for node in body:
        yield node
        for name in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                for inner in getattr(node, name, ()):
                    yield from _statements(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _assigned(node: ast.stmt) -> tuple[list[str], ast.expr | None]:
    """Return the names that a statement assigns, with or without an annotation, and the value."""
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)], node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id], node.value
    return [], None


def _defined(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return the names that a module binds when it is imported, and where."""
    names: dict[str, ast.stmt] = {}
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            names.update({alias.asname or alias.name: node for alias in node.names})
        else:
            names.update({name: node for name in _assigned(node)[0]})
    return names


def _transport(path: Path, tree: ast.Module) -> str:
    """Return what a file speaks: its line TRANSPORT = "…", or its name if it is that of a transport."""
    for node in _statements(tree.body):
        names, value = _assigned(node)
        if "TRANSPORT" in names and isinstance(value, ast.Constant):
            if value.value in CONNECTIONS:
                return str(value.value)
            raise SubmissionError(
                f"{path}, line {node.lineno}: there is no transport {value.value!r}; "
                f"there are {', '.join(CONNECTIONS)}"
            )
    spoken = TRANSPORTS[path.stem].protocol if path.stem in TRANSPORTS else path.stem
    if spoken in CONNECTIONS:
        return spoken
    if path.stem in TRANSPORTS:
        raise SubmissionError(
            f"{path}: there are rules for {', '.join(CONNECTIONS)}, and none for {path.stem}"
        )
    raise SubmissionError(
        f'{path}: say what it speaks by a line TRANSPORT = "…", one of {", ".join(CONNECTIONS)}'
    )
