"""The benchmark of llm-webtransport, 2026: a gap of 400 ms that was a connection opened for each request."""

from bench.experiments.unread_answer import answer_ms
from bench.judge.literature.base import Judgement, Publication, verdict_on, worst
from bench.results.estimates import estimate
from bench.results.evidence import OVER_DISTANCE, Evidence, NotMeasured
from bench.wording import number

RTT_MS = 200.0
MISTAKEN_MS, CORRECTED_MS = 914.0, 508.0
"""Time to the first token by HTTP, before and after its client read its answers to their end."""
THINKS_MS = 262.0
"""How long their model takes where nothing is in between."""
COMMAND = "bench run unread_answer"


def judge_gap(evidence: Evidence) -> Judgement:
    """Judge both of their figures by answers over connections that are kept and not, and the gap between."""
    where = {**OVER_DISTANCE, "rtt_ms": RTT_MS, "tls": True}
    polls = evidence.trials("unread_answer", transport="short_polling", **where)
    kept, single = (polls[polls["keep_alive"] == keep] for keep in (True, False))
    for varied in ("poll_pause_s", "clients"):
        if polls[varied].nunique() != 1:
            raise NotMeasured(COMMAND, f"this run has not one value of {varied} there")
    kept_ms, single_ms = answer_ms(kept), answer_ms(single)
    connect_ms = estimate(single, "connect_p50_ms").estimate
    if not (kept_ms > 0 and single_ms > 0 and connect_ms > 0):
        raise NotMeasured(COMMAND, "this run lacks connections that are kept, or that are not")
    gap_ms = MISTAKEN_MS - CORRECTED_MS
    verdicts = [
        verdict_on(THINKS_MS + kept_ms, CORRECTED_MS),
        verdict_on(THINKS_MS + single_ms, MISTAKEN_MS),
        verdict_on(connect_ms, gap_ms),
    ]
    ours = (
        f"Over a round trip of {RTT_MS:g} ms, with TLS, an answer takes {number(kept_ms)} ms where the "
        f"connection is kept and {number(single_ms)} ms where each request opens one; with the "
        f"{THINKS_MS:g} ms that their model thinks, {number(THINKS_MS + kept_ms)} and "
        f"{number(THINKS_MS + single_ms)} ms, where they have {CORRECTED_MS:g} and {MISTAKEN_MS:g} ms. "
        f"Connecting takes {number(connect_ms)} ms, {number(connect_ms / RTT_MS)} round trips, for TCP and "
        f"TLS 1.3. Their gap is {gap_ms:g} ms. It was of the client, not of HTTP."
    )
    rows = [
        [words, number(own_ms), number(THINKS_MS + own_ms), f"{published_ms:g}"]
        for words, own_ms, published_ms in (
            ("kept", kept_ms, CORRECTED_MS),
            ("one for each", single_ms, MISTAKEN_MS),
        )
    ]
    headings = ("connections", "answer\nms", "and their model\nms", "theirs\nms")
    return Judgement(worst(verdicts), ours, headings, rows)


PUBLICATION = Publication(
    name="first-token",
    authors="anirudhmendiratta",
    year="2026",
    title="llm-webtransport: benchmark results 2 (withdrawn) and 3",
    where="github.com/anirudhmendiratta/llm-webtransport, benchmark/RESULTS-2-incorrect.md and RESULTS-3.md",
    figure="At a latency of 200 ms the first token took 914 and 916 ms by HTTP and 506 ms by WebTransport: "
    "told at first as WebTransport's advantage. Corrected: 508, 508 and 510 ms. The HTTP client had not read "
    "its answers to their end, so each request opened a connection.",
    obtained="measured; its author found the mistake and published both",
    trap="The first figures are means and the corrected ones medians. Their headline has a round trip of 400 "
    "ms, but one way only was delayed: by their own figures it is 200 ms.",
    judge=judge_gap,
)
