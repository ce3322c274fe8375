"""Two runs side by side: equal runs seldom differ, real differences are found, bad input gets a sentence."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.columns.catalogue import COLUMNS
from bench.experiments.catalogue import EXPERIMENTS
from bench.judge import compare as comparing
from bench.judge.compare import SMALLEST_RELEVANT, Chance, Comparison
from bench.measure.schedule import plan_run
from bench.report.comparison import lead, summary
from bench.results.files import ResultsError
from bench.results.run import Run
from bench.scenario import PROFILES, Scenario
from bench.transports import TRANSPORTS
from tests import ROOT

THREE = ["short_polling", "long_polling", "websocket"]
NAMES = ["freshness", "interval", "library", "instrument"]
PLANNED = [each for each in plan_run(NAMES, THREE, "standard", 1, {}) if each.search is None]
FIGURES = sorted({column for name in NAMES for column in EXPERIMENTS[name].columns})


def compare(a: Run, b: Run) -> list[Comparison]:
    return comparing.compare(a, b)[0]


def level(scenario: Scenario, figure: str) -> float:
    """The true figure of a scenario, the same in all runs unless a test changes it."""
    if figure == "requests_per_delivery":
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
        exact = "requests_per_delivery"
        figures = {
            figure: level(each.scenario, figure)
            * change(each.scenario, figure)
            * (1.0 if figure == exact else speed * drift[each.repeat - 1] * math.exp(noise * rng.normal()))
            for figure in FIGURES
        }
        head = {"experiments": " ".join(each.experiments), "repeat": each.repeat, "trial_number": each.order}
        verdict = {"verdict": "ok", "retried": False, "search_step": 0, "attempt": 1}
        rows.append({**vars(each.scenario), **figures, **head, **verdict})
    facts = {
        "environment": {"cpu": "one", "cores": 2},
        "process_environment": {"PATH": "/bin"},
        "profile": "standard",
        "experiments": NAMES,
    }
    return Run(Path(name), facts, rows)


def found(comparisons: list[Comparison], verdict: str) -> set[tuple[str, int, str, str | None]]:
    return {
        (each.scenario["transport"], each.scenario["clients"], each.figure, each.against)
        for each in comparisons
        if each.verdict == verdict
    }


@functools.cache
def of_equal_runs(seed: int) -> tuple[list[Comparison], Chance | None]:
    """Return how two runs compare that differ by chance alone."""
    return comparing.compare(fake_run(2 * seed), fake_run(2 * seed + 1))


def test_equal_runs_seldom_differ() -> None:
    """Of all figures of two equal runs together, hardly ever one differs.

    More worlds, and more of each: tests/bench/judge/test_significance.py.
    """
    clean, perhaps, tested = 0, 0, 0
    for seed in range(25):
        comparisons, _ = of_equal_runs(seed)
        clean += not found(comparisons, "differs")
        perhaps += sum(each.p < 0.05 for each in comparisons)
        tested += sum(not math.isnan(each.p) for each in comparisons)
    assert clean >= 22
    assert 0.02 <= perhaps / tested <= 0.07


def slower_by(factor: float) -> Callable[[Scenario, str], float]:
    """Make one server slower: its CPU time by a factor."""

    def slower(scenario: Scenario, figure: str) -> float:
        slow = scenario.transport == "long_polling" and scenario.clients == 1000
        return factor if slow and figure == "server_cpu_us_per_delivery" else 1.0

    return slower


def of_the_slower(comparisons: list[Comparison]) -> Comparison:
    (this,) = (
        each for each in comparisons
        if each.figure == "server_cpu_us_per_delivery" and each.against is None
        and each.scenario["transport"] == "long_polling" and each.scenario["generator"] == "swarm"
    )  # fmt: skip
    return this


def test_cpu_times_one_and_a_half_is_found_and_nothing_else() -> None:
    """With a noise of 13 %, five repeats and 126 figures, which Holm allows for: in two of three runs.

    Of fewer figures it is found more often. Before spreads were borrowed it was in 30 %.
    """
    hits, others = 0, 0
    for seed in range(15):
        comparisons = compare(fake_run(2 * seed), fake_run(2 * seed + 1, slower_by(1.5)))
        this = of_the_slower(comparisons)
        hits += this.verdict == "differs"
        others += any(transport != "long_polling" for transport, *_ in found(comparisons, "differs"))
        assert this.ratio.low < this.ratio.estimate < this.ratio.high
    assert hits >= 0.5 * 15
    assert others <= 2


def test_a_change_too_small_to_matter_is_slight_however_sure() -> None:
    """Memory × 1.004 with a noise of 0.1 % is sure, and nothing."""
    a, b = fake_run(1), fake_run(2)
    rng = np.random.default_rng(3)
    for run, factor in ((a, 1.0), (b, 1.004)):
        for row in run.rows:
            row["server_rss_kb_per_client"] = 12.0 * factor * math.exp(0.001 * rng.normal())
    memory = [each for each in compare(a, b) if each.figure == "server_rss_kb_per_client"]
    assert min(each.p for each in memory) < 0.001
    assert {each.verdict for each in memory} <= {"slight", "alike"}
    assert all(1 < each.ratio.estimate < SMALLEST_RELEVANT for each in memory)


def test_one_part_in_a_million_is_no_difference() -> None:
    a, b = fake_run(1), fake_run(1)
    for row in b.rows:
        if row["requests_per_delivery"]:
            row["requests_per_delivery"] *= 1 + 2e-6
    polls = [each for each in compare(a, b) if each.figure == "requests_per_delivery" and each.a.estimate > 0]
    tested = [each for each in polls if not math.isnan(each.p)]
    assert tested
    assert {each.verdict for each in tested} == {"alike"}


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
    assert ("short_polling", "server_cpu_us_per_delivery") in divided
    assert not {pair for pair in divided if pair[0] == "websocket"}
    assert ("short_polling", "latency_p50_ms") not in divided


def test_identical_counts_are_equal_and_other_counts_differ() -> None:
    same = compare(fake_run(1), fake_run(2))
    assert {verdict.verdict for verdict in same if verdict.figure == "requests_per_delivery"} == {"equal"}
    more = compare(
        fake_run(1), fake_run(2, lambda _, figure: 1.25 if figure == "requests_per_delivery" else 1.0)
    )
    polls = [each for each in more if each.figure == "requests_per_delivery" and each.a.estimate > 0]
    polls = [each for each in polls if not math.isnan(each.ratio.low)]  # measured more than once
    assert {each.verdict for each in polls} == {"differs"}
    assert polls[0].ratio == pytest.approx((1.25, 1.25, 1.25), rel=1e-5)


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
    spoilt = [{**row, "retried": True, "verdict": "suspect", "latency_p50_ms": 1e9} for row in again.rows[:5]]
    again.rows = [*spoilt, *({**row, "retried": False} for row in again.rows)]
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
    """What is divided by a transport that was measured once has no interval, and cannot be judged."""
    comparisons = compare(reference, reference)
    judged = [each for each in comparisons if each.verdict != "unknown"]
    assert {each.verdict for each in judged} <= {"equal", "alike"}
    assert len(judged) > 0.95 * len(comparisons)
    assert all(math.isnan(each.ratio.low) for each in comparisons if each.verdict == "unknown")
    assert all(each.ratio.estimate == pytest.approx(1) for each in comparisons)


@pytest.fixture
def reference() -> Run:
    return Run.open(ROOT / "results" / "reference")


def test_what_chance_gives_leads_and_has_its_spread() -> None:
    """By chance one interval in twenty excludes 1; figures of a trial hang together, so many do or none."""
    runs = [of_equal_runs(seed)[1] for seed in range(12)]
    assert all(runs)
    chances = [each for each in runs if each is not None]
    assert np.mean([each.excluding for each in chances]) == pytest.approx(
        np.mean([each.mean for each in chances]), abs=3
    )
    independent = math.sqrt(chances[0].tested * 0.05 * 0.95)
    assert np.median([each.sd for each in chances]) > 1.5 * independent
    assert np.mean([each.as_many <= 0.05 for each in chances]) <= 0.25
    text = lead(Chance(87, 31, 3.8, 3.4, 0.0079))
    assert text.startswith("Of 87 figures that vary from trial to trial, 31 have a 95 % interval without 1")
    assert "3.8 ± 3.4 (as many in 0.8 % of" in text
    real = comparing.compare(fake_run(1), fake_run(2, speed=2.0))[1]
    assert real is not None
    assert real.as_many < 0.02


def only(run: Run, *transports: str) -> Run:
    return Run(run.folder, run.facts, [row for row in run.rows if row["transport"] in transports])


def test_the_reference_is_a_push_transport_that_both_runs_have_of_the_same_library_if_there_is_one() -> None:
    def references(*transports: str) -> dict[str, set[str | None]]:
        every = compare(only(fake_run(1), *transports), only(fake_run(2), *transports))
        every = [
            each
            for each in every
            if each.scenario["clients"] == 1000 and each.scenario["generator"] == "swarm"
        ]
        return {
            name: {each.against for each in every if each.scenario["transport"] == name} - {None}
            for name in transports
        }

    assert references("long_polling", "long_polling_httptools", "websocket", "websocket_aiohttp") == {
        "long_polling": {"websocket_aiohttp"},
        "long_polling_httptools": {"websocket"},
        "websocket": set(),
        "websocket_aiohttp": {"websocket"},
    }
    assert references("long_polling", "websocket_picows") == {
        "long_polling": {"websocket_picows"},
        "websocket_picows": set(),
    }
    assert references("long_polling") == {"long_polling": set()}


def searched_run(capacity: int, *, at_least: bool = False) -> Run:
    """Make a run with one search, of a server that bears so many clients, or at least so many."""
    head = {**vars(Scenario("websocket")), "experiments": "clients library", "repeat": 1, "trial_number": 1}
    head |= {"verdict": "ok", "retried": False, "attempt": 1}
    head |= {"latency_mean_ms": 10.0, "server_cpu_ratio": 0.5}
    tried = [round(capacity * share) for share in (0.3, 2.0, 0.8, 1.2, 0.9, 1.1)]
    rows = [
        {
            **head, "search_step": step, "clients": count, "late_ratio": 0.5 if count > capacity else 0.0,
            "server_cpu_us_per_delivery": 1e4 / count, "bottleneck": "generator_cpu" if at_least else "",
            "foreign_cpu_ratio": 0.0, "stolen_cpu_ratio": 0.0,
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
