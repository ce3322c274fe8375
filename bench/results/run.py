"""A run on disk: what was asked, one tidy row per trial, and the raw deliveries of each.

    results/<run>/run.json         schema version, command, seed, profile, environment, experiments, rows
    results/<run>/trials.csv       one row per trial: the scenario's columns, then the figures'
    results/<run>/deliveries/      Parquet, one file per trial: a row per delivered tick of the window;
                                   and, of a trial with an incident, one of what happened to its connections

Every file is written aside and renamed, so that a reader finds it whole or not at all; and after every
trial, so that an interrupted run keeps what it has. run.json comes last: it counts the rows of trials.csv and
keeps their digest, so that a file which was cut or changed on its way is refused (bench/results/reading.py).
"""

import csv
import io
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.columns.catalogue import COLUMNS, IN_FILE, SCHEMA_VERSION
from bench.columns.derived import DERIVED
from bench.fields import Kind
from bench.network.incident_fields import INCIDENTS
from bench.results.deliveries import Deliveries
from bench.results.files import (
    RUN_JSON,
    TRIALS_CSV,
    Archive,
    Folder,
    ResultsError,
    RunFiles,
    write_whole,
)
from bench.results.incident_figures import NOBODY
from bench.results.reading import read_facts, read_parquet, read_trials, started, trials_digest
from bench.results.trials import standing_trials, stands, trials_of
from bench.results.validity import INVALID, OK, VERDICTS, Bottleneck, Fault, find_faults
from bench.transports import TRANSPORTS
from clients.load.connections.backoff import BACKOFFS
from clients.load.generator import DELIVERY_FIELDS
from clients.sockets.events import SOCKET_FIELDS, SocketEvent
from servers.variants import all_names, current_name

REFERENCE = "reference"
INSTALLED = Path(__file__).parent.parent
"""The folder of this package: of a clone, or where it was installed to."""

WHOLE = {name for name, column in IN_FILE.items() if column.kind is Kind.WHOLE}
REASONS_ARE_CODES_SINCE_SCHEMA = 5
KNOWN_CODES: dict[str, set[str]] = {
    "verdict_reason": {*Fault},
    "bottleneck": {*Bottleneck},
    "connect_bottleneck": {*Bottleneck},
    "incident": {*INCIDENTS},
    "backoff": {*BACKOFFS},
    "noticed_by": {NOBODY, *(event.name.lower() for event in SocketEvent)},
}
"""The columns of codes."""
TWO_WRITES = "two_writes"
"""What of run.json bench/measure/two_writes.py has measured."""
QUANTILES_PARQUET = "quantiles.parquet"
QUANTILES_KEPT = [0.001, 0.01, *(step / 100 for step in range(2, 99)), 0.99, 0.999]


