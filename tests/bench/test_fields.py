"""Fields that somebody changed: tables tell them, theory reads them, and no sentence mixes scenarios."""

import itertools
from typing import Any

import pandas as pd
import pytest

from bench.columns.catalogue import FIGURE_COLUMNS
from bench.columns.fields import is_ordinary
from bench.columns.words import field_words, heading
from bench.experiments.catalogue import EXPERIMENTS
from bench.experiments.rate import FIXED, SLOW_HZ, turned_into_polling_words
from bench.fields import fields_of
from bench.measure.schedule import plan_run
from bench.network.incident_fields import IncidentFields
from bench.report.summary import findings
from bench.report.tables import FOLDED, OWN, experiment_table, fixed_fields_note, predictions
from bench.report.terminal import words
from bench.results.estimates import summarise
from bench.results.scenarios import combinations, mixed_fields, varied_axes
from bench.results.statistics import Interval
from bench.scenario import FIELDS, PROFILES, Scenario
from bench.theory.traffic import Bounds
from bench.wording import number
from tests.synthetic import synthetic_run, trial

THREE = ["short_polling", "long_polling", "websocket"]
WORDS = {"verdict": "ok", "verdict_reason": "", "verdict_note": "", "bottleneck": "",
         "connect_bottleneck": "", "stamped_by": "kernel", "event_loop": "uvloop",
         "congestion_used": "cubic", "drained": True, "retried": False}  # fmt: skip


def run_of(experiment: str, profile: str = "standard", **overrides: list[Any]) -> Any:
    """Return a run as it would be planned, without running: its figures grow by the transport's name."""
    rows = []
    for planned in plan_run([experiment], THREE, profile, 1, overrides):
        if planned.search is not None:
            continue
        scenario = planned.scenario
        figure = 10.0 + len(scenario.transport)
        figures = {name: figure for name in FIGURE_COLUMNS} | WORDS | {"wire_bytes_per_delivery_up": 0.0}
        fields = {name: getattr(scenario, name) for name in FIELDS}
        fields["window_s"] = float(scenario.exact_window_s)
        rows.append(
            trial(experiment, scenario.transport, figures)
            | fields
            | {"repeat": planned.repeat, "trial_number": planned.order}
        )
    run = synthetic_run(*rows)
    run.facts = {"experiments": [experiment]}
    return run


def shortest(experiment: str) -> str:
    """Return the shortest profile of which an experiment asks something."""
    return next(name for name in PROFILES if plan_run([experiment], THREE, name, 1, {}))


def trials_of(experiment: str, profile: str = "standard", **overrides: list[Any]) -> pd.DataFrame:
    return run_of(experiment, profile, **overrides).trials_of(experiment)


def theory(experiment: str, **overrides: list[Any]) -> dict[str, list[float | Bounds]]:
    """Return what theory says of each transport's rows, in the table's order."""
    own = EXPERIMENTS[experiment]
    summary = summarise(own.rows(trials_of(experiment, **overrides)), [*own.columns, *own.predicted_from])
    told: dict[str, list[float | Bounds]] = {}
    for row, predicted in zip(summary, predictions(own, summary), strict=True):
        told.setdefault(row["transport"], []).append(predicted)
    return told


def notes(experiment: str, **overrides: list[Any]) -> str:
    return " ".join(experiment_table(EXPERIMENTS[experiment], trials_of(experiment, **overrides)).notes)


# Tables


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_table_tells_each_field_of_its_scenarios(experiment: str) -> None:
    """By a column, in the columns of words, or in the line of fixed fields: for every profile."""
    for profile in PROFILES:
        trials = trials_of(experiment, profile)
        if not len(trials):
            continue
        rows = EXPERIMENTS[experiment].rows(trials)
        table, told = experiment_table(EXPERIMENTS[experiment], trials)
        varied = varied_axes(rows)
        cells = {words(column.header): [words(cell) for cell in column.cells] for column in table.columns}
        for name in varied:
            told_apart = " ".join([*cells.get(FOLDED, ()), *cells.get(OWN, ())])
            unusual = [value for value in rows[name].dropna().unique() if not is_ordinary(name, value)]
            assert heading(name) in cells or all(field_words(name, each) in told_apart for each in unusual)
        for name in ("clients", "rate_hz", "payload_bytes", "poll_interval_s", "hold_s", "heartbeat_s"):
            values = rows[name].dropna().unique()
            if len(values) == 1 and name not in varied:
                assert field_words(name, values[0], alone=True) in " ".join(told)


