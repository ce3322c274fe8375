"""Who suffers from distance and loss?

Sixty clients, twelve ticks a second, over a network in a box: near and far, with packets lost at random, one
after the other or in a row, one lost on purpose, a narrow link, and with a new connection for each poll. The
rate is such that RTT × rate, by which long polling turns into polling, is no whole number: there its waits
would depend on the very microsecond of the work.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from bench.columns.words import field_words
from bench.experiments.base import Design, Experiment, Row, each, for_each_row, poll_cycle_s
from bench.network.incident_fields import Incident
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.theory import distance, loss
from bench.theory.distribution import MS_PER_S, Link
from bench.theory.latency import long_polling_latency, periods_covering, polling_latency
from bench.theory.traffic import MSS_BYTES, PUSH_FRAMINGS, push_traffic
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

FIXED = {
    "clients": 60, "rate_hz": 12.0, "poll_interval_s": 0.25, "warmup_s": 0.15, "window_s": 0.75,
    "rtt_ms": 50.0,
}  # fmt: skip
ONE_LOST = {"incident": "packet_lost", "window_s": 1.25}
"""Eleven ticks after it, a quarter into the window, are in the window."""
LONGEST_HEAD_BYTES = 500
"""Room in a segment for the heads of HTTP and the names of ticks, beside their payload."""
MOST_ON_THE_WAY = 2
"""So many ticks of a push on their way at once may be more than a window that loss has made small."""
TURNED = 0.9
"""Fewer requests a tick than this, and ticks have to wait for the next question and share its answer."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: distance, loss, one packet, a narrow link, connections that are not kept.

    A stream of events is one TCP stream, as a WebSocket is: only the full profile has both over bad links.
    """
    of_push = {} if profile.name == "full" else {"speaks_upwards": True}
    asking, unasked = main_names("pull", "held"), main_names("push", **of_push)
    held = [*main_names("held"), *unasked]
    if profile.name == "quick":
        return [Design({**FIXED, **ONE_LOST}, {}, held, repeats=1)]
    fixed, lossy = FIXED, {**FIXED, "window_s": 1.25}  # longer: of the packets in it, some have to be lost
    rtts_ms, losses, rates_mbit = [50.0, 100.0, 300.0], [0.01, 0.05], [4.0]
    if profile.name == "full":
        fixed = lossy = {**FIXED, "window_s": 5.0}
        rtts_ms, losses, rates_mbit = (
            [0.0, 20.0, 50.0, 100.0, 150.0, 300.0],
            [0.01, 0.02, 0.05],
            [2.0, 4.0, 8.0],
        )
    in_a_row = {**lossy, "loss": losses[-1], "burst_packets": 3.0}
    renewed = {**fixed, "rtt_ms": 100.0, "keep_alive": False}
    repeats = 3 if profile.name == "full" else 1
    return [
        Design(fixed, {"rtt_ms": rtts_ms}, repeats=repeats),
        Design(lossy, {"loss": losses}, [*asking, *unasked], repeats=repeats, unless=["loss"]),
        Design(in_a_row, {}, unasked, repeats=repeats, unless=["loss", "burst_packets"]),
        Design(fixed, {"rate_mbit": rates_mbit}, held, repeats=repeats, unless=["loss", "rate_mbit"]),
        Design({**fixed, **ONE_LOST}, {}, repeats=repeats, unless=["loss", "incident"]),
        Design(renewed, {"tls": [False, True]}, asking, repeats=repeats, unless=["loss", "keep_alive"]),
    ]


# What theory says


def is_covered(row: Row) -> bool:
    """Return whether theory covers a scenario: all ticks, each in one packet, over a link without jitter.

    Packets are lost of steady ticks, over a link of any rate, on connections that are kept: a SYN that is
    lost would wait for a second.
    """
    happens = bool(pd.notna(row["incident"]))
    loses = happens or row["loss"] > 0
    return (
        row["contract"] == "every"
        and row["plan"] in ("steady", "poisson")
        and row["rate_hz"] > 0
        and pd.notna(row["rtt_ms"])
        and row["jitter_ms"] == 0
        and (not happens or row["incident"] == Incident.PACKET_LOST)
        and row["payload_bytes"] + LONGEST_HEAD_BYTES <= (row["mss"] if pd.notna(row["mss"]) else MSS_BYTES)
        and not (loses and (row["plan"] != "steady" or row["keep_alive"] is False or row["rate_mbit"] > 0))
        and not (happens and row["loss"] > 0)
    )


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the mean latency: the way, the wait for a look, and what loss and a narrow link add to it."""
    predictors = {"push": _push_ms, "held": _held_ms, "pull": _pull_ms}

    def mean_ms(row: Row) -> float:
        if not is_covered(row):
            return math.nan
        return predictors[TRANSPORTS[row["transport"]].family](row, row["rtt_ms"] / MS_PER_S)

    return for_each_row(summary, mean_ms)


