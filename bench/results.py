"""A run on disk: what was asked, one tidy row per trial, and the raw deliveries of each.

    results/<run>/run.json         schema version, command, seed, profile, environment, experiments
    results/<run>/trials.csv       one row per trial: the scenario's columns, then the figures'
    results/<run>/deliveries/      Parquet, one file per trial: a row per delivered tick of the window

Every file is written aside and renamed, so that a reader finds it whole or not at all; and after every
trial, so that an interrupted run keeps what it has.
"""

import csv
import dataclasses
import io
import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.metrics import Deliveries
from bench.scenario import Scenario
from clients.generator import DELIVERY_FIELDS

SCHEMA_VERSION = 4
SINCE_SCHEMA: dict[int, dict[str, Any]] = {
    2: {"attempt": 1, "replaced": False, "generator": "swarm"},
    3: {"step": 0, "padding": "noise", "tls": False, "compression": False, "latency_limit_ms": 100.0},
    4: {"server_cpu_clock": "server", "throttled_periods": 0},
}
"""Columns that runs of older schemas lack, and what they would say; figures that they lack are empty."""
REFERENCE = "reference"
WORSE = ("ok", "suspect", "invalid")

SCENARIO_COLUMNS = [
    "experiment",
    *(field.name for field in dataclasses.fields(Scenario)),
    "repeat",
    "order",
    "step",
    "attempt",
    "seed",
]
FIGURE_COLUMNS = """
    verdict verdict_reason limit replaced
    recording_rows recording_first_row recording_last_row
    latency_p50_ms latency_p90_ms latency_p99_ms latency_p999_ms latency_max_ms latency_mean_ms
    handled_p50_ms handled_p99_ms late_ratio
    stamp_shared_ratio aoi_mean_ms
    expected delivered missed duplicated out_of_order superseded
    requests requests_per_tick empty_responses polls_skipped
    payload_bytes_per_tick app_bytes_per_tick_up app_bytes_per_tick_down
    tls_bytes_per_tick_up tls_bytes_per_tick_down
    wire_bytes_per_tick_up wire_bytes_per_tick_down packets_per_tick_up packets_per_tick_down retransmits
    requests_per_client_s wire_bytes_per_client_s_up wire_bytes_per_client_s_down
    first_answer_wire_bytes_up first_answer_wire_bytes_down
    connections_opened connections_per_1000_ticks connect_p50_ms connect_p99_ms connect_all_s connect_limit
    listen_overflows
    connection_errors
    server_cpu_us_per_tick server_cpu_us_per_client_s server_cpu_ratio server_cpu_clock
    server_rss_mb server_rss_kb_per_client
    publish_lag_p99_ms loop_lag_p99_ms
    generator_cpu_ratio generator_cpu_us_per_tick generator_rss_mb generator_rss_kb_per_client
    generator_lag_p99_ms request_lag_p99_ms
    drained clock_shift_ns steal_ratio others_cpu_ratio cpu_quota_cores throttled_periods conditions
    stamps event_loop congestion_used
""".split()
COLUMNS = SCENARIO_COLUMNS + FIGURE_COLUMNS
QUANTILES_KEPT = [0.001, 0.01, *(step / 100 for step in range(2, 99)), 0.99, 0.999]


class ResultsError(Exception):
    """A run that is not there, cannot be read or cannot be written; the text says what to do."""


