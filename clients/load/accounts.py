"""What the clients of a changing swarm have got: exact counts, delivery latency, and age, over all of them.

A client is told everything after its first tick, which is the newest that there was when it came. So it is
owed the ticks that are due between that one and its leaving. Which these are is known by what any client of
the swarm was told.
"""

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.load.generator import DELIVERY_FIELDS

Ints = NDArray[np.int64]

STAYS_NS = np.iinfo(np.int64).max
"""When a client leaves that has not said so."""
TICKS_REMEMBERED = 20_000
SHORTEST_US, LONGEST_US = 1, 60_000_000
"""What a histogram of latencies holds; beyond, its first and its last value."""
EXACT_BITS = 11
"""Latencies below 2,048 µs are exact; others have three digits, as HdrHistogram's."""


class Count(NamedTuple):
    """How the clients' accounts stand, since the start.

    Attributes:
        owed: Ticks that those who have gone should have got.
        delivered: Ticks that came, each for the first time, to all clients; without each client's first one.
        delivered_to_gone: The same, to those who have gone.
        repeated: Ticks that came again, or after a later one.
        missed: owed − delivered of those who have gone, and the gaps of those who stay.
        never_served: Clients that have gone without a single tick.
        age_s2: Age of the newest tick held, integrated over time and summed over clients, in s².
        held_s: The time over which it is integrated, summed over clients.
    """

    owed: int
    delivered: int
    delivered_to_gone: int
    repeated: int
    missed: int
    never_served: int
    age_s2: float
    held_s: float


_CLIENT = np.dtype(
    [
        (name, np.int64)
        for name in ("first_seq", "highest_seq", "got", "last_due_ns", "last_arrived_ns", "leaves_ns")
    ]
)


