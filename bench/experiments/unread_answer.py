"""What does it cost to leave an answer unread?

A client that does not read an answer to its end cannot send the next request behind it: the connection is
lost for that, and each request opens one of its own. On loopback nobody notices. Over a round trip of 200 ms
TCP takes 200 ms and TLS 1.3 another 200 ms, and a benchmark of anirudhmendiratta/llm-webtransport (2026) took
these 400 ms for a property of HTTP. There the server thinks for 262 ms before it answers; here the client
pauses for as long before it asks, so that the time from request to request is that of theirs.
"""

import math

import pandas as pd

from bench.experiments.base import Design, Experiment, Row, each, for_each_row
from bench.results.estimates import estimate
from bench.scenario import Profile
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

RTT_MS, THINKS_S = 200.0, 0.262
FIXED = {
    "clients": 20,
    "rate_hz": 10.0,
    "poll_pause_s": THINKS_S,
    "rtt_ms": RTT_MS,
    "tls": True,
    "warmup_s": 0.1,
    "window_s": 1.8,
}
"""The window is as long as two requests take that open a connection each."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: connections that are kept between requests, and not; a quick run has none."""
    if profile.name == "quick":
        return []
    return [Design(FIXED, {"keep_alive": [True, False]}, main_names("pull"), 1)]


def round_trips_to_connect(row: Row) -> int:
    """Return how many round trips connecting takes: TCP's (RFC 9293, 3.5), one of TLS 1.3 (RFC 8446, 2)."""
    return 2 if row["tls"] else 1


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the requests of a client in a second: one round trip each, and those of its connection."""

    def per_s(row: Row) -> float:
        if pd.isna(row["rtt_ms"]) or pd.isna(row["poll_pause_s"]):
            return math.nan
        if any(row[name] for name in ("jitter_ms", "loss", "rate_mbit")):
            return math.nan
        round_trips = 1 + (round_trips_to_connect(row) if row["keep_alive"] is False else 0)
        return 1 / (row["poll_pause_s"] + round_trips * row["rtt_ms"] / 1e3)

    return for_each_row(summary, per_s)


def answer_ms(trials: pd.DataFrame) -> float:
    """Return how long it takes from wanting to ask until the answer is there, connecting included.

    It is the time from one request to the next without the pause between them; NaN without a pause.
    """
    paused_ms = trials["poll_pause_s"].astype(float).mean() * 1e3
    return 1e3 / estimate(trials, "requests_per_client_s").estimate - paused_ms


def finding(trials: pd.DataFrame) -> str:
    """Say how long an answer takes over a connection that is kept, and over one of its own."""
    polls = {name: trials[trials["transport"] == name] for name in main_names("pull")}
    return " ".join(
        _sentence(TRANSPORTS[name].label, own)
        for name, own in polls.items()
        if {True, False} <= set(own["keep_alive"]) and own["poll_pause_s"].notna().all()
    )


def _sentence(label: str, polls: pd.DataFrame) -> str:
    """Say it of one transport."""
    kept, single = (polls[polls["keep_alive"] == keep] for keep in (True, False))
    row = polls.iloc[0].to_dict()
    way = f"over a round trip of {row['rtt_ms']:g} ms" if pd.notna(row["rtt_ms"]) else "on loopback"
    return (
        f"By {label} {each(row)}, {way}, an answer takes {number(answer_ms(kept))} ms where connections are "
        f"kept between requests, and {number(answer_ms(single))} ms where each request has one of its own: "
        f"connecting takes {number(estimate(single, 'connect_p50_ms').estimate)} ms"
        f"{' with TLS' if row['tls'] else ''}."
    )


EXPERIMENT = Experiment(
    name="unread_answer",
    designs=designs,
    columns=("requests_per_client_s", "connect_p50_ms", "connections_per_1000_deliveries", "latency_mean_ms"),
    finding=finding,
    apart=("keep_alive",),
    named=("poll_interval_s", "poll_pause_s", "rtt_ms", "tls"),
    predict=predict,
    predicted="requests_per_client_s",
)