class Run:
    """A run: its folder, its facts (run.json) and its trials."""

    def __init__(self, folder: Path, facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        self.folder = folder
        self.facts = facts
        self.rows = rows

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
        run.write_facts()
        run.write_trials()
        return run

    def add(self, row: Mapping[str, Any], deliveries: Deliveries | None = None) -> None:
        """Add a finished trial: its deliveries first, so that a row never lacks them.

        Of two attempts at a trial both are kept, and the worse (or else the earlier) is marked as replaced.

        Raises:
            ResultsError: If they cannot be written; what was written before stays readable.
        """
        if deliveries is not None:
            table = pa.table(
                {name: deliveries[:, column] for column, name in enumerate(DELIVERY_FIELDS)}
            ).sort_by([("client", "ascending"), ("seq", "ascending")])
            buffer = io.BytesIO()
            pq.write_table(
                table,
                buffer,
                compression="zstd",
                use_dictionary=False,
                column_encoding=dict.fromkeys(DELIVERY_FIELDS, "DELTA_BINARY_PACKED"),
            )
            _write(self.deliveries_path(row), buffer.getvalue())
        new = dict(row)
        for earlier in self.rows:
            if (earlier["order"], earlier["step"]) == (row["order"], row["step"]):
                worse = WORSE.index(new["verdict"]) > WORSE.index(earlier["verdict"])
                (new if worse else earlier)["replaced"] = True
        self.rows.append(new)
        self.write_trials()

    def write_facts(self) -> None:
        """Write run.json."""
        _write(self.folder / "run.json", (json.dumps(self.facts, indent=2) + "\n").encode())

    def write_trials(self) -> None:
        """Write trials.csv."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in sorted(self.rows, key=lambda row: (row["order"], row["step"], row["attempt"])):
            writer.writerow({name: _cell(row.get(name)) for name in COLUMNS})
        _write(self.folder / "trials.csv", text.getvalue().encode())

    # Reading

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read a run.

        Raises:
            ResultsError: If it is not there, not whole, or of another schema.
        """
        try:
            facts = json.loads((folder / "run.json").read_text())
            trials = pd.read_csv(folder / "trials.csv", keep_default_na=False, na_values=[""])
        except FileNotFoundError:
            raise ResultsError(
                f"there is no run in {folder}; `bench show` without a name shows the newest"
            ) from None
        except (OSError, ValueError) as error:
            raise ResultsError(f"the run in {folder} cannot be read: {error}") from error
        for version, columns in SINCE_SCHEMA.items():
            if facts.get("schema") == version - 1:
                facts["schema"] = version
                for name, value in columns.items():
                    trials[name] = value
        if facts.get("schema") != SCHEMA_VERSION:
            raise ResultsError(
                f"the run in {folder} has schema {facts.get('schema')}, and this program reads schema "
                f"{SCHEMA_VERSION}; measure anew, or use the version of bench that made it"
            )
        rows = trials.astype(object).where(trials.notna(), None).to_dict("records")
        return cls(folder, facts, [{str(name): value for name, value in row.items()} for row in rows])

    @property
    def trials(self) -> pd.DataFrame:
        """The trials as a tidy table, a row each."""
        return pd.DataFrame(self.rows, columns=COLUMNS).infer_objects()

    def trials_of(self, experiment: str) -> pd.DataFrame:
        """Return the trials of one experiment, without those that were measured again.

        A trial that several experiments share belongs to each.
        """
        trials = self.trials
        own = trials["experiment"].map(lambda names: experiment in names.split())
        return trials[own & ~trials["replaced"].astype(bool)]

    def deliveries_path(self, row: Mapping[str, Any]) -> Path:
        """Return where a trial's deliveries are (or would be)."""
        again = "" if row["attempt"] == 1 else f"_{row['attempt']}"
        return self.folder / "deliveries" / f"{row['order']:04d}_{row['transport']}{again}.parquet"

    def deliveries(self, row: Mapping[str, Any]) -> pd.DataFrame | None:
        """Return the deliveries of a trial's window, a row each, or None if they were not kept."""
        path = self.deliveries_path(row)
        return pd.read_parquet(path) if path.exists() else None

    def latency_quantiles(self, row: Mapping[str, Any]) -> pd.Series:
        """Return a trial's latency in ms at ``QUANTILES_KEPT``, from its deliveries or as they were kept."""
        deliveries = self.deliveries(row)
        if deliveries is not None:
            latency_ms = (deliveries["arrived_ns"] - deliveries["due_ns"]) / 1e6
            return latency_ms.quantile(QUANTILES_KEPT)
        kept = pd.read_parquet(self.folder / "quantiles.parquet")
        return kept.set_index("quantile")[str(row["order"])]


def find_run(results: Path, name: str | None) -> Path:
    """Return the folder of a run: by name or path; without either the newest, or else the reference.

    Raises:
        ResultsError: If there is none.
    """
    if name is not None:
        for folder in (results / name, Path(name)):
            if (folder / "run.json").exists():
                return folder
        raise ResultsError(
            f"there is no run {name!r} in {results}; give the name of a folder there, or a path"
        )
    runs = sorted(path.parent for path in results.glob("*/run.json") if path.parent.name != REFERENCE)
    if runs:
        return runs[-1]
    if (results / REFERENCE / "run.json").exists():
        return results / REFERENCE
    raise ResultsError(f"there is no run in {results} yet; measure one with: bench run all --quick")


def export(run: Run, target: Path, keep_orders: Sequence[int]) -> Run:
    """Copy a run in small: all trials, the quantiles of each, and the deliveries of only some.

    Args:
        run: A finished run.
        target: The folder to write, such as results/reference.
        keep_orders: The ``order`` of the trials whose deliveries are kept.
    """
    small = Run(target, run.facts, list(run.rows))
    target.mkdir(parents=True, exist_ok=True)
    quantiles = {
        str(row["order"]): run.latency_quantiles(row).to_numpy()
        for row in run.rows
        if run.deliveries_path(row).exists()
    }
    buffer = io.BytesIO()
    pd.DataFrame({"quantile": QUANTILES_KEPT, **quantiles}).astype("float32").to_parquet(
        buffer, compression="zstd"
    )
    _write(target / "quantiles.parquet", buffer.getvalue())
    (target / "deliveries").mkdir(exist_ok=True)
    for old in (target / "deliveries").glob("*.parquet"):
        old.unlink()
    for row in run.rows:
        if row["order"] in keep_orders and run.deliveries_path(row).exists():
            _write(small.deliveries_path(row), run.deliveries_path(row).read_bytes())
    small.write_trials()
    small.write_facts()
    return small


def _cell(value: Any) -> Any:
    """Return what a cell of the CSV says: empty for nothing, seven digits for a measured number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.7g}" if isinstance(value, float) else value


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: aside, to the disk, then renamed.

    Raises:
        ResultsError: If it cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise ResultsError(
            f"cannot write {path}: {error.strerror}; what was written before is whole"
        ) from error