def test_a_table_tells_what_is_unusual_and_not_what_is_as_ever() -> None:
    told = notes("freshness", tls=[True], mss=[536], keep_alive=[False])
    assert all(word in told for word in ("TLS", "segments of 536 B", "connections not kept"))
    told = notes("freshness")
    assert not any(word in told for word in ("TLS", "segments", "connections", "cubic"))
    assert "no heartbeats" in told
    assert "heartbeat each 7 s" in notes("freshness", heartbeat_s=[7.0])


@pytest.mark.parametrize(("field", "values"), [("window_s", [1.0, 3.0]), ("congestion", ["cubic", "reno"])])
def test_trials_measured_under_several_conditions_are_not_averaged(field: str, values: list[Any]) -> None:
    trials = trials_of("freshness", **{field: values})
    table, _ = experiment_table(EXPERIMENTS["freshness"], trials)
    assert table.row_count == 2 * len(THREE)
    assert field in varied_axes(trials)
    assert len(findings(EXPERIMENTS["freshness"], trials)) == 2


def test_n_is_told_and_stands_in_a_column_where_rows_differ_in_it() -> None:
    def heads(name: str) -> list[str]:
        return [
            words(each.header) for each in experiment_table(EXPERIMENTS[name], trials_of(name)).table.columns
        ]

    assert "n" in heads("interval")
    assert "n" in heads("rate")
    assert "n" not in heads("freshness")
    assert "n = 5" in notes("freshness")
    assert "n = 1" in notes("overhead")
    assert "typical p99 of a trial" in notes("freshness")


def test_a_figure_of_which_some_trials_have_nothing_has_an_interval_too() -> None:
    rows = [
        trial("freshness", "websocket", {"latency_p50_ms": 1.0, "requests_per_delivery": found})
        | {"repeat": repeat}
        for repeat, found in enumerate([0.0, 0.0, 0.3, 0.0, 0.1])
    ]
    table, _ = experiment_table(EXPERIMENTS["freshness"], synthetic_run(*rows).trials_of("freshness"))
    assert any("±" in words(cell) for cell in list(table.columns)[4].cells)


# Theory


def test_theory_of_requests_reads_the_hold_the_interval_and_the_plan() -> None:
    asked = {"rate_hz": [0.5]}
    assert theory("rate", **asked, hold_s=[0.8])["long_polling"] == [3]
    assert theory("rate", **asked, hold_s=[5.0])["long_polling"] == [1]
    assert theory("rate", **asked)["long_polling"] == [1]  # 24 s
    assert theory("rate", **asked)["short_polling"] == [20]
    assert theory("rate", **asked, poll_interval_s=[1.0])["short_polling"] == [2]
    assert theory("rate", **asked, poll_pause_s=[0.5])["short_polling"] == [4]
    (steady,), (poisson,) = (
        theory("rate", rate_hz=[5.0], plan=[plan], hold_s=[0.2])["long_polling"]
        for plan in ("steady", "poisson")
    )
    assert steady != poisson
    assert not any(found == found for found in theory("rate", **asked, contract=["latest"])["short_polling"])
    assert not any(found == found for found in theory("rate", rate_hz=[0.0])["short_polling"])