class Run:
    """A run: its folder, its facts (run.json) and its trials.

    Of a run in a zip, ``folder`` is the one beside it that has its name; it need not be there.
    """

    def __init__(
        self,
        folder: Path,
        facts: dict[str, Any],
        rows: list[dict[str, Any]],
        files: RunFiles | None = None,
    ) -> None:
        self.folder = folder
        self.facts = facts
        self.rows = rows
        self.files = Folder(folder) if files is None else files

    # Writing

    @classmethod
    def create(cls, results: Path, facts: Mapping[str, Any]) -> "Run":
        """Make a new run's folder, named by the time.

        Raises:
            ResultsError: If it cannot be written.
        """
        started = datetime.now(UTC)
        name = f"{started:%Y-%m-%d_%H%M%S}_{secrets.token_hex(2)}"
        run = cls(
            results / name,
            {"schema": SCHEMA_VERSION, "started": started.isoformat(timespec="seconds"), **facts},
            [],
        )
        try:
            (run.folder / "deliveries").mkdir(parents=True)
        except OSError as error:
            raise ResultsError(
                f"cannot write to {results}: {error.strerror}; choose another folder with --results"
            ) from error
        run.write()
        return run

    def add(
        self,
        row: Mapping[str, Any],
        deliveries: Deliveries | None = None,
        sockets: NDArray[np.int64] | None = None,
    ) -> None:
        """Add a finished trial: its deliveries first, so that a row never lacks them, and its sockets.

        Of two attempts at a trial both are kept, and the worse (or else the earlier) is marked as retried.

        Raises:
            ResultsError: If they cannot be written; what was written before stays readable.
            ValueError: If the row has a figure that is no column.
        """
        if unknown := sorted(set(row) - set(COLUMNS)):
            raise ValueError(f"trials.csv has no column {', '.join(unknown)}; bench/columns/ has them all")
        if deliveries is not None:
            table = _packed(deliveries, DELIVERY_FIELDS, ("client", "seq"))
            write_whole(self.folder / deliveries_name(row), table)
        if sockets is not None:
            write_whole(self.folder / sockets_name(row), _packed(sockets, SOCKET_FIELDS, ("client", "at_ns")))
        new = dict(row)
        for earlier in self.rows:
            if (earlier["trial_number"], earlier["search_step"]) == (row["trial_number"], row["search_step"]):
                worse = VERDICTS.index(new["verdict"]) > VERDICTS.index(earlier["verdict"])
                (new if worse else earlier)["retried"] = True
        self.rows.append(new)
        self.write()

    def write(self) -> None:
        """Write trials.csv, and then run.json, which counts its rows."""
        for name, content in self.contents().items():
            write_whole(self.folder / name, content)

    def contents(self) -> dict[str, bytes]:
        """Return what trials.csv and run.json are to hold, in this order."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in sorted(
            self.rows, key=lambda row: (row["trial_number"], row["search_step"], row["attempt"])
        ):
            writer.writerow({name: _cell(row.get(name), name in WHOLE) for name in COLUMNS})
        trials = text.getvalue().encode()
        self.facts["trials"] = {"rows": len(self.rows), "sha256": trials_digest(trials)}
        return {TRIALS_CSV: trials, RUN_JSON: (json.dumps(self.facts, indent=2) + "\n").encode()}

    # Reading

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Read a run: its folder, or a zip of it.

        Raises:
            ResultsError: If it is not there, not whole, not as it was written, or of another schema.
        """
        files = Folder(path) if path.is_dir() else Archive(path) if path.exists() else None
        if files is None or not files.has(RUN_JSON):
            raise ResultsError(f"there is no run in {path}; `bench show` without a name shows the newest")
        facts = read_facts(files)
        rows = read_trials(files, facts)
        twice = pd.Series(
            [(row["trial_number"], row["search_step"], row["attempt"]) for row in rows]
        ).duplicated()
        facts["transports"] = [current_name(name) for name in facts["transports"]]
        for row, again in zip(rows, twice, strict=True):
            row["transport"] = current_name(row["transport"])
            attempt = f"trial {row['trial_number']}, step {row['search_step']}, attempt {row['attempt']}"
            where = f"{files.place(TRIALS_CSV)}: {attempt}"
            if again:
                raise ResultsError(f"{where} stands there twice; restore the file as bench wrote it")
            if row["verdict"] not in VERDICTS:
                raise ResultsError(f"{where} has the verdict {row['verdict']!r}, not {', '.join(VERDICTS)}")
            if facts["schema"] < REASONS_ARE_CODES_SINCE_SCHEMA and row["verdict"] != OK:
                failed = (Fault.FAILED,) if row["verdict"] == INVALID else ()
                row["verdict_reason"] = " ".join(find_faults(row) or failed)
            for column, known in KNOWN_CODES.items():
                if unknown := set((row[column] or "").split()) - known:
                    raise ResultsError(
                        f"{where} has {unknown.pop()!r} as {column}, which this program does not know; use "
                        "the version of bench that made the run"
                    )
            if row["transport"] not in TRANSPORTS:
                raise ResultsError(
                    f"{where} is of the transport {row['transport']!r}, which this program does not have; "
                    "use the version of bench that made the run"
                )
        facts["schema"] = SCHEMA_VERSION
        return cls(path if path.is_dir() else path.with_suffix(""), facts, rows, files)

    @property
    def trials(self) -> pd.DataFrame:
        """The trials as a tidy table, a row each, with what is derived from what was measured."""
        return with_derived(pd.DataFrame(self.rows, columns=COLUMNS).infer_objects())

    def records(self) -> list[dict[str, Any]]:
        """Return the trials as JSON can hold them: what is not known is None."""
        records: list[dict[str, Any]] = json.loads(self.trials[COLUMNS].to_json(orient="records"))
        return records

    def trials_of(self, experiment: str) -> pd.DataFrame:
        """Return the trials of one experiment, without those that were measured again.

        A trial that several experiments share belongs to each.
        """
        return standing_trials(trials_of(self.trials, [experiment]))

    def deliveries_file(self, row: Mapping[str, Any]) -> str | None:
        """Return the name of the file of a trial's deliveries, or None if they were not kept.

        In an older run it has the name that the transport had then.
        """
        names = [deliveries_name({**row, "transport": name}) for name in all_names(row["transport"])]
        return next(filter(self.files.has, names), None)

    def deliveries(self, row: Mapping[str, Any]) -> pd.DataFrame | None:
        """Return the deliveries of a trial's window, a row each, or None if they were not kept.

        Raises:
            ResultsError: If their file is not whole.
        """
        name = self.deliveries_file(row)
        if name is None:
            return None
        delivered: float | None = row.get("delivered")
        unknown = delivered is None or math.isnan(delivered)
        counted = None if unknown else int((delivered or 0) + (row.get("duplicates") or 0))
        return read_parquet(self.files, name, dict.fromkeys(DELIVERY_FIELDS, Kind.WHOLE), counted)

    def sockets(self, row: Mapping[str, Any]) -> pd.DataFrame | None:
        """Return what happened to a trial's connections, a row each, or None if it was not kept.

        Columns are the client, the instant on the bench clock (``incident_at_ns`` of the row is by it, too),
        and the number of a :class:`clients.sockets.events.SocketEvent`.

        Raises:
            ResultsError: If its file is not whole.
        """
        name = sockets_name(row)
        if not self.files.has(name):
            return None
        return read_parquet(self.files, name, dict.fromkeys(SOCKET_FIELDS, Kind.WHOLE), None)

    def latency_quantiles(self, row: Mapping[str, Any]) -> pd.Series:
        """Return a trial's latency in ms at ``QUANTILES_KEPT``, from its deliveries or as they were kept.

        Raises:
            KeyError: If neither was kept.
            ResultsError: If their file is not whole.
        """
        deliveries = self.deliveries(row)
        if deliveries is not None:
            latency_ms = (deliveries["arrived_ns"] - deliveries["due_ns"]) / 1e6
            return latency_ms.quantile(QUANTILES_KEPT)
        name = str(row["trial_number"])
        if not stands(row) or not self.files.has(QUANTILES_PARQUET):  # those of the attempt that stands
            raise KeyError(name)
        kinds = {"quantile": Kind.NUMBER, name: Kind.NUMBER}
        kept = read_parquet(self.files, QUANTILES_PARQUET, kinds, len(QUANTILES_KEPT), optional=[name])
        return pd.Series(kept[name].to_numpy(), index=QUANTILES_KEPT, name=name)

    def folder_for_figures(self) -> Path:
        """Return where figures and the page of the run go: its folder; for a zip, one beside it, made here.

        Raises:
            OSError: If it cannot be made.
        """
        if isinstance(self.files, Archive):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder


