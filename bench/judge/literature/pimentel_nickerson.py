"""Pimentel and Nickerson 2012: how late polling, long polling and WebSocket are over real distances."""

from typing import NamedTuple

from bench.judge.literature.base import Judgement, Publication, verdict_on, worst
from bench.results.estimates import estimate
from bench.results.evidence import OVER_DISTANCE, Evidence, NotMeasured
from bench.theory.distribution import Link
from bench.theory.latency import paused_polling_latency
from bench.wording import listed, number

EDMONTON_RTT_MS = 80.0
POLLING_MS, WEBSOCKET_MS = 151.3, 40.3
"""At Edmonton, where WebSocket's latency, one way, is half of the round trip."""
RATIOS = (2.31, 4.48)
"""Polling over WebSocket, by place."""
CLOSE_RATIO = 1.5
"""What stands by the rule of base.py counts as close."""
COMMAND = "bench run wind_sensor"


class Place(NamedTuple):
    """Mean latencies over one distance, in ms.

    Attributes:
        rtt_ms: The round trip.
        period_ms: The time between two readings.
        pause_s: How long after an answer short polling asks again.
        polling_ms, held_ms, pushed_ms: Of short polling, of long polling, and of WebSocket.
    """

    rtt_ms: float
    period_ms: float
    pause_s: float
    polling_ms: float
    held_ms: float
    pushed_ms: float

    @property
    def is_near(self) -> bool:
        """Whether one way takes less than half the time between two readings."""
        return self.rtt_ms < self.period_ms

    @property
    def theory_ms(self) -> float:
        """Return the mean that theory has for their polling: 2d + P/2."""
        way = Link(up_s=self.rtt_ms / 2e3, down_s=self.rtt_ms / 2e3)
        return paused_polling_latency(self.pause_s, way).mean_ms


def judge_distance(evidence: Evidence) -> Judgement:
    """Judge Edmonton's two figures, each distance's ratio, and whether long polling is close, if near."""
    places = _places(evidence)
    near, far = ([each for each in places if each.is_near == wanted] for wanted in (True, False))
    edmonton = next((each for each in places if each.rtt_ms == EDMONTON_RTT_MS), None)
    ratios = [each.polling_ms / each.pushed_ms for each in places]
    verdicts = [verdict_on(ratio, RATIOS) for ratio in ratios]
    ours = (
        f"Over round trips of {listed([each.rtt_ms for each in places])} ms polling with their pause has "
        f"{listed(ratios)} times the mean latency of WebSocket (theirs: {RATIOS[0]:g} to {RATIOS[1]:g})."
    )
    if edmonton is not None:
        verdicts += [
            verdict_on(edmonton.polling_ms, POLLING_MS),
            verdict_on(edmonton.pushed_ms, WEBSOCKET_MS),
        ]
        ours += (
            f" Over {EDMONTON_RTT_MS:g} ms, their Edmonton, polling takes {number(edmonton.polling_ms)} ms "
            f"and WebSocket {number(edmonton.pushed_ms)} ms, where they have {POLLING_MS:g} and "
            f"{WEBSOCKET_MS:g} ms; theory has {number(edmonton.theory_ms)} ms for polling."
        )
    if near:
        worst_ratio = max(each.held_ms / each.pushed_ms for each in near)
        verdicts.append(verdict_on(worst_ratio, 1.0))
        close = "close to" if worst_ratio <= CLOSE_RATIO else "not close to"
        ours += (
            f" While one way takes less than half the time between readings long polling is {close} "
            f"WebSocket: {number(worst_ratio)} times its latency at most."
        )
    if far:
        over_polling = [each.held_ms / each.polling_ms for each in far]
        ours += (
            f" Beyond that it has {listed(each.held_ms / each.pushed_ms for each in far)} times WebSocket's "
            f"and {listed(over_polling)} times polling's: readings wait for the next request"
        )
        ours += "." if max(over_polling) > 1 else ", which a client that also pauses sends even later."
    complete = edmonton is not None and bool(near) and bool(far)
    if not complete:
        ours += f" This run lacks some of their distances: {COMMAND}."
    headings = ("RTT\nms", "polling\nmean ms", "theory\nms", "long polling\nmean ms", "WebSocket\nmean ms")
    rows = [
        [
            f"{each.rtt_ms:g}",
            *map(number, (each.polling_ms, each.theory_ms, each.held_ms, each.pushed_ms)),
        ]
        for each in places
    ]
    return Judgement(worst(verdicts, complete=complete), ours, headings, rows)


def _places(evidence: Evidence) -> list[Place]:
    """Return the distances over which all three were measured, the nearest first.

    Raises:
        NotMeasured: If there are none, or several scenarios at one distance.
    """
    trials = evidence.trials("wind_sensor", **OVER_DISTANCE)
    names = ("short_polling", "long_polling", "websocket")
    trials = trials[trials["transport"].isin(names)]
    paused = trials[trials["poll_pause_s"].notna()]
    if paused["poll_pause_s"].nunique() != 1 or trials["rate_hz"].nunique() != 1:
        raise NotMeasured(COMMAND, "this run has not one pause and one rate there")
    found = []
    for rtt_ms in sorted(trials["rtt_ms"].unique()):
        means_ms = [
            estimate(trials, "latency_mean_ms", transport=name, rtt_ms=rtt_ms).estimate for name in names
        ]
        if all(mean_ms > 0 for mean_ms in means_ms):
            period_ms, pause_s = 1e3 / float(trials["rate_hz"].iloc[0]), float(paused["poll_pause_s"].iloc[0])
            found.append(Place(float(rtt_ms), period_ms, pause_s, *means_ms))
    if not found:
        raise NotMeasured(COMMAND, "this run has no distance over which all three were measured")
    return found


PUBLICATION = Publication(
    name="wind-sensor",
    authors="Victoria Pimentel and Bradford G. Nickerson",
    year="2012",
    title="Communicating and Displaying Real-Time Data with WebSocket",
    where="IEEE Internet Computing 16(4), doi:10.1109/MIC.2012.64",
    figure="At 4 Hz, polling with pauses of 150 ms has 2.31 to 4.48 times the latency of WebSocket, at "
    "Edmonton 151.3 against 40.3 ms; long polling is close to WebSocket while the network's latency is below "
    "half the time between readings, and can exceed polling beyond.",
    obtained="measured from four places (the figures here are from a secondary source)",
    trap="A pause after each answer is no interval between polls; queued readings are all delivered.",
    judge=judge_distance,
)
