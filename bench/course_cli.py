"""The commands of the course: notebooks, slides and grading. Words only, as in cli.py."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.course.grading.report import grade_and_report
from bench.course.grading.supervise import TIME_LIMIT_S
from bench.course.notebooks import open_lab
from bench.course.slides import build_decks
from bench.terminal import new_console

Format = Literal["text", "json", "junit", "gradescope"]


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
        typer.Argument(
            metavar="FILE…", help="Clients and servers; a client and a server are tried as a pair, too."
        ),
    ],
    format_: Annotated[Format, typer.Option("--format", help="What is printed.")] = "text",
    output: Annotated[
        Path | None, typer.Option(help="Folder for one report a file; only rows and a summary are printed.")
    ] = None,
    time_limit_s: Annotated[float, typer.Option(help="Real time for each check.")] = TIME_LIMIT_S,
    jobs: Annotated[int | None, typer.Option(min=1, help="Files at the same time; one a core.")] = None,
) -> None:
    """Check students' clients and servers against the rules that every transport keeps."""
    results = grade_and_report(
        files, new_console(), format_=format_, folder=output, time_limit_s=time_limit_s, jobs=jobs
    )
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(notebooks)
    app.command()(slides)
    app.command()(grade)
