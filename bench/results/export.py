"""A run in small, to be committed or sent: a folder, or one zip file that every command opens."""

import contextlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.results.files import RUN_JSON, ResultsError, write_whole
from bench.results.run import QUANTILES_KEPT, QUANTILES_PARQUET, Run, deliveries_name, sockets_name
from bench.results.trials import stands

FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""What a zip says of the age of every file in it, so that the same run gives the same bytes."""


def export_zip(run: Run, path: Path, keep_orders: Sequence[int], *, force: bool = False) -> None:
    """Write a run in small as a zip, in which it lies in a folder of its name.

    Args:
        run: A finished run.
        path: The file to write.
        keep_orders: The ``order`` of the trials whose deliveries are kept.
        force: Replace a file that is there.

    Raises:
        ResultsError: If the file is there, or cannot be written.
    """
    if path.exists() and not force:
        raise ResultsError(
            f"{path} is there already; name another folder with --target, or replace it with --force"
        )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in small(run, keep_orders).items():
            entry = zipfile.ZipInfo(f"{run.folder.name}/{name}", FIRST_DATE)
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    write_whole(path, packed.getvalue())


def export_folder(run: Run, target: Path, keep_orders: Sequence[int], *, force: bool = False) -> None:
    """Write a run in small as a folder, such as results/reference.

    With ``force`` a run that is there is replaced. Its run.json goes first and the new one comes last, so
    that the folder holds one run or none, never parts of two; other files in it stay.

    Args:
        run: A finished run.
        target: The folder to write.
        keep_orders: The ``order`` of the trials whose deliveries are kept.
        force: Write also if the folder is not empty.

    Raises:
        ResultsError: If the folder is the run itself, is not empty, or cannot be written.
    """
    if run.folder.resolve() == target.resolve():
        raise ResultsError(f"{target} is the run itself; name another run, or another --target")
    contents = small(run, keep_orders)
    try:
        if target.exists() and any(target.iterdir()) and not force:
            raise ResultsError(
                f"{target} is not empty; name another --target, or replace the run in it with --force"
            )
        (target / "deliveries").mkdir(parents=True, exist_ok=True)
        (target / RUN_JSON).unlink(missing_ok=True)
        for old in (target / "deliveries").glob("*.parquet"):
            old.unlink()
    except OSError as error:
        raise ResultsError(f"cannot write to {target}: {error.strerror}; choose another --target") from error
    for name, content in contents.items():
        write_whole(target / name, content)


def small(run: Run, keep_orders: Sequence[int]) -> dict[str, bytes]:
    """Return the files of a run in small: all trials, the quantiles of each, and the deliveries of some.

    With these goes what happened to their connections, where that was kept. Of two attempts at a trial the
    quantiles are those of the one that stands.

    Raises:
        ResultsError: If a file of the run is not whole.
    """
    quantiles = {}
    for row in run.rows:
        with contextlib.suppress(KeyError):
            if stands(row):
                quantiles[str(row["trial_number"])] = run.latency_quantiles(row).to_numpy()
    table = pd.DataFrame({"quantile": QUANTILES_KEPT, **quantiles}).astype("float32")
    packed = io.BytesIO()
    table.to_parquet(packed, compression="zstd")
    kept = {}
    for row in run.rows:
        if row["trial_number"] in keep_orders and (name := run.deliveries_file(row)) is not None:
            kept[deliveries_name(row)] = name
            if run.files.has(sockets := sockets_name(row)):
                kept[sockets] = sockets
    return {
        QUANTILES_PARQUET: packed.getvalue(),
        **{name: run.files.read(kept_as) for name, kept_as in kept.items()},
        **run.contents(),
    }
