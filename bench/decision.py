"""Which transport, when: what a client costs by a run's servers, and what was the cheapest where measured."""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from bench.evidence import Evidence, NotMeasured
from bench.experiments import idle, rate
from bench.literature.van_de_vyvere import ENOUGH_CLIENTS, delivery_costs, loaded_trials, poll_costs
from bench.models import QUANTILE, Cost, Work, cpu_costs, decision_map, polling_from_s, wire_costs
from bench.transports import MAIN, TRANSPORTS

PAYLOAD_BYTES = 128
SLOWED = 30.0
"""The experiment ``rate`` is a slower service with every time divided by so many: see its docstring."""
TOUCH: dict[str, float] = {
    "hold_s": SLOWED * float(rate.FIXED["hold_s"]),
    "heartbeat_s": SLOWED * float(rate.FIXED["heartbeat_s"]),
}
LATENCIES_S = np.geomspace(0.02, 100, 80)
RATES_HZ = np.geomspace(1 / 120, 500, 80)


@dataclasses.dataclass(frozen=True)
class Chart:
    """A decision chart by one cost.

    Attributes:
        costs: Of the three transports.
        others: The same under other assumptions, by their names.
        points: Where it was measured: rate_hz, latency_s, transport (the cheapest), saved_ratio.
    """

    costs: Mapping[str, Cost]
    others: Mapping[str, Mapping[str, Cost]]
    points: pd.DataFrame

    def map(self) -> pd.DataFrame:
        """Return what each transport costs over all rates and latencies: see ``decision_map``."""
        return decision_map(self.costs, RATES_HZ.tolist(), LATENCIES_S.tolist())

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


def wire_chart(evidence: Evidence) -> Chart:
    """Return the chart by wire bytes: bench/models, held against what was measured."""
    return Chart(
        wire_costs(PAYLOAD_BYTES, "minimal", **TOUCH),
        {"with a browser's headers": wire_costs(PAYLOAD_BYTES, "browser", **TOUCH)},
        measured_cheapest(evidence, _wire_bytes),
    )


def cpu_chart(evidence: Evidence) -> Chart:
    """Return the chart by server CPU, from the measured work of the main transports.

    The others are WebSocket by other libraries; polling by the same library is among them.

    Raises:
        NotMeasured: If the run lacks the work of a step.
    """
    works = measured_work(evidence)
    others = {
        f"WebSocket by {TRANSPORTS[name].library}": cpu_costs(work, **TOUCH)
        for name, work in works.items()
        if name != "websocket"
    }
    points = measured_cheapest(evidence, _cpu_us, fewest_clients=ENOUGH_CLIENTS)
    return Chart(cpu_costs(works["websocket"], **TOUCH), others, points)


def measured_work(evidence: Evidence) -> dict[str, Work]:
    """Return the processor time of each step, by the server that speaks WebSocket.

    Raises:
        NotMeasured: If the run lacks one of them.
    """
    loaded = loaded_trials(evidence)
    pushes, answers = (delivery_costs(loaded, protocol) for protocol in ("websocket", "long_polling"))
    polls = poll_costs(loaded)
    if "websocket" not in pushes or "long_polling" not in answers or "short_polling" not in polls:
        raise NotMeasured(
            "bench run interval", "this run lacks the CPU of a transport, or of three intervals"
        )
    asked = {"heartbeat_s": {"transport": "websocket"}, "hold_s": {"transport": "long_polling"}}
    ping_s, vain_s = (_staying_in_touch_s(evidence, field, **where) for field, where in asked.items())
    poll = polls["short_polling"]
    return {
        name: Work(delivery_s, ping_s, answers["long_polling"], vain_s, poll.request_s, poll.tick_s)
        for name, delivery_s in pushes.items()
    }


def _staying_in_touch_s(evidence: Evidence, field: str, transport: str) -> float:
    """Return what a heartbeat or a hold that ends in vain takes: a client that does so each second."""
    clients = evidence.values("idle", "clients", transport=transport)[-1]
    found = evidence.figure(
        "idle",
        "server_cpu_us_per_client_s",
        **{"transport": transport, "clients": clients, field: idle.EACH_S},
    )
    return found.estimate * idle.EACH_S / 1e6


def measured_cheapest(
    evidence: Evidence, cost: Callable[[pd.DataFrame], pd.Series], fewest_clients: int = 1
) -> pd.DataFrame:
    """Return which of the main transports was the cheapest at each rate and poll interval measured.

    Args:
        evidence: Of a run; what it lacks is left out.
        cost: What a client took in a second, trial by trial.
        fewest_clients: Trials with fewer are left out.
    """
    rows: list[tuple[float, float, str, float]] = []
    for experiment, slowed in (("rate", SLOWED), ("interval", 1.0), ("library", 1.0)):
        try:
            trials = evidence.trials(experiment, payload_bytes=PAYLOAD_BYTES, headers="minimal")
        except NotMeasured:
            continue
        trials = trials[trials["transport"].isin(MAIN) & (trials["clients"] >= fewest_clients)]
        trials = trials.assign(cost=cost(trials))
        for rate_hz in trials["rate_hz"].unique():
            alike = trials[trials["rate_hz"] == rate_hz]
            waiting = alike[alike["poll_interval_s"].isna()].groupby("transport")["cost"].median()
            for interval_s, polls in alike.groupby("poll_interval_s")["cost"]:
                told = {"short_polling": polls.median(), **waiting.to_dict()}
                if len(told) == len(MAIN):
                    (name, least), (_, following) = sorted(told.items(), key=lambda item: item[1])[:2]
                    latency_s = QUANTILE * float(interval_s) * slowed
                    rows.append((float(rate_hz) / slowed, latency_s, name, following / least))
    return pd.DataFrame(rows, columns=["rate_hz", "latency_s", "transport", "saved_ratio"])


def _wire_bytes(trials: pd.DataFrame) -> pd.Series:
    return (trials["wire_bytes_per_tick_up"] + trials["wire_bytes_per_tick_down"]) * trials["rate_hz"]


def _cpu_us(trials: pd.DataFrame) -> pd.Series:
    return trials["server_cpu_us_per_client_s"]
