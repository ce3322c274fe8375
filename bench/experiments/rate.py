"""When do ticks come too fast to poll for, and when too slowly to stay connected for?

The same fifty clients from one tick in two seconds to 500 a second. The slow end stands for a tick a minute,
every time divided by 30: a poll each 0.1 s for one each 3 s, a hold of 0.8 s for one of 24 s, a heartbeat
each 0.5 s for one each 15 s. Ratios of counts are the same. The other rates, and a rate of one's own, are as
they are: a hold of 24 s and a heartbeat each 15 s.
"""

import math
from collections.abc import Iterable

import pandas as pd

from bench.experiments.base import Design, Experiment, Row, each, for_each_row, is_plain, poll_cycle_s
from bench.results.estimates import estimate
from bench.results.statistics import Interval
from bench.results.trials import single_trials
from bench.scenario import FIELDS, Profile
from bench.theory.requests import long_polling_ticks_per_answer, polling_ticks_per_answer
from bench.theory.traffic import SEGMENT_HEADER_BYTES
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

SLOWED = 30.0
"""What the times of the slow end are divided by."""
SLOW_HZ = 0.5
FIXED = {"clients": 50, "poll_interval_s": 0.1, "hold_s": 0.8, "heartbeat_s": 0.5, "warmup_s": 0.3}
"""The slow end's."""
AS_THEY_ARE = {**FIXED, "hold_s": 24.0, "heartbeat_s": 15.0}
"""The other rates': nothing is divided."""

