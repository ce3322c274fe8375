"""The architecture, held by a test: imports point one way, and files stay short."""

import ast
from pathlib import Path

import pytest

from tests import ROOT

SOURCES = sorted(
    path for package in ("servers", "clients", "bench") for path in (ROOT / package).rglob("*.py")
)

ALLOWED = {
    "servers": ("servers",),
    "clients": ("clients", "servers.wire", "servers.conditions", "servers.interrupts"),
    "bench": ("bench", "clients", "servers"),
}
LONGEST_FILE_LINES = 400
MONKEY_PATCHERS = ("locust", "gevent")


def imported_modules(path: Path) -> list[str]:
    modules = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
    return modules


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for module in imported_modules(path):
        if module.split(".")[0] in (*ALLOWED, "tests", "notebooks"):
            assert module.startswith(ALLOWED[package]), f"{path.name} must not import {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_load_folder_imports_what_patches_at_import(path: Path) -> None:
    if "load" not in path.parts:
        assert not [name for name in imported_modules(path) if name.split(".")[0] in MONKEY_PATCHERS]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
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