def _one_ms(row: Row, lost: loss.OnePacket) -> float:
    """Return what one lost packet adds to the mean latency of a client in the window."""
    return lost.sum_s * MS_PER_S / (float(row["rate_hz"]) * float(row["window_s"]))


def _push_ms(row: Row, rtt_s: float) -> float:
    """Predict the mean latency of a push: the way; over a narrow link, behind the ticks of other clients."""
    added_ms = 0.0
    if row["rate_mbit"]:
        if row["tls"] or row["compression"]:
            return math.nan
        framing = TRANSPORTS[row["transport"]].framing
        if framing not in PUSH_FRAMINGS:
            return math.nan
        tick_bytes = push_traffic(int(row["payload_bytes"]), framing).wire_bytes_down.high
        added_ms = distance.queue_ms(
            tick_bytes, row["clients"], row["rate_hz"], row["rate_mbit"], row["queue_ms"]
        )
    elif row["loss"]:
        if row["rate_hz"] * rtt_s >= MOST_ON_THE_WAY:
            return math.nan
        added_ms = loss.push_delay_ms(row["loss"], row["rate_hz"], rtt_s)
    elif pd.notna(row["incident"]):
        added_ms = _one_ms(row, loss.one_lost_of_push(row["rate_hz"], rtt_s))
    return rtt_s / 2 * MS_PER_S + added_ms


def _held_ms(row: Row, rtt_s: float) -> float:
    """Predict the mean latency of long polling: one transit, or two and more where it turned into polling."""
    gap_s = distance.turnaround_s(rtt_s, keeps=bool(row["keep_alive"]), tls=bool(row["tls"]))
    polls = distance.turns_into_polling(row["rate_hz"], gap_s)
    if row["rate_mbit"]:
        return math.nan  # the queue makes the gap longer, by the answers of others
    try:
        way = Link(rtt_s / 2, rtt_s / 2, client_s=gap_s - rtt_s)
        mean_ms = long_polling_latency(row["rate_hz"], way, plan=row["plan"], hold_s=row["hold_s"]).mean_ms
    except ValueError:  # holds end between two ticks
        return math.nan
    if row["loss"]:
        return mean_ms + (
            loss.polling_delay_ms(row["loss"], gap_s, rtt_s, fixed=False)
            if polls
            else loss.held_delay_ms(row["loss"], row["rate_hz"], rtt_s)
        )
    if pd.notna(row["incident"]):
        return math.nan if polls else mean_ms + _one_ms(row, loss.one_lost_of_held(row["rate_hz"], rtt_s))
    return mean_ms


def _pull_ms(row: Row, rtt_s: float) -> float:
    """Predict the mean latency of short polling: half the time between two looks, and the way."""
    out_s = distance.turnaround_s(rtt_s, keeps=bool(row["keep_alive"]), tls=bool(row["tls"]))
    fixed, cycle_s = bool(pd.notna(row["poll_interval_s"])), poll_cycle_s(row)
    cycle_s = cycle_s * max(1, periods_covering(out_s, cycle_s)) if fixed else cycle_s + out_s
    mean_ms = polling_latency(cycle_s, Link(down_s=rtt_s / 2)).mean_ms
    if row["rate_mbit"]:
        return math.nan
    if row["loss"]:
        return mean_ms + loss.polling_delay_ms(row["loss"], cycle_s, rtt_s, fixed=fixed)
    if pd.notna(row["incident"]):
        return mean_ms + _one_ms(row, loss.one_lost_of_pull(row["rate_hz"], cycle_s, rtt_s))
    return mean_ms


# The sentence


def finding(trials: pd.DataFrame) -> str:
    """Say, a line each: near and far, where long polling turns, what loss costs whom, and new connections."""
    own = single_trials(trials)
    own = own[own["rtt_ms"].notna()]
    parts = (_distance, _one_packet, _worse_links, _renewed)
    return "\n".join(itertools.chain.from_iterable(part(own) for part in parts))


