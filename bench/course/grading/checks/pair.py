"""The rules for a pair: a student's server, and the student's client on a real socket to it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from bench.course.grading.base import Check, expect_order
from bench.course.grading.simulated import clock
from bench.course.grading.simulated.client_driver import build
from bench.course.grading.simulated.clock import Clock
from bench.course.grading.simulated.service import Stage
from bench.course.grading.simulated.visitor import Visitor, visiting
from clients.base import Address, TickClient
from servers.base import Serve

LIMIT_S = 60.0
RECONNECT_S = 0.1


class Subject(NamedTuple):
    """A student's client class and server, the transport they speak, and the clock of this process."""

    client_class: type[TickClient]
    serve: Serve
    transport: str
    clock: Clock


class _Link(asyncio.Protocol):
    """A sans-I/O client's connection: it moves bytes between the client and a socket."""

    def __init__(self, client: TickClient, stage: Stage, take: Callable[[int], None]) -> None:
        self.client, self.stage, self.take = client, stage, take
        self.ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.client.connected(self.stage.clock())
        transport.write(self.client.data_to_send())

    def data_received(self, data: bytes) -> None:
        try:
            for tick in self.client.receive_data(data, self.stage.clock()):
                self.take(tick.seq)
        except Exception as error:  # the check is to see it, not the event loop
            self.ended.set_result(error)
            self.transport.abort()
            return
        if self.client.outbox and not self.client.done_with_connection:
            self.transport.write(self.client.data_to_send())
        if self.client.done_with_connection:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
            self.client.disconnected()


async def _get(
    subject: Subject, visitor: Visitor, last: int, *, after: int | None, cuts: tuple[int, ...]
) -> list[int]:
    """Let the client run until it has tick ``last``; its connection is cut at the ticks ``cuts``."""
    host, _, port = visitor.url.removeprefix("http://").partition(":")
    client = build(subject.client_class, visitor.stage.clock(), Address(host, int(port)))
    client.cursor = after
    seqs: list[int] = []
    done, link = asyncio.Event(), None

    def take(seq: int) -> None:
        seqs.append(seq)
        if seq >= last:
            done.set()
        if seq in cuts and link is not None:
            link.transport.abort()

    async def connect_again_and_again() -> None:
        nonlocal link
        while True:
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: _Link(client, visitor.stage, take), host, int(port)
            )
            if (error := await link.ended) is not None:
                raise error
            await asyncio.sleep(RECONNECT_S)

    connecting = asyncio.create_task(connect_again_and_again())
    finished = asyncio.create_task(done.wait())
    try:
        await asyncio.wait((connecting, finished), return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            connecting.result()
    finally:
        for task in (connecting, finished):
            task.cancel()
        if link is not None:
            link.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
    return seqs


def _run(subject: Subject, rate_hz: float, already: int, first: int, last: int, after: int | None = None,
         cuts: tuple[int, ...] = ()) -> None:  # fmt: skip
    stage = Stage(rate_hz, already=already, clock=subject.clock)

    async def play() -> None:
        async with visiting(subject.serve, subject.transport, stage) as visitor:
            seqs = await _get(subject, visitor, last, after=after, cuts=cuts)
        expect_order(seqs, first, max(seqs, default=last))

    clock.run(subject.clock, play(), LIMIT_S)


def every_tick_once_and_in_order(subject: Subject) -> None:
    """Live, from the newest tick on."""
    _run(subject, 10, already=5, first=5, last=60)


def whole_history(subject: Subject) -> None:
    """2,500 ticks in several batches, and ticks of the future behind them."""
    _run(subject, 10, already=2_500, first=1, last=2_510, after=0)


def resumes_after_a_cut(subject: Subject) -> None:
    """The connection is cut three times."""
    _run(subject, 10, already=5, first=5, last=60, cuts=(10, 11, 40))


CHECKS: tuple[Check[Subject], ...] = (
    Check("as a pair: every tick once and in order", "clients/base.py", every_tick_once_and_in_order),
    Check("as a pair: the whole history, and on", "servers/feed.py, Delivery", whole_history),
    Check("as a pair: nothing lost or doubled by a cut", "clients/base.py, connected", resumes_after_a_cut),
)