@pytest.mark.parametrize(
    ("field", "value", "transport", "more"),
    [
        ("poll_interval_s", 0.01, "short_polling", True),  # twice as many requests
        ("poll_interval_s", 0.2, "short_polling", False),  # ten ticks an answer
        ("cookie_bytes", 500, "short_polling", True),
        ("rate_hz", 5.0, "long_polling", True),  # held for longer than an ACK waits
        ("hold_s", 0.005, "long_polling", True),  # empty answers
        ("heartbeat_s", 0.1, "websocket", True),
    ],
)
def test_theory_of_bytes_reads_each_field(field: str, value: Any, transport: str, more: bool) -> None:
    base, changed = (
        theory("overhead", payload_bytes=[96], headers=["minimal"], **asked)[transport][0]
        for asked in ({}, {field: [value]})
    )
    assert isinstance(base, float)
    low, high = changed if isinstance(changed, Bounds) else (changed, changed)
    assert low > base if more else high < base


@pytest.mark.parametrize(
    ("field", "value"),
    [("tls", True), ("compression", True), ("keep_alive", False), ("mss", 536), ("rtt_ms", 20.0)],
)
def test_theory_of_bytes_says_nothing_of_what_it_does_not_cover(field: str, value: Any) -> None:
    found = theory("overhead", payload_bytes=[96], headers=["minimal"], **{field: [value]})
    assert [number(each) for each in found["short_polling"] if not isinstance(each, Bounds)] == ["–"]


def test_theory_of_large_messages_has_both_bounds_of_their_acks() -> None:
    table, _ = experiment_table(EXPERIMENTS["overhead"], trials_of("overhead", payload_bytes=[16_384]))
    assert all(" to " in words(cell) for cell in list(table.columns)[-1].cells)


def test_theory_of_connections_is_one_for_each_request() -> None:
    asked = {"keep_alive": [False], "tls": [False]}
    assert theory("handshake", **asked)["short_polling"] == [1000]
    assert theory("handshake", **asked, poll_interval_s=[0.2])["short_polling"] == [100]
    assert theory("handshake", **asked, rate_hz=[5.0])["short_polling"] == [10_000]
    assert theory("handshake", keep_alive=[True], rate_hz=[5.0])["short_polling"] == [0, 0]


def test_theory_of_silence_reads_periods_headers_and_rate() -> None:
    def of_polling(**asked: list[Any]) -> Any:
        return theory("idle", window_s=[20.0], **({"poll_interval_s": [1.0]} | asked))["short_polling"][0]

    each_second = of_polling()
    assert of_polling(poll_interval_s=[2.0]) == pytest.approx(each_second / 2)
    assert of_polling(poll_pause_s=[2.0]) == pytest.approx(each_second / 2)
    assert of_polling(headers=["browser"]) > each_second
    assert of_polling(cookie_bytes=[100]) > each_second
    assert number(of_polling(rate_hz=[5.0])) == "–"
    held = theory("idle", window_s=[20.0], hold_s=[2.0], heartbeat_s=[2.0])
    assert min(held["long_polling"]) > 0
    assert min(held["websocket"]) > 0


@pytest.mark.parametrize("experiment", ["freshness", "interval"])
def test_theory_of_latency_goes_by_the_pause_and_by_its_own_push(experiment: str) -> None:
    waits = {
        field: [found for found in theory(experiment, **{field: [0.2]})["short_polling"]]
        for field in ("poll_interval_s", "poll_pause_s")
    }
    assert waits["poll_interval_s"][0] == pytest.approx(waits["poll_pause_s"][0])
    run = run_of(experiment, poll_interval_s=[0.2], payload_bytes=[96, 1024])
    for row in run.rows:
        if row["transport"] == "websocket":
            row["latency_p50_ms"] = float(row["payload_bytes"])
    own = EXPERIMENTS[experiment]
    summary = summarise(run.trials_of(experiment), own.columns)
    found = {
        row["payload_bytes"]: predicted
        for row, predicted in zip(summary, predictions(own, summary), strict=True)
        if row["transport"] == "short_polling"
    }
    assert found[1024] - found[96] == pytest.approx(1024 - 96)


# Sentences


