"""The commands of the course: notebooks, slides and grading."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.commands.arguments import DONE, FAILED, out

Format = Literal["text", "json", "junit", "gradescope"]


def notebooks(context: typer.Context) -> None:
    """Open the course's notebooks in JupyterLab; Ctrl-C stops it. More options go to JupyterLab."""
    from bench.course.notebooks import open_lab

    raise typer.Exit(open_lab(context.args))


def slides(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Notebooks, such as 01; all.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder to write.")] = Path("slides"),
) -> None:
    """Make slides of the notebooks: one HTML file each, with speaker notes, that needs no network."""
    from bench.course.slides import build_decks

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
    time_limit_s: Annotated[float, typer.Option(help="Real time for each check.")] = 20.0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Files at the same time; one a core.")] = None,
) -> None:
    """Check students' clients and servers against the rules that every transport keeps."""
    from bench.course.grading.report import grade_and_report

    results = grade_and_report(
        files, out, format_=format_, folder=output, time_limit_s=time_limit_s, jobs=jobs
    )
    raise typer.Exit(DONE if all(result.passed for result in results) else FAILED)
