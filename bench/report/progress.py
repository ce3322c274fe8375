"""What a person sees while a run goes on: time left, first figures after a block, and how they narrow."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bench.experiments.catalogue import EXPERIMENTS
from bench.measure.place import Places, choose_places
from bench.measure.schedule import Planned, Step, execute, planned_s
from bench.report.summary import print_run
from bench.report.tables import spread
from bench.results.run import Run
from bench.scenario import Scenario
from bench.theory.distance import least_mbit
from bench.wording import number

WIDEST_FACTOR = 10.0
"""Beyond it how wide an interval is says nothing: two trials that differ have one of thousands."""


def run_watched(run: Run, planned: Sequence[Planned], out: Console, err: Console, *, quiet: bool) -> bool:
    """Run the planned trials, with progress on ``err`` and provisional tables on ``out``.

    Args:
        run: The run, new or to be gone on with.
        planned: All of its trials.
        out: For results.
        err: For everything else.
        quiet: Print no provisional tables.

    Returns:
        Whether it came to its end; after Ctrl-C it did not, and what is measured is kept.
    """
    blocks = max(each.repeat for each in planned)
    places = choose_places()
    err.print(_announcement(planned, blocks, places), highlight=False)
    if warning := _too_narrow(planned):
        err.print(warning, highlight=False, soft_wrap=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]} left"),
        console=err,
        refresh_per_second=1,  # it runs on the swarm's core
        transient=True,
        disable=not err.is_terminal,
    )
    task = progress.add_task("starting", total=len(planned), left="")
    try:
        with progress:
            for step in execute(run, planned, places=places):
                progress.update(task, description=_describe(step), completed=_measured(run), left=_left(step))
                if step.block_done and step.planned.repeat < blocks and not quiet:
                    progress.stop()
                    _print_block(run, step.planned.repeat, blocks, out, err)
                    progress.start()
    except KeyboardInterrupt:
        err.print(
            f"\nInterrupted: {_measured(run)} of {len(planned)} trials are measured and kept; "
            f"go on with: bench run --resume {run.folder}",
            highlight=False,
            soft_wrap=True,
        )
        return False
    return True


def _announcement(planned: Sequence[Planned], blocks: int, places: Places) -> str:
    minutes = max(1, round(planned_s(planned) / 60))
    pinned = f"server on core {places.subject.core}, swarm on core {places.load.core}"
    if places.subject.core is None:
        pinned = "server and swarm are not pinned: there is one core, or the system cannot"
    count = len(planned)
    return (
        f"{count} trial{'s' if count > 1 else ''} in {blocks} block{'s' if blocks > 1 else ''}, "
        f"about {minutes} minute{'s' if minutes > 1 else ''}; {pinned}"
    )


def _too_narrow(planned: Sequence[Planned]) -> str:
    """Return a warning of the links that cannot carry their ticks, by theory of bytes; nothing if all can."""
    over = [
        each.scenario
        for each in planned
        if _needed_mbit(each.scenario) > (each.scenario.rate_mbit or math.inf)
    ]
    if not over:
        return ""
    worst = max(over, key=_needed_mbit)
    return (
        f"Warning: in {len(over)} of these trials the link cannot carry the ticks: they come late or never. "
        f"{worst.clients} clients × {worst.rate_hz:g} Hz × {worst.payload_bytes} B are "
        f"{number(_needed_mbit(worst))} Mbit/s without any header, and it carries {worst.rate_mbit:g}: "
        "set a larger rate_mbit, or fewer clients or ticks."
    )


def _needed_mbit(scenario: Scenario) -> float:
    """Return what the ticks of a scenario need at least; 0 where they may be left out or compressed."""
    if scenario.contract != "every" or scenario.compression or scenario.plan == "replay":
        return 0.0
    return least_mbit(scenario.payload_bytes, scenario.clients, scenario.rate_hz)


def _measured(run: Run) -> int:
    return len({row["trial_number"] for row in run.rows})


def _describe(step: Step) -> str:
    scenario = step.planned.scenario
    return f"{scenario.transport}, {scenario.clients} clients, {scenario.rate_hz:g} Hz"


def _left(step: Step) -> str:
    return f"{int(step.left_s) // 60}:{int(step.left_s) % 60:02d}"


def _print_block(run: Run, block: int, blocks: int, out: Console, err: Console) -> None:
    """Print all tables after the first block; after the others, how narrow the intervals have become."""
    if block == 1:
        print_run(run, out, provisional=True)
        return
    widths = {name: spread(run, EXPERIMENTS[name]) for name in run.facts["experiments"]}
    told = ", ".join(f"{name} {_width_words(width)}" for name, width in widths.items() if width >= 0)
    err.print(
        f"After block {block} of {blocks}, the typical 95 % interval of the first figure is: {told}",
        highlight=False,
    )


def _width_words(width: float) -> str:
    """Write a relative half-width: ± in percent, × where it reaches beyond double, as tables do."""
    factor = 1 + width
    if factor > WIDEST_FACTOR:
        return f"over ×{WIDEST_FACTOR:g}"
    return f"×{number(factor)}" if factor > 2 else f"±{width:.0%}"
