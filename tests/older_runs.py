"""Runs as an older version of the program wrote them: fewer columns, other names, no count of the rows."""

import json

import pandas as pd

from bench.columns.catalogue import FORMER_COLUMNS, IN_FILE, RENAMED_SINCE_SCHEMA
from bench.results.run import Run


def names_before(schema: int) -> dict[str, str]:
    """Return what columns of today were called up to a schema."""
    return {new: old for old, new in FORMER_COLUMNS.items()} if schema < RENAMED_SINCE_SCHEMA else {}


def make_older(run: Run, schema: int) -> None:
    """Write a run's two files anew as a schema before 4 had them."""
    later = [name for name, column in IN_FILE.items() if column.since > schema]
    table = pd.read_csv(run.folder / "trials.csv", dtype=str, keep_default_na=False)
    table = table.drop(columns=later).rename(columns=names_before(schema))
    table.to_csv(run.folder / "trials.csv", index=False, lineterminator="\n")
    facts = {name: value for name, value in run.facts.items() if name != "trials"} | {"schema": schema}
    (run.folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
