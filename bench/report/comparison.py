"""What ``bench compare`` prints: what chance gives, tables of B/A, differences in words, what to mind."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.columns.fields import AXES, DECISIVE, is_ordinary
from bench.columns.words import heading, heading_words
from bench.experiments.catalogue import EXPERIMENTS
from bench.judge.compare import SMALLEST_RELEVANT, Chance, Comparison, Key, none_if_nan
from bench.report.terminal import print_table
from bench.results.run import Run
from bench.results.statistics import Interval
from bench.scenario import FIELDS
from bench.transports import TRANSPORTS
from bench.wording import number

MARKS = {"differs": "≠", "perhaps": "~", "slight": "≈", "equal": "=", "alike": "", "unknown": ""}
OF_THE_MOMENT = ("load_average",)
"""Facts of the environment that differ between any two runs, and say nothing of the machine."""
OF_THE_TRIALS = ("event_loop", "stamped_by", "congestion_used")
"""Columns of the trials that tell what a run was measured with."""
FACTS = {"system": "kernel", "python": "Python", "git_commit": "commit of this project"}
"""Words for facts whose name does not tell."""


def print_comparison(
    comparisons: Sequence[Comparison], chance: Chance | None, console: Console, notes: Sequence[str] = ()
) -> None:
    """Print what chance gives, a table of B/A per experiment, each difference in words, and notes."""
    if chance is not None:
        console.print(lead(chance), highlight=False)
    for name, against in itertools.product(EXPERIMENTS, dict.fromkeys(each.against for each in comparisons)):
        chosen = [each for each in comparisons if name in each.experiments and each.against == against]
        if chosen:
            divided = f", divided by {TRANSPORTS[against].label} of the same run" if against else ""
            console.print(Text.assemble("\n", (name, "bold"), f": B/A{divided}"))
            print_table(_table(name, chosen), console)
    console.print(
        "≠ differs   ~ perhaps   ≈ surely, but slightly   = identical in all trials   ? a trial was suspect",
        style="dim",
    )
    for each in comparisons:
        if each.verdict == "differs":
            console.print(f"≠ {describe(each)}", highlight=False)
    console.print(f"→ {summary(comparisons)}", highlight=False)
    for note in notes:
        console.print(note, style="yellow", highlight=False, markup=False)


def lead(chance: Chance) -> str:
    """Say how many intervals exclude 1, and how many would if the runs were alike."""
    return (
        f"Of {chance.tested} figures that vary from trial to trial, {chance.excluding} have a 95 % interval "
        f"without 1; if the runs were alike, chance alone would give {number(chance.mean)} ± "
        f"{number(chance.sd)} (as many in {_percent(chance.as_many)} of the ways to deal their blocks out)."
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.0095 else f"{share * 100:.1g} %"


def describe(comparison: Comparison) -> str:
    """Return a comparison in words."""
    scenario, ratio = comparison.scenario, comparison.ratio
    where = TRANSPORTS[scenario["transport"]].label
    told = [
        f"{name} {scenario[name]}"
        for name in FIELDS
        if scenario[name] is not None and (name in DECISIVE or not is_ordinary(name, scenario[name]))
    ]
    where = ", ".join([where, *told])
    figure = heading_words(comparison.figure)
    over = f" over {TRANSPORTS[comparison.against].label}'s" if comparison.against else ""
    return (
        f"{where}: {figure}{over} {number(comparison.a.estimate)} → {number(comparison.b.estimate)} "
        f"({number(ratio.estimate)}×, from {number(ratio.low)} to {number(ratio.high)})"
    )


def summary(comparisons: Sequence[Comparison]) -> str:
    """Return how many figures differ, and what became of the others."""
    count = {verdict: sum(each.verdict == verdict for each in comparisons) for verdict in MARKS}
    sentence = (
        f"Of {len(comparisons)} figures, {count['differs']} differ by {SMALLEST_RELEVANT - 1:.0%} or more, "
        f"all comparisons allowed for (Holm); {count['perhaps']} perhaps, {count['slight']} slightly, "
        f"{count['alike']} show no difference, {count['equal']} are identical"
    )
    if count["unknown"]:
        sentence += f"; {count['unknown']} cannot be judged, for want of a second trial or because of zeros"
    return sentence + "."


def as_records(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return comparisons for JSON: intervals as objects, NaN as null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Interval):
            return {name: plain(bound) for name, bound in value._asdict().items()}
        return none_if_nan(value)

    return [{name: plain(value) for name, value in each._asdict().items()} for each in comparisons]


def _table(experiment: str, comparisons: Sequence[Comparison]) -> Table:
    rows: dict[Key, dict[str, Comparison]] = {}
    for each in comparisons:
        rows.setdefault(tuple(each.scenario.items()), {})[each.figure] = each
    axes = [axis for axis in AXES if len({dict(key).get(axis) for key in rows} - {None}) > 1]
    found = {each.figure for each in comparisons}
    figures = [name for name in EXPERIMENTS[experiment].columns if name in found]
    table = Table()
    for name in ["transport", *axes, *figures]:
        table.add_column(heading(name), justify="left" if name == "transport" else "right")
    for key, cells in rows.items():
        scenario, transport = dict(key), TRANSPORTS[dict(key)["transport"]]
        table.add_row(
            Text(transport.label, style=transport.colour),
            *("" if scenario[axis] is None else f"{scenario[axis]}" for axis in axes),
            *(_cell(cells[figure]) if figure in cells else "" for figure in figures),
        )
    return table


def _cell(comparison: Comparison) -> str:
    ratio, mark = comparison.ratio, "?" if comparison.suspect else ""
    if comparison.verdict == "equal":
        return f"={mark}"
    if math.isnan(ratio.estimate):
        return f"–{mark}"
    told = f"{ratio.estimate:.3f}" if 0.9 < ratio.estimate < 1.1 else number(ratio.estimate)
    if ratio.low > 0:
        factor = math.sqrt(ratio.high / ratio.low)
        told += f" ×{number(factor)}" if factor > 2 else f" ±{(factor - 1) * 100:.2g}%"
    return f"{told}{mark} {MARKS[comparison.verdict]}".rstrip()


def notes(run_a: Run, run_b: Run) -> list[str]:
    """Return what to mind when two runs are compared: of which machines they are, and with what measured."""
    told = []
    machines = [_machine(run) for run in (run_a, run_b)]
    if machines[0] != machines[1]:
        told.append(
            f"The runs are of different machines (A: {machines[0]}; B: {machines[1]}): absolute times and "
            "CPU figures do not travel. Counts do; what is divided by a transport of the same run "
            "travels better than times, but not unchanged."
        )
    else:
        told.append(
            "The intervals tell what varies within a run. Another run of the same machine may differ by "
            "more: to tell a change from another hour, measure each side in several runs."
        )
    differing = list(_differing(_measured_with(run_a), _measured_with(run_b), "not recorded"))
    older = [run for run in (run_a, run_b) if "process_environment" not in run.facts]
    if not older:
        differing += _differing(_passed_on(run_a), _passed_on(run_b), "not set")
    if differing:
        told.append(f"The runs also differ in: {'; '.join(differing)}.")
    told += [
        f"Run {name} ({run.folder.name}) is older: it did not record the environment of its processes, which "
        "can change its figures (PYTHONASYNCIODEBUG, say)."
        for name, run in (("A", run_a), ("B", run_b))
        if run in older
    ]
    return told


def _machine(run: Run) -> str:
    environment = run.facts.get("environment", {})
    return f"{environment.get('cpu', 'unknown')}, {environment.get('cores', '?')} cores"


def _measured_with(run: Run) -> dict[str, str]:
    """Return every recorded fact beside processor and cores that may change a figure, in words."""
    environment = dict(run.facts.get("environment", {}))
    libraries = environment.pop("libraries", {})
    facts = {
        name: value for name, value in environment.items() if name not in ("cpu", "cores", *OF_THE_MOMENT)
    }
    facts |= libraries
    for column in OF_THE_TRIALS:
        facts[column] = " and ".join(sorted({str(row[column]) for row in run.rows if row.get(column)}))
    told = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in facts.items()
        if value not in (None, "")
    }
    return told


def _passed_on(run: Run) -> dict[str, str]:
    """Return the environment of a run's processes, by words that tell what it is."""
    return {
        f"environment variable {name}": str(value)
        for name, value in run.facts.get("process_environment", {}).items()
    }


def _differing(a: Mapping[str, str], b: Mapping[str, str], otherwise: str) -> Iterator[str]:
    for name in dict.fromkeys([*a, *b]):
        values = a.get(name, otherwise), b.get(name, otherwise)
        if values[0] != values[1]:
            yield f"{FACTS.get(name, name.replace('_', ' '))} (A: {values[0]}; B: {values[1]})"
