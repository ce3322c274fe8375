"""What ``bench literature`` and ``bench claims`` print: what was said, our figures, and the verdict."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.judge.claim_judges import FAILS, HOLDS
from bench.judge.claim_judges import WITHIN_LIMITS as HOLDS_WITHIN_LIMITS
from bench.judge.claims import Entry
from bench.judge.literature import FALLS, STANDS, WITHIN_LIMITS, Judgement, Publication
from bench.report.terminal import print_table

STYLES = {
    STANDS: "green",
    HOLDS: "green",
    WITHIN_LIMITS: "yellow",
    HOLDS_WITHIN_LIMITS: "yellow",
    FALLS: "red",
    FAILS: "red",
}


def print_publications(judged: Sequence[tuple[Publication, Judgement]], out: Console) -> None:
    """Print published figures with our own, and how many of each verdict there are."""
    for publication, judgement in judged:
        _print_publication(publication, judgement, out)
    _print_count((judgement.verdict for _, judgement in judged), out)


def print_ledger(entries: Sequence[Entry], out: Console) -> None:
    """Print claims with their verdicts, and how many of each verdict there are."""
    for entry in entries:
        print_entry(entry, out)
    _print_count((entry.verdict for entry in entries), out)


def print_entry(entry: Entry, out: Console) -> None:
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


def _print_count(verdicts: Iterable[str], out: Console) -> None:
    """Print how often each verdict was given."""
    counts = Counter(verdicts)
    out.print(f"\n{counts.total()} in all: {', '.join(f'{verdict} {n}' for verdict, n in counts.items())}")
