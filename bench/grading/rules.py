"""Which rules a form of submission is held to: the grader counts them without asking the process."""

from collections.abc import Sequence
from typing import Any

from bench.grading import client_checks, pair_checks, server_checks, ticks_checks
from bench.grading.base import Check


def checks_of(form: str, transport: str, source: bytes) -> Sequence[Check[Any]]:
    """Return the checks for a form; ``source`` is the text of the file."""
    if form == "client":
        return client_checks.checks(transport)
    if form == "ticks":
        return ticks_checks.checks(tells_latency=b"latency_ms" in source)
    return pair_checks.CHECKS if form == "pair" else server_checks.CHECKS