TWO: dict[str, list[Any]] = {
    "clients": [5, 7], "rate_hz": [5.0, 8.0], "plan": ["steady", "poisson"], "payload_bytes": [200, 300],
    "padding": ["noise", "text"], "contract": ["every", "latest"], "poll_interval_s": [0.3, 0.4],
    "poll_pause_s": [0.3, 0.4], "hold_s": [3.0, 4.0], "heartbeat_s": [3.0, 4.0],
    "headers": ["minimal", "browser"], "cookie_bytes": [10, 20], "keep_alive": [True, False],
    "tls": [True, False], "mss": [536, 1000], "congestion": ["cubic", "reno"],
    "latency_limit_ms": [50.0, 60.0], "warmup_s": [0.1, 0.2], "window_s": [2.0, 8.0],
    "link": ["lan", "satellite"], "rtt_ms": [20.0, 40.0], "jitter_ms": [3.0, 4.0], "loss": [0.01, 0.02],
    "burst_packets": [2.0, 3.0], "rate_mbit": [50.0, 60.0], "queue_ms": [30.0, 40.0],
    "incident": ["server_killed", "link_down"], "incident_s": [1.0, 2.0], "silence_s": [60.0, 70.0],
    "user_timeout_s": [3.0, 4.0], "backoff": ["doubling", "none"],
}  # fmt: skip
"""Two values of each field; compression and generator are left to the experiments that vary them."""
NEEDED: dict[str, dict[str, list[Any]]] = {
    "burst_packets": {"loss": [0.01]},
    "queue_ms": {"rate_mbit": [50.0]},
    "incident": {"rtt_ms": [20.0], "window_s": [8.0]},
    "incident_s": {"incident": ["server_killed"], "window_s": [10.0]},
    "silence_s": {"window_s": [200.0]},
}
"""What has to be given beside a field that does nothing alone."""
SILENT = {"hold_s": [0.3, 0.4], "heartbeat_s": [0.3, 0.4], "window_s": [5.0, 8.0]}
"""The same for a silent market, whose windows must hold ten of what clients do."""
TOLD = [name for name in EXPERIMENTS if name != "clients"]  # its sentence is of searches


def two_values(experiment: str, field: str) -> list[Any]:
    return SILENT.get(field, TWO[field]) if experiment == "idle" else TWO[field]


IMPOSSIBLE = [
    *(("instrument", field) for field in ("tls", "loss", "burst_packets", "rate_mbit", "queue_ms", "link")),
    *(("instrument", field) for field in fields_of(IncidentFields)),
    ("idle", "silence_s"),
]
"""What ordinary clients do not have; and silence, where nobody ever speaks."""
NOT_COMPARED = [("idle", "rate_hz"), ("handshake", "keep_alive")]
NOT_COMPARED += [("network", "incident"), ("network", "incident_s")]


