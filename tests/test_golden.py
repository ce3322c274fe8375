"""What the commands say of the reference run, to the letter: a change of structure changes no word of it.

After a new reference run, or a change that is meant to change words: ``python -m tests.test_golden``, and
read the difference.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = ("show reference", "literature reference", "claims reference", "compare reference reference")


def golden_file(command: str) -> Path:
    return GOLDEN / f"{command.partition(' ')[0]}.txt"


def as_printed(command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *command.split()],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=ROOT,
    )
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_run_is_told_in_the_same_words(command: str) -> None:
    assert as_printed(command) == golden_file(command).read_text(encoding="utf-8")


if __name__ == "__main__":
    for each in COMMANDS:
        golden_file(each).write_text(as_printed(each), encoding="utf-8")
