"""The further rules for a server that streams over HTTP: head, heartbeats, the newest only, and HEAD."""

import asyncio
import contextlib
import itertools

from bench.course.grading.base import Check, fail
from bench.course.grading.simulated.service import STREAM_TYPE, Service
from bench.course.grading.simulated.visitor import StudentServer, Visitor

TOLERANCE_S = 0.001
HEAD_TIMEOUT_S = 5.0
HEARTBEAT_S, HEARTBEATS = 2.0, 3
"""Silence of 2 s is broken three times, or four, in 7 s."""
LONG_SILENCE_S = 50.0


def says_what_it_sends(student: StudentServer) -> None:
    """Its Content-Type, and that no cache may keep it."""

    async def look(visitor: Visitor) -> None:
        async with visitor.session.get(f"{visitor.url}/ticks") as answer:
            content_type, cache_control = answer.content_type, answer.headers.get("Cache-Control", "")
        if content_type != STREAM_TYPE or "no-store" not in cache_control:
            fail(
                "its head does not say what it sends",
                f"Content-Type: {content_type}; Cache-Control: {cache_control or 'none'}",
                f"Content-Type: {STREAM_TYPE}; Cache-Control: no-store",
                f"web.StreamResponse(headers={{'Content-Type': '{STREAM_TYPE}', …}}); a cache that waits for "
                "the end of the answer hands nothing on",
            )

    student.visit(student.service(1), look)


def breaks_silence_when_asked(student: StudentServer) -> None:
    """An empty line for each heartbeat_s without ticks; none if there is no heartbeat_s."""
    for heartbeat_s, silence_s in ((HEARTBEAT_S, HEARTBEAT_S * (HEARTBEATS + 0.5)), (None, LONG_SILENCE_S)):
        service = Service(0.001, heartbeat_s=heartbeat_s, clock=student.clock)

        async def listen(visitor: Visitor, silence_s: float = silence_s) -> None:
            began_ns = visitor.service.clock()
            listening = asyncio.create_task(
                visitor.seqs_until(10**6, f"?after={visitor.service.feed.newest_seq}")
            )
            await asyncio.sleep(silence_s)
            _expect_heartbeats(visitor, began_ns)
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

        student.visit(service, listen)


def _expect_heartbeats(visitor: Visitor, began_ns: int) -> None:
    heartbeat_s, now_ns = visitor.service.heartbeat_s, visitor.service.clock()
    instants_ns = [began_ns, *visitor.heartbeats_ns, now_ns]
    longest_s = max(b - a for a, b in itertools.pairwise(instants_ns)) / 1e9
    count = len(visitor.heartbeats_ns)
    if heartbeat_s is None:
        if count:
            fail(
                "it sends heartbeats that nobody asked for",
                f"{count} empty lines in {(now_ns - began_ns) / 1e9:.0f} simulated s; heartbeat_s is None",
                "none: they would be bytes that the other transports do not send",
                "options.heartbeat_s is None unless somebody wants them; asyncio.timeout(None) has no limit",
            )
    elif longest_s > heartbeat_s + TOLERANCE_S or count > HEARTBEATS + 1:
        fail(
            "it is silent for too long" if count <= HEARTBEATS else "its heartbeats come too often",
            f"{count} empty lines, and up to {longest_s:.1f} simulated s without one",
            f"an empty line when nothing was sent for options.heartbeat_s, here {heartbeat_s:g} s",
            "wait for news no longer than that (asyncio.timeout), and write b'\\n' if none came",
        )


def keeps_to_the_newest(student: StudentServer) -> None:
    """Contract latest: 39 ticks are superseded, which is not missed."""
    service = Service(10, earlier_ticks=40, contract="latest", clock=student.clock)

    async def join(visitor: Visitor) -> None:
        seqs = await visitor.seqs_until(45, "?after=0")
        if seqs != list(range(40, 46)) or visitor.missed:
            fail(
                "it does not keep the contract latest",
                f"ticks {seqs[:10]}; told that {visitor.missed} were missed",
                "ticks 40 to 45, and none missed: whoever wants the latest does not miss older ones",
                "feed.after(cursor) knows the contract: send what it returns, and go on from its last_seq",
            )

    student.visit(service, join)


def answers_head_at_once(student: StudentServer) -> None:
    """A head without a body; then it goes on, or closes."""

    async def ask(visitor: Visitor) -> None:
        host, _, port = visitor.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HEAD /ticks HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with contextlib.closing(writer), contextlib.suppress(TimeoutError):
            answers = b""
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                while piece := await reader.read(65_536):
                    answers += piece
            head, _, rest = answers.partition(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 ") and (not rest or rest.startswith(b"HTTP/1.1 ")):
                return
        fail(
            "it goes on answering a HEAD",
            f"{answers[:120]!r}, and no end within {HEAD_TIMEOUT_S:g} simulated s",
            "a head alone, such as 405 with Allow: GET; then the next answer on the connection, or its end",
            "servers.http.serve_http refuses HEAD for you; aiohttp's add_get lets it in unless "
            "allow_head=False",
        )

    student.visit(student.service(1), ask)


CHECKS: tuple[Check[StudentServer], ...] = (
    Check(
        "says in its head that lines follow, and that they are not to be kept",
        "RFC 6202, section 5.6; RFC 9110, section 8.3",
        says_what_it_sends,
    ),
    Check(
        "breaks silence by an empty line, if it is asked to",
        "servers/options.py, heartbeat_s; RFC 6202, section 5.5",
        breaks_silence_when_asked,
    ),
    Check("keeps to the newest tick if the contract is latest", "servers/feed.py, Feed", keeps_to_the_newest),
    Check("answers HEAD at once", "RFC 9110, section 9.3.2", answers_head_at_once),
)