@pytest.mark.parametrize(
    ("experiment", "field"), [pair for pair in itertools.product(TOLD, TWO) if pair not in IMPOSSIBLE]
)
def test_no_sentence_mixes_scenarios(experiment: str, field: str) -> None:
    """With two values of any field: a sentence for each that names it, or one that holds them apart."""
    own = EXPERIMENTS[experiment]
    values = two_values(experiment, field)
    trials = trials_of(experiment, shortest(experiment), **{field: values}, **NEEDED.get(field, {}))
    told = findings(own, trials)
    mixed = mixed_fields(trials, own.apart)
    if (experiment, field) in NOT_COMPARED:
        assert told == [] or field in own.apart
    elif field in mixed:
        assert len(told) == 2 * max(len(told) // 2, 1)
        for value in values:
            words = (
                field_words(field, value, alone=True),
                f"{value:g} s" if isinstance(value, float) else "",
            )
            found = [sentence for sentence in told if any(word and word in sentence for word in words)]
            assert found or field in own.named
    else:
        assert told


@pytest.mark.parametrize(("experiment", "field"), list(itertools.product(TOLD, TWO)))
def test_a_sentence_names_a_field_that_no_profile_has(experiment: str, field: str) -> None:
    own = EXPERIMENTS[experiment]
    value = two_values(experiment, field)[-1 if field != "tls" else 0]
    designs = [design for profile in PROFILES.values() for design in own.designs(profile)]
    designed = {each for design in designs for each in design.axes.get(field, [design.fixed.get(field)])}
    if (experiment, field) in IMPOSSIBLE or field in (*own.named, "warmup_s", "window_s"):
        return
    if value in designed:
        return
    trials = trials_of(experiment, shortest(experiment), **{field: [value]}, **NEEDED.get(field, {}))
    if value in {getattr(Scenario(transport), field) for transport in trials["transport"].unique()}:
        return
    known = trials[field].notna().any()
    for sentence in findings(own, trials):
        assert not known or field_words(field, value, alone=True) in sentence


@pytest.mark.parametrize(
    ("experiment", "profile", "once"),
    [("freshness", "standard", False), ("freshness", "quick", True), ("idle", "standard", True)],
)
def test_a_sentence_says_that_nothing_in_it_was_repeated(experiment: str, profile: str, once: bool) -> None:
    for sentence in findings(EXPERIMENTS[experiment], trials_of(experiment, profile)):
        assert sentence.endswith("(n = 1).") == once


def test_steps_of_searches_belong_to_every_number_of_clients() -> None:
    trials = trials_of("freshness", clients=[5, 7])
    steps = trials.head(1).assign(search_step=1, clients=900)
    found = list(combinations(pd.concat([trials, steps]), ["clients"]))
    assert [each.fields["clients"] for each in found] == [5, 7]
    assert all((each.trials["search_step"] == 1).sum() == 1 for each in found)


def test_a_transport_that_does_not_know_a_field_is_in_every_sentence() -> None:
    found = list(combinations(trials_of("freshness", hold_s=[1.0, 5.0]), ["hold_s"]))
    assert [each.fields for each in found] == [{"hold_s": 1.0}, {"hold_s": 5.0}]
    assert all(set(each.trials["transport"]) == set(THREE) for each in found)


# Rate, whose slow end is scaled


def test_times_are_divided_only_where_nobody_chose_the_rate() -> None:
    scaled = trials_of("rate")
    slow = scaled[scaled["rate_hz"] == SLOW_HZ]
    assert set(slow["heartbeat_s"].dropna()) == {FIXED["heartbeat_s"]}
    fast = scaled[scaled["rate_hz"] > SLOW_HZ]
    assert set(fast["heartbeat_s"].dropna()) == {15.0}
    own = trials_of("rate", rate_hz=[SLOW_HZ, 1.0])
    assert set(own["heartbeat_s"].dropna()) == {15.0}
    assert set(own["hold_s"].dropna()) == {24.0}
    (sentence,) = findings(EXPERIMENTS["rate"], scaled)
    assert "divided by 30" in sentence
    assert "a poll each 0.1 s, a hold of 0.8 s and a heartbeat each 0.5 s" in sentence
    assert "a poll each 3 s, a hold of 24 s and a heartbeat each 15 s" in sentence
    for asked in ({"rate_hz": [SLOW_HZ, 1.0]}, {"hold_s": [5.0]}, {"heartbeat_s": [None]}):
        (sentence,) = findings(EXPERIMENTS["rate"], trials_of("rate", **asked))
        assert "divided" not in sentence
    assert "no heartbeats" in sentence


def test_what_depends_on_time_is_repeated() -> None:
    trials = trials_of("rate")
    fastest = trials[(trials["transport"] == "long_polling") & (trials["rate_hz"] == 500)]
    assert sorted(fastest["repeat"]) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.80, 0.84, "turned into polling"),
        (0.92, 0.96, "still is told of each"),
        (0.80, 0.95, "not certain"),
        (float("nan"), float("nan"), "one trial cannot say"),
    ],
)
def test_a_sentence_needs_an_interval_on_one_side(low: float, high: float, said: str) -> None:
    told = turned_into_polling_words(Interval(0.87, low, high))
    assert said in told
    assert (
        sum(words in told for words in ("turned into polling,", "still is told", "not certain", "cannot say"))
        == 1
    )


def test_the_fixed_line_does_not_repeat_the_columns() -> None:
    rows = trials_of("rate")
    assert "Hz" not in fixed_fields_note(rows, varied_axes(rows))
