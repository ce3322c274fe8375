"""What happens when the plug is pulled?

The link goes down for a second, the server is killed, the clients get another address, a middle box forgets
who was idle. Who notices, and when; what is lost; and how soon the clients have ticks again. Times are
scaled: real outages last for minutes, and NATs forget after some.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from bench.columns.cells import is_set, sortable
from bench.columns.words import field_words
from bench.experiments.base import Design, Experiment, Row, for_each_row, poll_cycle_s
from bench.network.incident_fields import INCIDENTS, Incident
from bench.results.estimates import estimate
from bench.results.trials import single_trials
from bench.scenario import Profile
from bench.theory.durations import FIRST_SYN_TIMEOUT_S, longest_idle_s
from bench.theory.recovery import (
    Comeback,
    Instants,
    arrived_again,
    come_back,
    first_attempt,
    first_rto_s,
    first_tick_by_poll,
    medians_ms,
    silent_at_s,
)
from bench.theory.traffic import DELAYED_ACK_S, Bounds
from bench.transports import TRANSPORTS, main_names
from bench.wording import number

CLIENTS = {"clients": 30, "warmup_s": 0.3, "hold_s": 0.3, "poll_interval_s": 0.3}
"""Few: their packets come all at once, and the router, which takes them singly, must not be late by that."""
LINK = {**CLIENTS, "rtt_ms": 20.0}
DOWN = {**LINK, "incident": "link_down", "incident_s": 1.2, "window_s": 2.7}
"""Long enough that no retransmission falls near the return: theory has it before or after for sure."""
KILLED = {**CLIENTS, "incident": "server_killed"}
MOVED = {**LINK, "incident": "address_changed", "rate_hz": 5.0, "poll_interval_s": 0.2, "window_s": 1.4}
"""So few ticks that a held question has been acknowledged by then: else TCP asks again, and is reset."""
SILENCE_S = 0.5
FORGOTTEN = {**LINK, "incident": "forgotten", "incident_s": 0.2, "rate_hz": 2.0, "window_s": 1.5}
"""A tick each half second for one in minutes, and a middle box that forgets as much sooner."""
IN_TOUCH = {"poll_interval_s": 0.1, "hold_s": 0.1, "heartbeat_s": 0.1}
HERD = {**KILLED, "incident_s": 0.5, "clients": 1000, "rate_hz": 5.0, "window_s": 2.4}
BACKOFFS = ["jittered", "doubling", "none"]

SETUP_ROUND_TRIPS = 2
"""TCP's, and that of the question or of the handshake: what was missed comes right behind its answer."""


def designs(profile: Profile) -> list[Design]:
    """Return the scenarios: each incident, and for each who notices by itself and who does not.

    Who listens to a stream of events learns as much, and as late, as by a WebSocket: only the full profile
    has both with a clock of their own.
    """
    of_push = {} if profile.name == "full" else {"speaks_upwards": True}
    listening = [*main_names("held"), *main_names("push", **of_push)]
    if profile.name == "quick":
        return [Design({**DOWN, "incident_s": 0.4, "window_s": 1.2}, transports=listening, repeats=1)]
    repeats = {"standard": 1, "full": 3}[profile.name]
    found = [
        Design(DOWN, repeats=repeats),
        Design({**KILLED, "incident_s": 0.5, "clients": 200, "window_s": 2.3}, repeats=repeats),
        Design(MOVED, repeats=repeats),
        Design({**MOVED, "silence_s": SILENCE_S}, transports=listening, repeats=repeats),
        Design({**FORGOTTEN, **IN_TOUCH}, transports=[*main_names("pull"), *listening], repeats=repeats),
        Design({**FORGOTTEN, "hold_s": 2.0}, transports=listening, repeats=repeats),
        Design(HERD, {"backoff": BACKOFFS}, main_names("push", speaks_upwards=True), repeats=repeats),
    ]
    if profile.name == "full":
        down = {**DOWN, "hold_s": 12.0}
        found += [
            Design({**down, "window_s": 21.0}, {"incident_s": [0.5, 2.0, 5.0, 10.0]}, repeats=repeats),
            Design(
                {**down, "silence_s": 2.5, "hold_s": 2.0, "incident_s": 5.0, "window_s": 16.0},
                repeats=repeats,
            ),
            Design({**down, "user_timeout_s": 1.0, "incident_s": 5.0, "window_s": 11.0}, repeats=repeats),
            Design({**DOWN, "tls": True}, repeats=repeats),
        ]
    return found


# What theory says: when the median client has a tick again