def over_calm_links(own: pd.DataFrame, **unlike: Any) -> pd.DataFrame:
    """Return the trials of links that lose nothing, are not narrow, and so on, but for what is ``unlike``.

    ``...`` stands for any value.
    """
    for name, value in {
        "loss": 0.0,
        "rate_mbit": 0.0,
        "incident": None,
        "keep_alive": True,
        **unlike,
    }.items():
        if value is not ...:
            known = own[name].notna()
            own = own[~known] if value is None else own[~known | (own[name] == value)]
    return own


def _places(own: pd.DataFrame) -> list[dict[str, float]]:
    """Return the distances and rates that trials are of, by their product."""
    places = own[["rtt_ms", "rate_hz"]].drop_duplicates().astype(float).itertuples(index=False)
    ordered = sorted((rtt_ms * rate_hz, rtt_ms, rate_hz) for rtt_ms, rate_hz in places)
    return [{"rtt_ms": rtt_ms, "rate_hz": rate_hz} for _, rtt_ms, rate_hz in ordered]


def _names(own: pd.DataFrame) -> list[str]:
    return [name for name in TRANSPORTS if name in set(own["transport"])]


def _means(own: pd.DataFrame, **where: Any) -> dict[str, float]:
    """Return the mean latencies of those transports that have one."""
    means = {name: estimate(own, "latency_mean_ms", transport=name, **where).estimate for name in _names(own)}
    return {name: mean_ms for name, mean_ms in means.items() if mean_ms > 0}


def _said(name: str, row: Row) -> str:
    """Return a transport's name, and when it polls."""
    return f"{TRANSPORTS[name].label} {each(row)}".rstrip()


def _distance(own: pd.DataFrame) -> Iterator[str]:
    """Say how long a tick takes near and far, and from where on long polling is polling."""
    calm = over_calm_links(own)
    calm = calm[calm["tls"] == calm["tls"].min()] if len(calm) else calm
    places = _places(calm)
    for place in places[:1] + places[1:][-1:]:
        means = _means(calm, **place)
        if means:
            yield f"At {_at(place)} a tick takes on average: {_each_takes(calm, means)}."
    for name in _names(calm):
        if TRANSPORTS[name].family == "held":
            yield from _turning(
                TRANSPORTS[name].label, calm[(calm["transport"] == name) & (calm["rtt_ms"] > 0)]
            )


def _turning(label: str, trials: pd.DataFrame) -> Iterator[str]:
    """Say between which products of RTT and rate a transport that asks at once turns into polling."""
    found = [
        Product(
            place["rtt_ms"] * place["rate_hz"] / MS_PER_S,
            estimate(trials, "requests_per_delivery", **place).estimate,
            2 * estimate(trials, "latency_mean_ms", **place).estimate / place["rtt_ms"],
        )
        for place in _places(trials)
    ]
    turned = [each.requests < TURNED for each in found]
    if True not in turned:
        yield from (f"{label.capitalize()} is no polling yet at {each.words}." for each in found[-1:])
    elif turned[0]:
        yield f"{label.capitalize()} is polling already at {found[0].words}."
    else:
        before, after = found[turned.index(True) - 1 :][:2]
        yield (
            f"{label.capitalize()} turns into polling between RTT × rate = {number(before.rtts)} and "
            f"{number(after.rtts)}: the requests for a tick fall from {number(before.requests)} to "
            f"{number(after.requests)}, its transits rise from {number(before.transits)} to "
            f"{number(after.transits)}."
        )


class Product(NamedTuple):
    """What was found at a product of RTT and rate (``rtts``): requests and transits for each tick."""

    rtts: float
    requests: float
    transits: float

    @property
    def words(self) -> str:
        """How it is told."""
        told = f"requests for a tick: {number(self.requests)}, transits: {number(self.transits)}"
        return f"RTT × rate = {number(self.rtts)} ({told})"


def _each_takes(own: pd.DataFrame, means: dict[str, float], calm: dict[str, float] | None = None) -> str:
    """Return mean latencies in words; in brackets how much more it is than over calm links."""
    return ", ".join(
        f"{number(mean_ms)} ms by {_said(name, own[own['transport'] == name].iloc[0].to_dict())}"
        + (f" ({mean_ms - calm[name]:+.3g} ms)" if calm and name in calm else "")
        for name, mean_ms in means.items()
    )