class FinishedRun(Run):
    """A run to which nothing is added: its tables are made once, however often they are asked for."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.folder, run.facts, run.rows, run.files)
        self._trials = run.trials
        self._trials_of: dict[str, pd.DataFrame] = {}

    @property
    def trials(self) -> pd.DataFrame:
        """The trials, as :attr:`Run.trials` tells them."""
        return self._trials.copy()

    def trials_of(self, experiment: str) -> pd.DataFrame:
        """Return the trials of one experiment, as :meth:`Run.trials_of` does."""
        if experiment not in self._trials_of:
            self._trials_of[experiment] = super().trials_of(experiment)
        return self._trials_of[experiment].copy()


def with_derived(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials with the columns that follow from those of trials.csv (bench/columns/derived.py)."""
    known = dict(trials.items())
    for column in DERIVED:
        if column.derive is not None:
            known[column.name] = column.derive(known)
    return pd.DataFrame(known, index=trials.index)


def deliveries_name(row: Mapping[str, Any]) -> str:
    """Return the name of the file, in its run, of a trial's deliveries (that may not have been kept)."""
    again = "" if row["attempt"] == 1 else f"_{row['attempt']}"
    return f"deliveries/{row['trial_number']:04d}_{row['transport']}{again}.parquet"


def sockets_name(row: Mapping[str, Any]) -> str:
    """Return the name of the file, in its run, of what happened to a trial's connections."""
    return deliveries_name(row).replace(".parquet", "_sockets.parquet")


