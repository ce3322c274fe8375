"""The rules for a server: ``serve(feed, listener, options)``, or a beginner's ``handle(query, feed)``.

It runs with real sockets in simulated time, so a hold of 30 s is over at once.
"""

import asyncio
import contextlib

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.checks.server_limits import (
    bad_queries_get_a_sentence,
    slow_client_costs_nothing,
    stops_when_told,
)
from bench.course.grading.simulated.service import PAYLOAD_BYTES
from bench.course.grading.simulated.visitor import StudentServer, Visitor, decode_json

PUSH_HZ = 11
"""At an odd rate, so that whoever looks again at fixed intervals is not always on time by chance."""
TOLERANCE_S = 0.001
"""Simulated time; nothing but a pause of the server makes it pass."""


def _expect_order(seqs: list[int], first: int, least: int) -> None:
    """Hold that each tick from ``first`` to ``least`` came, and those that came in an array with the last."""
    expect_order(
        seqs,
        first,
        max([least, *seqs[-1:]]),
        "send feed.after(cursor).body, go on from its last_seq, and look again until nothing is new",
    )


def tells_its_health(student: StudentServer) -> None:
    """GET /health is a JSON object."""

    async def look(visitor: Visitor) -> None:
        status, _, body = await visitor.get("/health")
        answer = decode_json(body) if body.startswith(b"{") else {}
        if status != 200 or answer.get("newest_seq") != visitor.service.feed.newest_seq:
            fail(
                "it does not tell its health",
                f"GET /health: {status} {body[:120]!r}",
                '200 and a JSON object with "newest_seq" and "clients"',
                "servers.base.health(…) encodes it; servers.http.serve_http answers it for you",
            )

    student.visit(student.service(1), look)


def late_joiner_begins_with_the_newest(student: StudentServer) -> None:
    """Without `after`, the first tick is the newest."""

    async def join(visitor: Visitor) -> None:
        newest = visitor.service.feed.newest_seq
        seqs = await visitor.seqs_until(newest)
        _expect_order(seqs, newest, newest)

    student.visit(student.service(0.1, earlier_ticks=50), join)


def after_zero_is_the_whole_history(student: StudentServer) -> None:
    """2,500 ticks: more than a batch (1,000) holds."""

    async def join(visitor: Visitor) -> None:
        _expect_order(await visitor.seqs_until(2_500, "?after=0"), 1, 2_500)

    student.visit(student.service(0.1, earlier_ticks=2_500), join)


def every_tick_once_and_in_order(student: StudentServer) -> None:
    """Three clients, live."""

    async def join(visitor: Visitor) -> None:
        for seqs in await asyncio.gather(*(visitor.seqs_until(60) for _ in range(3))):
            _expect_order(seqs, 5, 60)

    student.visit(student.service(10), join)


def payload_is_exact(student: StudentServer) -> None:
    """n ticks of p bytes are n·p bytes, n − 1 commas and two brackets."""

    async def join(visitor: Visitor) -> None:
        async with contextlib.aclosing(visitor.deliveries("?after=0")) as coming:  # type: ignore[type-var]
            async for arrival in coming:
                count = len(arrival.ticks)
                expected = count * PAYLOAD_BYTES + count + 1 if count else 2
                if len(arrival.body) != expected:
                    fail(
                        "its arrays have not the bytes that they should",
                        f"{len(arrival.body)} B for {count} ticks",
                        f"{expected} B: {count} × {PAYLOAD_BYTES}, commas and brackets",
                        "send delivery.body as it is; decoding and encoding again adds spaces",
                    )
                if count and arrival.ticks[-1]["seq"] >= 20:
                    return
        _expect_order([], 1, 20)

    student.visit(student.service(10), join)


