"""The rules for a server that is asked nonsense, has a client that never reads, or is to stop."""

import asyncio
import contextlib

import aiohttp
import psutil

from bench.course.grading.base import fail
from bench.course.grading.simulated.clock import run_simulated
from bench.course.grading.simulated.service import Service
from bench.course.grading.simulated.visitor import (
    LIMIT_S,
    StudentServer,
    Visitor,
    connect_with_small_window,
    visitor_of,
)

BAD_QUERIES = ("after=", "after=x", "after=-1", "after=1.5", "after=99999999", "nonsense=1")
SLOW_PAYLOAD_BYTES = 64 * 1024
SLOW_TICKS, SLOW_HISTORY_TICKS = 400, 40
PUBLISHED_BYTES = SLOW_TICKS * SLOW_PAYLOAD_BYTES
MOST_GROWTH_BYTES = 10_000_000
HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def bad_queries_get_a_sentence(student: StudentServer) -> None:
    """400 and {"error": "…"}; WebSocket: close code 4400 with the sentence as its reason."""

    async def ask(visitor: Visitor) -> None:
        for query in BAD_QUERIES:
            if student.transport == "websocket":
                async with visitor.session.ws_connect(f"{visitor.url}/ticks?{query}") as connection:
                    message = await connection.receive()
                    refused = message.type is aiohttp.WSMsgType.CLOSE and message.data == 4400
                    seen, sentence = f"{message.type.name} {message.data}", str(message.extra)
            else:
                status, _, body = await visitor.get(f"/ticks?{query}")
                refused = status == 400 and body.startswith(b"{")
                seen, sentence = f"{status} {body[:120]!r}", body.decode(errors="replace")
            if not refused or query.partition("=")[0] not in sentence or "Traceback" in sentence:
                fail(
                    "it does not refuse a bad query with a sentence",
                    f"/ticks?{query}: {seen}",
                    '400 and {"error": "…"} that names the parameter (WebSocket: close with code 4400)',
                    "parse_query raises BadRequest with the sentence; serve_http turns that into the answer",
                )
        if (await visitor.get("/health"))[0] != 200:
            fail("it is gone after a bad query", "no health", "200", "catch BadRequest for one client only")

    student.visit(student.service(1), ask)


def slow_client_costs_nothing(student: StudentServer) -> None:
    """It asks and never reads, while 26 MB are published; the others get theirs, and memory stays."""
    service = Service(
        1_000,
        earlier_ticks=5,
        history_ticks=SLOW_HISTORY_TICKS,
        payload_bytes=SLOW_PAYLOAD_BYTES,
        clock=student.clock,
    )

    async def stall(visitor: Visitor) -> None:
        host, _, port = visitor.url.removeprefix("http://").partition(":")
        upgrade = HANDSHAKE if student.transport == "websocket" else ""
        request = f"GET /ticks?after=0 HTTP/1.1\r\nHost: {host}:{port}\r\n{upgrade}\r\n".encode()
        with await connect_with_small_window(host, int(port)) as stalled:
            requests = request if student.pushes else request * 50
            await asyncio.get_running_loop().sock_sendall(stalled, requests)
            await visitor.seqs_until(2 * SLOW_HISTORY_TICKS)
            before_bytes = psutil.Process().memory_info().rss
            seqs = await visitor.seqs_until(SLOW_TICKS, f"?after={service.feed.newest_seq}")
            grown_bytes = psutil.Process().memory_info().rss - before_bytes
        if not seqs or seqs != sorted(set(seqs)):
            fail(
                "a client that does not read disturbs another",
                f"the other got {len(seqs)} ticks, not in order",
                "ticks once each and in order",
                "no client may wait for another: write to each in a task or a broadcast of its own",
            )
        if grown_bytes > MOST_GROWTH_BYTES:
            fail(
                "a client that does not read makes the server's memory grow",
                f"{grown_bytes / 1e6:.0f} MB more while {PUBLISHED_BYTES / 1e6:.0f} MB were published",
                f"at most {MOST_GROWTH_BYTES / 1e6:.0f} MB",
                "wait until one delivery is written (await response.write, connection.send, drain) before "
                "you take the next from feed.after(cursor); keep no queue per client",
            )

    student.visit(service, stall)


def stops_when_told(student: StudentServer) -> None:
    """Whoever waits is answered when the context closes."""
    service = student.service(0.001)

    async def wait() -> None:
        async with visitor_of(student.serve, student.transport, service) as visitor:
            waiting = asyncio.create_task(visitor.seqs_until(10**6, f"?after={service.feed.newest_seq}"))
            await asyncio.sleep(0.5)
            closing_ns = service.clock()
            service.feed.close()
            if student.pushes:
                waiting.add_done_callback(lambda task: task.cancelled() or task.exception())
            else:
                waiting.cancel()
        waited_s = (service.clock() - closing_ns) / 1e9
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
            await waiting
        if waited_s > 10:
            fail(
                "it does not stop when it is told to",
                f"{waited_s:.0f} simulated s until the context was closed",
                "at most 10 s",
                "end the loop of each client when the context closes: cancel its task, or look at a flag",
            )

    run_simulated(student.clock, wait(), LIMIT_S)
