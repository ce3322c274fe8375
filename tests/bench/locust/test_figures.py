"""What stands behind Locust's figures: histograms, rows, the ledger, shapes, arguments and clocks."""

import dataclasses
import itertools
import math
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.locust import arguments, figures, shapes
from bench.locust.back import Back
from bench.locust.due import MOST_DRAWN, due_ticks
from bench.locust.host import Host, HostError, clock_offset, drift_ns, look_up
from bench.locust.ledger import Ledger
from bench.locust.swarm_beside import phase_of, van_der_corput
from bench.measure.certificate import make_certificate
from bench.measure.subject import Server
from bench.scenario import FIELDS, ScenarioError
from bench.transports import TRANSPORTS, WEBSOCKET, names_of
from clients.base import Address
from clients.load.accounts import Count
from clients.load.orders import Telling
from servers.workloads.plan import NEVER_NS, due_times

NOTHING = dict.fromkeys(Count._fields, 0)


def telling(latencies_us: list[tuple[int, int]], **facts: object) -> Telling:
    plain = {
        "at_ns": 10**9, "cpu_ns": 10**8, "rss_bytes": 0, "clients": 0, "connected": 0, "late_ms": 0.0,
        "connects_ms": [], "errors": {}, "counts": NOTHING, "requests": 0, "empty_responses": 0,
        "late_requests": 0, "polls_skipped": 0, "connections": 0, "bytes_up": 0, "bytes_down": 0,
    }  # fmt: skip
    return Telling(latencies_us=latencies_us, **{**plain, **facts})


@given(st.floats(0.001, 60_000))
def test_buckets_have_three_digits_down_to_a_microsecond(value_ms: float) -> None:
    bucket_ms = figures.bucket_ms(value_ms)
    assert abs(bucket_ms - value_ms) <= max(value_ms * 0.005, 0.0005) * (1 + 1e-9)
    assert figures.bucket_ms(bucket_ms) == bucket_ms


def test_what_a_worker_reports_is_what_the_master_has() -> None:
    worker, master = figures.WorkerState(limit_ms=5.0, clock_bracket_ns=300_000), figures.WorkerState()
    counts = {**NOTHING, "delivered": 6, "missed": 1, "age_s2": 0.5, "held_s": 10.0}
    worker.hear(telling([(1_000, 3)]), None, asked=2)
    worker.hear(
        telling([(9_000, 2), (60_000_000, 1)], counts=counts, connected=2, errors={"lost": 4},
                at_ns=2 * 10**9, cpu_ns=6 * 10**8),
        telling([]), asked=2,
    )  # fmt: skip
    master.take(worker.report())
    for field in dataclasses.fields(figures.WorkerState):
        if field.name != "histogram":
            assert getattr(master, field.name) == getattr(worker, field.name), field.name
    assert (master.late, master.lost, master.cpu_ratio) == (3, 4, 0.5)
    row = master.row("one")
    assert (row["p50"], row["longest"], row["age"], row["cpu"]) == ("1", "60031", "50", "50 %")
    assert set(row) == set(figures.TABLE)


def test_together_is_the_sum_and_of_load_the_worst() -> None:
    states = [figures.WorkerState(asked=1, delivered=10, cpu_ratio=ratio) for ratio in (0.2, 0.9)]
    states[0].histogram.record_value(1_000, 10)
    states[1].histogram.record_value(9_000, 10)
    total = figures.together(states)
    assert (total.asked, total.delivered, total.cpu_ratio) == (2, 20, 0.9)
    assert total.histogram.get_total_count() == 20
    assert [row["worker"] for row in figures.rows({"b": states[0], "a": states[1]})] == ["all", "a", "b"]
    assert figures.rows({}) == []


# The ledger


def test_a_ledger_that_balances_has_no_problems() -> None:
    ledger = Ledger()
    ledger.expect("a")
    ledger.report("a", 10)
    ledger.drain("a", 15)
    assert ledger.open_workers == ["a"], "its last report is still to come"
    ledger.report("a", 5)
    assert (ledger.open_workers, ledger.problems()) == ([], [])


def test_one_who_is_lost_or_reports_too_much_or_too_little_is_named() -> None:
    ledger = Ledger()
    for worker in "abc":
        ledger.expect(worker)
        ledger.report(worker, 10)
    ledger.lose("a")
    ledger.drain("b", 9)
    ledger.drain("c", 11)
    lost, more, less = ledger.problems()
    assert lost.startswith("worker a was lost: 10 deliveries")
    assert more.startswith("worker b had 9 deliveries, but 10")
    assert less.startswith("worker c had 11 deliveries, but 10")


