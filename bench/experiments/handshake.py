"""What does connecting cost, and does every request pay it?

One client, fifty ticks, with connections that are kept between requests or not, and with TLS or not. A
connection costs a round trip for TCP, one more for TLS 1.3 (two for TLS 1.2), one more for WebSocket; on
loopback a round trip is nothing, so the time here is the two machines' work, and the bytes and counts are
what travels.
"""

import pandas as pd

from bench.experiments.base import Design, Experiment, both_ways, estimate, number, single_trials
from bench.scenario import Profile
from bench.transports import MAIN

FIXED = {"clients": 1, "rate_hz": 50.0, "poll_interval_s": 0.02, "window_s": 1.0, "warmup_s": 0.1}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: keep-alive and TLS, on and off; long polling asks like short, so only in full."""
    transports = {
        "quick": ["short_polling"],
        "standard": ["short_polling", "websocket"],
        "full": MAIN,
    }[profile.name]
    return [Design(FIXED, {"keep_alive": [True, False], "tls": [False, True]}, transports, once=True)]


def rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Add the bytes both ways together."""
    return both_ways(single_trials(trials), "wire_bytes_per_tick", "first_answer_wire_bytes")


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the connections: none where they are kept, or else one for each request, one request a tick."""
    return summary["keep_alive"].map(lambda kept: 1000.0 if kept is False else 0.0)


def finding(trials: pd.DataFrame) -> str:
    """Say how many connections a thousand ticks take, and what one costs with and without TLS."""
    own = rows(trials)
    sentences = []
    for keep_alive, words in ((True, "kept between requests"), (False, "not kept")):
        opened = estimate(
            own, "connections_per_1000_ticks", transport="short_polling", keep_alive=keep_alive, tls=False
        ).estimate
        if opened >= 0:
            sentences.append(f"{number(opened)} where they are {words}")
    if len(sentences) < 2:
        return ""
    told = f"For 1,000 ticks short polling opens so many connections: {', '.join(sentences)}."
    for tls, words in ((False, "A connection of its own costs a request"), (True, "with TLS")):
        per_tick = [
            estimate(own, "wire_bytes_per_tick", transport="short_polling", keep_alive=kept, tls=tls).estimate
            for kept in (True, False)
        ]
        time_ms = estimate(
            own, "connect_p50_ms", transport="short_polling", keep_alive=False, tls=tls
        ).estimate
        told += f"{' ' if not tls else ', '}{words} {number(per_tick[1] - per_tick[0])} B more on the wire"
        told += f" and {number(time_ms)} ms"
    return f"{told}."


EXPERIMENT = Experiment(
    name="handshake",
    question="What does connecting cost, and does every request pay it?",
    designs=designs,
    columns=(
        "connections_per_1000_ticks",
        "connect_p50_ms",
        "first_answer_wire_bytes",
        "wire_bytes_per_tick",
    ),
    finding=finding,
    rows=rows,
    predict=predict,
    predicted="connections_per_1000_ticks",
    note="Connect: from SYN until TCP stands, TLS is agreed, and a WebSocket is open. Every TLS handshake is "
    "a full one: no session is resumed. Linux delays the ACKs of a client that has been in a conversation, "
    "such as TLS's handshake; one that only reads acknowledges at once (quick ACK). So a push over TLS may "
    "take fewer packets than one without: tests/test_wire_truth.py turns it round by TCP_QUICKACK.",
)
