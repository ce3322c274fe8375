"""The documentation of ``websockets``: memory of a connection with and without compression."""

import math

import pandas as pd

from bench.experiments import idle
from bench.judge.literature.base import Judgement, Publication, verdict_on, worst
from bench.results.evidence import Evidence, NotMeasured
from bench.wording import number

PUBLISHED_KIB = {True: 64.0, False: 14.0}
"""By whether messages are compressed, with the library's default settings."""


def kib(kb: float) -> float:
    """Return kB (1,000 B), the unit of the results, in KiB."""
    return kb * 1000 / 1024


def judge_memory(evidence: Evidence) -> Judgement:
    """Compare the growth of the server's process per silent client, and per client that gets ticks."""
    measured = {on: kib(_silent_kb(evidence, compression=on)) for on in (False, True)}
    if any(math.isnan(figure) for figure in measured.values()):
        raise NotMeasured("bench run idle", "this run does not have few and many silent clients")
    headings = ("compression", "published KiB", "silent client KiB", "with ticks KiB")
    rows = [
        ["on" if on else "off", number(PUBLISHED_KIB[on]), number(measured[on]), _with_ticks(evidence, on)]
        for on in (True, False)
    ]
    ours = (
        f"A silent connection adds {number(measured[True])} KiB to the server's process with compression and "
        f"{number(measured[False])} KiB without, {number(measured[True] / measured[False])} times as much. "
        "The kernel's buffers are not in it."
    )
    verdict = worst(verdict_on(figure, PUBLISHED_KIB[on]) for on, figure in measured.items())
    return Judgement(verdict, ours, headings, rows)


def _silent_kb(evidence: Evidence, *, compression: bool) -> float:
    return idle.memory_kb(
        pd.DataFrame(evidence.trials("idle", transport="websocket", compression=compression)),
        "websocket",
        compression=compression,
    )


def _with_ticks(evidence: Evidence, compression: bool) -> str:
    """Return the memory per client while ticks flow, by payload from the smallest to the largest."""
    try:
        own = evidence.trials("compression", transport="websocket", compression=compression)
    except NotMeasured:
        return "bench run compression"
    figures_kb = own["server_rss_kb_per_client"].astype(float)
    low, high = (number(kib(end)) for end in (figures_kb.min(), figures_kb.max()))
    return low if low == high else f"{low} to {high}"


PUBLICATION = Publication(
    name="websockets-memory",
    authors="Aymeric Augustin and contributors",
    year="undated",
    title="Memory and buffers, in the documentation of websockets",
    where="websockets.readthedocs.io/en/stable/topics/memory.html (older editions say 70 KiB)",
    figure="A connection takes 64 KiB with the default compression, and 14 KiB without.",
    obtained="documented; how it was measured is not said there",
    trap="Compression's window is kept per connection, so it is paid by silent clients too.",
    judge=judge_memory,
)
