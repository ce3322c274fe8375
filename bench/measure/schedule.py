"""All trials of a run: each distinct scenario once per repeat, in blocks, shuffled, resumable.

What needs no repeats (exact counts) is measured in one block only, what needs few in the first blocks, and
searches, which take long, in the last, so that the first tables come early.
"""

import contextlib
import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.experiments.catalogue import EXPERIMENTS
from bench.fields import Kind
from bench.measure.place import Places, choose_places
from bench.measure.processes import TrialFailed
from bench.measure.trial import Trial, run_trial
from bench.measure.two_writes import measure_two_writes
from bench.results.capacity import Search, Tried, is_disturbed, next_clients, tried
from bench.results.files import RUN_JSON, ResultsError
from bench.results.run import TWO_WRITES, Run
from bench.results.trials import stands
from bench.results.validity import INVALID, Fault
from bench.scenario import FIELDS, PROFILES, Scenario
from bench.transports import TRANSPORTS
from servers.variants import all_names
from servers.workloads.recording import recording_digest

ATTEMPTS = 2
SEARCH_PATIENCE_S, SEARCH_PATIENCE_FACTOR = 3.0, 2.0
"""A search for capacity does not wait long for clients to get in: a server that lets none in is full."""


class Planned(NamedTuple):
    """A trial to be run: its place in the run, its block, and which experiments it is for.

    With ``search`` it is many trials, of more and fewer clients than the scenario says.
    """

    order: int
    repeat: int
    experiments: tuple[str, ...]
    scenario: Scenario
    seed: int
    search: Search | None = None


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
    blocks = PROFILES[profile].repeats
    wanted: dict[_What, _Wanted] = {}
    for name in experiments:
        for design in EXPERIMENTS[name].designs(PROFILES[profile]):
            for scenario in design.scenarios(transports, overrides):
                search = None if "clients" in overrides else design.search  # given, not to be found
                found = wanted.setdefault((scenario, search), _Wanted())
                found.experiments[name] = None
                found.repeats = max(found.repeats, min(design.repeats or blocks, blocks))
    begins = _first_blocks(wanted, blocks)
    rng = random.Random(seed)
    planned: list[Planned] = []
    for repeat in range(1, blocks + 1):
        block = [
            (*what, tuple(found.experiments))
            for what, found in wanted.items()
            if begins[what] <= repeat < begins[what] + found.repeats
        ]
        rng.shuffle(block)
        for scenario, search, names in block:
            seed_of_trial = rng.randrange(2**31)
            planned.append(Planned(len(planned) + 1, repeat, names, scenario, seed_of_trial, search))
    return planned


_What = tuple[Scenario, Search | None]


@dataclasses.dataclass
class _Wanted:
    """Which experiments want a scenario, or a search, and how many trials are enough for all of them."""

    experiments: dict[str, None] = dataclasses.field(default_factory=dict)
    repeats: int = 0


def _first_blocks(wanted: Mapping[_What, _Wanted], blocks: int) -> dict[_What, int]:
    """Return with which block each scenario begins, and each search.

    Searches are in the last blocks. What is measured once is dealt out, experiment by experiment as they are
    taught, so that blocks take about equally long, and the first tables come early. All else begins at once.
    """
    begins = {what: 1 if what[1] is None else blocks + 1 - found.repeats for what, found in wanted.items()}
    takes_s = {what: _takes_s(*what) for what in wanted}
    left_s = [0.0] * blocks
    once: dict[str, list[_What]] = {}
    for what, found in wanted.items():
        if found.repeats == 1 and what[1] is None:
            once.setdefault(next(iter(found.experiments)), []).append(what)
        else:
            for block in range(begins[what], begins[what] + found.repeats):
                left_s[block - 1] -= takes_s[what]
    share_s = sum(takes_s[what] * found.repeats for what, found in wanted.items()) / blocks
    left_s = [share_s + each_s for each_s in left_s]
    block = 1
    for group in once.values():
        while block < blocks and left_s[block - 1] < sum(takes_s[what] for what in group) / 2:
            block += 1
        for what in group:
            begins[what] = block
            left_s[block - 1] -= takes_s[what]
    return begins


