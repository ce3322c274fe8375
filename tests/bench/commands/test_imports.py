"""What does not need pandas and its like does not load them: such a command answers at once."""

import json
import subprocess
import sys

import pytest

from tests import ROOT

HEAVY = ("pandas", "scipy", "matplotlib", "pyarrow", "locust", "gevent", "hdrh")
PROGRAM = """
import json, sys
from bench.__main__ import main
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code or 0, [name for name in {heavy} if name in sys.modules]]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "command", [["list"], ["--help"], ["--version"], ["run", "--help"], ["run", "fresh"]]
)
def test_what_needs_no_figures_loads_no_pandas(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *command],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        check=True,
    )
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code == (2 if command[-1] == "fresh" else 0)
    assert loaded == []
