"""How many clients does one process serve?

The capacity: the clients at which half of the trials are served in time, with at most 1 % of their
deliveries later than a limit; found by a search whose every step is a short trial
(bench/results/capacity.py). Five ticks a second, for a second, so the worst of five ticks decides; the
limit is 100 ms. Short polling is
searched twice: at equal freshness, asking so often that the limit can be kept; and at equal bytes, asking as
seldom as costs the bytes of WebSocket, with a limit of 100 ms beyond the interval that a tick waits anyway.
"""

import dataclasses
import itertools
import math
from typing import Any

import pandas as pd

from bench.experiments.base import Design, Experiment
from bench.results.capacity import Search, capacities, ratio_of, round_clients
from bench.results.estimates import estimate
from bench.results.statistics import Interval
from bench.results.trials import search_steps
from bench.scenario import Profile
from bench.theory.break_even import equal_bytes_interval_s
from bench.theory.traffic import (
    array_bytes,
    polling_traffic,
    push_traffic,
    request_bytes,
    response_head_bytes,
)
from bench.transports import TRANSPORTS, main_names, names_of
from bench.wording import number, ratio_sentence

LIMIT_MS = 100.0
PAYLOAD_BYTES = 128
FIXED = {"rate_hz": 5.0, "payload_bytes": PAYLOAD_BYTES, "window_s": 1.0, "warmup_s": 0.3, "hold_s": 2.0}
AT_EQUAL_FRESHNESS = {**FIXED, "poll_interval_s": 0.09, "latency_limit_ms": LIMIT_MS}


def _interval_of_equal_bytes_s() -> float:
    """Return the poll interval at which asking costs as many wire bytes as WebSocket (bench/theory)."""
    polling = main_names("pull")[0]

    def polling_bytes(interval_s: float) -> float:
        return polling_traffic(
            FIXED["rate_hz"],
            interval_s,
            payload_bytes=PAYLOAD_BYTES,
            request_bytes=request_bytes(polling, 10),
            response_head_bytes=response_head_bytes(array_bytes(3, PAYLOAD_BYTES)),
        ).wire_bytes

    pushed = push_traffic(PAYLOAD_BYTES).wire_bytes
    return round(equal_bytes_interval_s(FIXED["rate_hz"], polling_bytes, pushed), 2)


EQUAL_BYTES_S = _interval_of_equal_bytes_s()
AT_EQUAL_BYTES = {
    **FIXED,
    "poll_interval_s": EQUAL_BYTES_S,
    "latency_limit_ms": round(EQUAL_BYTES_S * 1e3) + LIMIT_MS,
}


def designs(profile: Profile) -> list[Design]:
    """Return the searches: every transport by every library, and short polling at equal bytes.

    The standard profile, whose time is short, has push by the libraries of the main servers only, and a step
    less at equal bytes, where one takes longest. The quick profile has no polling: its two steps would end at
    a bound, whoever serves.
    """
    libraries = {TRANSPORTS[name].library for name in main_names()}
    served = {
        "quick": main_names("held", "push"),
        "standard": [
            *names_of("pull", "held"),
            *(name for name in names_of("push") if TRANSPORTS[name].library in libraries),
        ],
        "full": names_of(),
    }[profile.name]
    search = {
        "quick": Search(start=500, most=1_000, steps=2, usual=700),
        "standard": Search(start=800, steps=5),
        "full": Search(steps=8),
    }[profile.name]
    full = profile.name == "full"  # searched for in every block
    found = [Design(AT_EQUAL_FRESHNESS, transports=served, repeats=None if full else 1, search=search)]
    if profile.name != "quick":
        shorter = dataclasses.replace(search, steps=search.steps if full else search.steps - 1)
        found.append(
            Design(AT_EQUAL_BYTES, transports=main_names("pull"), repeats=None if full else 1, search=shorter)
        )
    return found


def rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each search; or the trials themselves, where the numbers of clients were given."""
    if len(search_steps(trials)):
        return capacities(trials)
    return trials.assign(capacity_clients=math.nan, clients_per_ms=math.nan)


def capacity_ratio(found: pd.DataFrame, above: str, below: str) -> str:
    """Say how many times as many clients one protocol serves as another, by pairs of libraries.

    Only of capacities that are known on both sides: "at least 2,900" is no figure to divide by, or into.
    """
    fresh = found[found["latency_limit_ms"] == found["latency_limit_ms"].min()]
    served = {name: estimate(own, "capacity_clients") for name, own in fresh.groupby("transport", sort=False)}
    pairs = {
        (a, b): ratio_of(served[a], served[b])
        for a in served
        for b in served
        if TRANSPORTS[a].protocol == above
        and TRANSPORTS[b].protocol == below
        and _is_bounded(served[a])
        and _is_bounded(served[b])
    }
    same = [(a, b) for a, b in pairs if TRANSPORTS[a].library == TRANSPORTS[b].library]
    said = f"{{}} as many clients are served by {TRANSPORTS[above].label} as by {TRANSPORTS[below].label}"
    return ratio_sentence(pairs, same, said)


def ratio_sentences(found: pd.DataFrame) -> str:
    """Say how many times as many clients push serves as held requests, a sentence for each two protocols."""
    pairs = itertools.product(main_names("held"), main_names("push"))
    told = [capacity_ratio(found, push, held) for held, push in pairs]
    return "".join(f" {each}." for each in told if each)


def _is_bounded(capacity: Interval) -> bool:
    """Return whether a capacity is known on both sides, and so may be part of a ratio."""
    return capacity.low > 0 and capacity.high < math.inf


def capacity_words(capacity: Interval) -> str:
    """Write a capacity for people: 8,700 (7,500 to 10,000), or at least 2,900."""
    estimate, low, high = (number(round_clients(end)) if 0 < end < math.inf else "0" for end in capacity)
    if capacity.high == math.inf:
        return f"at least {estimate}"
    return estimate if math.isnan(capacity.low) else f"{estimate} ({low} to {high})"


def predict(summary: pd.DataFrame) -> pd.Series:
    """Extrapolate the capacity: of push and long polling from the first step, of polls from their CPU.

    No theory: it goes on from one trial of few clients to twenty times as many, as if nothing changed.
    Push and long polling write a tick to all clients, one after the other, and the last is to have it within
    the limit. Polls come one by one all the time, so that the core's whole time is their bound; what a poll
    costs depends on how many there are, so it is taken from the steps that passed.
    """

    def served(row: "pd.Series[Any]") -> float:
        if pd.notna(row["rtt_ms"]):
            return math.nan  # what the way takes is no work
        if TRANSPORTS[row["transport"]].family == "pull":
            return 1e6 / float(row["server_cpu_us_per_delivery"]) / float(row["rate_hz"])
        return float(row["clients_per_ms"]) * float(row["latency_limit_ms"])

    return summary.apply(served, axis="columns")


def finding(trials: pd.DataFrame) -> str:
    """Say how many clients each server serves in time, and the ratio of push to held requests."""
    found = capacities(trials)
    told = []
    labels = found["transport"].map(lambda name: TRANSPORTS[name].protocol_label)
    intervals_s = found["poll_interval_s"].astype(float).fillna(0.0)
    alphabetical = labels.str.casefold()
    for (_, limit_ms, interval_s), own in found.groupby([alphabetical, "latency_limit_ms", intervals_s]):
        asking = f" each {interval_s:g} s" if interval_s else ""
        servers = [
            f"{capacity_words(estimate(each, 'capacity_clients'))} with {TRANSPORTS[str(name)].library}"
            for name, each in own.groupby("transport", sort=False)
        ]
        told.append(f"by {labels[own.index[0]]}{asking}, within {limit_ms:g} ms, {', '.join(servers)}")
    if not told:
        return ""
    sentence = f"Clients that one process serves: {'; '.join(told)}."
    return sentence + ratio_sentences(found)


EXPERIMENT = Experiment(
    name="clients",
    designs=designs,
    columns=("capacity_clients", "server_cpu_us_per_delivery", "bottleneck"),
    finding=finding,
    rows=rows,
    predict=predict,
    predicted="capacity_clients",
    predicted_from=("clients_per_ms",),
    predicted_by="extrapolated",
    note="Served: in half of the trials at most 1 % of the deliveries are later than the limit, so nearly "
    "the worst of their five ticks decides. ± is over the trials of the search; ≥ is a bound: what ran out "
    "was not the server. CPU is the median of the steps that passed; ? marks steps in which the load "
    "generator was late. Extrapolated: from the first step, or for polls from their CPU. "
    "All clients are told of a tick at once, so a server can be late while its core rests between ticks.",
)
