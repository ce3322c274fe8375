"""The command line in this process: one of its own takes two seconds to import."""

import contextlib
import functools
import shlex
import sys
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from bench.commands import app as cli
from tests import ROOT


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


@functools.cache
def printed(command: str) -> str:
    """Return what a command of the reference run prints, as from the project's folder; told once."""
    with contextlib.chdir(ROOT):
        done = CliRunner().invoke(cli.app, shlex.split(command), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout
