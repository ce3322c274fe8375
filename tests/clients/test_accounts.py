"""The accounts of clients that come and go, against a model that keeps each delivery of each client."""

import math
import random
from array import array

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clients.load.accounts import Accounts, bins, lowest_of

MS = 1_000_000
PERIOD_NS = 100 * MS


def due(seq: int) -> int:
    return seq * PERIOD_NS


def rows(*deliveries: tuple[int, int, int]) -> "array[int]":
    """Return deliveries as a swarm writes them: client, seq, and latency in ms."""
    flat = array("q")
    for client, seq, latency_ms in deliveries:
        arrived_ns = due(seq) + latency_ms * MS
        flat.extend([client, seq, due(seq), arrived_ns, arrived_ns + MS, 0])
    return flat


def accounts_of(clients: int, clock_offset_ns: int = 0) -> Accounts:
    accounts = Accounts(clock_offset_ns)
    for number in range(clients):
        accounts.come(number, 0)
    return accounts


def test_the_first_tick_of_a_client_was_due_before_it_came_and_does_not_count() -> None:
    accounts = accounts_of(1)
    accounts.take(rows((0, 7, 90)))
    assert (accounts.count(0).delivered, accounts.take_latencies()) == (0, [])
    accounts.take(rows((0, 8, 5), (0, 9, 3)))
    assert accounts.count(0).delivered == 2
    assert accounts.take_latencies() == [(3_000, 1), (5_000, 1)]
    assert accounts.take_latencies() == []


def test_a_gap_of_one_who_stays_is_missed() -> None:
    accounts = accounts_of(1)
    accounts.take(rows((0, 1, 1), (0, 2, 1), (0, 4, 1)))
    assert accounts.count(0).missed == 1


def test_what_comes_again_or_too_late_is_repeated_and_has_no_latency() -> None:
    accounts = accounts_of(1)
    accounts.take(rows((0, 1, 1), (0, 3, 1), (0, 2, 1), (0, 3, 1)))
    accounts.take(rows((0, 3, 1), (0, 4, 1)))
    count = accounts.count(0)
    assert (count.delivered, count.repeated, count.missed) == (2, 3, 1)
    assert sum(times for _, times in accounts.take_latencies()) == 2


