"""The architecture, held by a test: imports point one way, and files stay short."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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
    for node in ast.walk(ast.parse(path.read_text())):
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
    assert len(path.read_text().splitlines()) <= LONGEST_FILE_LINES


def test_sibling_transports_mirror_each_other() -> None:
    from bench.transports import TRANSPORTS

    for transport in TRANSPORTS.values():
        assert (ROOT / "servers" / f"{transport.server}.py").exists()
        assert (ROOT / "clients" / f"{transport.client}.py").exists()
