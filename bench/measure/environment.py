"""What a server and a load generator inherit from whoever started the harness: little, and all is recorded.

A variable of the shell can make a server ten times dearer (``PYTHONASYNCIODEBUG``), and a ``random.py`` in
the current folder can replace the standard library's. So both processes start with an environment of our own,
and find modules where this interpreter has them, never in the current folder. Some things cannot be kept out,
such as a niceness. They are looked up inside the processes (servers/conditions.py), stand in the row of each
trial, and make it suspect.
"""

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the packages servers, clients and bench."""

NEEDED = ("HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
"""Variables that are passed on, because an interpreter may not find its libraries, or a folder, without."""

MEANT = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONMALLOC")
"""Variables that are passed on, because whoever sets them means it (another allocator). They are judged."""

OURS = {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
"""Variables that every process gets."""


def process_environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of servers and load generators: an allow list, and variables of our own."""
    passed_on = {name: inherited[name] for name in (*NEEDED, *MEANT) if inherited.get(name)}
    installed = [*site.getsitepackages(), site.getusersitepackages()]
    here = {} if str(ROOT) in map(os.path.realpath, installed) else {"PYTHONPATH": str(ROOT)}
    return {**passed_on, **OURS, **here}


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module by this interpreter, without the current folder on its path.

    ``-P`` is PYTHONSAFEPATH (Python 3.11); ``-s`` leaves out the user's packages if this interpreter does.
    """
    own_packages = ["-s"] if sys.flags.no_user_site else []
    return [sys.executable, "-P", *own_packages, "-m", module, *arguments]


def recorded(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what is passed on, for run.json: the values of what may change a figure, else "a path"."""
    passed_on = process_environment(inherited)
    return {name: "a path" if name in (*NEEDED, "PYTHONPATH") else text for name, text in passed_on.items()}