class Accounts:
    """Takes what a swarm has written down, a piece at a time.

    Args:
        clock_offset_ns: Clock of this machine − clock of the server, by which ticks are due; 0 on one
            machine.

    Attributes:
        present: The numbers of the clients whose accounts are open.
    """

    def __init__(self, clock_offset_ns: int = 0) -> None:
        self._offset_ns = clock_offset_ns
        self._clients = np.zeros(0, _CLIENT)
        self.present: set[int] = set()
        self._seqs = self._due_ns = np.zeros(0, np.int64)  # of the latest ticks, rising
        self._owed = self._delivered_to_gone = self._never_served = 0
        self._delivered = self._repeated = 0
        self._age_s2 = self._held_s = 0.0
        self._latencies_us: dict[int, int] = {}
        self._late_ns = 0

    def come(self, number: int) -> None:
        """Open the account of a client."""
        if number >= len(self._clients):
            more = np.zeros(max(1_024, number + 1), _CLIENT)
            more["leaves_ns"] = STAYS_NS
            self._clients = np.concatenate([self._clients, more])
        self.present.add(number)

    def leave(self, numbers: Iterable[int], at_ns: int) -> None:
        """Note when clients leave: what is due later is not theirs."""
        self._clients["leaves_ns"][list(numbers)] = at_ns

    def take(self, deliveries: "array[int]") -> None:
        """Take deliveries: ``DELIVERY_FIELDS`` of each, in the order of their handling."""
        rows = np.frombuffer(deliveries, np.int64).reshape(-1, len(DELIVERY_FIELDS))
        if not len(rows):
            return
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        client, seq, arrived_ns = rows[:, 0], rows[:, 1], rows[:, 3]
        due_ns = rows[:, 2] + self._offset_ns
        self._late_ns = max(self._late_ns, int((rows[:, 4] - arrived_ns).max()))
        self._remember(seq, due_ns)
        fresh = _rises(client, seq, self._clients["highest_seq"][client])
        self._clients["highest_seq"][client[fresh]] = seq[fresh]
        theirs = due_ns <= self._clients["leaves_ns"][client]
        self._repeated += int((theirs & ~fresh).sum())
        counted = fresh & theirs
        self._account(client[counted], seq[counted], due_ns[counted], arrived_ns[counted])

    def _remember(self, seq: Ints, due_ns: Ints) -> None:
        distinct, where = np.unique(seq, return_index=True)
        known = self._seqs
        if len(known) and known[-1] - known[0] + 1 == len(known):  # no gaps: what lies between is no news
            where = where[(distinct < known[0]) | (distinct > known[-1])]
            if not len(where):
                return
        seqs, dues_ns = np.append(known, seq[where]), np.append(self._due_ns, due_ns[where])
        seqs, where = np.unique(seqs, return_index=True)
        self._seqs = seqs[-TICKS_REMEMBERED:]
        self._due_ns = dues_ns[where][-TICKS_REMEMBERED:]

    def _account(self, client: Ints, seq: Ints, due_ns: Ints, arrived_ns: Ints) -> None:
        """Enter ticks that came for the first time; sorted by client, and by seq of each client."""
        if not len(client):
            return
        accounts = self._clients
        starts = np.flatnonzero(np.diff(client, prepend=-1))
        who, before = client[starts], accounts[client[starts]]
        began = before["first_seq"] == 0
        accounts["first_seq"][who[began]] = seq[starts[began]]
        accounts["got"][who] += np.diff(np.append(starts, len(client))) - began
        owed = np.ones(len(client), np.bool_)
        owed[starts[began]] = False  # it was due before the client came
        self._delivered += int(owed.sum())
        self._count((arrived_ns - due_ns)[owed])

        previous_due_ns, previous_ns = np.roll(due_ns, 1), np.roll(arrived_ns, 1)
        previous_due_ns[starts], previous_ns[starts] = before["last_due_ns"], before["last_arrived_ns"]
        between_s = np.where(owed, arrived_ns - previous_ns, 0) / 1e9
        age_s = (previous_ns - previous_due_ns) / 1e9 + between_s / 2
        self._age_s2 += float((age_s * between_s).sum())
        self._held_s += float(between_s.sum())
        accounts["last_due_ns"][client] = due_ns  # of a client's several, the last remains
        accounts["last_arrived_ns"][client] = arrived_ns

    def _count(self, latencies_ns: Ints) -> None:
        latencies_us = np.clip(np.rint(latencies_ns / 1e3).astype(np.int64), SHORTEST_US, LONGEST_US)
        values, counts = np.unique(with_three_digits(latencies_us), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._latencies_us[value] = self._latencies_us.get(value, 0) + count

    # Leaving

    def newest_due_by(self, instants_ns: Ints) -> Ints:
        """Return the newest tick that was due by each instant, as far as any client was told; 0 for none."""
        return np.append(0, self._seqs)[np.searchsorted(self._due_ns, instants_ns, side="right")]

    def have_all(self, numbers: Iterable[int]) -> list[int]:
        """Return those of some leaving clients that have got all they are owed, or are owed nothing.

        A client has all if it was told a tick that is due after its leaving; or if another one was, and it
        has the one before.
        """
        wanted = np.fromiter(numbers, np.int64)
        leaving = self._clients[wanted]
        last_seq = self.newest_due_by(leaving["leaves_ns"])
        is_over = leaving["leaves_ns"] < (self._due_ns[-1] if len(self._due_ns) else 0)
        highest = leaving["highest_seq"]
        complete = (highest > last_seq) | (is_over & (highest == last_seq)) | (leaving["first_seq"] == 0)
        return [int(number) for number in wanted[complete]]

    def close(self, numbers: Iterable[int]) -> None:
        """Close the accounts of clients that go: what they have not got is missed."""
        gone = np.fromiter(numbers, np.int64)
        self.present.difference_update(gone.tolist())
        accounts = self._clients[gone]
        served = accounts[accounts["first_seq"] > 0]
        got = served["got"]
        owed = np.maximum(self.newest_due_by(served["leaves_ns"]) - served["first_seq"], got)
        self._never_served += len(accounts) - len(served)
        self._owed += int(owed.sum())
        self._delivered_to_gone += int(got.sum())

    # Telling

    def count(self) -> Count:
        """Return how the accounts stand."""
        there = self._clients[np.fromiter(self.present, np.int64)]
        there = there[there["leaves_ns"] == STAYS_NS]
        gaps = int((there["highest_seq"] - there["first_seq"] - there["got"]).sum())
        return Count(
            owed=self._owed,
            delivered=self._delivered,
            delivered_to_gone=self._delivered_to_gone,
            repeated=self._repeated,
            missed=self._owed - self._delivered_to_gone + gaps,
            never_served=self._never_served,
            age_s2=self._age_s2,
            held_s=self._held_s,
        )

    def take_latencies(self) -> list[tuple[int, int]]:
        """Return the histogram of the latencies since it was last taken: value in µs and count, rising."""
        latencies_us, self._latencies_us = self._latencies_us, {}
        return sorted(latencies_us.items())

    def take_late_ns(self) -> int:
        """Return the longest time since this was last asked that a delivery had waited to be handled."""
        late_ns, self._late_ns = self._late_ns, 0
        return late_ns


def with_three_digits(values: Ints) -> Ints:
    """Round whole numbers down to three digits, in steps of powers of two, as HdrHistogram does."""
    shifts = np.maximum(np.frexp(values)[1] - EXACT_BITS, 0)
    rounded: Ints = values >> shifts << shifts
    return rounded


def _rises(client: Ints, seq: Ints, before: Ints) -> NDArray[np.bool_]:
    """Return which ticks are higher than all that their client had before; rows are sorted by client.

    Args:
        client, seq: Of each row.
        before: The highest that each row's client had when the rows began.
    """
    group = np.cumsum(np.diff(client, prepend=client[0]) != 0) << 42  # far above any seq
    highest = np.maximum.accumulate(group + np.maximum(seq, before))
    earlier = np.roll(highest, 1)
    earlier[0] = 0
    rises: NDArray[np.bool_] = group + seq > np.maximum(earlier, group + before)
    return rises
