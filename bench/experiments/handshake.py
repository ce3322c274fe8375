"""What does connecting cost, and does every request pay it?

One client, fifty ticks, with connections that are kept between requests or not, and with TLS or not. A
connection costs a round trip for TCP, one more for TLS 1.3 (two for TLS 1.2), one more for push, which begins
with the server's answer; on loopback a round trip is nothing, so the time here is the two machines' work, and
the bytes and counts are what travels.
"""

import math

import pandas as pd

from bench.experiments.base import Design, Experiment, Row, each, for_each_row, is_plain, poll_cycle_s
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.theory.requests import long_polling_ticks_per_answer, polling_ticks_per_answer
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

FIXED = {"clients": 1, "rate_hz": 50.0, "poll_interval_s": 0.02, "warmup_s": 0.1}


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: keep-alive and TLS, on and off; long polling asks like short, so only in full."""
    transports = {
        "quick": main_names("pull"),
        "standard": main_names("pull", "push"),
        "full": main_names(),
    }[profile.name]
    fixed = {**FIXED, "window_s": 0.5 if profile.name == "quick" else 1.0}
    return [Design(fixed, {"keep_alive": [True, False], "tls": [False, True]}, transports, repeats=1)]


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the connections of 1,000 ticks: none where they are kept, or else one for each request."""

    def connections(row: Row) -> float:
        if row["keep_alive"] is not False:
            return 0.0
        if not is_plain(row):
            return math.nan
        if TRANSPORTS[row["transport"]].family == "held":
            found = long_polling_ticks_per_answer(row["rate_hz"], 0.0, hold_s=row["hold_s"], plan=row["plan"])
        else:
            found = polling_ticks_per_answer(row["rate_hz"], poll_cycle_s(row), plan=row["plan"])
        return 1000 * found.requests_per_delivery

    return for_each_row(summary, connections)


def finding(trials: pd.DataFrame) -> str:
    """Say how many connections a thousand ticks take, and what one costs with and without TLS."""
    own = single_trials(trials)
    asking = {name: own[own["transport"] == name] for name in main_names("pull")}
    return " ".join(
        _connections_sentence(TRANSPORTS[name].label, polls)
        for name, polls in asking.items()
        if {True, False} <= set(polls["keep_alive"])
    )


def _connections_sentence(label: str, polls: pd.DataFrame) -> str:
    """Say what connections cost a transport that polls."""
    ways = sorted(polls["tls"].unique())
    opened = [
        estimate(polls, "connections_per_1000_deliveries", keep_alive=kept, tls=ways[0]).estimate
        for kept in (True, False)
    ]
    asked = each(polls.iloc[0].to_dict())
    told = (
        f"For 1,000 ticks at {polls['rate_hz'].iloc[0]:g} Hz {label} {asked} opens "
        f"{number(opened[0])} connections where they are kept between requests, {number(opened[1])} where "
        "they are not."
    )
    for tls in ways:
        kept, renewed = (
            polls[(polls["keep_alive"] == kept) & (polls["tls"] == tls)] for kept in (True, False)
        )
        if not len(kept) or not len(renewed):
            continue
        bytes_more = _bytes_a_request(renewed) - _bytes_a_request(kept)
        time_ms = estimate(renewed, "connect_p50_ms").estimate
        start = "A connection of its own costs a request" if tls == ways[0] else "with TLS"
        secured = " with TLS" if tls and tls == ways[0] else ""
        told += f"{' ' if tls == ways[0] else ', '}{start}{secured} {number(bytes_more)} B more on the wire"
        told += f" and {number(time_ms)} ms"
    return f"{told}."


def _bytes_a_request(polls: pd.DataFrame) -> float:
    """Return the wire bytes of a request with its answer: bytes and requests are counted per tick."""
    requests = estimate(polls, "requests_per_delivery").estimate
    return estimate(polls, "wire_bytes_per_delivery").estimate / requests


EXPERIMENT = Experiment(
    name="handshake",
    designs=designs,
    columns=(
        "connections_per_1000_deliveries",
        "connect_p50_ms",
        "first_answer_wire_bytes",
        "wire_bytes_per_delivery",
    ),
    finding=finding,
    apart=("keep_alive", "tls"),
    named=("rate_hz", "poll_interval_s", "poll_pause_s", "tls"),
    predict=predict,
    predicted="connections_per_1000_deliveries",
    note="Connect: from SYN until TCP stands, TLS is agreed, and a WebSocket is open or the head of a "
    "stream has come. Every TLS handshake is a full one: no session is resumed. Linux delays the ACKs "
    "of a client that has been in a conversation, such as TLS's handshake; one that only reads "
    "acknowledges at once (quick ACK). So a push over TLS may take fewer packets than one without: "
    "tests/test_wire_truth.py turns it round by TCP_QUICKACK.",
)
