"""The notebooks: run them, write their outputs back in one form, open them in JupyterLab.

``python -m bench.course.notebooks`` (``make notebooks``) runs all from clean kernels, and writes the outputs.
What is written holds no times, no paths of the machine and nothing random, so running again changes only
what was measured anew.
"""

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "notebooks"
GLOB = "[0-9][0-9]_*.ipynb"
CELL_TIMEOUT_S = 60
KERNELS_AT_ONCE = 2
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python"}
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KEPT_CELL_METADATA = ("slideshow", "tags")
KEPT_METADATA = ("course",)
STOP_TIMEOUT_S = 10
INLINE = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
"""Figures of a notebook stand in it, whatever the shell says of them."""


class NotebooksError(Exception):
    """The notebooks cannot be run or opened; the text says what to do."""


class UnknownNotebook(ValueError):
    """There is no notebook of that name."""


def need_extra() -> None:
    """Check that JupyterLab and its kin are installed.

    Raises:
        NotebooksError: If they are not.
    """
    for module in ("jupyterlab", "nbclient", "nbconvert", "ipykernel"):
        if importlib.util.find_spec(module) is None:
            raise NotebooksError(
                f"{module} is not installed; the notebooks need: pip install -e '.[notebooks]'"
            )


def find_notebooks(names: Sequence[str] = (), folder: Path = FOLDER) -> list[Path]:
    """Return the notebooks in the order of the lectures: all, or those whose file names begin so.

    Raises:
        NotebooksError: If there are none at all.
        UnknownNotebook: If a name fits none.
    """
    found = sorted(folder.glob(GLOB))
    if not found:
        raise NotebooksError(f"there are no notebooks in {folder}; run this in a clone of the repository")
    for name in names:
        if not any(path.stem.startswith(name) for path in found):
            raise UnknownNotebook(
                f"there is no notebook {name!r}; there are: {', '.join(path.stem for path in found)}"
            )
    return [path for path in found if not names or any(path.stem.startswith(name) for name in names)]


def read(path: Path) -> Any:
    """Read a notebook as nbformat's node.

    Raises:
        NotebooksError: If it is none.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise NotebooksError(f"{path} cannot be read as a notebook: {error}") from error


def run_all(paths: Iterable[Path], environment: Mapping[str, str]) -> list[Any]:
    """Run notebooks from clean kernels, two at a time, and return them normalised; nothing is written.

    Args:
        paths: The notebooks.
        environment: Variables for their kernels, beside those of this process.

    Raises:
        NotebooksError: If a cell fails; with its traceback.
    """
    return asyncio.run(_run_all(list(paths), {**os.environ, **INLINE, **environment}))


async def _run_all(paths: Sequence[Path], environment: Mapping[str, str]) -> list[Any]:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    turn = asyncio.Semaphore(KERNELS_AT_ONCE)

    async def run(path: Path) -> Any:
        notebook = read(path)
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S,
            extra_arguments=["--log-level=ERROR"],  # that it listens on loopback is no news
            resources={"metadata": {"path": str(path.parent)}},
        )
        try:
            async with turn:
                await client.async_execute(env=environment)
        except CellExecutionError as error:
            told = ANSI_COLOUR.sub("", str(error))
            raise NotebooksError(f"{path.name} fails:\n{told}") from error
        return normalised(notebook)

    return list(await asyncio.gather(*(run(path) for path in paths)))


def normalised(notebook: Any) -> Any:
    """Return the notebook without what changes from run to run or from machine to machine."""
    course = {name: notebook.metadata[name] for name in KEPT_METADATA if name in notebook.metadata}
    notebook.metadata = {"kernelspec": KERNELSPEC, "language_info": LANGUAGE, **course}
    count = 0
    for cell in notebook.cells:
        cell.metadata = {name: cell.metadata[name] for name in KEPT_CELL_METADATA if name in cell.metadata}
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = [_normalised_output(output, count) for output in _joined_streams(cell.outputs)]
    return notebook


def _joined_streams(outputs: Iterable[Any]) -> list[Any]:
    """Join the pieces in which the kernel happened to send what was printed."""
    joined: list[Any] = []
    for output in outputs:
        before = joined[-1] if joined else None
        if output.output_type == "stream" and before is not None and before.get("name") == output.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def _normalised_output(output: Any, count: int) -> Any:
    if output.output_type == "execute_result":
        output.execution_count = count
    if output.output_type == "stream":
        output.text = _without_machine(output.text)
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(content, str):
            output.data[kind] = _without_machine(content)
    return output


def _without_machine(text: str) -> str:
    """Return the text with paths of the repository relative to it, and without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", text.replace(f"{ROOT}{os.sep}", ""))


def write_outputs(paths: Sequence[Path]) -> None:
    """Run notebooks and write them with their outputs.

    Raises:
        NotebooksError: If a cell fails; then none is written.
    """
    import nbformat

    for path, notebook in zip(paths, run_all(paths, {}), strict=True):
        nbformat.validate(notebook)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        print(path.relative_to(ROOT))


def open_lab(arguments: Sequence[str]) -> int:
    """Run JupyterLab at notebooks/ until it ends or Ctrl-C stops it.

    Args:
        arguments: More of its own, such as ``--no-browser``.

    Returns:
        Its exit code; 0 after Ctrl-C.

    Raises:
        NotebooksError: If it is not installed, or there are no notebooks.
    """
    need_extra()
    find_notebooks()
    lab = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={FOLDER}", *arguments],
        env={**os.environ, **INLINE},
        start_new_session=True,  # Ctrl-C is ours: JupyterLab would ask a question and wait
    )
    try:
        return lab.wait()
    except KeyboardInterrupt:
        lab.terminate()
        try:
            lab.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()
        return 0


if __name__ == "__main__":
    try:
        need_extra()
        write_outputs(find_notebooks(sys.argv[1:]))
    except NotebooksError as failure:
        sys.exit(f"notebooks: {failure}")
