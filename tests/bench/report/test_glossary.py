"""The glossary says of every column what the program knows of it, and whoever asks by an old name is told."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from bench.columns.catalogue import (
    ALL_COLUMNS,
    FORMER_COLUMNS,
    IN_FILE,
    RENAMED_SINCE_SCHEMA,
    SCHEMA_VERSION,
    UnknownColumn,
)
from bench.columns.derived import DERIVED
from bench.fields import Kind, described, fields_of
from bench.report.glossary import PLACE, glossary
from bench.results.estimates import estimate, estimates, ratio
from bench.results.evidence import Evidence
from bench.scenario import FIELDS
from tests import ROOT
from tests.synthetic import synthetic_run, trial

RUN = synthetic_run(trial("freshness", "websocket", {"server_cpu_us_per_delivery": 20.0}))


def test_the_glossary_is_as_the_program_has_it() -> None:
    assert PLACE.read_text(encoding="utf-8") == glossary(), "renew it: python -m bench.report.glossary"
    assert "results/README.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_column_is_in_it_once_and_has_a_meaning() -> None:
    rows = [line for line in glossary().splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in rows) == sorted(ALL_COLUMNS)
    assert all(column.meaning.endswith(".") for column in ALL_COLUMNS.values())


def test_no_column_has_the_former_name_of_another_but_for_reasons_that_were_sentences() -> None:
    assert set(FORMER_COLUMNS) & set(ALL_COLUMNS) == {"verdict_reason"}


def test_no_column_comes_with_a_schema_that_is_not_yet() -> None:
    assert max(column.since for column in ALL_COLUMNS.values()) <= SCHEMA_VERSION
    assert RENAMED_SINCE_SCHEMA <= SCHEMA_VERSION


def test_derived_columns_are_of_no_file_and_have_their_function() -> None:
    assert not {column.name for column in DERIVED} & set(IN_FILE)
    assert all(column.derive is not None for column in DERIVED)


@pytest.mark.parametrize(
    ("layer", "figures"),
    [("framing", {"app": (300.0, 500.0)}), ("tcp_ip", {"app": (300.0, 500.0), "wire": (352.0, 604.0)})],
)
def test_layers_are_what_lies_between_what_was_counted(
    layer: str, figures: dict[str, tuple[float, float]]
) -> None:
    counted = {"payload_bytes_per_delivery": 128, "tls_bytes_per_delivery_up": 0}
    counted |= {"tls_bytes_per_delivery_down": 4}
    for name, (up, down) in figures.items():
        counted |= {f"{name}_bytes_per_delivery_up": up, f"{name}_bytes_per_delivery_down": down}
    trials = synthetic_run(trial("overhead", "short_polling", counted)).trials
    told = [trials[f"{layer}_bytes_per_delivery{way}"].iloc[0] for way in ("_up", "_down", "")]
    assert told == {"framing": [300, 372, 672], "tcp_ip": [52, 100, 152]}[layer]


def test_what_was_not_measured_is_not_derived() -> None:
    trials = synthetic_run(trial("overhead", "short_polling", {"wire_bytes_per_delivery_up": 1.0})).trials
    assert math.isnan(trials["wire_bytes_per_delivery"].iloc[0])


ASK: list[Callable[[str], Any]] = [
    lambda name: estimate(RUN.trials, name),
    lambda name: estimate(RUN.trials, "latency_p50_ms", **{name: 1}),
    lambda name: estimates(RUN.trials, ["transport"], name),
    lambda name: ratio(RUN.trials, name, {"transport": "websocket"}, {"transport": "websocket"}),
    lambda name: Evidence(RUN.trials).figure("freshness", name),
    lambda name: Evidence(RUN.trials).values("freshness", name),
    lambda name: Evidence(RUN.trials).trials("freshness", **{name: 1}),
]


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "server_cpu_us_per_tick",
            "^server_cpu_us_per_tick is called server_cpu_us_per_delivery since schema 5$",
        ),
        ("order", "^order is called trial_number since schema 5$"),
        ("conect_all_s", "^there is no column conect_all_s; did you mean connect_all_s[?]$"),
        ("warmth", "^there is no column warmth; results/README.md lists all columns$"),
        ("capacity_client", "^there is no column capacity_client; results/README.md lists all columns$"),
    ],
)
def test_who_asks_for_a_column_that_is_not_there_is_told(
    ask: Callable[[str], Any], name: str, said: str
) -> None:
    with pytest.raises(UnknownColumn, match=said):
        ask(name)


def test_a_field_of_which_something_unknown_is_said_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Wrong:
        clients: int = described(1, "Number of clients.", colour="red")

    with pytest.raises(TypeError, match="colour"):
        fields_of(Wrong)


def test_kinds_of_fields_are_of_their_types() -> None:
    kinds = {name: FIELDS[name].kind for name in ("plan", "tls", "clients", "rate_hz", "mss", "keep_alive")}
    assert kinds == {
        "plan": Kind.WORD,
        "tls": Kind.FLAG,
        "clients": Kind.WHOLE,
        "rate_hz": Kind.NUMBER,
        "mss": Kind.WHOLE,
        "keep_alive": Kind.FLAG,
    }
    assert [FIELDS[name].may_be_none for name in ("clients", "mss")] == [False, True]
