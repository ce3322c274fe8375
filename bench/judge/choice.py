"""Which transport, when: what a client costs by a run's servers, and what was the cheapest where measured."""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from bench.judge.costs import busy_trials, delivery_costs, poll_costs
from bench.results.estimates import estimate
from bench.results.evidence import Evidence, NotMeasured
from bench.theory.break_even import equal_bytes_interval_s
from bench.theory.cheapest import (
    QUANTILE,
    Cost,
    Work,
    cpu_costs,
    decision_map,
    polling_from_s,
    wire_costs,
)
from bench.theory.traffic import push_traffic
from bench.transports import FAMILIES, TRANSPORTS, main_names
from bench.wording import number


class Touch(TypedDict):
    """How a client stays in touch: longest hold of a request, time between heartbeats of push."""

    hold_s: float
    heartbeat_s: float


ASSUMED_PERIODS: Touch = {"hold_s": 24.0, "heartbeat_s": 15.0}
"""What the maps assume."""
MOVED_RATIO = 0.1
SAME_RATIO = 0.01
FEWEST_CLIENTS = 100
"""With fewer, what a server does anyway is no small part of its CPU: such trials are no points by CPU."""
POINTS_FROM = ("interval", "rate", "library")
LATENCIES_S = np.geomspace(0.02, 100, 80)
RATES_HZ = np.geomspace(1 / 120, 500, 80)


@dataclasses.dataclass(frozen=True)
class Chart:
    """A decision chart by one cost.

    Attributes:
        costs: Of the main transports.
        others: The same under other assumptions, by their names.
        points: Where it was measured: rate_hz, latency_s, transport (the cheapest), saved_ratio.
        payload_bytes: Size of the ticks, by the run.
        way_s: How long the way is that it is for, one way.
    """

    costs: Mapping[str, Cost]
    others: Mapping[str, Mapping[str, Cost]]
    points: pd.DataFrame
    payload_bytes: int
    way_s: float = 0.0

    def map(self) -> pd.DataFrame:
        """Return what each transport costs over all rates and latencies: see ``decision_map``."""
        return decision_map(self.costs, RATES_HZ.tolist(), LATENCIES_S.tolist())

    def way_note(self) -> str:
        """Say what a way that takes time would change, in a sentence for the map.

        A promise begins when a tick is due, and what the way takes is not left for waiting: whoever accepts L
        may ask each (L − way)/0.99. So a border lies later by the way, one way.
        """
        if self.way_s:
            return (
                f"computed, for a way of {number(self.way_s * 1e3)} ms each way; white: no transport brings "
                "99 % of the ticks in time"
            )
        rate_hz = float(self.points["rate_hz"].max()) if len(self.points) else float(RATES_HZ[-1])
        from_s = self.polling_from_s(rate_hz)[""]
        start = "for a way that takes no time"
        if math.isinf(from_s):
            return start
        return (
            f"{start}; over {number(MOVED_RATIO * from_s * 1e3)} ms each way the border at {rate_hz:g} ticks "
            f"a second is at a latency {MOVED_RATIO * 100:.0f} % longer"
        )

    def borders(self) -> pd.DataFrame:
        """Return from where polling is the cheapest under other assumptions: name, rate_hz, latency_s."""
        rows = [
            (name, rate_hz, polling_from_s(costs, rate_hz, LATENCIES_S.tolist()))
            for name, costs in self.others.items()
            for rate_hz in RATES_HZ
        ]
        return pd.DataFrame(rows, columns=["name", "rate_hz", "latency_s"]).replace(math.inf, math.nan)

    def polling_from_s(self, rate_hz: float) -> dict[str, float]:
        """Return from which acceptable latency polling is the cheapest: as drawn (``""``), and the others."""
        each = {"": self.costs, **self.others}
        return {name: polling_from_s(costs, rate_hz, LATENCIES_S.tolist()) for name, costs in each.items()}