def _links(own: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each link but for its distance: how it is told, and the trials over it."""
    names = ["loss", "burst_packets", "rate_mbit"]
    for _, row in own[names].drop_duplicates().sort_values(names).iterrows():
        told = ", ".join(field_words(name, row[name], alone=True) for name in names if row[name])
        yield told, own[(own[names] == row).all(axis=1)]


def _one_packet(own: pd.DataFrame) -> Iterator[str]:
    """Say how many ticks one lost packet makes late, and how late."""
    for told_link, lost in _links(own[own["incident"] == Incident.PACKET_LOST]):
        for place in _places(lost):
            here = lost[(lost["rtt_ms"] == place["rtt_ms"]) & (lost["rate_hz"] == place["rate_hz"])]
            told = []
            for name in _names(here):
                ticks, worst_ms = (
                    estimate(here, column, transport=name).estimate
                    for column in ("held_up_p50", "worst_p50_ms")
                )
                said = _said(name, here[here["transport"] == name].iloc[0].to_dict())
                told.append(f"{number(ticks)} by {said} (the oldest {number(worst_ms)} ms)")
            yield f"One lost packet makes so many ticks late, at {_at(place, told_link)}: {', '.join(told)}."


def _at(place: dict[str, float], link: str = "") -> str:
    """Return a distance, a rate and what else is to be said of a link, in words."""
    return f"an RTT of {place['rtt_ms']:g} ms and {place['rate_hz']:g} Hz" + (f" ({link})" if link else "")


def _worse_links(own: pd.DataFrame) -> Iterator[str]:
    """Say what loss and a narrow link cost a tick; in brackets, how much more than without."""
    lasting = over_calm_links(own, loss=..., rate_mbit=...)
    for told_link, worse in _links(lasting):
        for place in _places(worse) if told_link else []:
            calm, means = _means(over_calm_links(own), **place), _means(worse, **place)
            if means:
                yield f"With {told_link}, a tick takes, at {_at(place)}: {_each_takes(worse, means, calm)}."


def _renewed(own: pd.DataFrame) -> Iterator[str]:
    """Say how long a tick takes where each poll opens a new connection; in brackets, where none does."""
    for tls in sorted(set(own["tls"])):
        renewed = over_calm_links(own, keep_alive=False, tls=tls)
        renewed = renewed[renewed["keep_alive"].notna()]
        for place in _places(renewed):
            calm = _means(over_calm_links(own, tls=False), **place)
            told = []
            for name, mean_ms in _means(renewed, **place).items():
                connect_ms = estimate(renewed, "connect_p50_ms", transport=name, **place).estimate
                kept = f"kept: {number(calm[name])} ms, " if name in calm else ""
                told.append(
                    f"{number(mean_ms)} ms by {TRANSPORTS[name].label} "
                    f"({kept}connecting: {number(connect_ms)} ms)"
                )
            if told:
                with_tls = " with TLS" if tls else ""
                yield (
                    f"Where each poll opens a new connection{with_tls}, a tick takes, at {_at(place)}: "
                    f"{', '.join(told)}."
                )


EXPERIMENT = Experiment(
    name="network",
    designs=designs,
    columns=(
        "latency_mean_ms",
        "requests_per_delivery",
        "wire_bytes_per_delivery",
        "link_retransmits",
        "connect_p50_ms",
        "held_up_p50",
        "worst_p50_ms",
    ),
    finding=finding,
    apart=("rtt_ms", "rate_hz", "loss", "burst_packets", "rate_mbit", "incident", "keep_alive", "tls"),
    named=("rtt_ms", "rate_hz", "loss", "burst_packets", "rate_mbit", "poll_interval_s", "poll_pause_s"),
    predict=predict,
    predicted="latency_mean_ms",
    note="A transit is the way there: half an RTT. RTT × rate is how many ticks come in a round trip. Theory "
    "leaves out the work of server, client and router, 1 to 3 ms, and the turn of long polling that it makes "
    "longer. A few ticks whose packet is lost again make half of what random loss costs: the mean of a short "
    "trial may be far from theory, either way. In a row means for the link, which all clients share: the "
    "packets of one tick lie side by side in it, so each client loses one of them.",
)