def test_one_who_leaves_owes_what_is_known_to_be_due_and_no_more() -> None:
    accounts = accounts_of(2)
    accounts.take(rows((0, 1, 1), (1, 1, 1), (0, 2, 1), (1, 2, 1)))
    accounts.leave([0], due(3) + MS // 2)  # tick 3 is due, and has reached nobody
    assert accounts.have_all([0]) == []
    accounts.take(rows((1, 3, 1), (1, 4, 1)))
    assert accounts.have_all([0]) == []
    accounts.take(rows((0, 3, 50)))
    assert accounts.have_all([0]) == [0]
    accounts.take(rows((0, 4, 1)))  # due after it left
    accounts.close([0])
    count = accounts.count(0)
    assert (count.owed, count.delivered_to_gone, count.missed) == (2, 2, 0)
    assert count.delivered == 2 + 3


def test_one_who_goes_without_the_last_tick_that_others_got_has_missed_it() -> None:
    accounts = accounts_of(2)
    accounts.take(rows((0, 1, 1), (1, 1, 1), (1, 2, 1), (1, 3, 1)))
    accounts.leave([0], due(2) + 10 * MS)
    accounts.close([0])
    assert (accounts.count(0).owed, accounts.count(0).missed) == (1, 1)


def test_one_who_was_never_served_is_owed_nothing_and_may_go() -> None:
    accounts = accounts_of(2)
    accounts.take(rows((1, 1, 1)))
    accounts.leave([0], due(1))
    assert accounts.have_all([0]) == [0]
    accounts.close([0])
    assert (accounts.count(0).never_served, accounts.count(0).owed) == (1, 0)


def test_what_reached_nobody_is_missed_if_the_plan_is_known() -> None:
    accounts = accounts_of(2)
    accounts.know(1, [due(seq) for seq in range(1, 6)])
    accounts.take(rows((0, 1, 1), (1, 1, 1), (0, 2, 1), (1, 2, 1)))
    accounts.leave([0, 1], due(4) + MS)
    accounts.take(rows((0, 3, 1), (0, 4, 1)))
    assert accounts.have_all([0, 1]) == [0], "it need not wait for the next tick"
    accounts.close([0, 1])
    count = accounts.count(0)
    assert (count.owed, count.delivered_to_gone, count.missed) == (6, 4, 2)


def test_a_plan_that_is_known_late_or_goes_on_says_nothing_else() -> None:
    accounts = accounts_of(1)
    accounts.take(rows((0, 3, 1), (0, 4, 1)))
    for first in (3, 5, 7):
        accounts.know(first, [due(seq) for seq in range(first, first + 4)])
    assert list(accounts.newest_due_by(np.array([due(2), due(7) + 1, due(10)]))) == [0, 7, 10]


def test_ticks_that_have_reached_nobody_are_overdue_after_a_while() -> None:
    accounts = Accounts(patience_ns=2 * PERIOD_NS)
    accounts.come(0, 0)
    accounts.know(1, [due(seq) for seq in range(1, 30)])
    accounts.take(rows((0, 1, 1), (0, 2, 1)))
    assert [accounts.count(due(seq)).overdue for seq in (2, 4, 5, 9)] == [0, 0, 1, 5]
    accounts.take(rows((0, 7, 1)))
    assert accounts.count(due(9)).overdue == 0


def test_one_who_is_told_nothing_for_too_long_waits_and_goes_ignored() -> None:
    accounts = Accounts(patience_ns=2 * PERIOD_NS)
    for number in range(3):
        accounts.come(number, due(number))
    accounts.take(rows((2, 2, 1)))
    assert [accounts.count(due(seq)).waiting for seq in (2, 3, 4)] == [0, 1, 2]
    accounts.leave([0, 1], due(3))
    accounts.close([0, 1])
    count = accounts.count(due(9))
    assert (count.waiting, count.ignored, count.never_served, count.served) == (0, 1, 2, 1)


def test_what_is_read_together_or_late_is_counted_with_what_counts() -> None:
    accounts = Accounts(late_ns=2 * MS)
    accounts.come(0, 0)
    flat = rows((0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 3, 1))
    for row, (handled_after_ms, shared) in enumerate([(9, 1), (9, 1), (2, 1), (9, 1)]):
        flat[6 * row + 4] = flat[6 * row + 3] + handled_after_ms * MS
        flat[6 * row + 5] = shared
    accounts.take(flat)
    count = accounts.count(0)
    assert (count.delivered, count.shared, count.handled_late) == (2, 2, 1)


def test_numbers_beyond_16_bits_are_kept_apart() -> None:
    accounts = Accounts()
    for number in (1, 2**16 + 1):
        accounts.come(number, 0)
    accounts.take(rows((1, 1, 1), (2**16 + 1, 5, 1), (1, 2, 1), (2**16 + 1, 6, 1)))
    assert (accounts.count(0).delivered, accounts.count(0).missed) == (2, 0)


def test_clocks_of_two_machines() -> None:
    accounts = accounts_of(1, clock_offset_ns=5_000 * MS)
    shifted = rows((0, 1, 5_001), (0, 2, 5_004))
    accounts.take(shifted)
    assert accounts.take_latencies() == [(4_000, 1)]


def test_age_is_that_of_a_client_that_always_waits_for_the_next() -> None:
    accounts = accounts_of(1)
    accounts.take(rows(*((0, seq, 20) for seq in range(1, 12))))
    count = accounts.count(0)
    assert count.held_s == pytest.approx(1.0)
    assert count.age_s2 / count.held_s == pytest.approx(0.020 + 0.100 / 2)  # latency and half a period


def test_the_longest_wait_before_handling_is_told_once() -> None:
    accounts = accounts_of(1)
    accounts.take(rows((0, 1, 1)))
    assert (accounts.take_late_ns(), accounts.take_late_ns()) == (MS, 0)


@given(st.lists(st.integers(1, 60_000_000), min_size=1))
def test_three_digits_are_kept_and_an_order_too(values: list[int]) -> None:
    numbers = bins(np.array(sorted(values)))
    rounded = lowest_of(numbers)
    assert list(bins(rounded)) == list(numbers)
    assert all(
        value * (1 - 1 / 1024) <= told <= value for value, told in zip(sorted(values), rounded, strict=True)
    )
    assert list(rounded) == sorted(rounded)


@given(seed=st.integers(0, 2**32), clients=st.integers(1, 6), last=st.integers(1, 30))
@example(seed=8107, clients=4, last=22)  # who is slow is told ticks that are older than all known ones
def test_counts_are_those_of_a_model_that_keeps_everything(seed: int, clients: int, last: int) -> None:
    rng = random.Random(seed)
    deliveries, expected = [], {"owed": 0, "delivered": 0, "repeated": 0, "missed": 0}
    leaves_ns = [due(rng.randint(0, last)) + rng.randint(0, 99) * MS for _ in range(clients)]
    known = set(range(1, last + 1))
    witness = clients  # one who gets all, so that it is known what was due
    for client in range(clients):
        first = rng.randint(1, last)
        got = [first, *(seq for seq in range(first + 1, last + 1) if rng.random() < 0.9)]
        for seq in [*got]:
            if rng.random() < 0.1:
                got.insert(got.index(seq) + 1, seq)
        deliveries.append([(client, seq, 10) for seq in got])
        if due(first) > leaves_ns[client]:
            continue
        owed = {seq for seq in known if seq > first and due(seq) <= leaves_ns[client]}
        theirs = [seq for seq in got if due(seq) <= leaves_ns[client]]
        expected["owed"] += len(owed)
        expected["delivered"] += len(owed & set(theirs))
        expected["repeated"] += len(theirs) - len(set(theirs))
        expected["missed"] += len(owed - set(theirs))
    accounts = accounts_of(clients + 1)
    for number, leaves in enumerate(leaves_ns):
        accounts.leave([number], leaves)
    deliveries.append([(witness, seq, 10) for seq in sorted(known)])
    while any(deliveries):
        piece = []
        for _ in range(rng.randint(1, 10)):
            queue = rng.choice(deliveries)
            if queue:
                piece.append(queue.pop(0))
        accounts.take(rows(*piece))
    accounts.close(range(clients))
    count = accounts.count(0)
    assert count.owed == expected["owed"]
    assert count.delivered_to_gone == expected["delivered"] == count.delivered - (last - 1)
    assert (count.repeated, count.missed) == (expected["repeated"], expected["missed"])
    assert math.isfinite(count.age_s2)
