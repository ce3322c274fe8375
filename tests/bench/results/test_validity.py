"""Faults and bottlenecks: every code has its data and its words, also in runs that had sentences only."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.columns.catalogue import COLUMNS
from bench.results.files import ResultsError
from bench.results.run import REFERENCE, Run
from bench.results.validity import VERDICTS, Bottleneck, Fault, faults_of, find_faults
from bench.wording import bottleneck_words, fault_words, validity_sentence
from tests import ROOT
from tests.bench.results.test_run import FACTS, fake_row
from tests.older_runs import make_older

ROW = {
    "expected": 10, "missed": 1, "duplicates": 0, "out_of_order": 2, "clock_shift_ns": -60_000,
    "generator_cpu_ratio": 0.9, "generator_lag_p99_ms": 30.0, "request_lag_p99_ms": 40.0,
    "stamp_shared_ratio": 0.02, "throttled_periods": 4, "cpu_quota_cores": 0.5,
    "conditions": "nice=10 traced",
    "stolen_cpu_ratio": 0.2, "foreign_cpu_ratio": 0.3, "publish_lag_p99_ms": 50.0,
    "rtt_ms": 40.0, "router_lag_p99_ms": 7.0, "router_drops": 3,
    "verdict_note": "",
}  # fmt: skip


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_has_a_verdict_and_words(fault: Fault) -> None:
    assert fault.verdict in VERDICTS[1:]
    note = "the server died" if fault is Fault.FAILED else ""
    assert validity_sentence(ROW | {"verdict_reason": fault.value, "verdict_note": note})
    assert faults_of({"verdict_reason": fault.value}) == (fault,)


def test_no_two_faults_have_the_same_words() -> None:
    assert len({fault_words(fault, ROW) for fault in Fault}) == len(Fault)


@pytest.mark.parametrize("code", list(Bottleneck))
def test_every_bottleneck_has_words(code: Bottleneck) -> None:
    assert bottleneck_words(code.value)


def test_faults_are_told_in_order_with_their_figures() -> None:
    row = ROW | {"verdict_reason": "wrong_ticks cpu_quota conditions"}
    assert validity_sentence(row) == (
        "of 10 ticks, 1 missed, 2 out of order; the CPU quota of 0.5 cores stopped this machine's processes "
        "in 4 of its periods; the processes ran at a lower priority (niceness 10); a debugger, profiler or "
        "coverage tool watched the processes"
    )


def test_a_run_of_before_the_codes_keeps_its_sentences_and_gets_codes(tmp_path: Path) -> None:
    run = Run.create(tmp_path, FACTS)
    late = {
        "generator_cpu_ratio": 0.95,
        "generator_lag_p99_ms": 30.0,
        "stolen_cpu_ratio": 0.01,
        "drained": True,
    }
    sentence = "the load generator was late, as it was said then"
    run.add(fake_row(7, verdict="suspect", verdict_note=sentence, bottleneck="generator_cpu", **late))
    make_older(run, 3)
    row = Run.open(run.folder).rows[-1]
    assert faults_of(row) == (Fault.GENERATOR_CPU, Fault.GENERATOR_LAG)
    assert validity_sentence(row) == sentence
    assert row["bottleneck"] == Bottleneck.GENERATOR_CPU


@pytest.mark.parametrize("nothing", [None, math.nan, ""])
def test_what_a_data_frame_makes_of_nothing_is_nothing(nothing: Any) -> None:
    row = ROW | {"verdict_note": nothing}
    assert validity_sentence(row | {"verdict_reason": nothing}) == ""
    assert "hypervisor" in validity_sentence(row | {"verdict_reason": "stolen_cpu"})


@pytest.mark.parametrize("drained", [False, np.False_])
def test_a_trial_that_was_not_drained_is_found_out_whoever_read_its_row(drained: Any) -> None:
    row = dict.fromkeys(COLUMNS) | {"drained": drained}
    assert find_faults(row) == (Fault.NOT_DRAINED,)
    assert find_faults(row | {"drained": None}) == ()


def test_the_reference_has_codes() -> None:
    for row in Run.open(ROOT / "results" / REFERENCE).rows:
        assert (row["verdict"] == "ok") == (not validity_sentence(row))
        assert all(fault.verdict in VERDICTS for fault in faults_of(row))


@pytest.mark.parametrize("column", ["verdict_reason", "bottleneck", "connect_bottleneck"])
def test_a_code_that_nobody_knows_is_refused_with_a_sentence(tmp_path: Path, column: str) -> None:
    run = Run.create(tmp_path, FACTS)
    run.add(fake_row(7, verdict="suspect", **{column: "phase_of_the_moon"}))
    with pytest.raises(ResultsError, match=f"'phase_of_the_moon' as {column}"):
        Run.open(run.folder)
