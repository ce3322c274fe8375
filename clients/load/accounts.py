"""What the clients of a changing swarm have got: exact counts, delivery latency, and age, over all of them.

A client is told everything after its first tick, which is the newest that there was when it came. So it is
owed the ticks that are due between that one and its leaving. Which these are is known by the server's plan,
if it tells it; else by what any client of the swarm was told.
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
TICKS_REMEMBERED = 100_000
SHORTEST_US, LONGEST_US = 1, 60_000_000
"""What a histogram of latencies holds; beyond, its first and its last value."""
EXACT_BITS = 11
"""Latencies below 2,048 µs are exact; others have three digits, as HdrHistogram's."""
HALF = 1 << (EXACT_BITS - 1)
FEW_CLIENTS = 1 << 16
"""Numbers of so many clients fit in 16 bits, which NumPy sorts in a quarter of the time (radix sort)."""


class Count(NamedTuple):
    """How the clients' accounts stand, since the start.

    Attributes:
        owed: Ticks that those who have gone should have got.
        delivered: Ticks that came, each for the first time, to all clients; without each client's first one.
        delivered_to_gone: The same, to those who have gone.
        shared: Those of the delivered whose latency is an upper bound: several came by one read.
        handled_late: Those that lay in the kernel for too long before they were handled.
        repeated: Ticks that came again, or after a later one.
        missed: owed − delivered of those who have gone, and the gaps of those who stay.
        served: Clients that have ever been told a tick.
        never_served: Clients that have gone without a single tick.
        waiting: Clients that have been there for as long as one waits, and have not been told a tick.
        ignored: Clients that have gone like that.
        overdue: Ticks that are due for so long, and have reached nobody of those who stay.
        age_s2: Age of the newest tick held, integrated over time and summed over clients, in s².
        held_s: The time over which it is integrated, summed over clients.
    """

    owed: int
    delivered: int
    delivered_to_gone: int
    shared: int
    handled_late: int
    repeated: int
    missed: int
    served: int
    never_served: int
    waiting: int
    ignored: int
    overdue: int
    age_s2: float
    held_s: float


_CLIENT = np.dtype(
    [
        (name, np.int64)
        for name in (
            "came_ns",
            "first_seq",
            "highest_seq",
            "got",
            "last_due_ns",
            "last_arrived_ns",
            "leaves_ns",
        )
    ]
)