def digests(planned: Sequence[Planned]) -> dict[str, Any]:
    """Return the SHA-256 of a plan, and of each recording that it replays, for run.json.

    Transports count by their first names, so that a run can be gone on with after one got another.

    Raises:
        RecordingError: If a recording cannot be read.
    """
    trials = [
        [
            *each[:3],
            {**dataclasses.asdict(each.scenario), "transport": all_names(each.scenario.transport)[0]},
            each.seed,
            each.search and dataclasses.asdict(each.search),
        ]
        for each in planned
    ]
    recordings = sorted({each.scenario.recording for each in planned if each.scenario.recording is not None})
    return {
        "plan": hashlib.sha256(json.dumps(trials).encode()).hexdigest(),
        "recordings": {name: recording_digest(Path(name)) for name in recordings},
    }


def plan_again(run: Run) -> list[Planned]:
    """Plan a run that is to be gone on with, as it was planned when it began.

    Raises:
        RecordingError: If a recording cannot be read.
        ResultsError: If a recording or the plan is another by now: one run would then hold two markets, or
            count trials as done that were none of these. Runs before schema 4 cannot tell.
    """
    facts, place = run.facts, run.files.place(RUN_JSON)
    for what, known in (("experiments", EXPERIMENTS), ("transports", TRANSPORTS), ("overrides", FIELDS)):
        unknown = [name for name in facts[what] if name not in known]
        if unknown:
            raise ResultsError(f"{place}: {what} names {unknown[0]!r}, which this program does not have")
    for name, values in facts["overrides"].items():
        if not all(_is_of_field(name, value) for value in values):
            raise ResultsError(f"{place}: overrides has {values!r} for {name}; restore it as bench wrote it")
    began = facts.get("digests")
    for name, digest in began["recordings"].items() if began else ():
        if recording_digest(Path(name)) != digest:
            raise ResultsError(
                f"{name} is not the recording that run {run.folder.name} began with, and one run holds one "
                "market; restore it, or measure anew"
            )
    planned = plan_run(
        facts["experiments"], facts["transports"], facts["profile"], facts["seed"], facts["overrides"]
    )
    if began and digests(planned)["plan"] != began["plan"]:
        commit = facts.get("environment", {}).get("git_commit")
        raise ResultsError(
            f"run {run.folder.name} was begun with other trials than this program plans by now"
            + (f" (it was commit {commit})" if commit else "")
            + "; go on with the program that began it, or measure anew"
        )
    return planned


def measure_beside(run: Run, planned: Iterable[Planned]) -> None:
    """Measure what a run has beside its trials, once, and keep it in run.json; an older run gets it too.

    Where it cannot be measured the run goes on without it.

    Raises:
        ResultsError: If it cannot be written.
    """
    wanted = {name for each in planned for name in each.experiments if EXPERIMENTS[name].two_writes}
    if wanted and TWO_WRITES not in run.facts:
        with contextlib.suppress(OSError):
            run.facts[TWO_WRITES] = measure_two_writes()
            run.write()


def _is_of_field(name: str, value: Any) -> bool:
    """Return whether a value is of the type of a scenario's field; a whole number will do for a number."""
    field = FIELDS[name]
    if value is None:
        return field.may_be_none
    kinds = {bool: [Kind.FLAG], int: [Kind.WHOLE, Kind.NUMBER], float: [Kind.NUMBER], str: [Kind.WORD]}
    return field.kind in kinds.get(type(value), [])


def planned_s(planned: Iterable[Planned]) -> float:
    """Return how long these trials should take."""
    return sum(_planned_s(each) for each in planned)


def _planned_s(each: Planned) -> float:
    return _takes_s(each.scenario, each.search)


