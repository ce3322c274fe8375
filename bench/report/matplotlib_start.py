"""Matplotlib without a screen, whatever the shell and the folder say of it."""

import os

from bench.results.files import ResultsError


def start_matplotlib() -> None:
    """Import matplotlib for drawing to files. Call it before anything imports ``bench.report.plots.figures``.

    MPLBACKEND, which a notebook's shell inherits, would have figures drawn elsewhere, or nowhere.

    Raises:
        ResultsError: If it cannot read its matplotlibrc; the text says what to do.
    """
    os.environ["MPLBACKEND"] = "agg"
    try:
        import matplotlib  # noqa: F401
    except ValueError as error:
        raise ResultsError(
            f"matplotlib cannot read its settings ({error}); mend or remove the file matplotlibrc "
            "in this folder, in that of MATPLOTLIBRC, or in ~/.config/matplotlib"
        ) from error