def ticks_leave_when_they_can(student: StudentServer) -> None:
    """Push at the instant of publishing; a poll is answered at once; a hold ends with news, or in time.

    Time is simulated, so "at once" is at once: whoever looks every 0.2 s is found out.
    """

    async def join(visitor: Visitor) -> None:
        feed = visitor.service.feed
        newest = feed.newest_seq
        if student.transport in ("short_polling", "long_polling"):
            what = "at once: there is something new"
            await _ask(visitor, f"?after={newest - 2}", [newest - 1, newest], 0, what)
        if student.transport == "short_polling":
            await _ask(visitor, f"?after={newest}", [], 0, "at once, with an empty array")
            return
        if student.transport == "long_polling":
            await _ask(visitor, f"?after={newest}&hold=2", [], 2, "when the hold of 2 s is over, empty")
            wait_s = (feed.next_due_ns - visitor.service.clock()) / 1e9
            what = "when the tick is published, with it"
            await _ask(visitor, f"?after={newest}&hold=60", [newest + 1], wait_s, what)
            return
        due_ns, period_ns, expected = feed.next_due_ns, round(1e9 / PUSH_HZ), newest + 1
        async with contextlib.aclosing(visitor.deliveries(f"?after={newest}")) as coming:  # type: ignore[type-var]
            async for arrival in coming:
                seqs = [tick["seq"] for tick in arrival.ticks]
                _expect_wait((arrival.at_ns - due_ns) / 1e9, 0, seqs, [expected], "when it is published")
                due_ns, expected = due_ns + period_ns, expected + 1
                if expected > newest + PUSH_HZ:
                    return
        _expect_order([], newest + 1, newest + PUSH_HZ)

    student.visit(student.service(PUSH_HZ if student.pushes else 0.1), join)


async def _ask(visitor: Visitor, query: str, expected: list[int], expected_s: float, what: str) -> None:
    began_ns = visitor.service.clock()
    arrival = await visitor.ask(query)
    seqs = [tick["seq"] for tick in arrival.ticks]
    _expect_wait((arrival.at_ns - began_ns) / 1e9, expected_s, seqs, expected, what)


def _expect_wait(waited_s: float, expected_s: float, seqs: list[int], expected: list[int], what: str) -> None:
    in_time = abs(waited_s - expected_s) <= TOLERANCE_S
    if not in_time or seqs != expected:
        fail(
            "it answers with the wrong ticks" if in_time else "it answers at the wrong time",
            f"ticks {seqs} after {waited_s:.2f} simulated s",
            f"ticks {expected} after {expected_s:.2f} s: {what}",
            "short polling never waits; long polling awaits feed.newer_than(cursor, hold_s), and asks the "
            "feed only then; push hears of new ticks by feed.listeners or feed.newer_than",
        )


def tells_what_was_missed(student: StudentServer) -> None:
    """The history holds ten ticks; forty have been published."""

    async def join(visitor: Visitor) -> None:
        seqs = await visitor.seqs_until(40, "?after=0")
        _expect_order(seqs, 31, 40)
        if visitor.missed != 30:
            fail(
                "it does not tell a client how many ticks it missed",
                f"told {visitor.missed}",
                '30: a header Ticks-Missed (polling), or {"missed":30} before the ticks, as a message '
                "(WebSocket) or a line (HTTP streaming)",
                "delivery.missed has the number",
            )

    student.visit(student.service(0.1, earlier_ticks=40, history_ticks=10), join)


def resumes_where_it_is_told(student: StudentServer) -> None:
    """A client that was cut off comes back with its cursor."""

    async def join(visitor: Visitor) -> None:
        seqs = await visitor.seqs_until(20, "?after=3")
        _expect_order(seqs, 4, 20)
        again = await visitor.seqs_until(30, f"?after={seqs[-1]}")
        _expect_order(seqs + again, 4, 30)

    student.visit(student.service(10), join)


HOUSE = "README, Three ways to the same tick; servers/base.py, parse_query"
FEED = "servers/feed.py, Feed.after and Delivery"
CHECKS: tuple[Check[StudentServer], ...] = (
    Check("tells its health", "servers/base.py, health", tells_its_health),
    Check("lets a late joiner begin with the newest tick", HOUSE, late_joiner_begins_with_the_newest),
    Check("gives the whole history at after=0", FEED, after_zero_is_the_whole_history),
    Check("gives every client each tick once and in order", FEED, every_tick_once_and_in_order),
    Check("sends the exact bytes of the ticks", "servers/wire.py, encode_array", payload_is_exact),
    Check(
        "answers when it can, not before and not later",
        "RFC 6202, section 2; servers/feed.py, newer_than",
        ticks_leave_when_they_can,
    ),
    Check("tells a client how many ticks it missed", FEED, tells_what_was_missed),
    Check("resumes after the cursor that it is given", HOUSE, resumes_where_it_is_told),
    Check("refuses bad queries with a sentence, and goes on", HOUSE, bad_queries_get_a_sentence),
    Check(
        "is not harmed by a client that never reads",
        "servers/websocket.py, at the top",
        slow_client_costs_nothing,
    ),
    Check("stops when it is told to", "servers/base.py, Serve", stops_when_told),
)
