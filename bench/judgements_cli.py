"""The commands that hold a run against published figures and against the notes' claims. Words only."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.judge import claims as notes
from bench.judge.claim_judges import FAILS, HOLDS
from bench.judge.claim_judges import WITHIN_LIMITS as HOLDS_WITHIN_LIMITS
from bench.judge.literature import (
    FALLS,
    PUBLICATIONS,
    STANDS,
    WITHIN_LIMITS,
    Judgement,
    Publication,
    as_record,
)
from bench.report.terminal import new_console, print_table
from bench.results.evidence import Evidence
from bench.results.run import Run, find_run

STYLES = {
    STANDS: "green",
    HOLDS: "green",
    WITHIN_LIMITS: "yellow",
    HOLDS_WITHIN_LIMITS: "yellow",
    FALLS: "red",
    FAILS: "red",
}

RunArgument = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's name or path; the newest.")]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the runs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def literature(
    name: RunArgument = None, results: ResultsOption = Path("results"), as_json: JsonOption = False
) -> None:
    """Hold published figures against a run: what they say, what is measured, and whether they stand."""
    run = Run.open(find_run(results, name))
    evidence = Evidence(run.trials)
    judged = [(publication, publication.judged_by(evidence)) for publication in PUBLICATIONS]
    out = new_console()
    if as_json:
        out.print_json(json.dumps([as_record(*pair) for pair in judged]), ensure_ascii=True)
        return
    out.print(f"Published figures, held against run {run.folder.name}", highlight=False, markup=False)
    for publication, judgement in judged:
        _print_publication(publication, judgement, out)
    _print_count([judgement.verdict for _, judgement in judged], out)


def claims(
    name: RunArgument = None, results: ResultsOption = Path("results"), as_json: JsonOption = False
) -> None:
    """Hold the claims of the course's notes against a run: verdict, and a sentence computed from it."""
    run = Run.open(find_run(results, name))
    entries = notes.ledger(run)
    out = new_console()
    if as_json:
        out.print_json(json.dumps([entry._asdict() for entry in entries]), ensure_ascii=True)
        return
    out.print(f"The claims of the notes, held against run {run.folder.name}", highlight=False, markup=False)
    for entry in entries:
        print_entry(entry, out)
    _print_count([entry.verdict for entry in entries], out)


def print_entry(entry: notes.Entry, out: Console) -> None:
    """Print a claim, its verdict, what a specification says of it, and what is right in it."""
    out.print(Text.assemble("\n", (f"{entry.name}: ", "bold"), entry.text))
    _print_verdict(entry.verdict, entry.sentence, entry.doubt, out)
    for label, words in (("Specified: ", entry.specification), ("Right in it: ", entry.right)):
        if words:
            out.print(Padding(Text.assemble((label, "dim"), words), (0, 0, 0, 2), expand=False))


def _print_publication(publication: Publication, judgement: Judgement, out: Console) -> None:
    """Print a published figure, what is easily overlooked, our table, and the verdict."""
    out.print(
        Text.assemble(
            (f"\n{publication.authors} ({publication.year}): {publication.title}", "bold"),
            (f"\n{publication.where} · {publication.obtained}", "dim"),
        )
    )
    for label, words in (("In our words: ", publication.figure), ("Mind: ", publication.trap)):
        out.print(Padding(Text.assemble((label, "dim"), words), (0, 0, 0, 2)))
    if judgement.rows:
        table = Table()
        for place, heading in enumerate(judgement.headings):
            numeric = all(row[place][:1].isdigit() for row in judgement.rows)
            table.add_column(heading, justify="right" if numeric else "left")
        for row in judgement.rows:
            table.add_row(*row)
        print_table(table, out)
    _print_verdict(judgement.verdict, judgement.ours, judgement.doubt, out)


def _print_verdict(verdict: str, sentence: str, doubt: str, out: Console) -> None:
    """Print a verdict in its colour, the sentence, and what is doubtful."""
    words = (verdict, STYLES.get(verdict, "dim")), f": {sentence}" if sentence else "."
    out.print(Padding(Text.assemble("→ ", *words), (0, 0, 0, 2), expand=False))
    if doubt:
        out.print(Padding(Text(f"? {doubt}", style="yellow"), (0, 0, 0, 2)))


def _print_count(verdicts: Sequence[str], out: Console) -> None:
    """Print how often each verdict was given."""
    out.print(
        f"\n{len(verdicts)} in all: {', '.join(f'{what} {n}' for what, n in Counter(verdicts).items())}"
    )


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(literature)
    app.command()(claims)