def wire_chart(evidence: Evidence, *, way_s: float = 0.0) -> Chart:
    """Return the chart by wire bytes: bench/theory, held against what was measured.

    A transport that the run has not measured contends only if the run has none of its family.

    Args:
        evidence: Of a run.
        way_s: How long the way is, one way. Points are measured on loopback, so a longer one has none.
    """
    payload_bytes = usual_payload_bytes(evidence)
    measured = {str(name) for name in evidence.trials(*POINTS_FROM)["transport"]}
    families = {TRANSPORTS[name].family for name in measured}

    def contenders(headers: str, ticks_per_ack: int = 1) -> dict[str, Cost]:
        all_costs = wire_costs(
            payload_bytes, headers, ticks_per_ack=ticks_per_ack, way_s=way_s, **ASSUMED_PERIODS
        )
        return {
            name: cost
            for name, cost in all_costs.items()
            if name in measured or TRANSPORTS[name].family not in families
        }

    costs = contenders("minimal")
    points = measured_cheapest(evidence, costs, _wire_bytes, payload_bytes)
    return Chart(
        costs,
        {
            "with a browser's headers": contenders("browser"),
            "one ACK for two ticks": contenders("minimal", ticks_per_ack=2),
        },
        points.iloc[:0] if way_s else points,
        payload_bytes,
        way_s,
    )


def equal_bytes_s(payload_bytes: int, rate_hz: float, *, ticks_per_ack: int = 1) -> float:
    """Return the poll interval at which asking costs as many wire bytes as being told by WebSocket.

    Args:
        payload_bytes: Size of a tick.
        rate_hz: Ticks per second.
        ticks_per_ack: For how many pushes the client's kernel sends an ACK.

    Raises:
        ValueError: If there is none.
    """
    polled = wire_costs(payload_bytes, "minimal", **ASSUMED_PERIODS)[main_names("pull")[0]]
    return equal_bytes_interval_s(
        rate_hz,
        lambda interval_s: polled(rate_hz, QUANTILE * interval_s) / rate_hz,
        push_traffic(payload_bytes, ticks_per_ack=ticks_per_ack).wire_bytes,
    )


def usual_payload_bytes(evidence: Evidence) -> int:
    """Return the size of ticks that the run has points for: the one measured most often.

    Raises:
        NotMeasured: If it has neither the experiment interval, rate nor library.
    """
    return int(evidence.trials(*POINTS_FROM, headers="minimal")["payload_bytes"].mode().iloc[0])


def cpu_chart(evidence: Evidence) -> Chart:
    """Return the chart by server CPU, from the measured work of the main transports.

    In each of the others a transport that pushes is by another library.

    Raises:
        NotMeasured: If the run lacks the work of a step.
    """
    works = measured_work(evidence)
    mains = {name: work for name, work in works.items() if TRANSPORTS[name].variant_of is None}
    costs = {name: cpu_costs(work, **ASSUMED_PERIODS)[name] for name, work in mains.items()}
    others = {}
    for name, work in works.items():
        variant = TRANSPORTS[name]
        if name not in mains and variant.protocol in mains:
            own = cpu_costs(work, **ASSUMED_PERIODS)[variant.protocol]
            others[f"{variant.protocol_label} by {variant.library}"] = {**costs, variant.protocol: own}
    payload_bytes = usual_payload_bytes(evidence)
    points = measured_cheapest(evidence, costs, _cpu_us, payload_bytes, fewest_clients=FEWEST_CLIENTS)
    return Chart(costs, others, points, payload_bytes)


def measured_work(evidence: Evidence) -> dict[str, Work]:
    """Return the processor time of each step, by the main transports and the variants of those that push.

    The steps of the other families are those of their first transport.

    Raises:
        NotMeasured: If the run lacks a family.
    """
    busy = busy_trials(evidence)
    pushes, answers = (delivery_costs(busy, family) for family in ("push", "held"))
    polls = poll_costs(busy)
    steps: tuple[Mapping[str, Any], ...] = (polls, answers, pushes)
    measured = {
        family: [name for name in main_names(family) if name in own]
        for family, own in zip(FAMILIES, steps, strict=True)
    }
    if not all(measured.values()):
        raise NotMeasured(
            "bench run clients library interval",
            "this run lacks the CPU of a busy server of a transport, or of three intervals",
        )
    works = {}
    for name in [*measured["pull"], *measured["held"], *pushes]:
        first = {family: names[0] for family, names in measured.items()}
        poller, holder, pusher = ({**first, TRANSPORTS[name].family: name}[family] for family in FAMILIES)
        works[name] = Work(
            pushes[pusher],
            _staying_in_touch_s(evidence, "heartbeat_s", TRANSPORTS[pusher].protocol),
            answers[holder],
            _staying_in_touch_s(evidence, "hold_s", holder),
            polls[poller].request_s,
            polls[poller].tick_s,
        )
    return works


