"""A server that comes back is the same feed, byte for byte, and clients go on from their cursor."""

import itertools
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.transports import Transport
from servers import __main__ as server
from servers.__main__ import build_feed
from servers.feed import Feed
from servers.options import ServerOptions
from servers.wire import now_ns
from servers.workloads import plan as plan_module
from servers.workloads.market import DAY_TICKS, random_walk
from servers.workloads.plan import NEVER_NS, PLANS, due_times, due_times_again
from servers.workloads.recording import read_recording
from tests.asking import StartServer, Watch, get, is_websocket

S = 1_000_000_000
START_NS = 5 * S
OFFSETS_NS = [0, 30_000_000, 30_000_000, 100_000_000]


class Clock:
    """The bench clock of servers that are built here: it stands until it is set."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock()
    monkeypatch.setattr(server, "now_ns", standing)
    monkeypatch.setitem(Feed.__init__.__kwdefaults__, "clock", standing)
    return standing


@pytest.fixture
def recording(tmp_path: Path) -> str:
    path = tmp_path / "market.csv"
    rows = "".join(f"{at_ns / S:.2f},ACME,{price}\n" for price, at_ns in enumerate(OFFSETS_NS, 1))
    path.write_text(f"time,symbol,price\n{rows}", encoding="utf-8")
    return str(path)


def held(feed: Feed) -> list[bytes]:
    """Return the ticks of the history as they are sent."""
    return list(feed._history)


# The same ticks


@pytest.mark.parametrize("contract", ["every", "latest"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("open_after_s", [0.0, 1.5])
def test_a_rebuilt_feed_holds_the_same_bytes_and_goes_on_with_the_same(
    plan: str, contract: str, open_after_s: float, clock: Clock, recording: str
) -> None:
    options: dict[str, Any] = {
        "plan": plan, "contract": contract, "rate_hz": 100, "seed": 7, "history_ticks": 50,
        "payload_bytes": 200, "open_after_s": open_after_s,
    }  # fmt: skip
    if plan == "replay":
        options["recording"] = recording
    old, start_ns = build_feed(ServerOptions(**options))
    for at_s in (0, 0.4, 1.6, 1.7, 3.0, 20.0):
        clock.now_ns = START_NS + round(at_s * S)
        old.publish_due()
        new, said_ns = build_feed(ServerOptions(**options, start_ns=start_ns))
        assert said_ns == start_ns
        assert (new.newest_seq, new.oldest_seq, new.next_due_ns) == (
            old.newest_seq, old.oldest_seq, old.next_due_ns,
        )  # fmt: skip
        assert held(new) == held(old)
        for cursor in range(old.newest_seq + 1):
            assert new.after(cursor) == old.after(cursor)
    clock.now_ns += S
    assert new.publish_due() == old.publish_due() > 0
    assert held(new) == held(old)


@given(
    plan=st.sampled_from(PLANS),
    rate_hz=st.sampled_from([0, 0.5, 9.7, 400]),
    seed=st.integers(0, 2**32),
    past_ns=st.integers(0, 3 * S),
    kept=st.integers(1, 300),
    open_after_s=st.sampled_from([0.0, 0.25]),
)
def test_a_plan_is_taken_up_where_it_is(
    plan: str, rate_hz: float, seed: int, past_ns: int, kept: int, open_after_s: float
) -> None:
    parameters: dict[str, Any] = {
        "plan": plan, "rate_hz": rate_hz, "seed": seed, "start_ns": START_NS,
        "open_after_s": open_after_s, "offsets_ns": OFFSETS_NS if plan == "replay" else None,
    }  # fmt: skip
    now = START_NS + past_ns
    left_out, due = due_times_again(now_ns=now, kept=kept, **parameters)
    past = list(itertools.takewhile(lambda due_ns: due_ns <= now, due_times(**parameters)))
    assert left_out == max(len(past) - kept, 0)
    whole = itertools.islice(due_times(**parameters), left_out, left_out + kept + 20)
    assert list(itertools.islice(due, kept + 20)) == list(whole)


@given(st.sampled_from([*PLANS, "silent"]), st.integers(0, 500))
def test_what_a_plan_leaves_out_is_its_beginning(plan: str, after: int) -> None:
    parameters: dict[str, Any] = {
        "plan": "steady" if plan == "silent" else plan, "rate_hz": 0 if plan == "silent" else 30,
        "seed": 3, "start_ns": START_NS, "open_after_s": 2.0,
        "offsets_ns": OFFSETS_NS if plan == "replay" else None,
    }  # fmt: skip
    whole = list(itertools.islice(due_times(**parameters), after + 5))
    assert list(itertools.islice(due_times(**parameters, after=after), 5)) == whole[after:]


@pytest.mark.parametrize("after", [0, 1, DAY_TICKS - 2, DAY_TICKS, DAY_TICKS + 3])
def test_a_market_is_taken_up_on_any_day(after: int) -> None:
    whole = itertools.islice(random_walk(11), after, after + 5)
    assert list(itertools.islice(random_walk(11, after=after), 5)) == list(whole)


def test_days_differ_and_no_morning_is_far_from_the_evening_before() -> None:
    around = list(itertools.islice(random_walk(11, after=DAY_TICKS - 1_000), 2_000))
    evening, morning = dict(around[:1_000]), dict(reversed(around[1_000:]))
    assert all(abs(morning[name] / price - 1) < 0.2 for name, price in evening.items())
    assert around[1_000:] != list(itertools.islice(random_walk(11), 1_000))


@pytest.mark.parametrize("after", [0, 3, 4, 9])
def test_a_recording_is_taken_up_at_any_row(after: int, recording: str) -> None:
    market = read_recording(Path(recording), payload_bytes=128)
    whole = itertools.islice(market.loop(), after, after + 9)
    assert list(itertools.islice(market.loop(after=after), 9)) == list(whole)


# What it takes, and what is refused


@pytest.mark.parametrize("plan", ["steady", "replay"])
def test_after_years_no_tick_is_counted_one_by_one(
    plan: str, clock: Clock, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"plan": plan, "rate_hz": 10_000, "start_ns": START_NS, "history_ticks": 100}
    if plan == "replay":
        options["recording"] = recording
    clock.now_ns = START_NS + 3 * 365 * 86_400 * S
    taken: deque[int] = deque()

    def counted(*arguments: Any, **parameters: Any) -> Any:
        for due_ns in due_times(*arguments, **parameters):
            taken.append(due_ns)
            yield due_ns

    monkeypatch.setattr(plan_module, "due_times", counted)
    feed, _ = build_feed(ServerOptions(**options))
    assert feed.newest_seq > 10**9
    assert feed.newest_seq - feed.oldest_seq == 99
    assert len(taken) < 1_000
    assert feed.next_due_ns > clock.now_ns


@pytest.mark.parametrize("plan", ["poisson", "bursty"])
def test_a_past_that_is_too_long_to_be_drawn_again_is_refused(plan: str, clock: Clock) -> None:
    clock.now_ns += 10_000 * S
    with pytest.raises(
        ValueError, match=f"start_ns is 10,000 s ago; since then the plan {plan} has had over"
    ):
        build_feed(ServerOptions(plan=plan, rate_hz=10_000, start_ns=START_NS))


@pytest.mark.parametrize(
    ("start_ns", "said"),
    [
        (
            str(NEVER_NS),
            f"start_ns is {NEVER_NS}, but this machine's clock, which counts since it booted, is",
        ),
        ("-1", "start_ns is -1; it must be what an earlier server told when it was ready"),
        ("yesterday", "invalid whole number value: 'yesterday'"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_a_sentence(
    start_ns: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = server.main(["websocket", f"--start-ns={start_ns}"])
    except SystemExit as end:  # argparse's own
        code = int(str(end.code))
    assert code == 2
    assert said in capsys.readouterr().err


def test_without_a_start_the_feed_is_new(clock: Clock) -> None:
    clock.now_ns += 3
    feed, start_ns = build_feed(ServerOptions())
    assert (feed.newest_seq, feed.next_due_ns, start_ns) == (0, clock.now_ns, clock.now_ns)


# Lags


def test_what_an_earlier_server_published_has_no_lag_here(clock: Clock) -> None:
    clock.now_ns = START_NS + S
    feed, _ = build_feed(ServerOptions(rate_hz=10, start_ns=START_NS))
    assert feed.newest_seq == 11
    assert feed.lags_between(1, 20) == ([], [])
    clock.now_ns += S // 10 + 250
    assert feed.publish_due(woken_ns=clock.now_ns - 100) == 1
    assert feed.lags_between(1, 20) == ([250], [100])
    assert feed.lags_between(1, 11) == ([], [])


# Over every transport


@pytest.mark.parametrize("plan", ["steady", "poisson"])
def test_a_client_goes_on_when_its_server_was_killed_and_came_back(
    transport: Transport, start_server: StartServer, watch: Watch, plan: str
) -> None:
    """SIGKILL: nothing is told to anyone, and nothing of the feed is kept but its start and its seed."""
    options = {"rate_hz": 100, "seed": 5, "plan": plan, "history_ticks": 5_000}
    first = start_server(transport, **options)
    swarm = watch(first, transport, count=3)
    swarm.connect()
    swarm.until(lambda: all((c.cursor or 0) >= 30 for c in swarm.clients), "tick 30")
    first.kill()
    swarm.until(lambda: bool(swarm.swarm.errors), "the loss is noticed")
    before = now_ns()
    again = start_server(transport, **options, port=first.port, start_ns=first.ready["start_ns"])
    assert again.ready["start_ns"] == first.ready["start_ns"]
    goal = (before - first.ready["start_ns"]) // 10_000_000 + 100  # beyond what was due while nobody served
    swarm.until(lambda: all((c.cursor or 0) >= goal for c in swarm.clients), f"tick {goal}")
    for client in range(3):
        seqs = swarm.seqs(client)
        assert seqs == list(range(seqs[0], seqs[-1] + 1))


def test_contract_latest_goes_on_with_the_newest(
    transport: Transport, start_server: StartServer, watch: Watch
) -> None:
    options = {"rate_hz": 100, "contract": "latest"}
    first = start_server(transport, **options)
    swarm = watch(first, transport)
    swarm.until(lambda: (swarm.clients[0].cursor or 0) >= 20, "tick 20")
    first.kill()
    start_server(transport, **options, port=first.port, start_ns=first.ready["start_ns"])
    goal = swarm.clients[0].cursor + 50
    swarm.until(lambda: swarm.clients[0].cursor >= goal, f"tick {goal}")
    assert swarm.seqs(0) == sorted(set(swarm.seqs(0)))


def test_a_cursor_ahead_of_the_feed_is_refused_as_ever(
    transport: Transport, start_server: StartServer
) -> None:
    first = start_server(transport, rate_hz=100)
    first.kill()
    again = start_server(transport, rate_hz=100, port=first.port, start_ns=first.ready["start_ns"])
    if not is_websocket(transport):
        status, _, said = get(again, f"/ticks?after={10**9}")
        assert (status, "is ahead of the newest tick" in said["error"]) == (400, True)
