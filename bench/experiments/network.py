"""Who suffers from distance and loss?

Sixty clients, sixteen ticks a second, over a network in a box: near and far, with packets lost at random, one
after the other or in a row, one lost on purpose, a narrow link, and with a new connection for each poll. The
rate is such that RTT × rate, by which long polling turns into polling, is no whole number: there its waits
would depend on the very microsecond of the work.
"""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.experiments.base import Design, Experiment, Row, each, for_each_row, poll_cycle_s
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.theory import distance
from bench.theory.distribution import MS_PER_S, Link
from bench.theory.latency import long_polling_latency, periods_covering, polling_latency
from bench.theory.traffic import MSS_BYTES, push_traffic
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

FIXED = {
    "clients": 60, "rate_hz": 16.0, "poll_interval_s": 0.25, "warmup_s": 0.2, "window_s": 1.0,
    "rtt_ms": 50.0, "loss": 0.0,
}  # fmt: skip
LOSSY = {**FIXED, "window_s": 1.5}
"""Longer: of the packets in it, some have to be lost."""
LONGEST_HEAD_BYTES = 500
"""Room in a segment for the heads of HTTP and the names of ticks, beside their payload."""
TURNED = 0.9
"""Fewer requests a tick than this, and ticks have to wait for the next question and share its answer."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: distance, loss, a narrow link, and connections that are not kept."""
    asking = main_names("pull", "held")
    if profile.name == "quick":
        return [Design(FIXED, {"rtt_ms": [100.0]}, main_names("held", "push"), repeats=1)]
    far = {**FIXED, "rtt_ms": 100.0, "keep_alive": False}
    if profile.name == "full":
        grid = {"rtt_ms": [0.0, 20.0, 50.0, 100.0, 150.0, 300.0], "loss": [0.0, 0.01, 0.02, 0.05]}
        rows = {"rtt_ms": [50.0], "loss": [0.01, 0.02, 0.05], "burst_packets": [3.0]}
        longer = {**FIXED, "window_s": 5.0}
        return [
            Design(longer, grid, repeats=3),
            Design(longer, rows, repeats=3),
            Design(longer, {"rate_mbit": [2.0, 4.0, 8.0]}, repeats=3),
            Design({**far, "window_s": 5.0}, {"rtt_ms": [20.0, 100.0], "tls": [False, True]}, asking, repeats=3),
        ]
    return [
        Design(FIXED, {"rtt_ms": [50.0, 100.0, 300.0]}, repeats=1),
        Design(LOSSY, {"loss": [0.01, 0.05]}, repeats=1),
        Design({**LOSSY, "loss": 0.05, "burst_packets": 3.0}, {}, main_names("push"), repeats=1),
        Design(FIXED, {"rate_mbit": [4.0]}, main_names("held", "push"), repeats=1),
        Design(far, {"tls": [False, True]}, asking, repeats=1),
    ]