def _packed(samples: NDArray[np.int64], names: Sequence[str], order: Sequence[str]) -> bytes:
    """Return whole numbers as a Parquet file, in the order of some columns, in which they are small."""
    table = pa.table({name: samples[:, column] for column, name in enumerate(names)})
    buffer = io.BytesIO()
    pq.write_table(
        table.sort_by([(name, "ascending") for name in order]),
        buffer,
        compression="zstd",
        use_dictionary=False,
        column_encoding=dict.fromkeys(names, "DELTA_BINARY_PACKED"),
    )
    return buffer.getvalue()


def reference_folder(results: Path) -> Path | None:
    """Return the folder of the reference run: among these results, in the clone, or with the package."""
    for folder in (results / REFERENCE, INSTALLED.parent / "results" / REFERENCE, INSTALLED / REFERENCE):
        if (folder / RUN_JSON).exists():
            return folder
    return None


def find_run(results: Path, name: str | None) -> Path:
    """Return a run's folder or zip: by name or path; without either the newest, or else the reference.

    Raises:
        ResultsError: If there is none.
    """
    reference = reference_folder(results)
    if name is not None:
        for path in (results / name, Path(name), *([reference] if name == REFERENCE and reference else [])):
            if (path / RUN_JSON).exists() or path.is_file():
                return path
        raise ResultsError(
            f"there is no run {name!r} in {results}; give the name of a folder there, or the path of a "
            "folder or a zip"
        )
    runs = [path.parent for path in results.glob(f"*/{RUN_JSON}") if path.parent.name != REFERENCE]
    if runs:
        return max(runs, key=_started)
    if (results / REFERENCE / RUN_JSON).exists():
        return results / REFERENCE
    raise ResultsError(f"there is no run in {results} yet; measure one with: bench run all --quick")


def _started(folder: Path) -> tuple[datetime, int, str]:
    """Return when a run was started, to find the newest, and what decides between runs of one second.

    Of a run.json that does not say so it is when it was written: if that is the newest, opening it tells what
    is wrong, and no older run passes for the newest in silence.
    """
    written_ns = (folder / RUN_JSON).stat().st_mtime_ns
    try:
        at = started(read_facts(Folder(folder)))
    except ResultsError:
        at = None
    return at or datetime.fromtimestamp(written_ns / 1e9, UTC), written_ns, folder.name


def _cell(value: Any, whole: bool) -> Any:
    """Return what a cell of the CSV says: empty for nothing, seven digits for a measured number.

    A whole number has all its digits, also if it was read beside empty cells, which makes a float of it.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, float):
        return value
    return int(value) if whole and value.is_integer() else f"{value:.7g}"