def test_numbers_that_locust_has_thrown_away_are_not_compared() -> None:
    ledger = Ledger(compares=False)
    ledger.report("a", 10)
    assert ledger.open_workers == ["a"]
    ledger.drain("a", 15)
    assert (ledger.open_workers, ledger.problems()) == ([], [])


# Silence


class Statistics:
    """Locust's statistics, as far as errors go into them."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()

    def log_error(self, kind: str, name: str, sentence: str) -> None:
        self.errors[sentence.partition(":")[0]] += 1


@pytest.fixture
def back() -> Back:
    runner = SimpleNamespace(worker_index=-1)
    back = Back(SimpleNamespace(runner=runner, stats=Statistics()))
    back.swarm = SimpleNamespace(asked=3)  # type: ignore[assignment]
    return back


def hear(back: Back, at_s: int, **counts: int) -> None:
    back.hear(telling([], at_ns=at_s * 10**9, clients=3, counts={**NOTHING, **counts}))


def test_a_server_that_falls_silent_is_an_error_once_and_again_when_it_does_so_again(back: Back) -> None:
    for at_s, overdue in enumerate([0, 0, 1, 5, 9, 0, 0, 2, 3]):
        hear(back, at_s, delivered=at_s, overdue=overdue)
    assert back.environment.stats.errors == {"the server has fallen silent": 2}


@pytest.mark.parametrize("plan_unknown", [False, True])
def test_silence_is_an_error_where_it_is_not_known_what_is_due(back: Back, plan_unknown: bool) -> None:
    back.state.plan_unknown = plan_unknown
    hear(back, 1, delivered=1)
    for at_s in range(2, 30):
        hear(back, at_s, delivered=2)
    assert back.environment.stats.errors.total() == plan_unknown


def test_clients_that_are_told_nothing_are_errors(back: Back, caplog: pytest.LogCaptureFixture) -> None:
    for at_s, ignored in enumerate([0, 2, 2, 5]):
        hear(back, at_s, ignored=ignored, waiting=3)
    assert back.environment.stats.errors.total() == 5
    assert caplog.text.count("3 clients have waited over") == 1


def test_cpu_counts_while_nobody_comes_or_goes() -> None:
    state, before = figures.WorkerState(), None
    for at_s, (asked, clients, served, delivered) in enumerate(
        [(0, 0, 0, 0), (5, 3, 3, 10), (5, 5, 4, 20), (5, 5, 5, 40), (5, 5, 5, 90), (5, 4, 5, 130)]
    ):
        now = telling(
            [], at_ns=at_s * 10**9, cpu_ns=at_s * 10**8, clients=clients,
            counts={**NOTHING, "served": served, "delivered": delivered},
        )  # fmt: skip
        state.hear(now, before, asked)
        before = now
    assert (state.steady_delivered, state.steady_cpu_s) == (50, 0.1)
    assert "2000 µs a delivery, while nobody came or went" in state.sentence("websocket")
    assert "µs a delivery" not in figures.WorkerState().sentence("websocket")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, []),
        ({"shared": 1, "handled_late": 1, "late_requests": 1}, []),
        ({"shared": 2}, ["2 % of the deliveries were read together"]),
        (
            {"handled_late": 50, "late_requests": 3},
            ["50 % of the deliveries were handled over", "3 % of the requests"],
        ),
    ],
)
def test_what_the_swarm_does_late_is_a_doubt(fields: dict[str, int], words: list[str]) -> None:
    doubts = figures.WorkerState(delivered=100, requests=100, **fields).doubts()
    assert len(doubts) == len(words)
    assert all(doubt.startswith(word) for doubt, word in zip(doubts, words, strict=True))


# Phases


@given(st.integers(1, 500), st.integers(0, 20))
def test_polls_of_any_number_of_users_are_spread_evenly(users: int, worker: int) -> None:
    phases = sorted(phase_of(number, worker) for number in range(users))
    assert all(0 <= phase < 1 for phase in phases)
    gaps = [after - before for before, after in zip(phases, [*phases[1:], phases[0] + 1], strict=True)]
    assert max(gaps) <= 2.0 ** -math.floor(math.log2(users)) + 1e-9


def test_the_sequence_of_van_der_corput() -> None:
    assert [van_der_corput(number) for number in range(5)] == [0, 0.5, 0.25, 0.75, 0.125]
    assert van_der_corput(5, base=3) == pytest.approx(2 / 3 + 1 / 9)


# Shapes


def test_ramp_and_spike() -> None:
    assert [shapes.ramp(at_s, 10, 100) for at_s in (0, 5, 10, 11)] == [1, 50, 100, 100]
    assert [shapes.spike(at_s, 10, 100) for at_s in (0, 3.9, 4, 5.9, 6)] == [10, 10, 100, 100, 10]


@given(bears=st.integers(1, 5_000), most=st.integers(1, 5_000))
def test_a_search_finds_what_a_server_bears(bears: int, most: int) -> None:
    search = shapes.CapacitySearch(first=100, most=most)
    at_s, delivered, late, asked = 0.0, 0, 0, []
    while not search.is_over:
        assert at_s < 10_000
        users = search.users
        asked.append(users)
        delivered += 10 * users
        late += 10 * users if users > bears else 0
        at_s += 1
        search.look(at_s, shapes.Seen(users, delivered, late))
    assert max(asked) <= most
    if bears >= most:
        assert (search.enough, search.too_many) == (most, None)
    else:
        assert (search.enough or 0) <= bears < search.too_many
        assert search.too_many <= max((search.enough or 0) * shapes.BRACKET_RATIO, (search.enough or 0) + 1)
    assert "within 100 ms" in search.sentence(100.0)


def test_a_step_whose_users_do_not_all_connect_has_failed() -> None:
    search = shapes.CapacitySearch(first=100, most=1_000)
    search.look(1.0, shapes.Seen(99, 10, 0))
    search.look(1.0 + shapes.CONNECT_S, shapes.Seen(99, 10, 0))
    assert search.too_many == 100


# Arguments and hosts


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_transport_is_given_what_it_obeys_and_nothing_else(name: str) -> None:
    asked = {"rate_hz": "20", "poll_interval_s": "0.25", "hold_s": "5", "headers": "", "keep_alive": None}
    scenario = arguments.chosen_scenario(name, asked)
    assert scenario.rate_hz == 20
    assert scenario.poll_interval_s == (0.25 if name in names_of("pull") else None)
    assert scenario.hold_s == (5 if name in names_of("held") else None)
    options = arguments.server_options(scenario)
    assert (options.rate_hz, options.open_after_s) == (20, 0.0)


def test_each_field_that_clients_obey_is_an_argument() -> None:
    for transport in TRANSPORTS.values():
        assert set(transport.client_class.settings) & set(FIELDS) <= set(arguments.CHOSEN)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"payload_bytes": "5"}, "payload_bytes is 5; it must be from 96 to 65536"),
        ({"rate_hz": "often"}, "rate_hz is a number, not 'often'"),
        ({"contract": "latest"}, "contract is latest"),
    ],
)
def test_a_wrong_argument_is_a_sentence(asked: dict[str, str], sentence: str) -> None:
    with pytest.raises((ScenarioError, ValueError), match=sentence):
        arguments.server_options(arguments.chosen_scenario("websocket", asked))


@pytest.mark.parametrize(
    "url", [None, "", "nonsense", "ws://127.0.0.1:8000", "http://127.0.0.1", "http://a:b"]
)
def test_a_host_that_is_none_is_a_sentence(url: str | None) -> None:
    with pytest.raises(HostError, match=r"^the host is .*; give --host http://ADDRESS:PORT"):
        look_up(url)


def test_a_server_of_this_machine_has_our_clock(start_server) -> None:
    server: Server = start_server(WEBSOCKET)
    host = look_up(f"http://{server.host}:{server.port}")
    assert host[:4] == Host(server.address, "websocket", 0, 0)[:4]
    assert host.plan["start_ns"] == server.ready["start_ns"]
    assert host.newest_seq >= 1


def test_a_server_that_leaves_ticks_out_on_purpose_is_refused(start_server) -> None:
    server: Server = start_server(WEBSOCKET, contract="latest")
    with pytest.raises(HostError, match="serves with contract latest"):
        look_up(f"http://{server.host}:{server.port}")


def test_an_encrypted_server_is_trusted_by_its_authority(start_server, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    server: Server = start_server(WEBSOCKET, certificate=certificate.server)
    url = f"https://{server.host}:{server.port}"
    assert look_up(url, certificate.ca).encrypted
    for ca, sentence in (
        (None, "is not trusted .*; give the file of its authority by --ca"),
        (str(tmp_path / "none.pem"), "cannot be read"),
    ):
        with pytest.raises(HostError, match=sentence):
            look_up(url, ca)
    for plain in (f"http://{server.host}:{server.port}", None):
        with pytest.raises(HostError):
            look_up(plain, certificate.ca)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, ""), (0.01234, "0.0123"), (12.34, "12.3"), (999.4, "999"), (999.9, "1000"), (60_000, "60000")],
)
def test_numbers_have_three_digits_and_no_power_of_ten(value: float | None, words: str) -> None:
    assert figures.told(value) == words


# What is due


PLAN = {"rate_hz": 50.0, "seed": 3, "start_ns": 10**9, "open_after_s": 0.5}


@given(
    plan=st.sampled_from(["steady", "poisson", "bursty"]),
    first_seq=st.integers(0, 300),
    steps_ns=st.lists(st.integers(0, 2 * 10**9), min_size=1, max_size=5),
)
def test_what_is_due_is_told_in_pieces_without_a_gap_and_one_tick_ahead(
    plan: str, first_seq: int, steps_ns: list[int]
) -> None:
    ticks = due_ticks({"plan": plan, **PLAN}, first_seq)
    assert ticks is not None
    at_ns, seq = 10**9, max(first_seq, 1)
    all_due = list(itertools.islice(due_times(plan, **PLAN), 3_000))
    for step_ns in steps_ns:
        at_ns += step_ns
        piece = ticks.until(at_ns)
        assert piece.first_seq == seq
        assert piece.due_ns == all_due[seq - 1 : seq - 1 + len(piece.due_ns)]
        assert all(due_ns <= at_ns for due_ns in piece.due_ns[:-2])
        assert piece.due_ns[-1] > at_ns
        seq += len(piece.due_ns)


def test_in_a_silent_market_the_next_tick_is_never_due() -> None:
    ticks = due_ticks({"plan": "steady", **PLAN, "rate_hz": 0.0}, 1)
    assert ticks is not None
    assert ticks.until(10**12).due_ns == [10**9, NEVER_NS]


@pytest.mark.parametrize(
    "plan",
    [
        None,
        {},
        {"plan": "replay", **PLAN},
        {"plan": "steady", **PLAN, "rate_hz": 1e300},
        {"plan": "steady", **PLAN, "rate_hz": "often"},
        {"plan": "steady", **PLAN, "rate_hz": math.nan},
        {"plan": "steady", **PLAN, "start_ns": None},
        {"plan": "hectic", **PLAN},
        {"plan": "steady", **PLAN, "more": 1},
    ],
)
def test_a_plan_that_is_a_recording_or_makes_no_sense_is_none(plan: dict | None) -> None:
    assert due_ticks(plan, 5) is None


def test_a_long_plan_of_chance_is_not_drawn_again() -> None:
    assert due_ticks({"plan": "poisson", **PLAN}, MOST_DRAWN + 1) is None
    assert due_ticks({"plan": "steady", **PLAN}, 10**9) is not None


@given(
    offset_ns=st.integers(10**9, 10**15),
    trips_ns=st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 10**7)), min_size=1),
)
def test_another_clock_is_known_within_half_a_round_trip(offset_ns: int, trips_ns: list) -> None:
    readings, at_ns = [], 10**12
    for there_ns, back_ns in trips_ns:
        readings.append((at_ns, at_ns + there_ns - offset_ns, at_ns + there_ns + back_ns))
        at_ns += 10**8
    measured_ns, bracket_ns = clock_offset(readings)
    assert abs(measured_ns - offset_ns) <= bracket_ns + 1
    assert bracket_ns <= max(map(sum, trips_ns)) / 2


@pytest.mark.parametrize(("moved_ns", "drifted_ns"), [(0, 0), (150, 0), (-150, 0), (500, 350), (-500, 350)])
def test_clocks_drift_by_more_than_the_readings_may_be_wrong(moved_ns: int, drifted_ns: int) -> None:
    before = Host(Address("a", 1), "websocket", 10_000, 100)
    after = before._replace(clock_offset_ns=10_000 + moved_ns, clock_bracket_ns=50)
    assert drift_ns(before, after) == drifted_ns