def predict(summary: pd.DataFrame) -> pd.Series:
    """Predict the first tick after the return, of the median client, in ms; see bench/theory/recovery.py."""
    return for_each_row(
        summary, lambda row: AFTER.get(str(row["incident"]), _unknown)(row) if _is_covered(row) else math.nan
    )


def _is_covered(row: Row) -> bool:
    """Return whether theory covers a row: a steady market, and a link that loses nothing else."""
    varying = ("jitter_ms", "loss", "rate_mbit")
    return (
        row["plan"] == "steady"
        and row["contract"] == "every"
        and row["rate_hz"] > 0
        and not any(is_set(row[name]) and row[name] for name in varying)
        and not is_set(row["user_timeout_s"])
        and row["keep_alive"] is not False
    )


def _unknown(row: Row) -> float:
    return math.nan


def _rtt_s(row: Row) -> float:
    return float(row["rtt_ms"]) / 1e3 if is_set(row["rtt_ms"]) else 0.0


def _outage_s(row: Row) -> float:
    """Return how long nothing was there: as measured, because a server takes a while to start."""
    measured = row.get("outage_s", math.nan)
    return float(measured if is_set(measured) else row["incident_s"])


def _questions(row: Row) -> Instants:
    """Return when clients that poll ask next: at any instant of their cycle."""
    return Instants.between(0.0, poll_cycle_s(row))


def _set_up_s(row: Row) -> float:
    """Return how long it takes from asking for a connection until the ticks that were missed are there."""
    return (SETUP_ROUND_TRIPS + bool(row["tls"])) * _rtt_s(row)


def _after_link_down(row: Row) -> float | Bounds:
    """TCP sends again what was lost, or a client that waited in silence has connected again before.

    It is not covered where a new tick comes before TCP has given up the lost one (a probe takes two round
    trips), or while the client still waits for the answer before.
    """
    period_s, rtt_s, outage_s = 1 / row["rate_hz"], _rtt_s(row), _outage_s(row)
    family, rto_s = TRANSPORTS[row["transport"]].family, first_rto_s(rtt_s)
    listens = family != "pull"
    if is_set(row["heartbeat_s"]) or (is_set(row["silence_s"]) and not listens):
        return math.nan
    if family == "push" and (2 * rtt_s > period_s / 2 or outage_s < rto_s + period_s):
        return math.nan
    if family == "held" and (rtt_s > period_s / 2 or row["hold_s"] < period_s or outage_s < period_s):
        return math.nan
    sent = Instants.at(period_s / 2) if listens else _questions(row)
    alone = family != "push" or period_s > rto_s
    way_s, arrives_s = (rtt_s / 2, rtt_s / 2) if listens else (0.0, rtt_s)
    arrived = arrived_again(sent, way_s, arrives_s, outage_s, rto_s, alone=alone)
    if is_set(row["silence_s"]):
        silent_s = silent_at_s(row["silence_s"], period_s, rtt_s)
        if silent_s < arrived[0].quantile_s(0.0):
            return _after_silence(row, outage_s, silent_s)
        if silent_s < arrived[-1].quantile_s(1.0):
            return math.nan
    return medians_ms(arrived, outage_s)


def _after_silence(row: Row, return_s: float, silent_s: float) -> float:
    """A client that has heard nothing for too long connects again, until somebody answers."""
    attempts = first_attempt(Instants.at(silent_s), row["backoff"])
    found = come_back(
        attempts, return_s, row["backoff"], fails_after_s=row["silence_s"], again_each_s=FIRST_SYN_TIMEOUT_S
    )
    return medians_ms([found.back.later(_set_up_s(row))], return_s).low


def comeback(row: Row) -> Comeback:
    """Return when clients ask for connections after their server was killed, and when they are back.

    The kernel ends the connections of a process that is killed, and refuses others until somebody listens
    again. A client that polls is told so, too, but needs no connection until it asks.
    """
    outage_s, rtt_s = _outage_s(row), _rtt_s(row)
    asks = TRANSPORTS[row["transport"]].family == "pull"
    attempts = _questions(row) if asks else first_attempt(Instants.at(rtt_s / 2), row["backoff"])
    return come_back(attempts, outage_s, row["backoff"], fails_after_s=rtt_s, failures=0 if asks else 1)


def _after_server_killed(row: Row) -> float:
    """Clients try again, by their back-off, until they are not refused."""
    if _outage_s(row) < 1 / row["rate_hz"]:
        return math.nan
    return medians_ms([comeback(row).back.later(_set_up_s(row))], _outage_s(row)).low


