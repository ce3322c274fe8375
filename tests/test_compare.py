"""Two runs side by side: equal runs seldom differ, real differences are found, bad input gets a sentence."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.compare import Comparison, as_records, compare, machines_note, print_comparison, summary
from bench.experiments import EXPERIMENTS
from bench.results import COLUMNS, ResultsError, Run
from bench.scenario import PROFILES, Scenario
from bench.schedule import plan_run
from bench.statistics import unpaired_ratio
from bench.transports import MAIN, TRANSPORTS

NAMES = ["freshness", "interval", "library", "instrument"]
PLANNED = [each for each in plan_run(NAMES, MAIN, "standard", 1, {}) if each.search is None]
FIGURES = sorted({column for name in NAMES for column in EXPERIMENTS[name].columns})


def level(scenario: Scenario, figure: str) -> float:
    """The true figure of a scenario, the same in all runs unless a test changes it."""
    if figure == "requests_per_tick":
        return 0.0 if scenario.transport == "websocket" else 1.0
    return 1.0 + list(TRANSPORTS).index(scenario.transport)


def fake_run(
    seed: int,
    change: Callable[[Scenario, str], float] = lambda scenario, figure: 1.0,
    *,
    noise: float = 0.08,
    speed: float = 1.0,
    repeats: int = 5,
    name: str = "run",
) -> Run:
    """Make a run whose blocks drift by ± 10 %, with ± 8 % of noise per trial; counts are exact."""
    rng = np.random.default_rng(seed)
    drift = np.exp(0.1 * rng.standard_normal(PROFILES["full"].repeats))
    rows: list[dict[str, Any]] = []
    for each in PLANNED:
        if each.repeat > repeats:
            continue
        exact = "requests_per_tick"
        figures = {
            figure: level(each.scenario, figure)
            * change(each.scenario, figure)
            * (1.0 if figure == exact else speed * drift[each.repeat - 1] * math.exp(noise * rng.normal()))
            for figure in FIGURES
        }
        head = {"experiment": " ".join(each.experiments), "repeat": each.repeat, "order": each.order}
        verdict = {"verdict": "ok", "replaced": False, "step": 0, "attempt": 1}
        rows.append({**vars(each.scenario), **figures, **head, **verdict})
    facts = {"environment": {"cpu": "one", "cores": 2}, "profile": "standard", "experiments": NAMES}
    return Run(Path(name), facts, rows)


def found(comparisons: list[Comparison], verdict: str) -> set[tuple[str, int, str, str | None]]:
    return {
        (each.scenario["transport"], each.scenario["clients"], each.figure, each.against)
        for each in comparisons
        if each.verdict == verdict
    }


def test_equal_runs_seldom_differ() -> None:
    """Of all figures of two equal runs together, none differs in at least 93 % of simulations."""
    clean, perhaps, tested = 0, 0, 0
    for seed in range(100):
        comparisons = compare(fake_run(2 * seed), fake_run(2 * seed + 1))
        clean += not found(comparisons, "differs")
        perhaps += sum(each.p < 0.05 for each in comparisons)
        tested += sum(not math.isnan(each.p) for each in comparisons)
    assert clean >= 93
    assert 0.03 <= perhaps / tested <= 0.07


def test_welchs_interval_covers_the_true_ratio_of_unequal_spreads() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(4_000):
        a, b = np.exp(0.05 * rng.standard_normal(5)), 1.3 * np.exp(0.2 * rng.standard_normal(8))
        ratio, p = unpaired_ratio(list(a), list(b))
        covered += ratio.low <= 1.3 <= ratio.high
        assert (p < 0.05) == (not ratio.low <= 1 <= ratio.high)
    assert 0.93 <= covered / 4_000 <= 0.97


def test_a_slower_figure_is_found_and_nothing_else() -> None:
    def slower(scenario: Scenario, figure: str) -> float:
        slow = scenario.transport == "long_polling" and scenario.clients == 1000
        return 1.3 if slow and figure == "server_cpu_us_per_tick" else 1.0

    hits = 0
    for seed in range(20):
        comparisons = compare(fake_run(seed, noise=0.02), fake_run(seed + 500, slower, noise=0.02))
        differing = found(comparisons, "differs")
        hits += ("long_polling", 1000, "server_cpu_us_per_tick", "websocket") in differing
        (this,) = (
            each for each in comparisons
            if each.figure == "server_cpu_us_per_tick" and each.against is None
            and each.scenario["transport"] == "long_polling" and each.scenario["clients"] == 1000
        )  # fmt: skip
        assert this.ratio.low < this.ratio.estimate < this.ratio.high
    assert hits >= 18


def test_a_faster_machine_cancels_within_runs_and_only_there() -> None:
    comparisons = compare(fake_run(1), fake_run(2, speed=0.4))
    assert {against for *_, against in found(comparisons, "differs")} == {None}
    within = [each.ratio for each in comparisons if each.against]
    assert within
    assert np.mean([ratio.low <= 1 <= ratio.high for ratio in within]) > 0.8
    assert np.median([ratio.estimate for ratio in within]) == pytest.approx(1, abs=0.1)


def test_what_a_poll_waits_for_is_never_divided_by_what_a_machine_takes() -> None:
    comparisons = compare(fake_run(1), fake_run(2))
    divided = {(each.scenario["transport"], each.figure) for each in comparisons if each.against}
    assert ("long_polling", "latency_p50_ms") in divided
    assert ("short_polling", "server_cpu_us_per_tick") in divided
    assert not {pair for pair in divided if pair[0] == "websocket"}
    assert ("short_polling", "latency_p50_ms") not in divided


def test_identical_counts_are_equal_and_other_counts_differ() -> None:
    same = compare(fake_run(1), fake_run(2))
    assert {verdict.verdict for verdict in same if verdict.figure == "requests_per_tick"} == {"equal"}
    more = compare(fake_run(1), fake_run(2, lambda _, figure: 1.25 if figure == "requests_per_tick" else 1.0))
    polls = [each for each in more if each.figure == "requests_per_tick" and each.a.estimate > 0]
    polls = [each for each in polls if not math.isnan(each.ratio.low)]  # measured more than once
    assert {each.verdict for each in polls} == {"differs"}
    assert polls[0].ratio == pytest.approx((1.25, 1.25, 1.25))


def test_invalid_trials_are_never_used_and_suspect_ones_marked() -> None:
    clean, spoilt = fake_run(1), fake_run(1)
    for row in spoilt.rows:
        if row["repeat"] == 1:
            row.update(verdict="invalid", latency_p50_ms=1e9)
        if row["repeat"] == 2 and row["transport"] == "websocket" and row["rate_hz"] == 50:
            row["verdict"] = "suspect"
    comparisons = compare(clean, spoilt)
    assert max(each.b.estimate for each in comparisons) < 100
    assert not found(comparisons, "differs")
    suspect = {(c.scenario["transport"], c.scenario["rate_hz"], c.against) for c in comparisons if c.suspect}
    assert suspect == {("websocket", 50.0, None), ("long_polling", 50.0, "websocket")}


def test_of_a_trial_that_was_measured_again_only_the_last_attempt_counts() -> None:
    again = fake_run(1)
    spoilt = [
        {**row, "replaced": True, "verdict": "suspect", "latency_p50_ms": 1e9} for row in again.rows[:5]
    ]
    again.rows = [*spoilt, *({**row, "replaced": False} for row in again.rows)]
    assert {each.verdict for each in compare(fake_run(1), again)} <= {"alike", "equal"}
    assert not any(each.suspect for each in compare(fake_run(1), again))


def test_single_trials_cannot_be_judged_unless_they_are_equal() -> None:
    comparisons = compare(fake_run(1, repeats=1), fake_run(2, repeats=1))
    assert {each.verdict for each in comparisons} == {"unknown", "equal"}
    assert "cannot be judged" in summary(comparisons)


def test_nothing_in_common_is_one_sentence_that_says_what_differs() -> None:
    other = fake_run(2, name="other")
    for row in other.rows:
        row["rate_hz"] = 7.0
    with pytest.raises(ResultsError, match=r"run and other have no valid scenario in common.* rate_hz"):
        compare(fake_run(1), other)
    for row in other.rows:
        row["verdict"] = "invalid"
    with pytest.raises(ResultsError, match="no valid trial"):
        compare(fake_run(1), other)


def test_the_reference_run_equals_itself(reference: Run) -> None:
    comparisons = compare(reference, reference)
    assert {each.verdict for each in comparisons} <= {"equal", "alike"}
    assert all(each.ratio.estimate == pytest.approx(1) for each in comparisons)


@pytest.fixture
def reference() -> Run:
    return Run.open(Path(__file__).parent.parent / "results" / "reference")


def test_the_tables_the_sentence_and_the_note_are_printed() -> None:
    a, b = fake_run(1), fake_run(2, speed=2.0)
    b.facts["environment"] = {"cpu": "another", "cores": 8}
    console = Console(width=110, record=True, file=io.StringIO())
    print_comparison(compare(a, b), console, machines_note(a, b))
    text = console.export_text()
    for words in ("freshness: B/A", "divided by WebSocket", "figures,", "do not travel", "another, 8 cores"):
        assert words in " ".join(text.split())
    assert machines_note(a, a) == ""


def test_comparisons_are_json_without_nan() -> None:
    records = as_records(compare(fake_run(1, repeats=1), fake_run(2, repeats=1)))
    told = json.loads(json.dumps(records, allow_nan=False))
    assert told[0]["ratio"].keys() == {"estimate", "low", "high"}


def searched_run(capacity: int, *, at_least: bool = False) -> Run:
    """Make a run with one search, of a server that bears so many clients, or at least so many."""
    head = {**vars(Scenario("websocket")), "experiment": "clients library", "repeat": 1, "order": 1}
    head |= {
        "verdict": "ok",
        "replaced": False,
        "attempt": 1,
        "latency_mean_ms": 10.0,
        "server_cpu_ratio": 0.5,
    }
    tried = [round(capacity * share) for share in (0.3, 2.0, 0.8, 1.2, 0.9, 1.1)]
    rows = [
        {
            **head, "step": step, "clients": count, "late_ratio": 0.5 if count > capacity else 0.0,
            "server_cpu_us_per_tick": 1e4 / count, "limit": "generator_cpu" if at_least else "",
            "others_cpu_ratio": 0.0, "steal_ratio": 0.0,
        }
        for step, count in enumerate(tried, 1)
    ]  # fmt: skip
    facts = {"environment": {}, "profile": "standard", "experiments": ["clients", "library"]}
    return Run(Path("run"), facts, [{**dict.fromkeys(COLUMNS), **row} for row in rows])


def test_searches_are_compared_by_their_capacities_and_by_nothing_else() -> None:
    """Their last passing steps are of different numbers of clients: no scenario that both have."""
    (comparison,) = compare(searched_run(2_000), searched_run(2_200))
    assert (comparison.figure, comparison.experiments) == ("capacity_clients", ("clients",))
    assert comparison.ratio.low < 1 < comparison.ratio.estimate < 1.2
    assert comparison.verdict == "alike"
    (comparison,) = compare(searched_run(2_000), searched_run(6_000))
    assert comparison.verdict == "differs"
    assert comparison.ratio.low < 3 < comparison.ratio.high


def test_a_capacity_that_is_a_bound_is_not_compared() -> None:
    (comparison,) = compare(searched_run(2_000), searched_run(6_000, at_least=True))
    assert comparison.verdict == "unknown"
    assert math.isnan(comparison.ratio.estimate)
