"""A test that lacks a program is skipped with a sentence, and fails where nothing may be missing."""

from pathlib import Path

import pytest

from tests.tools import TOOLS, missing_packages, tool


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are looked for; it is empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("TEST_TOOLS", raising=False)
    return tmp_path


def put(program: Path) -> str:
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("name", TOOLS)
def test_what_is_here_is_found(programs: Path, name: str) -> None:
    other_name = TOOLS[name].commands[-1]
    path = put(programs / other_name)
    assert tool(name) == path
    assert TOOLS[name].package not in missing_packages()


@pytest.mark.parametrize("name", TOOLS)
def test_without_it_the_test_is_skipped_and_told_what_to_install(programs: Path, name: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"no {name} here.*install {TOOLS[name].package}$"):
        tool(name)


def test_where_nothing_may_be_missing_the_test_fails(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOOLS", "required")
    with pytest.raises(pytest.fail.Exception, match=r"no curl here.*TEST_TOOLS is required"):
        tool("curl")


def test_a_switch_that_is_misspelt_does_not_skip(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TOOLS", "requird")
    with pytest.raises(pytest.fail.Exception, match=r"'requird'; it is required, or not set"):
        tool("curl")


def test_all_that_is_missing_is_named(programs: Path) -> None:
    assert missing_packages() == ["chromium", "curl", "iperf3", "iproute2", "iputils-ping"]
    put(programs / "curl")
    assert missing_packages() == ["chromium", "iperf3", "iproute2", "iputils-ping"]
