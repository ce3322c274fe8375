"""The program ``bench``: its commands in the order of its help, and how it ends.

A command imports what it needs when it is called, because pandas, scipy and matplotlib take a second, which
``bench list`` and ``bench --help`` need not wait for.
"""

import importlib.metadata
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bench.commands import distance, judge, look, measure, teach
from bench.commands.arguments import FAILED, USAGE, Commands, complain, out
from bench.report.terminal import replace_missing_signs

OTHERS_OPTIONS: dict[str, Any] = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}
}
"""For commands that hand on what they do not know to another program."""
COMMANDS: dict[str, list[tuple[str, Callable[..., None], dict[str, Any]]]] = {
    "Measure": [
        ("run", measure.run, {}),
        ("list", look.list_, {}),
        ("doctor", measure.doctor, {}),
    ],
    "Read a run": [
        ("show", look.show, {}),
        ("report", look.report, {}),
        ("plot", look.plot, {}),
        ("compare", judge.compare, {}),
        ("claims", judge.claims, {}),
        ("literature", judge.literature, {}),
        ("export", measure.export, {}),
    ],
    "See it happen": [
        ("watch", look.watch, {}),
        ("wire", look.wire, {}),
        (
            "serve",
            look.serve,
            {"context_settings": {**OTHERS_OPTIONS["context_settings"], "help_option_names": []}},
        ),
        ("link", distance.link, OTHERS_OPTIONS),
    ],
    "Teach": [
        ("notebooks", teach.notebooks, OTHERS_OPTIONS),
        ("slides", teach.slides, {}),
        ("grade", teach.grade, {}),
    ],
}
"""What is typed, by what it is for: name, function, settings."""

app = typer.Typer(
    cls=Commands,
    help="Measure real-time web transports: how fresh is what they bring, and what does it cost?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for purpose, commands in COMMANDS.items():
    for name, command, settings in commands:
        app.command(name, rich_help_panel=purpose, **settings)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"bench {importlib.metadata.version('realtime-transports')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before any command."""


def main() -> None:
    """Run the command line; every expected fault is one sentence and an exit code, never a traceback."""
    replace_missing_signs()
    try:
        app()
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        complain(str(error), code)


def exit_code(error: Exception) -> int | None:
    """Return the exit code of an expected fault, or None if it is a fault of this program."""
    from bench.course.grading.submission import SubmissionError
    from bench.course.notebooks import NotebooksError, UnknownNotebook
    from bench.measure.processes import TrialFailed
    from bench.network.link import LinkError
    from bench.network.namespaces import BoxUnavailable
    from bench.results.files import ResultsError
    from bench.scenario import ScenarioError
    from clients.load.stream import AddressError
    from clients.sockets.tls_socket import CertificateError
    from servers.workloads.recording import RecordingError

    if isinstance(
        error,
        SubmissionError
        | ScenarioError
        | LinkError
        | RecordingError
        | AddressError
        | CertificateError
        | UnknownNotebook,
    ):
        return USAGE
    expected = ResultsError | TrialFailed | BoxUnavailable | NotebooksError | OSError
    return FAILED if isinstance(error, expected) else None
