"""The architecture, held by a test: imports go one way, from floor to floor, and files stay short."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests import ROOT

SOURCES = sorted(
    path for package in ("servers", "clients", "bench") for path in (ROOT / package).rglob("*.py")
)
SEEN_BY_CLIENTS = ("clients", "servers.wire", "servers.conditions", "servers.interrupts")
"""What clients may import: of the servers only the ticks on the wire, and what both processes do alike."""
FLOORS = (
    ("bench.__main__",),
    ("bench.commands",),
    ("bench.course", "bench.report", "bench.locust"),
    ("bench.judge", "bench.measure"),
    ("bench.experiments",),
    ("bench.wording",),
    ("bench.results",),
    ("bench.columns",),
    ("bench.scenario", "bench.theory"),
    ("bench.transports", "bench.network"),
    ("bench.fields",),
    ("clients.load",),
    ("clients",),
    ("clients.sockets",),
    ("servers.__main__",),
    ("servers.variants",),
    ("servers",),
)
"""The floors of the house, from the top: a file imports from its own room and from the floors below it."""
NEIGHBOURS = {("bench.course", "bench.report"), ("bench.scenario", "bench.theory")}
"""Rooms of one floor of which the first may import the second."""
FILES_AT_THE_DOOR = 6
LONGEST_FILE_LINES = 400
MONKEY_PATCHERS = ("locust", "gevent")
LOCUSTFILES = [
    path for path in SOURCES if path.name in ("locustfile.py", "beginners.py", "watched_beginners.py")
]
"""Locust patches the process that imports it. So only these import it, and nobody else imports them."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, within functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def room_of(module: str) -> str:
    """Return the innermost room that a module of the house is in; at the door of bench that is itself."""
    return max((room for rooms in FLOORS for room in rooms if is_in(module, (room,))), key=len)


def floor_of(room: str) -> int:
    """Return the floor of a room; 0 is the top."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def goes_down(importer: str, imported: str) -> bool:
    """Return whether one module of the house may import another."""
    if importer == "bench" or imported == "bench":
        return imported == "bench"
    above, below = room_of(importer), room_of(imported)
    return above == below or floor_of(above) < floor_of(below) or (above, below) in NEIGHBOURS


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    importer = module_name(path)
    for imported in imported_modules(path):
        package = imported.split(".")[0]
        assert package not in ("tests", "notebooks", "benchmarks"), f"{importer} must not import {imported}"
        if package in ("servers", "clients", "bench"):
            assert goes_down(importer, imported), f"{importer} must not import {imported}: that is above it"
            if importer.split(".")[0] == "clients":
                assert is_in(imported, SEEN_BY_CLIENTS), f"{importer} must not import {imported}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = {
        module: {each for each in imported_modules(path) if each in MODULES and each != module}
        for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' ← '.join(error.args[1])}")


def test_at_the_door_stand_only_the_facts() -> None:
    assert len(list((ROOT / "bench").glob("*.py"))) <= FILES_AT_THE_DOOR


def test_the_rule_finds_what_it_should() -> None:
    assert goes_down("bench.commands.look", "bench.report.plots.base")
    assert goes_down("bench.course.lesson", "bench.report.plots.base")
    assert goes_down("bench.results.run", "servers.wire")
    assert not goes_down("bench.report.page", "bench.course.lesson")
    assert not goes_down("bench.results.run", "bench.wording")
    assert not goes_down("bench.judge.claims", "bench.measure.trial")
    assert not goes_down("servers.feed", "clients.base")
    assert not goes_down("servers.websocket", "servers.variants.websocket_picows")
    assert not goes_down("clients.websocket", "clients.load.swarm")
    assert not goes_down("bench.theory.age", "bench.scenario")


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_what_patches_at_import(path: Path) -> None:
    imported = list(imported_modules(path))
    assert path in LOCUSTFILES or not [name for name in imported if name.split(".")[0] in MONKEY_PATCHERS]
    assert path in LOCUSTFILES or not set(imported) & {module_name(each) for each in LOCUSTFILES}


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE_LINES


def test_sibling_transports_mirror_each_other() -> None:
    from bench.transports import TRANSPORTS
    from servers.base import server_modules

    for transport in TRANSPORTS.values():
        assert transport.server in server_modules()
        assert (ROOT / "clients" / f"{transport.client}.py").exists()


def reads_by_locale(source: str) -> list[int]:
    """Return the lines on which text is read or written in whatever encoding this machine prefers."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        given = [each.value for each in [*node.args, *named.values()] if isinstance(each, ast.Constant)]
        whose = node.func.value if isinstance(node.func, ast.Attribute) else None
        by_locale = {
            "read_text": not node.args,
            "write_text": len(node.args) == 1,
            "open": (whose is None or bool({"r", "w", "a", "x", "r+", "w+"} & {*map(str, given)}))
            and not any("b" in mode for mode in given if isinstance(mode, str) and len(mode) <= 3),
            "run": "text" in named,
            "Popen": "text" in named,
            "check_output": "text" in named,
        }.get(called, False)
        if by_locale and "encoding" not in named and not _is_of_archive(whose):
            lines.append(node.lineno)
    return lines


def _is_of_archive(whose: ast.expr | None) -> bool:
    return isinstance(whose, ast.Name) and whose.id == "archive"  # a zip's files are bytes


EVERY_SOURCE = sorted(
    path
    for folder in ("servers", "clients", "bench", "tests", "benchmarks", "notebooks")
    for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", EVERY_SOURCE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_is_opened_with_its_encoding(path: Path) -> None:
    assert reads_by_locale(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", True),
        ("path.write_text(x)", True),
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("path.open('w')", True),
        ("subprocess.run(x, text=True)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("open(path, 'rb')", False),
        ("path.open('wb')", False),
        ("subprocess.run(x, encoding='utf-8')", False),
        ("Run.open(path)", False),
        ("connection.send(x, text=True)", False),
    ],
)
def test_the_rule_of_encodings_finds_what_it_should(source: str, found: bool) -> None:
    assert bool(reads_by_locale(source)) is found