def _takes_s(scenario: Scenario, search: Search | None) -> float:
    """Return how long a trial takes, or a search.

    How large the trials of a search are is not known before: the first is, the others are as is usual.
    """
    if search is None:
        return scenario.planned_s
    first, usual = (
        dataclasses.replace(scenario, clients=min(clients, search.most)).planned_s
        for clients in (search.start, search.usual)
    )
    return first + (search.steps - 1) * usual


def execute(
    run: Run,
    planned: Sequence[Planned],
    *,
    places: Places | None = None,
    trial: Callable[..., Trial] = run_trial,
) -> Iterator[Step]:
    """Run the planned trials that the run does not have yet; write each; yield before and after each.

    A trial that fails is written too, as invalid, with the reason, and the run goes on. One with a fault that
    may pass (a process that died, a stolen core) is tried once more; both attempts are kept.

    Raises:
        ResultsError: If a result cannot be written.
    """
    done = {row["trial_number"] for row in run.rows}
    todo = [each for each in planned if not _is_done(run, each, done)]
    left_s = planned_s(todo)
    for index, each in enumerate(todo):
        yield Step(each, left_s, False, None)
        if each.search is None:
            _measure(run, each, 0, places or choose_places(), trial)
        else:
            while (clients := next_clients(each.search, _steps(run, each))) is not None:
                step = len(_steps(run, each)) + 1
                several = each._replace(scenario=dataclasses.replace(each.scenario, clients=clients))
                _measure(run, several, step, places or choose_places(), trial)
                yield Step(several, left_s, False, run.rows[-1])
        left_s -= _planned_s(each)
        block_done = index + 1 == len(todo) or todo[index + 1].repeat != each.repeat
        yield Step(each, left_s, block_done, run.rows[-1])


def _is_done(run: Run, each: Planned, done: set[int]) -> bool:
    if each.search is None:
        return each.order in done
    return next_clients(each.search, _steps(run, each)) is None


def _steps(run: Run, each: Planned) -> list[Tried]:
    """Return the steps of a search that have been taken."""
    return [tried(row) for row in run.rows if row["trial_number"] == each.order and stands(row)]


def _measure(run: Run, each: Planned, step: int, places: Places, trial: Callable[..., Trial]) -> None:
    """Run one trial, once more if its fault may pass, and write each.

    Of a step of a search only the figures are kept. It is tried again if something else used the processors,
    whether it passed or failed: a second chance for failures only would lift the capacity. That its clients
    were late is what it is there to find out.
    """
    for attempt in range(1, ATTEMPTS + 1):
        finished = _attempt(each, step, attempt, places, trial)
        run.add(finished.row, *(() if step else (finished.deliveries, finished.sockets)))
        again = finished.may_pass
        if step:
            again = is_disturbed(finished.row)
        if not again:
            break


def _attempt(each: Planned, step: int, attempt: int, places: Places, trial: Callable[..., Trial]) -> Trial:
    try:
        if step:
            patience_s = SEARCH_PATIENCE_S + SEARCH_PATIENCE_FACTOR * each.scenario.connect_s
            finished = trial(
                each.scenario, seed=each.seed, places=places, connect_patience_s=patience_s, fewest_ticks=1
            )  # what a delivery costs is the median of many steps
        else:
            finished = trial(each.scenario, seed=each.seed, places=places)
    except TrialFailed as failure:
        failed = {"verdict": INVALID, "verdict_reason": Fault.FAILED, "verdict_note": str(failure)}
        finished = Trial(failed, None, may_pass=not step)
    place = {
        "experiments": " ".join(each.experiments),
        "repeat": each.repeat,
        "trial_number": each.order,
        "search_step": step,
        "attempt": attempt,
        "seed": each.seed,
        "retried": False,
    }
    return finished._replace(row={**dataclasses.asdict(each.scenario), **finished.row, **place})