class Accounts:
    """Takes what a swarm has written down, a piece at a time.

    Args:
        clock_offset_ns: Clock of this machine − clock of the server, by which ticks are due; 0 on one
            machine.
        patience_ns: How long one waits for what is due.
        late_ns: What is handled by more than this after it came is handled late.

    Attributes:
        present: The numbers of the clients whose accounts are open.
    """

    def __init__(self, clock_offset_ns: int = 0, patience_ns: int = 10**10, late_ns: int = 10**7) -> None:
        self._offset_ns, self._patience_ns, self._longest_ns = clock_offset_ns, patience_ns, late_ns
        self._clients = np.zeros(0, _CLIENT)
        self.present: set[int] = set()
        self._seqs = self._due_ns = np.zeros(0, np.int64)  # of the latest ticks, rising
        self._owed = self._delivered_to_gone = self._served = self._never_served = self._ignored = 0
        self._delivered = self._repeated = self._shared = self._handled_late = 0
        self._age_s2 = self._held_s = 0.0
        self._latencies = np.zeros(int(bins(np.array([LONGEST_US]))[0]) + 1, np.int64)
        self._late_ns = 0

    def come(self, number: int, at_ns: int) -> None:
        """Open the account of a client."""
        if number >= len(self._clients):
            more = np.zeros(max(1_024, number + 1), _CLIENT)
            more["leaves_ns"] = STAYS_NS
            self._clients = np.concatenate([self._clients, more])
        self._clients["came_ns"][number] = at_ns
        self.present.add(number)

    def know(self, first_seq: int, due_ns: list[int]) -> None:
        """Take a piece of the server's plan: ticks from ``first_seq`` on, due on its clock."""
        seq = np.arange(first_seq, first_seq + len(due_ns))
        self._remember(seq, np.array(due_ns, np.int64) + self._offset_ns)

    def leave(self, numbers: Iterable[int], at_ns: int) -> None:
        """Note when clients leave: what is due later is not theirs."""
        self._clients["leaves_ns"][list(numbers)] = at_ns

    def take(self, deliveries: "array[int]") -> None:
        """Take deliveries: ``DELIVERY_FIELDS`` of each, in the order of their handling."""
        rows = np.frombuffer(deliveries, np.int64).reshape(-1, len(DELIVERY_FIELDS))
        if not len(rows):
            return
        numbers = rows[:, 0]
        numbers = numbers.astype(np.uint16) if len(self._clients) <= FEW_CLIENTS else numbers
        rows = rows[np.argsort(numbers, kind="stable")]
        client, seq, arrived_ns = rows[:, 0], rows[:, 1], rows[:, 3]
        due_ns = rows[:, 2] + self._offset_ns
        handling_ns = rows[:, 4] - arrived_ns
        self._late_ns = max(self._late_ns, int(handling_ns.max()))
        self._remember(seq, due_ns)
        fresh = _rises(client, seq, self._clients["highest_seq"][client])
        self._clients["highest_seq"][client[fresh]] = seq[fresh]
        theirs = due_ns <= self._clients["leaves_ns"][client]
        self._repeated += int((theirs & ~fresh).sum())
        counted = fresh & theirs
        owed = self._account(client[counted], seq[counted], due_ns[counted], arrived_ns[counted])
        self._shared += int(np.count_nonzero(rows[counted, 5][owed]))
        self._handled_late += int(np.count_nonzero(handling_ns[counted][owed] > self._longest_ns))

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

    def _account(self, client: Ints, seq: Ints, due_ns: Ints, arrived_ns: Ints) -> NDArray[np.bool_]:
        """Enter ticks that came for the first time; sorted by client, and by seq of each client.

        Returns:
            Which of them were owed: all but each client's first one.
        """
        owed = np.ones(len(client), np.bool_)
        if not len(client):
            return owed
        accounts = self._clients
        starts = np.flatnonzero(np.diff(client, prepend=-1))
        who, before = client[starts], accounts[client[starts]]
        began = before["first_seq"] == 0
        accounts["first_seq"][who[began]] = seq[starts[began]]
        self._served += int(began.sum())
        accounts["got"][who] += np.diff(np.append(starts, len(client))) - began
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
        return owed

    def _count(self, latencies_ns: Ints) -> None:
        latencies_us = np.clip(np.rint(latencies_ns / 1e3).astype(np.int64), SHORTEST_US, LONGEST_US)
        self._latencies += np.bincount(bins(latencies_us), minlength=len(self._latencies))

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
        unserved = accounts[accounts["first_seq"] == 0]
        self._ignored += int((unserved["leaves_ns"] - unserved["came_ns"] > self._patience_ns).sum())
        self._owed += int(owed.sum())
        self._delivered_to_gone += int(got.sum())

    # Telling

    def count(self, at_ns: int) -> Count:
        """Return how the accounts stand, at this instant."""
        there = self._clients[np.fromiter(self.present, np.int64)]
        there = there[there["leaves_ns"] == STAYS_NS]
        gaps = int((there["highest_seq"] - there["first_seq"] - there["got"]).sum())
        unserved = there["came_ns"][there["first_seq"] == 0]
        long_due_seq = self.newest_due_by(np.array([at_ns - self._patience_ns]))
        overdue = long_due_seq - there["highest_seq"].max(initial=0)
        is_served = bool((there["first_seq"] > 0).any())
        return Count(
            owed=self._owed,
            delivered=self._delivered,
            delivered_to_gone=self._delivered_to_gone,
            shared=self._shared,
            handled_late=self._handled_late,
            repeated=self._repeated,
            missed=self._owed - self._delivered_to_gone + gaps,
            served=self._served,
            never_served=self._never_served,
            waiting=int((unserved < at_ns - self._patience_ns).sum()),
            ignored=self._ignored,
            overdue=max(int(overdue[0]), 0) if is_served else 0,
            age_s2=self._age_s2,
            held_s=self._held_s,
        )

    def take_latencies(self) -> list[tuple[int, int]]:
        """Return the histogram of the latencies since it was last taken: value in µs and count, rising."""
        filled = np.flatnonzero(self._latencies)
        counts = self._latencies[filled]
        self._latencies[filled] = 0
        return list(zip(lowest_of(filled).tolist(), counts.tolist(), strict=True))

    def take_late_ns(self) -> int:
        """Return the longest time since this was last asked that a delivery had waited to be handled."""
        late_ns, self._late_ns = self._late_ns, 0
        return late_ns


def bins(values: Ints) -> Ints:
    """Return the bin of each whole number in a histogram of three digits, whose steps are powers of two.

    A number of up to 11 bits has a bin of its own. Longer ones lose their last bits, until 11 are left; there
    are 1,024 such numbers for each length. Source: HdrHistogram by Gil Tene (its countsArrayIndex).
    """
    lost_bits = np.maximum(np.frexp(values)[1] - EXACT_BITS, 0)
    numbers: Ints = lost_bits * HALF + (values >> lost_bits)
    return numbers


def lowest_of(numbers: Ints) -> Ints:
    """Return the lowest number of each bin."""
    lost_bits = np.maximum(numbers // HALF - 1, 0)
    values: Ints = (numbers - lost_bits * HALF) << lost_bits
    return values


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
