"""The commands that judge a run: by another run, by published figures, and by the claims of the notes."""

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.arguments import JsonOption, ResultsOption, RunArgument, out, print_json


def compare(
    name_a: Annotated[str, typer.Argument(metavar="A", help="A run's name or path.")],
    name_b: Annotated[str, typer.Argument(metavar="B", help="Another's.")],
    results: ResultsOption = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparisons as JSON.")] = False,
) -> None:
    """Print what differs between two runs: B over A, with 95 % intervals."""
    from bench.judge.compare import compare as compare_runs
    from bench.report.comparison import as_records, notes, print_comparison
    from bench.results.run import Run, find_run

    run_a, run_b = (Run.open(find_run(results, name)) for name in (name_a, name_b))
    comparisons, chance = compare_runs(run_a, run_b)
    if as_json:
        print_json(as_records(comparisons))
        return
    print_comparison(comparisons, chance, out, notes(run_a, run_b))


def literature(
    name: RunArgument = None, results: ResultsOption = Path("results"), as_json: JsonOption = False
) -> None:
    """Hold published figures against a run: what they say, what is measured, and whether they stand."""
    from bench.judge.literature import PUBLICATIONS, as_record
    from bench.report.judgements import print_publications
    from bench.results.evidence import Evidence
    from bench.results.run import Run, find_run

    run = Run.open(find_run(results, name))
    evidence = Evidence(run.trials, run.facts)
    judged = [(publication, publication.judged_by(evidence)) for publication in PUBLICATIONS]
    if as_json:
        print_json([as_record(*pair) for pair in judged])
        return
    out.print(f"Published figures, held against run {run.folder.name}")
    print_publications(judged, out)


def claims(
    name: RunArgument = None, results: ResultsOption = Path("results"), as_json: JsonOption = False
) -> None:
    """Hold the claims of the course's notes against a run: verdict, and a sentence computed from it."""
    from bench.judge.claims import ledger
    from bench.report.judgements import print_ledger
    from bench.results.run import Run, find_run

    run = Run.open(find_run(results, name))
    entries = ledger(run)
    if as_json:
        print_json([entry._asdict() for entry in entries])
        return
    out.print(f"The claims of the notes, held against run {run.folder.name}")
    print_ledger(entries, out)