FEWEST_TICKS = 10
"""Fewer in a window, and it has no CPU time per tick."""
TURNED = 0.9
"""Fewer requests a tick than this, and ticks have to wait for the next question and share its answer."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: an axis of tick rates; the slowest needs a longer window.

    How many requests long polling makes at the fastest rate depends on time, so it is measured in each block;
    in the quick profile, only that is, and the slow end, of one push.
    """
    fast_hz = {"quick": [50.0], "standard": [5.0, 50.0, 500.0], "full": [2.0, 5.0, 20.0, 50.0, 200.0, 500.0]}
    slow_window_s, window_s = {"quick": (2.0, 1.0), "standard": (2.0, 1.0), "full": (60.0, 5.0)}[profile.name]
    slow = {**FIXED, "window_s": slow_window_s, "rate_hz": SLOW_HZ}
    fixed = {**AS_THEY_ARE, "window_s": window_s}
    rates_hz = fast_hz[profile.name]
    scarce_hz = [rate_hz for rate_hz in rates_hz if rate_hz * window_s < FEWEST_TICKS]
    others_hz = [] if profile.name == "quick" else [each for each in rates_hz if each not in scarce_hz]
    of_push = {"speaks_upwards": True} if profile.name == "quick" else {}
    slowed = [*main_names("pull", "held"), *main_names("push", **of_push)]
    return [
        Design(slow, {}, slowed, repeats=1, unless=["rate_hz"]),
        Design({**fixed, "window_s": 2 * window_s}, {"rate_hz": scarce_hz}, repeats=1, unless=["rate_hz"]),
        Design(fixed, {"rate_hz": others_hz}, repeats=1),
        Design(fixed, {"rate_hz": rates_hz[-1:]}, main_names("held")),
    ]


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the requests per tick, of long polling as if its next request were there in no time."""

    def requests(row: Row) -> float:
        family = TRANSPORTS[row["transport"]].family
        if not is_plain(row):
            return math.nan
        if family == "pull":
            found = polling_ticks_per_answer(row["rate_hz"], poll_cycle_s(row), plan=row["plan"])
            return found.requests_per_delivery
        if family == "held":
            return long_polling_ticks_per_answer(
                row["rate_hz"], 0.0, hold_s=row["hold_s"], plan=row["plan"]
            ).requests_per_delivery
        return 0.0

    return for_each_row(summary, requests)


def _touch(row: Row, factor: float = 1.0) -> str:
    """Say how a client of a transport stays in touch, with all times that many times as long."""
    family = TRANSPORTS[row["transport"]].family
    if family == "pull":
        slowed = {
            name: row[name] * factor for name in ("poll_interval_s", "poll_pause_s") if pd.notna(row[name])
        }
        return f"a poll {each({'poll_interval_s': None, 'poll_pause_s': None, **slowed})}"
    if family == "held":
        return f"a hold of {row['hold_s'] * factor:g} s"
    heartbeat = FIELDS["heartbeat_s"]
    if pd.isna(row["heartbeat_s"]):
        return heartbeat.unset
    period_s = row["heartbeat_s"] * factor
    return f"a {heartbeat.phrase.format(f'{period_s:g}')}"


def _touches(rows: Iterable[Row], factor: float = 1.0) -> str:
    """Say how the clients of several transports stay in touch: "a poll each 1 s and a hold of 30 s"."""
    *first, last = dict.fromkeys(_touch(row, factor) for row in rows)
    return " and ".join([", ".join(first), last] if first else [last])


def _is_scaled(rows: Iterable[Row]) -> bool:
    """Return whether all these trials are of the slow end, with every time divided."""
    decisive = {"pull": "poll_interval_s", "held": "hold_s", "push": "heartbeat_s"}
    return all(
        row["rate_hz"] == SLOW_HZ and row[name] == FIXED[name]
        for row in rows
        for transport in [TRANSPORTS[row["transport"]]]
        for name in [decisive[transport.family]]
        if name != "heartbeat_s" or transport.heartbeats
    )


def finding(trials: pd.DataFrame) -> str:
    """Say what asking costs at the slowest rate, and what becomes of long polling at the fastest."""
    own = single_trials(trials)
    slowest, fastest = min(own["rate_hz"]), max(own["rate_hz"])
    slow = own[own["rate_hz"] == slowest]
    costs = {
        name: estimate(slow, "wire_bytes_per_client_s", transport=name).estimate
        for name in slow["transport"].unique()
    }
    found = {str(row["transport"]): row for row in slow.to_dict("records")}
    examples = {name: found[name] for name in TRANSPORTS if name in found}
    told = ", ".join(
        f"{TRANSPORTS[name].label} {number(cost)}"
        for name, cost in sorted(costs.items(), key=lambda item: item[1])
        if cost > 0
    )
    scaled = _is_scaled(examples.values())
    touch = _touches(examples.values())
    ticks = "tick" if slowest == 1 else "ticks"
    sentence = (
        f"At {slowest:g} {ticks} a second, with {touch}, a client costs, in wire bytes a second: {told}."
    )
    if scaled:
        meant = _touches(examples.values(), SLOWED)
        sentence += (
            f" It stands for a tick each {SLOWED / slowest:g} s with {meant}: all times are divided by "
            f"{SLOWED:g}."
        )
    if told:
        sentence += f" Each tick has its ACK ({SEGMENT_HEADER_BYTES} B) in this."
    push = min((costs[name] for name in main_names("push") if name in costs), default=math.nan)
    for name in main_names("held"):
        own_slow = slow[slow["transport"] == name]
        sentence += _longer_hold(own_slow, costs.get(name, math.nan), push, SLOWED if scaled else 1.0)
    for name in main_names("held"):
        held = estimate(own, "requests_per_delivery", transport=name, rate_hz=fastest)
        if held.estimate > 0 and fastest > slowest:
            sentence += f" At {fastest:g} a second {turned_into_polling_words(held, TRANSPORTS[name].label)}."
    return sentence


def _longer_hold(slow: pd.DataFrame, held: float, push: float, factor: float) -> str:
    """Say from which hold on a transport that holds requests would cost less than push, where it costs more.

    A tick takes one request for each hold that ends before it, and one more (bench/theory/requests.py), each
    of as many bytes as measured. The last of the holds that divide the period ends after it, not before, as
    the next request takes time.

    Args:
        slow: Its trials.
        held, push: What a client costs by it, and by push, in bytes a second; NaN where that is not known.
        factor: What all times stand for, in multiples of them.
    """
    requests = estimate(slow, "requests_per_delivery").estimate
    if not held > push > 0 or not requests > 0 or slow["plan"].iloc[0] != "steady":
        return ""
    fewer = math.floor(requests * push / held)
    if fewer < 1:
        return ""
    hold_s = number(factor / float(slow["rate_hz"].iloc[0]) / fewer)
    label = TRANSPORTS[slow["transport"].iloc[0]].label
    return f" By these bytes a request, {label} would cost less with a hold of {hold_s} s or more."


def turned_into_polling_words(held: Interval, label: str = "long polling") -> str:
    """Say whether held requests still are told of each tick, as far as the interval lies on one side.

    Args:
        held: Requests per tick; no bounds if it was measured once.
        label: Of the transport that makes them.
    """
    told = f"{label} makes {number(held.estimate)} requests a tick"
    if math.isnan(held.low):
        return f"{told}; one trial cannot say whether it has turned into polling"
    if number(held.low) != number(held.high):
        told += f" (95 % interval {number(held.low)} to {number(held.high)})"
    if held.high < TURNED:
        return f"{told}: it has turned into polling, {number(1 / held.estimate)} ticks an answer"
    if held.low >= TURNED:
        return f"{told}: it still is told of each"
    return f"{told}: whether it has turned into polling is not certain"


EXPERIMENT = Experiment(
    name="rate",
    designs=designs,
    columns=(
        "latency_mean_ms",
        "requests_per_delivery",
        "wire_bytes_per_client_s",
        "server_cpu_us_per_client_s",
    ),
    finding=finding,
    apart=("rate_hz",),
    named=("rate_hz", "poll_interval_s", "poll_pause_s", "hold_s", "heartbeat_s"),
    predict=predict,
    predicted="requests_per_delivery",
    note="Theory takes long polling's next request to be there at once: fewer mean that ticks waited for it.",
)
