"""What claims become at a distance, and when something happens: from a run's trials to figure and sentence.

They are parts of the judges of claim_judges.py, and raise :class:`NotMeasured` where the run lacks them.
"""

import math
from collections.abc import Callable, Iterator

import pandas as pd

from bench.columns.cells import is_set
from bench.experiments.base import each
from bench.results.estimates import estimate, ratio
from bench.results.evidence import ANY, OVER_DISTANCE, Evidence, NotMeasured
from bench.transports import TRANSPORTS, main_names
from bench.wording import listed, number

WHATEVER_ITS_CLIENTS_DO = dict.fromkeys(("incident_s", "silence_s", "user_timeout_s"), ANY)


def or_else(told: Callable[[Evidence], str], evidence: Evidence, otherwise: str) -> str:
    """Return a sentence, or another where the run lacks what it is about."""
    try:
        return told(evidence)
    except NotMeasured:
        return otherwise


def latencies_over_distances(evidence: Evidence) -> tuple[float, str]:
    """Compare mean latencies over links with WebSocket's over the same.

    Returns:
        The ratio of long polling where it is least, and a sentence.
    """
    trials = evidence.trials("network", **OVER_DISTANCE)
    trials = trials[(trials["rtt_ms"] > 0) & (trials["keep_alive"] != False)]  # noqa: E712
    found: dict[str, dict[float, float]] = {}
    for rtt_ms, here in _places(trials):
        for name in main_names("held", "pull"):
            times = ratio(here, "latency_mean_ms", {"transport": name}, {"transport": "websocket"}).estimate
            if not math.isnan(times):
                found.setdefault(name, {})[rtt_ms] = times
    if "long_polling" not in found:
        raise NotMeasured("bench run network", "this run lacks long polling or WebSocket over a link")
    told = "; ".join(
        f"{TRANSPORTS[name].label} {each(trials[trials['transport'] == name].iloc[0].to_dict())}".rstrip()
        + f" {listed(times.values())} over a round trip of {listed(times)} ms"
        for name, times in found.items()
    )
    return min(found["long_polling"].values()), (
        f" At a distance, as multiples of WebSocket's mean: {told}. What the way takes, no transport saves."
    )


def behind_a_lost_packet(evidence: Evidence) -> str:
    """Say how many ticks are late for one packet that is lost, by WebSocket and by the others."""
    trials = evidence.trials("network", incident="packet_lost", **OVER_DISTANCE)
    sentences = []
    for rtt_ms, here in _places(trials):
        late, worst_ms = (_by_transport(here, name) for name in ("held_up_p50", "worst_p50_ms"))
        if "websocket" not in late:
            continue
        others = "; ".join(
            f"{number(late[name])} by {TRANSPORTS[name].label}" for name in late if name != "websocket"
        )
        sentences.append(
            f" One lost packet held up {number(late['websocket'])} ticks of a WebSocket, the oldest for "
            f"{number(worst_ms['websocket'])} ms, at {here['rate_hz'].iloc[0]:g} ticks a second over a round "
            f"trip of {rtt_ms:g} ms{f' ({others})' if others else ''}."
        )
    if not sentences:
        raise NotMeasured("bench run network", "this run lost no packet of a WebSocket on purpose")
    return "".join(sentences) + " What is behind a lost segment waits for it, as TCP delivers in order."


def after_a_kill(evidence: Evidence) -> tuple[float, str]:
    """Say what clients miss whose server is killed, and comes back as another process.

    Returns:
        How many ticks short polling's clients missed, and a sentence.
    """
    trials = evidence.trials("recovery", incident="server_killed", **WHATEVER_ITS_CLIENTS_DO)
    polls = trials[trials["transport"] == "short_polling"]
    alike = trials[trials["clients"].isin(polls["clients"])] if len(polls) else polls
    told = [
        f"{TRANSPORTS[name].label}'s clients missed {number(missed)} of {number(expected)} ticks and had the "
        f"first one {number(estimate(own, 'resumed_p50_ms').estimate)} ms after it was back"
        for name in ("short_polling", "websocket")
        if len(own := alike[alike["transport"] == name])
        for missed, expected in [(own["missed"].sum(), own["expected"].sum())]
    ]
    if not len(polls):
        raise NotMeasured("bench run recovery", "this run killed no server of short polling")
    return float(polls["missed"].sum()), (
        f" When the server was killed, and another process took its place, {'; '.join(told)}: the cursor was "
        "with the clients."
    )


def ends_without_a_close(evidence: Evidence) -> str:
    """Say which WebSockets ended though nobody had closed them, by what happened and what clients did."""
    trials = evidence.trials(
        "recovery",
        transport="websocket",
        incident=("address_changed", "forgotten"),
        **OVER_DISTANCE,
        **WHATEVER_ITS_CLIENTS_DO,
    )
    told = [f"{_happened(own)} {number(100 * share)} %{_cure(own)}" for own, share in _served_again(trials)]
    held = trials["server_sockets"].astype(float) - trials["sockets_open"].astype(float)
    sentence = (
        f" Connections died that nobody had closed. So many clients got ticks again: {'; '.join(told)}."
    )
    if held.max() > 0:
        sentence += f" The server did not know that up to {number(held.max())} of its connections were dead."
    return sentence


def _served_again(trials: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, float]]:
    """Yield trials by what happened and what their clients did about it, and how many got ticks again."""
    fields = ["incident", "incident_s", "silence_s", "user_timeout_s", "heartbeat_s"]
    for _, own in trials.groupby(fields, dropna=False):
        share = estimate(own, "resumed_ratio").estimate
        if not math.isnan(share):
            yield own, share


def _happened(own: pd.DataFrame) -> str:
    """Say what happened to the clients of these trials."""
    first = own.iloc[0]
    if first["incident"] == "forgotten":
        return f"after a middle box forgot whoever was idle for {first['incident_s']:g} s"
    return "after a change of the clients' address"


def _cure(own: pd.DataFrame) -> str:
    """Say what the clients of these trials did about it, if anything."""
    first = own.iloc[0]
    cures = {
        "heartbeat_s": "a heartbeat each {:g} s",
        "silence_s": "a clock that ends a silence of {:g} s",
        "user_timeout_s": "a TCP_USER_TIMEOUT of {:g} s",
    }
    done = [words.format(first[name]) for name, words in cures.items() if is_set(first[name])]
    return f" (with {' and '.join(done)})" if done else ""


def _places(trials: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Yield trials by their round trip, the shortest first; of several rates or loads those of the first."""
    for _, here in trials.groupby("rtt_ms"):
        first = here.sort_values(["rate_hz", "clients"]).iloc[0]
        alike = (here["rate_hz"] == first["rate_hz"]) & (here["clients"] == first["clients"])
        yield float(first["rtt_ms"]), here[alike]


def _by_transport(trials: pd.DataFrame, column: str) -> dict[str, float]:
    """Return a figure by main transport, where it was measured."""
    names = main_names("push", "held", "pull")
    found = {name: estimate(trials, column, transport=name).estimate for name in names}
    return {name: figure for name, figure in found.items() if not math.isnan(figure)}
