"""All trials of a run: each distinct scenario once per repeat, in blocks, shuffled, resumable."""

import dataclasses
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.experiments import EXPERIMENTS
from bench.machine import Cores, choose_cores
from bench.processes import TrialFailed
from bench.results import Run
from bench.scenario import PROFILES, Scenario
from bench.trial import Trial, run_trial

ATTEMPTS = 2


class Planned(NamedTuple):
    """A trial to be run: its place in the run, its block, and which experiments it is for."""

    order: int
    repeat: int
    experiments: tuple[str, ...]
    scenario: Scenario
    seed: int


class Step(NamedTuple):
    """What happens while a run goes on: before a trial (``row`` is None), and after it."""

    planned: Planned
    left_s: float
    block_done: bool
    row: dict[str, Any] | None


def plan_run(
    experiments: Sequence[str],
    transports: Sequence[str],
    profile: str,
    seed: int,
    overrides: Mapping[str, Sequence[Any]],
) -> list[Planned]:
    """Plan a run: the union of what its experiments ask for, a block per repeat, each shuffled by the seed.

    Raises:
        ScenarioError: If a scenario cannot be measured; before anything has started.
    """
    wanted: dict[Scenario, list[str]] = {}
    for name in experiments:
        for design in EXPERIMENTS[name].designs(PROFILES[profile]):
            for scenario in design.scenarios(transports, overrides):
                names = wanted.setdefault(scenario, [])
                if name not in names:
                    names.append(name)
    rng = random.Random(seed)
    planned: list[Planned] = []
    for repeat in range(1, PROFILES[profile].repeats + 1):
        block = list(wanted.items())
        rng.shuffle(block)
        for scenario, names in block:
            planned.append(
                Planned(len(planned) + 1, repeat, tuple(names), scenario, seed=rng.randrange(2**31))
            )
    return planned


def planned_s(planned: Iterable[Planned]) -> float:
    """Return how long these trials should take."""
    return sum(trial.scenario.planned_s for trial in planned)


def execute(
    run: Run,
    planned: Sequence[Planned],
    *,
    cores: Cores | None = None,
    trial: Callable[..., Trial] = run_trial,
) -> Iterator[Step]:
    """Run the planned trials that the run does not have yet; write each; yield before and after each.

    A trial that fails is written too, as invalid, with the reason, and the run goes on. One with a fault that
    may pass (a process that died, a stolen core) is tried once more; both attempts are kept.

    Raises:
        ResultsError: If a result cannot be written.
    """
    done = {row["order"] for row in run.rows}
    todo = [each for each in planned if each.order not in done]
    left_s = planned_s(todo)
    for index, each in enumerate(todo):
        yield Step(each, left_s, False, None)
        for attempt in range(1, ATTEMPTS + 1):
            finished = _attempt(each, attempt, cores or choose_cores(), trial)
            run.add(finished.row, finished.deliveries)
            if not finished.passing:
                break
        left_s -= each.scenario.planned_s
        block_done = index + 1 == len(todo) or todo[index + 1].repeat != each.repeat
        yield Step(each, left_s, block_done, run.rows[-1])


def _attempt(each: Planned, attempt: int, cores: Cores, trial: Callable[..., Trial]) -> Trial:
    try:
        finished = trial(each.scenario, seed=each.seed, cores=cores)
    except TrialFailed as failure:
        failed = {"verdict": "invalid", "verdict_reason": str(failure)}
        finished = Trial({**dataclasses.asdict(each.scenario), **failed}, None, passing=True)
    place = {
        "experiment": " ".join(each.experiments),
        "repeat": each.repeat,
        "order": each.order,
        "attempt": attempt,
        "seed": each.seed,
        "replaced": False,
    }
    return finished._replace(row={**finished.row, **place})