def _staying_in_touch_s(evidence: Evidence, field: str, transport: str) -> float:
    """Return what a heartbeat or a hold that ends in vain takes, of the most clients that only do so.

    Such a server is not busy, so this is what it takes at most. A transport without heartbeats pays for none.
    """
    if field == "heartbeat_s" and not TRANSPORTS[transport].heartbeats:
        return 0.0
    silent = evidence.trials("idle", transport=transport, compression=False)
    silent = silent[(silent["rate_hz"] == 0) & (silent[field] <= silent["window_s"])]
    if not len(silent):
        raise NotMeasured("bench run idle", f"no {field} of this run ends within its window")
    most = silent[silent["clients"] == silent["clients"].max()]
    each_s = float(most[field].min())
    return estimate(most, "server_cpu_us_per_client_s", **{field: each_s}).estimate * each_s / 1e6


def measured_cheapest(
    evidence: Evidence,
    contenders: Collection[str],
    cost: Callable[[pd.DataFrame], pd.Series],
    payload_bytes: int,
    fewest_clients: int = 1,
) -> pd.DataFrame:
    """Return which of the contenders was the cheapest at each rate and poll interval measured.

    A run may stand for a slower service, with every time divided by the same number: ticks, polls, holds and
    heartbeats (the experiment ``rate``). By its own holds and heartbeats it is put where it stands for; a run
    with others than the map's, in any scale, is no point of the map.

    Args:
        evidence: Of a run; what it lacks is left out.
        contenders: The transports of the map. A point needs them all.
        cost: What a client took in a second, trial by trial.
        payload_bytes: Size of the ticks.
        fewest_clients: Trials with fewer are left out.
    """
    rows: list[tuple[float, float, str, float]] = []
    for experiment in POINTS_FROM:
        try:
            trials = evidence.trials(experiment, payload_bytes=payload_bytes, headers="minimal")
        except NotMeasured:
            continue
        trials = trials[trials["transport"].isin(list(contenders)) & (trials["clients"] >= fewest_clients)]
        trials = trials.assign(cost=cost(trials))
        for _, alike in trials.groupby(["rate_hz", "clients"]):
            slowed = _slowed_ratio(alike)
            if slowed is None:
                continue
            waiting = alike[alike["poll_interval_s"].isna()]
            for _, polls in alike.groupby("poll_interval_s"):
                told = pd.concat([polls, waiting]).groupby("transport", sort=False)["cost"].median()
                if set(told.index) == set(contenders):
                    (name, least), (_, following) = sorted(told.items(), key=lambda item: item[1])[:2]
                    latency_s = QUANTILE * float(polls["poll_interval_s"].iloc[0]) * slowed
                    rate_hz = float(polls["rate_hz"].iloc[0]) / slowed
                    rows.append((rate_hz, latency_s, str(name), float(following / least)))
    return pd.DataFrame(rows, columns=["rate_hz", "latency_s", "transport", "saved_ratio"])


def _slowed_ratio(trials: pd.DataFrame) -> float | None:
    """Return by how many times all times of a scenario are shorter than on the map; None if by no one number.

    A WebSocket without heartbeats is taken as it is, if no hold ended before a tick came: nothing was sent to
    stay in touch.
    """
    heartbeats_s, holds_s = (set(trials[field].dropna()) for field in ("heartbeat_s", "hold_s"))
    if not heartbeats_s:
        return 1.0 if all(float(trials["rate_hz"].iloc[0]) * hold_s >= 1 for hold_s in holds_s) else None
    ratios = [ASSUMED_PERIODS["heartbeat_s"] / each for each in heartbeats_s]
    ratios += [ASSUMED_PERIODS["hold_s"] / each for each in holds_s]
    return ratios[0] if max(ratios) <= min(ratios) * (1 + SAME_RATIO) else None


def _wire_bytes(trials: pd.DataFrame) -> pd.Series:
    return trials["wire_bytes_per_delivery"] * trials["rate_hz"]


def _cpu_us(trials: pd.DataFrame) -> pd.Series:
    return trials["server_cpu_us_per_client_s"]
