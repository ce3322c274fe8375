"""What comes after the last trial: the page of a run, with its figures, and a browser that shows it.

A run that is measured is worth more than its page: whatever goes wrong here is told in a sentence, and
changes neither the run nor its exit code.
"""

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import typer

from bench.commands.arguments import err
from bench.results.run import Run
from servers.interrupts import INTERRUPTED


def write_page_of(run: Run) -> Path | None:
    """Write the figures and the page of a run; say so if that fails, and return None.

    Raises:
        typer.Exit: After Ctrl-C.
    """
    again = f"the run is whole; its page is written by: bench report {run.folder}"
    try:
        from bench.report.matplotlib_start import start_matplotlib

        start_matplotlib()
        from bench.report.page import write_page

        return write_page(run)
    except Exception as error:  # of whichever library: what is measured is not to be lost by a figure
        why = str(error) or type(error).__name__
        err.print(f"No page: {why}; {again}", style="yellow", markup=False, soft_wrap=True)
        return None
    except KeyboardInterrupt:
        err.print(f"No page: interrupted; {again}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def open_page(path: Path) -> None:
    """Show a page in the browser; where there is none to be seen, say so."""
    why = why_not_opened(os.environ, sys.platform)
    if why is None and not webbrowser.open(path.resolve().as_uri()):
        why = "no browser was found"
    if why is not None:
        err.print(f"The page is not opened: {why}", soft_wrap=True)


def why_not_opened(environment: Mapping[str, str], platform: str) -> str | None:
    """Return why no browser can be seen from here; None if one can.

    Args:
        environment: Of this process. ``BROWSER`` names one that needs no display.
        platform: As ``sys.platform`` says it.
    """
    if environment.get("CI"):
        return "nobody looks on in CI"
    if environment.get("BROWSER") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(environment):
        return None
    if {"SSH_CONNECTION", "SSH_TTY"} & set(environment):
        return "a shell over ssh has no display"
    return "there is no display" if platform.startswith("linux") else None
