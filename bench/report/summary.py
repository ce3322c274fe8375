"""What a person reads in the terminal: one table per experiment, and one sentence computed from it."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console

from bench.columns.cells import is_set
from bench.columns.fields import SEARCHED, is_ordinary
from bench.columns.words import field_words
from bench.experiments.base import Experiment
from bench.experiments.catalogue import EXPERIMENTS
from bench.report.doubts import doubt_sentences
from bench.report.tables import experiment_table
from bench.report.terminal import print_table
from bench.results.run import FinishedRun, Run
from bench.results.scenarios import combinations, mixed_fields
from bench.results.trials import belongs, search_steps, single_trials, stands, telling
from bench.scenario import FIELDS, PROFILES, Scenario

ONCE = "Measured once (n = 1)."
NO_SENTENCE = "No sentence: what it compares was not measured, or has no valid trials."


def print_run(
    run: Run, console: Console, *, only: Sequence[str] = (), provisional: bool = False, brief: bool = False
) -> None:
    """Print the experiments of a run, or only some: table, sentence, and what is doubtful.

    Args:
        run: The run.
        console: Where to.
        only: Names of experiments; none are all.
        provisional: Say that the figures are.
        brief: Print no tables, and how many doubts there are instead of which.
    """
    run = FinishedRun(run)
    names = [name for name in run.facts["experiments"] if name in (only or run.facts["experiments"])]
    for name in names:
        trials = run.trials_of(name)
        if not len(trials):
            continue
        if name not in EXPERIMENTS:
            unknown = f"{name}: this program has no such experiment; trials.csv has its {len(trials)} trials"
            console.print(f"\n{unknown}", style="yellow")
            continue
        experiment = EXPERIMENTS[name]
        note = " (provisional, after one block)" if provisional else ""
        console.print(f"\n{name}: {experiment.question}", style="bold", end="")
        console.print(note)
        if not brief:
            table, notes = experiment_table(experiment, trials, run)
            print_table(table, console)
            for line in notes:
                console.print(line, style="dim")
        for sentence in findings(experiment, trials) or [NO_SENTENCE]:
            console.print(f"→ {sentence}")
    told = doubt_sentences(run, names)
    if brief and told:
        doubt = "1 doubt about these figures" if len(told) == 1 else f"{len(told)} doubts about these figures"
        console.print(f"\n? {doubt}: bench show says which, and why", style="yellow")
    for line in () if brief else told:
        console.print(line, style="yellow")
    again = sum(not stands(row) for row in run.rows if belongs(row, names))
    if again and not brief:
        console.print(
            f"{again} trial{'s were' if again > 1 else ' was'} measured again, in case the fault would pass; "
            "both attempts are in trials.csv",
            style="dim",
        )


def findings(experiment: Experiment, trials: pd.DataFrame) -> list[str]:
    """Return the sentences of an experiment over its valid trials; none where it has nothing to say.

    A sentence speaks of one scenario per transport beside what it holds apart itself. Where more was varied
    (by --set), there is one for each combination, and it begins by naming it. So does a sentence about fields
    that no profile of the experiment has. It ends by saying so if nothing in it was repeated. The steps of a
    search are all valid: one whose clients were not let in says that they were too many.
    """
    valid = telling(trials)
    if not len(valid):
        return []
    varied = dict.fromkeys(
        field
        for own, apart in (
            (single_trials(valid), experiment.apart),
            (search_steps(valid), (*experiment.apart, *SEARCHED)),
        )
        for field in mixed_fields(own, apart)
    )
    sentences = []
    for fields, own in combinations(valid, list(varied)):
        named = fields | _unusual(experiment, own)
        told = [
            field_words(field, named[field], alone=True)
            for field in FIELDS
            if field in named and field not in experiment.named
        ]
        if sentence := experiment.finding(own):
            before = f"With {' and '.join(told)}: " if told else ""
            sentences.append(before + sentence + (f" {ONCE}" if _is_once(own) else ""))
    return sentences


def _is_once(trials: pd.DataFrame) -> bool:
    """Return whether every scenario of these trials, of which some are no searches, was measured once."""
    own = single_trials(trials)
    return len(own) > 0 and not own.duplicated(["transport", *FIELDS]).any()


def _unusual(experiment: Experiment, trials: pd.DataFrame) -> dict[str, object]:
    """Return the fields whose one value in these trials none of the experiment's profiles asks for."""
    designs = [design for profile in PROFILES.values() for design in experiment.designs(profile)]
    defaults = [Scenario(transport) for transport in trials["transport"].unique()]
    unusual = {}
    for name in FIELDS:
        values = {value for value in trials[name] if is_set(value)}
        usual = {value for design in designs for value in design.axes.get(name, [design.fixed.get(name)])}
        if None in usual:  # some design leaves it as it is
            usual |= {getattr(scenario, name) for scenario in defaults}
            usual |= {value for value in values if is_ordinary(name, value)}  # of a link, if there is one
        if name not in ("window_s", "warmup_s") and len(values) == 1 and not values <= usual:
            (unusual[name],) = values
    return unusual
