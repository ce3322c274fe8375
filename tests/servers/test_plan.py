"""Plans: pure functions of their arguments, exact, and with the rates that they promise."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.workloads.plan import NS_PER_S, PLANS, due_times, recording_length_ns

GENERATED = ("steady", "poisson", "bursty")
RANDOM = ("poisson", "bursty")
OFFSETS_NS = [0, 30, 30, 100]
START_NS = 5_000_000_000


def first(
    count: int, plan: str, *, rate_hz: float = 10.0, seed: int = 0, start_ns: int = START_NS
) -> list[int]:
    offsets_ns = OFFSETS_NS if plan == "replay" else None
    due = due_times(plan, rate_hz=rate_hz, seed=seed, start_ns=start_ns, offsets_ns=offsets_ns)
    return list(itertools.islice(due, count))


@pytest.mark.parametrize("plan", PLANS)
def test_the_same_arguments_give_the_same_instants(plan):
    assert first(1_000, plan, seed=3) == first(1_000, plan, seed=3)


@pytest.mark.parametrize("plan", RANDOM)
def test_another_seed_gives_other_instants(plan):
    assert first(100, plan, seed=3) != first(100, plan, seed=4)


@pytest.mark.parametrize("plan", ["steady", "replay"])
def test_a_plan_without_chance_ignores_the_seed(plan):
    assert first(100, plan, seed=3) == first(100, plan, seed=4)


@pytest.mark.parametrize("plan", PLANS)
def test_the_first_tick_is_due_at_the_start(plan):
    assert first(1, plan, seed=7) == [START_NS]


@pytest.mark.parametrize("plan", PLANS)
def test_another_start_shifts_every_instant(plan):
    shifted = first(1_000, plan, start_ns=START_NS + 12_345)
    assert shifted == [due_ns + 12_345 for due_ns in first(1_000, plan)]


@given(
    plan=st.sampled_from(PLANS),
    seed=st.integers(0, 2**32),
    rate_hz=st.floats(0.01, 10_000, allow_subnormal=False),
)
def test_instants_never_fall(plan, seed, rate_hz):
    due = first(300, plan, rate_hz=rate_hz, seed=seed)
    assert all(earlier <= later for earlier, later in itertools.pairwise(due))


@pytest.mark.parametrize("rate_hz", [3, 10, 9_999])
def test_steady_is_exact_to_the_nanosecond_after_a_million_ticks(rate_hz):
    due = due_times("steady", rate_hz=rate_hz, seed=0, start_ns=START_NS)
    last = list(itertools.islice(due, 10**6 - 2, 10**6 + 1))
    exact = [Fraction(index * NS_PER_S, rate_hz) for index in range(10**6 - 2, 10**6 + 1)]
    assert last == [START_NS + round(due_ns) for due_ns in exact]


@pytest.mark.parametrize("plan", RANDOM)
def test_the_mean_rate_is_the_rate_asked_for(plan):
    ticks = 100_000
    elapsed_ns = first(ticks, plan, rate_hz=50, seed=1)[-1] - START_NS
    assert (ticks - 1) / elapsed_ns * NS_PER_S == pytest.approx(50, rel=0.02)


def test_poisson_gaps_vary_as_much_as_they_last():
    due = first(50_000, "poisson", rate_hz=100, seed=2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation / mean == pytest.approx(1, rel=0.03)


def test_openings_are_six_times_as_busy_as_the_quiet_market():
    cycle_ns, quiet_ns = 5 * NS_PER_S, 4 * NS_PER_S
    places = [(due_ns - START_NS) % cycle_ns for due_ns in first(100_000, "bursty", rate_hz=100, seed=5)]
    quiet = sum(place < quiet_ns for place in places)
    per_second_quiet, per_second_opening = quiet / 4, len(places) - quiet
    assert per_second_opening / per_second_quiet == pytest.approx(6, rel=0.05)


def test_replay_loops_one_mean_gap_after_its_end():
    mean_gap_ns = 34  # 100 ns / 3 gaps, rounded up
    lap = [START_NS + offset_ns for offset_ns in OFFSETS_NS]
    assert first(8, "replay") == lap + [due_ns + 100 + mean_gap_ns for due_ns in lap]


@pytest.mark.parametrize("offsets_ns", [[0], [0, 0, 0]])
def test_a_recording_of_one_instant_is_replayed_every_second(offsets_ns):
    assert recording_length_ns(offsets_ns) == NS_PER_S


@pytest.mark.parametrize(
    ("plan", "rate_hz", "sentence"),
    [
        ("hourly", 10, "unknown plan 'hourly'"),
        ("steady", -0.5, "rate_hz is -0.5"),
        ("poisson", -1, "rate_hz is -1"),
        ("bursty", float("nan"), "rate_hz is nan"),
        ("replay", 10, "needs a recording"),
    ],
)
def test_what_cannot_be_planned_is_refused_at_once(plan, rate_hz, sentence):
    with pytest.raises(ValueError, match=sentence):
        due_times(plan, rate_hz=rate_hz, seed=0, start_ns=0)


@pytest.mark.parametrize("plan", ["steady", "poisson", "bursty"])
def test_the_market_opens_later_but_tick_1_is_there_at_once(plan: str) -> None:
    at_once = first(100, plan)
    due = due_times(plan, rate_hz=10.0, seed=0, start_ns=START_NS, open_after_s=2.5)
    later = list(itertools.islice(due, 100))
    assert later[0] == at_once[0] == START_NS
    assert [late - early for late, early in zip(later[1:], at_once[1:], strict=True)] == [2_500_000_000] * 99
