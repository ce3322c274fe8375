"""The rules, a file for each form of submission; the grader counts them without asking the process."""

from collections.abc import Sequence
from typing import Any

from bench.course.grading.base import Check
from bench.course.grading.checks import (
    client,
    client_stream,
    pair,
    server,
    server_stream,
    ticks,
    watchful_pauses,
)


def checks_of(form: str, transport: str, source: bytes) -> Sequence[Check[Any]]:
    """Return the checks for a form; ``source`` is the text of the file."""
    streams = transport == "http_streaming"
    if form == "client":
        return client.checks(transport) + client_stream.CHECKS * streams
    if form == "watchful":
        return watchful_pauses.CHECKS
    if form == "ticks":
        return ticks.checks(tells_latency=b"latency_ms" in source)
    return pair.CHECKS if form == "pair" else server.CHECKS + server_stream.CHECKS * streams
