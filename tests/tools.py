"""Programs that some tests need and a plain machine may lack: a test without its program is skipped.

With ``TEST_TOOLS=required`` it fails instead. So .ci/run says, after it has installed whatever is missing;
``python -m tests.tools`` names the Debian packages.
"""

import os
import shutil
from typing import NamedTuple, NoReturn

import pytest

SWITCH, REQUIRED = "TEST_TOOLS", "required"


class Tool(NamedTuple):
    """The names that a program goes by, the usual one first, and the Debian package that it comes in."""

    commands: tuple[str, ...]
    package: str

    def path(self) -> str | None:
        """Return where it is, or None."""
        return next((found for command in self.commands if (found := shutil.which(command))), None)


TOOLS = {
    "chromium": Tool(("chromium", "chromium-browser", "google-chrome"), "chromium"),
    "curl": Tool(("curl",), "curl"),
    "iperf3": Tool(("iperf3",), "iperf3"),
    "ip": Tool(("ip",), "iproute2"),
    "ping": Tool(("ping",), "iputils-ping"),
}


def tool(name: str) -> str:
    """Return the path of a program; without it, end the test as :func:`lack` does."""
    path = TOOLS[name].path()
    return path or lack(f"there is no {name} here; on Debian: apt-get install {TOOLS[name].package}")


def lack(what: str) -> NoReturn:
    """End a test that cannot run here: it is skipped, or has failed where nothing may be missing."""
    value = os.environ.get(SWITCH, "")
    if value not in ("", REQUIRED):
        pytest.fail(f"{SWITCH} is {value!r}; it is {REQUIRED}, or not set")
    if value == REQUIRED:
        pytest.fail(f"{what} ({SWITCH} is {REQUIRED})")
    pytest.skip(what)


def missing_packages() -> list[str]:
    """Return the Debian packages of the programs that are not here."""
    return [each.package for each in TOOLS.values() if each.path() is None]


if __name__ == "__main__":
    print(*missing_packages())