def _after_address_changed(row: Row) -> float:
    """The server knows no connection with the new address, and resets whoever speaks on one.

    Who listens hears nothing any more, and has to find out by the clock. So does who waits for an answer,
    once its question is acknowledged: Linux takes 40 ms for that. Before, TCP asks again, and is reset.
    """
    period_s, rtt_s = 1 / row["rate_hz"], _rtt_s(row)
    family = TRANSPORTS[row["transport"]].family
    if family == "held" and period_s / 2 < 2 * rtt_s + DELAYED_ACK_S:
        return math.nan
    if family == "pull":
        if poll_cycle_s(row) < period_s:
            return math.nan
        found = first_tick_by_poll(
            _questions(row),
            row["backoff"],
            cycle_s=poll_cycle_s(row),
            due_s=period_s / 2,
            rtt_s=rtt_s,
            set_up_s=_set_up_s(row),
        )
        return medians_ms([found], 0.0).low
    if not is_set(row["silence_s"]) or is_set(row["heartbeat_s"]):
        return math.nan
    return _after_silence(row, 0.0, silent_at_s(row["silence_s"], period_s, rtt_s))


def _after_forgotten(row: Row) -> float:
    """Nothing happens to a connection that is never idle for so long; others are lost."""
    period_s, rtt_s = 1 / row["rate_hz"], _rtt_s(row)
    touches_s = (row[name] if is_set(row[name]) else None for name in ("hold_s", "heartbeat_s"))
    pause_s = poll_cycle_s(row)
    if (
        longest_idle_s(row["rate_hz"], None if math.isnan(pause_s) else pause_s, *touches_s)
        >= row["incident_s"]
    ):
        return math.nan
    due = Instants.at(period_s / 2)
    if TRANSPORTS[row["transport"]].family == "pull":
        due = due.later_by(_questions(row))
    return medians_ms([due.later(rtt_s / 2)], 0.0).low


AFTER: Mapping[str, Callable[[Row], float | Bounds]] = {
    "link_down": _after_link_down,
    "server_killed": _after_server_killed,
    "address_changed": _after_address_changed,
    "forgotten": _after_forgotten,
}
"""What theory says, by incident. Of a lost packet it says nothing here."""


# What was found

TOLD_APART = (
    "poll_interval_s",
    "poll_pause_s",
    "hold_s",
    "heartbeat_s",
    "silence_s",
    "user_timeout_s",
    "backoff",
    "tls",
)
"""Fields that tell the clients of one incident apart."""
APART = ("incident", "incident_s", "clients", "rate_hz", *TOLD_APART)
BEGINNINGS = {
    "packet_lost": "Each client lost a packet",
    "link_down": "The link was down for {incident_s:g} s",
    "server_killed": "The server was dead for {outage} s",
    "address_changed": "The clients' address changed",
    "forgotten": "A middle box forgot whoever was idle for {incident_s:g} s",
}
NO_RETURN = ("packet_lost", "address_changed", "forgotten")
"""Incidents after which nothing comes back by itself."""
NOTICED = {
    "ended": " by the end of the connection",
    "reset": " by a reset",
    "timed_out": " as TCP gave up",
    "refused": " as they were refused",
    "unreachable": " as there was no way",
    "silent": " by their own clock",
    "refusal": " as the server said no",
}
"""What each code of ``noticed_by`` says of clients that noticed."""
Kind = tuple[str, pd.DataFrame]
"""Clients that do the same: what they are called, and their trials."""


def finding(trials: pd.DataFrame) -> str:
    """Say of each incident when ticks came again, which never came, and who noticed; and of the herd."""
    own = single_trials(trials)
    own = own[own["incident"].notna()]
    own = own.assign(place=own["incident"].map(list(INCIDENTS).index))
    groups = own.groupby(["place", "incident_s", "clients", "rate_hz"], dropna=False)
    return "\n".join(" ".join(_incident_sentences(group)) for _, group in groups)


