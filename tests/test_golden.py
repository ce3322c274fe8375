"""What the commands say of the reference run, to the letter: a change of structure changes no word of it.

After a new reference run, or a change that is meant to change words: ``python -m tests.test_golden``, and
read the difference.
"""

from pathlib import Path

import pytest

from tests.commands import printed

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = ("show reference", "literature reference", "claims reference", "compare reference reference")


def golden_file(command: str) -> Path:
    return GOLDEN / f"{command.partition(' ')[0]}.txt"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_run_is_told_in_the_same_words(command: str) -> None:
    assert printed(command) == golden_file(command).read_text(encoding="utf-8")


if __name__ == "__main__":
    for each in COMMANDS:
        golden_file(each).write_text(printed(each), encoding="utf-8")
