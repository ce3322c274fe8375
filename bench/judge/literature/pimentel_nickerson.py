"""Pimentel and Nickerson 2012: latency over real distances. It waits for the emulated network."""

from bench.judge.literature.base import NOT_JUDGED, Judgement, Publication
from bench.results.evidence import Evidence


def judge_distance(evidence: Evidence) -> Judgement:
    """Say why it is not judged yet."""
    return Judgement(
        NOT_JUDGED,
        "It needs one-way delays of 20 to 150 ms, and all runs are on loopback. It waits for the emulated "
        "network.",
    )


PUBLICATION = Publication(
    name="wind-sensor",
    authors="Victoria Pimentel and Bradford G. Nickerson",
    year="2012",
    title="Communicating and Displaying Real-Time Data with WebSocket",
    where="IEEE Internet Computing 16(4), doi:10.1109/MIC.2012.64",
    figure="At 4 Hz, polling with pauses of 150 ms has 2.31 to 4.48 times the latency of WebSocket; long "
    "polling is close to WebSocket while the network's latency is below half the time between readings.",
    obtained="measured from four places (the figures here are from a secondary source)",
    trap="A pause after each answer is no interval between polls; queued readings are all delivered.",
    judge=judge_distance,
)
