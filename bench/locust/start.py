"""Locust as a process of its own: it patches whoever imports it, so nobody else does."""

import sys
from pathlib import Path

LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def command(*arguments: str, locustfile: Path = LOCUSTFILE) -> list[str]:
    """Return the command that runs Locust with a locustfile, by this interpreter."""
    return [sys.executable, "-m", "locust", "-f", str(locustfile), *arguments]
