"""RFC 6202: how late long polling is, in network transits."""

import math

from bench.evidence import Evidence, NotMeasured
from bench.experiments.base import estimate, number
from bench.literature.base import FALLS, STANDS, WITHIN_LIMITS, Judgement, Publication
from bench.statistics import FEWEST_TICKS_PER_TRIAL

CLOSE_TRANSITS = 1.5
"""What may still be called close to one transit."""
MOST_TRANSITS = 3.0
"""The worst case: response, next request, response."""
ONE_TICK = 1.1
"""Up to so many ticks per answer, ticks have answers of their own: they do not come faster than answers."""


def judge(evidence: Evidence) -> Judgement:
    """Compare long polling's mean latency with WebSocket's, which is one transit, by tick rate."""
    held = evidence.trials("rate", transport="long_polling")
    pushed = evidence.trials("rate", transport="websocket")
    rows = []
    transits: dict[float, float] = {}
    crowded: dict[float, float] = {}
    for rate_hz in sorted(set(held["rate_hz"]) & set(pushed["rate_hz"])):
        late_ms, transit_ms = (
            estimate(trials, "latency_mean_ms", rate_hz=rate_hz).estimate for trials in (held, pushed)
        )
        if math.isnan(late_ms) or not transit_ms > 0:
            continue
        answers = 1 / (estimate(held, "requests_per_tick", rate_hz=rate_hz).estimate or math.nan)
        at_rate = held[held["rate_hz"] == rate_hz]
        if (at_rate["expected"] / at_rate["clients"]).sum() >= FEWEST_TICKS_PER_TRIAL:
            (crowded if answers > ONE_TICK else transits)[rate_hz] = late_ms / transit_ms
        told = (
            late_ms,
            transit_ms,
            late_ms / transit_ms,
            estimate(held, "latency_max_ms", rate_hz=rate_hz).estimate,
        )
        rows.append([f"{rate_hz:g}", *(number(figure) for figure in told), number(answers)])
    if not transits:
        raise NotMeasured(
            "bench run rate", f"no rate has {FEWEST_TICKS_PER_TRIAL} ticks that each have an answer"
        )
    least, most = min(transits.values()), max(transits.values())
    span = number(most) if len(transits) == 1 else f"{number(least)} to {number(most)}"
    rates = " and ".join(f"{rate_hz:g}" for rate_hz in transits)
    ours = (
        f"At {rates} Hz long polling's mean latency is {span} times WebSocket's, which is taken for one "
        "transit. The maximum, one tick of one trial, is shown and not judged."
    )
    if crowded:
        fast = ", ".join(f"{number(more)} times at {rate_hz:g} Hz" for rate_hz, more in crowded.items())
        ours += f" Where ticks come faster than answers, so that they share them, it is {fast}."
    if len(rows) > len(transits) + len(crowded):
        ours += f" Rates with fewer than {FEWEST_TICKS_PER_TRIAL} ticks are shown, and not judged."
    ours += (
        " On loopback a transit is the servers' and the kernel's work and not distance, so libraries are in "
        "it too; the part about round-trip times waits for the emulated network."
    )
    if most <= CLOSE_TRANSITS and all(more <= MOST_TRANSITS for more in crowded.values()):
        verdict = STANDS
    else:
        verdict = WITHIN_LIMITS if most <= MOST_TRANSITS else FALLS
    headings = (
        "ticks\nper s",
        "long polling\nmean ms",
        "one transit\nms",
        "transits",
        "long polling\nmax ms",
        "ticks per\nanswer",
    )
    return Judgement(verdict, ours, headings, rows)


PUBLICATION = Publication(
    name="long-polling",
    authors="S. Loreto, P. Saint-Andre, S. Salsano and G. Wilkins",
    year="2011",
    title="Known Issues and Best Practices for the Use of Long Polling and Streaming in Bidirectional HTTP",
    where="RFC 6202",
    figure="Long polling's average latency is close to one network transit; the maximum is over three, as a "
    "message "
    "may have to wait for a response, the next request and its own response.",
    obtained="reasoned, neither computed nor measured",
    trap="The worst case is that of a message that comes just after an answer has left: how many do depends "
    "on the "
    "rate. Ticks that wait share an answer.",
    judge=judge,
)