def _incident_sentences(group: pd.DataFrame) -> Iterator[str]:
    """Say what became of the clients of one incident, transport by transport."""
    first, kinds = group.iloc[0], list(cases(group))
    outage = number(estimate(group, "outage_s").estimate)
    begun = BEGINNINGS[first["incident"]].format(incident_s=first["incident_s"], outage=outage)
    yield f"{begun} ({number(first['clients'])} clients, {first['rate_hz']:g} Hz)."
    since = "that" if first["incident"] in NO_RETURN else "the return"
    again = _each_told(kinds, "resumed_p50_ms", "ms")
    yield (
        f"The median client had a tick again so long after {since}: {again}."
        if again
        else "No client had a tick again."
    )
    shares = [(label, _missed_ratio(own)) for label, own in kinds]
    lost = [f"{_percent(share)} of those by {label}" for label, share in shares if share > 0]
    yield f"Some ticks never came: {', '.join(lost)}." if lost else "No tick was lost."
    yield _noticed_sentence(kinds)
    touch = _each_told(kinds, "wire_bytes_per_client_s", "B")
    if first["incident"] == Incident.FORGOTTEN and touch:
        yield f"A client took so many bytes on the wire in a second: {touch}."
    if group["backoff"].nunique() > 1:
        yield from _herd_sentence(kinds)


def _each_told(kinds: Sequence[Kind], column: str, unit: str) -> str:
    """Return a figure of each kind of client that has one."""
    figures = [(label, estimate(own, column).estimate) for label, own in kinds]
    return ", ".join(f"{label} {number(figure)} {unit}" for label, figure in figures if figure > 0)


def cases(group: pd.DataFrame) -> Iterator[Kind]:
    """Yield the trials of each kind of client, and what it is called: its transport, and what it does."""
    measured = set(group["transport"])
    for name in (each for each in TRANSPORTS if each in measured):
        own = group[group["transport"] == name]
        grouped = own.groupby(list(TOLD_APART), dropna=False, sort=False)
        for _, case in sorted(grouped, key=lambda each: [sortable(value) for value in each[0]]):
            told = [
                field_words(field, case[field].iloc[0])
                for field in TOLD_APART
                if own[field].nunique(dropna=False) > 1
                or (field in ("poll_interval_s", "poll_pause_s") and is_set(case[field].iloc[0]))
            ]
            yield TRANSPORTS[name].label + (f" ({', '.join(told)})" if told else ""), case


def _missed_ratio(own: pd.DataFrame) -> float:
    """Return the share of the window's ticks that never came."""
    return estimate(own.assign(missed_ratio=own["missed"] / own["expected"]), "missed_ratio").estimate


def _noticed_sentence(kinds: Sequence[Kind]) -> str:
    """Say who noticed, when and how; in short where all did, and in the same way."""
    shares = [estimate(own, "noticed_ratio").estimate for _, own in kinds]
    times_ms = [estimate(own, "noticed_p50_ms").estimate for _, own in kinds]
    ways = [NOTICED.get(str(own["noticed_by"].mode().iloc[0]), "") for _, own in kinds]
    if len(kinds) > 1 and min(shares) == 1 and len(set(ways)) == 1:
        return (
            f"All noticed{ways[0]}, half of them after {number(min(times_ms))} to {number(max(times_ms))} ms."
        )
    told = [
        f"{label if share == 1 else f'{_percent(share)} of {label}'} after {number(after_ms)} ms{way}"
        for (label, _), share, after_ms, way in zip(kinds, shares, times_ms, ways, strict=True)
        if share > 0
    ]
    return f"Who noticed: {'; '.join(told)}." if told else "No client noticed."


def _percent(share: float) -> str:
    return f"{number(share * 100)} %"


def _herd_sentence(kinds: Sequence[Kind]) -> Iterator[str]:
    """Say how many connections clients asked for as the server was back, and how many in all."""
    told = []
    for label, own in kinds:
        if (asked := estimate(own, "sockets_asked").estimate) > 0:
            peak = estimate(own, "asked_peak_per_s").estimate
            each = asked / float(own["clients"].iloc[0])
            told.append(f"{label} {number(peak)} ({number(each)} attempts a client in all)")
    if told:
        yield f"After the return so many connections were asked for in a second, at most: {', '.join(told)}."


EXPERIMENT = Experiment(
    name="recovery",
    designs=designs,
    columns=(
        "missed",
        "noticed_p50_ms",
        "resumed_p50_ms",
        "caught_up_max_ms",
        "asked_peak_per_s",
        "wire_bytes_per_client_s",
    ),
    finding=finding,
    apart=APART,
    named=APART,
    predict=predict,
    predicted="resumed_p50_ms",
    predicted_from=("outage_s",),
    note="Noticed: when the connection ended; – where it did not. Who did not notice may still be served: "
    "TCP sends again what was lost. All back: when the last late tick was there. Theory has two bounds where "
    "TCP's timers decide, which Linux rounds up by an eighth at most; and no figure where nothing comes any "
    "more. It lets nobody wait for the server or the load generator, which take their time for 1,000 clients "
    "at once.",
)
