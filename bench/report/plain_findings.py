"""What a run found, in three plain sentences for a reader who has just come: fresh, cheap, many."""

import math
from collections.abc import Callable, Mapping

import pandas as pd

from bench.experiments.base import each
from bench.experiments.clients import capacity_words
from bench.results.capacity import capacities
from bench.results.estimates import estimate, valid_trials
from bench.results.run import Run
from bench.results.scenarios import mixed_fields
from bench.results.statistics import Interval
from bench.results.trials import telling
from bench.transports import TRANSPORTS, main_names
from bench.wording import number


def plain_findings(run: Run) -> list[str]:
    """Return the sentences that the run can say: how fresh, what it costs on the wire, how many clients.

    Where a run has several scenarios of a transport (by --set), there is no plain sentence, and none is said.
    """
    return [sentence for say in (_freshness, _bytes, _clients) if (sentence := say(run))]


def _listed(figures: Mapping[str, float], words: Callable[[str], str], *, most: bool = False) -> str:
    """Write figures that are there from the best to the worst, parted by commas; "" for fewer than two."""
    known = sorted((figure, name) for name, figure in figures.items() if figure > 0)
    parts = [words(name) for _, name in (reversed(known) if most else known)]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else ""


def _asking(trials: pd.DataFrame, name: str) -> str:
    """Return the label of a transport, and how often it asks if it does so by its own clock."""
    own = trials[trials["transport"] == name]
    return f"{TRANSPORTS[name].label} {each(own.iloc[0].to_dict())}".rstrip()


def _freshness(run: Run) -> str:
    trials = valid_trials(run, "freshness")
    if mixed_fields(trials, ()):
        return ""
    medians_ms = {name: estimate(trials, "latency_p50_ms", transport=name).estimate for name in main_names()}
    told = _listed(medians_ms, lambda name: f"{number(medians_ms[name])} ms by {_asking(trials, name)}")
    return f"**How fresh?** Half of the ticks arrive within {told}." if told else ""


def _bytes(run: Run) -> str:
    """Tell the bytes of the same trials as the latencies; and what a tick takes that is asked for alone."""
    trials = valid_trials(run, "freshness")
    if mixed_fields(trials, ()):
        return ""
    costs = {
        name: estimate(trials, "wire_bytes_per_delivery", transport=name).estimate for name in main_names()
    }
    told = _listed(costs, lambda name: f"{number(costs[name])} B by {TRANSPORTS[name].label}")
    if not told:
        return ""
    payload_bytes = trials["payload_bytes"].iloc[0]
    sentence = f"**What does it cost?** Such a tick of {payload_bytes} B takes {told} on the wire, both ways."
    return sentence + _alone(valid_trials(run, "overhead"))


def _alone(trials: pd.DataFrame) -> str:
    """Say what the smallest tick takes if a poll, with a browser's headers, has it alone in its answer."""
    polled = trials[trials["transport"].isin(main_names("pull")) & (trials["headers"] == "browser")]
    if not len(polled):
        return ""
    smallest = polled[polled["payload_bytes"] == min(polled["payload_bytes"])]
    one = smallest[smallest["cookie_bytes"] == min(smallest["cookie_bytes"])]
    if mixed_fields(one, ()):
        return ""
    payload_bytes = one["payload_bytes"].iloc[0]
    pushed = trials[(trials["payload_bytes"] == payload_bytes) & trials["transport"].isin(main_names("push"))]
    costs = {
        name: estimate(pd.concat([one, pushed]), "wire_bytes_per_delivery", transport=name).estimate
        for name in main_names("pull", "push")
    }
    told = _listed(costs, lambda name: f"{number(costs[name])} B by {TRANSPORTS[name].label}")
    return (
        f" Polls are cheap where ticks share an answer: a tick of {payload_bytes} B that a browser asks for "
        f"alone takes {told}."
        if told
        else ""
    )


def _clients(run: Run) -> str:
    """Tell the capacities by the library that most protocols are served by: the others differ in more."""
    found = capacities(telling(run.trials_of("clients")))
    if not len(found):
        return ""
    fresh = found[found["latency_limit_ms"] == found["latency_limit_ms"].min()]
    if fresh["transport"].duplicated().any():
        return ""
    by_library: dict[str, dict[str, Interval]] = {}
    for name, own in fresh.groupby("transport", sort=False):
        library = TRANSPORTS[str(name)].library
        by_library.setdefault(library, {})[str(name)] = estimate(own, "capacity_clients")
    library, served = max(by_library.items(), key=lambda item: len(item[1]))
    counts = {name: capacity.estimate for name, capacity in served.items()}

    def words(name: str) -> str:
        return f"{capacity_words(served[name])} by {_protocol(fresh, name)}"

    told = _listed(counts, words, most=True)
    if not told:
        return ""
    limit_ms = fresh["latency_limit_ms"].iloc[0]
    sentence = (
        f"**How many clients?** With {library} for all, one process serves, within {limit_ms:g} ms: {told}."
    )
    gains = _library_gains(by_library)
    if gains:
        best, name = max((gain, name) for name, gain in gains.items())
        sentence += (
            f" The library matters too: with {TRANSPORTS[name].library} it is {number(best)}× as many by "
            f"{TRANSPORTS[name].protocol_label} as with {library}."
        )
    return sentence


def _library_gains(by_library: Mapping[str, Mapping[str, Interval]]) -> dict[str, float]:
    """Return, for each server by another library, how many times as many clients it serves as by the first.

    Only of capacities that are known on both sides, and only where they differ for sure: their intervals
    do not touch.
    """
    first = max(by_library.values(), key=len)
    of_protocol = {TRANSPORTS[name].protocol: capacity for name, capacity in first.items()}
    gains = {}
    for served in by_library.values():
        for name, capacity in served.items():
            usual = of_protocol.get(TRANSPORTS[name].protocol)
            if served is first or usual is None or not usual.high < capacity.low < capacity.high < math.inf:
                continue
            gains[name] = capacity.estimate / usual.estimate
    return gains


def _protocol(trials: pd.DataFrame, name: str) -> str:
    own = trials[trials["transport"] == name]
    return f"{TRANSPORTS[name].protocol_label} {each(own.iloc[0].to_dict())}".rstrip()
