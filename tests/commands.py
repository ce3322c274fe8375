"""The command line in this process: one of its own takes two seconds to import."""

import sys
from typing import NamedTuple

import pytest

from bench.commands import app as cli


class Done(NamedTuple):
    """What a command has said, and its exit code."""

    code: object
    stdout: str
    stderr: str


def run_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """Run a command, as from a shell."""
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return Done(end.value.code or 0, said.out, said.err)
