"""The feed with a clock in our hand: what it publishes, what each cursor gets, and whom it wakes."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.feed import Feed
from servers.wire import MAX_BATCH_BYTES, MAX_BATCH_TICKS, decode_stamps, decode_ticks

GAP_NS = 1_000


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def quotes():
    return (("ACME", float(number)) for number in itertools.count(1))


def feed_of(
    published: int = 0, *, payload_bytes: int = 96, contract: str = "every", history_ticks: int = 1_000
) -> tuple[Feed, Clock]:
    """Return a feed whose tick n is due at n × 1,000 ns, after so many of them, and its clock."""
    clock = Clock()
    feed = Feed(
        itertools.count(GAP_NS, GAP_NS),
        quotes(),
        payload_bytes=payload_bytes,
        contract=contract,
        history_ticks=history_ticks,
        clock=clock,
    )
    clock.now_ns = published * GAP_NS
    feed.publish_due()
    return feed, clock


def seqs(body: bytes) -> list[int]:
    return [stamp.seq for stamp in decode_stamps(body)]


# Publishing


def test_nothing_is_published_before_it_is_due():
    feed, clock = feed_of()
    clock.now_ns = GAP_NS - 1
    assert feed.publish_due() == 0
    assert (feed.newest_seq, feed.oldest_seq, feed.next_due_ns) == (0, 1, GAP_NS)


@given(st.lists(st.integers(0, 5 * GAP_NS), max_size=20))
def test_exactly_the_due_ticks_are_published(steps):
    feed, clock = feed_of()
    for step_ns in steps:
        clock.now_ns += step_ns
        before = feed.newest_seq
        assert feed.publish_due() == clock.now_ns // GAP_NS - before
        assert feed.newest_seq == clock.now_ns // GAP_NS


def test_ticks_that_are_due_together_are_one_array():
    feed, _ = feed_of(3)
    assert seqs(feed.after(0).body) == [1, 2, 3]


def test_a_late_feed_keeps_the_planned_instants_and_records_its_lag():
    feed, clock = feed_of()
    clock.now_ns = 3 * GAP_NS + 250
    feed.publish_due(woken_ns=clock.now_ns - 100)
    assert [tick.due_ns for tick in decode_stamps(feed.after(0).body)] == [1_000, 2_000, 3_000]
    assert feed.lags_between(1, 3) == ([2_250, 1_250, 250], [100, 100, 100])


def test_ticks_carry_the_quotes_in_order():
    feed, _ = feed_of(2)
    assert [(tick.symbol, tick.price) for tick in decode_ticks(feed.after(0).body)] == [
        ("ACME", 1),
        ("ACME", 2),
    ]


@pytest.mark.parametrize(
    ("first_seq", "last_seq", "lags"),
    [(1, 5, [4, 3, 2, 1, 0]), (2, 3, [3, 2]), (4, 9, [1, 0]), (0, 1, [4]), (6, 9, []), (3, 2, [])],
)
def test_lags_are_told_of_the_ticks_that_were_published(first_seq, last_seq, lags):
    feed, _ = feed_of(5)
    assert feed.lags_between(first_seq, last_seq)[0] == [GAP_NS * later for later in lags]


def test_lags_that_were_forgotten_are_left_out(monkeypatch):
    monkeypatch.setattr("servers.feed.LAGS_KEPT", 3)
    feed, _ = feed_of(5)
    assert feed.lags_between(1, 4)[0] == [2 * GAP_NS, GAP_NS]


def test_the_history_is_bounded():
    feed, _ = feed_of(25, history_ticks=10)
    assert (feed.oldest_seq, feed.newest_seq) == (16, 25)
    assert seqs(feed.after(0).body) == list(range(16, 26))


# Reading


@given(
    published=st.integers(0, 60),
    history_ticks=st.integers(1, 70),
    payload_bytes=st.sampled_from([96, 20_000, 65_536]),
    data=st.data(),
)
def test_from_any_cursor_each_remaining_tick_comes_once_and_in_order(
    published, history_ticks, payload_bytes, data
):
    feed, _ = feed_of(published, history_ticks=history_ticks, payload_bytes=payload_bytes)
    start = cursor = data.draw(st.integers(0, published))
    delivered, missed = [], 0
    while cursor < feed.newest_seq:
        delivery = feed.after(cursor)
        got = seqs(delivery.body)
        assert delivery.missed + len(got) == delivery.last_seq - cursor
        assert delivery.waiting == feed.newest_seq - delivery.last_seq
        delivered += got
        missed += delivery.missed
        cursor = delivery.last_seq
    assert delivered == list(range(max(start + 1, feed.oldest_seq), published + 1))
    assert missed + len(delivered) == published - start


@pytest.mark.parametrize("cursor", [0, 7])
def test_who_holds_the_newest_tick_gets_an_empty_array(cursor):
    feed, _ = feed_of(cursor)
    assert feed.after(cursor) == (b"[]", cursor, 0, 0)


@pytest.mark.parametrize("payload_bytes", [96, 511, 1_023, 4_096, 32_767, 65_536])
def test_a_batch_is_as_large_as_its_bounds_allow_and_no_larger(payload_bytes):
    feed, _ = feed_of(1_500, payload_bytes=payload_bytes, history_ticks=1_500)
    delivery = feed.after(0)
    ticks = len(seqs(delivery.body))
    assert len(delivery.body) <= MAX_BATCH_BYTES
    assert ticks <= MAX_BATCH_TICKS
    assert delivery.waiting == 1_500 - ticks
    one_more = len(delivery.body) + 1 + payload_bytes
    assert ticks == MAX_BATCH_TICKS or one_more > MAX_BATCH_BYTES


def test_a_delivery_is_built_once_for_all():
    feed, _ = feed_of(3)
    assert feed.after(1) is feed.after(1)


def test_a_delivery_is_built_anew_after_the_next_tick():
    feed, clock = feed_of(3)
    old = feed.after(1)
    clock.now_ns += GAP_NS
    feed.publish_due()
    assert (seqs(old.body), seqs(feed.after(1).body)) == ([2, 3], [2, 3, 4])


def test_contract_latest_gives_the_newest_only_and_calls_nothing_missed():
    feed, _ = feed_of(50, contract="latest", history_ticks=5)
    delivery = feed.after(0)
    assert (seqs(delivery.body), delivery.last_seq) == ([50], 50)
    assert (delivery.missed, delivery.waiting) == (0, 0)


@pytest.mark.parametrize(("published", "expected"), [(0, []), (1, [1]), (9, [9])])
def test_who_starts_now_begins_with_the_newest_tick(published, expected):
    feed, _ = feed_of(published)
    assert seqs(feed.after(feed.newest_only()).body) == expected


# Waiting


def test_listeners_are_told_once_of_ticks_that_come_together():
    feed, clock = feed_of()
    told = []
    feed.listeners.add(lambda: told.append(feed.newest_seq))
    for clock.now_ns in (0, 3 * GAP_NS, 3 * GAP_NS, 4 * GAP_NS):
        feed.publish_due()
    assert told == [3, 4]


async def waiting(feed: Feed, cursor: int, timeout_s: float) -> "asyncio.Task[None]":
    """Return a task that has begun to wait for what is newer than a cursor."""
    task = asyncio.create_task(feed.newer_than(cursor, timeout_s))
    await asyncio.sleep(0)
    return task


def test_a_new_tick_wakes_everybody_who_waits():
    async def scene() -> None:
        feed, clock = feed_of(1)
        tasks = [await waiting(feed, 1, 60) for _ in range(3)]
        assert not any(task.done() for task in tasks)
        clock.now_ns = 2 * GAP_NS
        feed.publish_due()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)

    asyncio.run(scene())


def test_closing_wakes_everybody_and_nobody_waits_afterwards():
    async def scene() -> None:
        feed, _ = feed_of(1)
        task = await waiting(feed, 1, 60)
        feed.close()
        await asyncio.wait_for(task, 10)
        await asyncio.wait_for(feed.newer_than(1, 60), 10)

    asyncio.run(scene())


@pytest.mark.parametrize(("cursor", "timeout_s"), [(0, 60), (1, 0), (1, 0.001)])
def test_nobody_waits_for_what_is_there_or_longer_than_asked(cursor, timeout_s):
    async def scene() -> None:
        feed, _ = feed_of(1)
        await asyncio.wait_for(feed.newer_than(cursor, timeout_s), 10)

    asyncio.run(scene())


def test_one_who_gives_up_waiting_does_not_disturb_the_next_tick():
    async def scene() -> None:
        feed, clock = feed_of(1)
        quitter, other = await waiting(feed, 1, 60), await waiting(feed, 1, 60)
        quitter.cancel()
        await asyncio.wait([quitter])
        clock.now_ns = 2 * GAP_NS
        feed.publish_due()
        await asyncio.wait_for(other, 10)
        assert quitter.cancelled()

    asyncio.run(scene())
