"""The commands of the course: notebooks, slides and grading. Words only, as in cli.py."""

from pathlib import Path
from typing import Annotated

import typer

from bench.grading.report import grade_files
from bench.grading.supervise import TIME_LIMIT_S
from bench.notebooks import open_lab
from bench.slides import build_decks
from bench.terminal import new_console


def notebooks(context: typer.Context) -> None:
    """Open the course's notebooks in JupyterLab; Ctrl-C stops it. More options go to JupyterLab."""
    raise typer.Exit(open_lab(context.args))


def slides(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Notebooks, such as 01; all.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("slides"),
) -> None:
    """Make slides of the notebooks: one HTML file each, with speaker notes, that needs no network."""
    for deck in build_decks(names or (), output):
        typer.echo(deck)
    typer.echo(f"All: {output / 'index.html'} (in a deck, S opens the speaker's view)")


def grade(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="A client or server; or both, which are then tried as a pair."),
    ],
    time_limit_s: Annotated[float, typer.Option(help="Real time for each check.")] = TIME_LIMIT_S,
) -> None:
    """Check a student's client or server against the rules that every transport keeps."""
    passed = grade_files(files, new_console(), time_limit_s=time_limit_s)
    raise typer.Exit(0 if passed else 1)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(notebooks)
    app.command()(slides)
    app.command()(grade)
