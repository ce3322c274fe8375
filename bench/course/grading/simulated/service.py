"""The service of a check: a feed on a simulated clock, and a record of every request that reaches it."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from bench.course.grading.base import Fault
from bench.course.grading.simulated.clock import Clock
from servers.feed import Feed
from servers.workloads.market import random_walk
from servers.workloads.plan import due_times

PAYLOAD_BYTES = 128
STREAM_TYPE = "application/x-ndjson"
"""The media type of lines of JSON (NDJSON, section 3.3; https://github.com/ndjson/ndjson-spec)."""
MOST_REQUESTS_AT_ONCE = 300
"""So many requests at one simulated instant are a loop without a pause."""
FULL = (503, "3 clients are connected, the most allowed; try later")

NEVER_NS = 2**62


class Request(NamedTuple):
    """A request as it came: its bytes, and what they say."""

    raw: bytes
    target: str
    headers: dict[str, str]
    at_ns: int

    @property
    def query(self) -> dict[str, str]:
        """The parameters after the question mark."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def cursor(self) -> int | None:
        """The cursor that it asks with, None if it has none."""
        text = self.query.get("after")
        return None if text is None else int(text)


class Service:
    """A feed, its clock, and what is asked of it.

    Args:
        rate_hz: Ticks per simulated second.
        earlier_ticks: Ticks that have been published before anybody comes.
        history_ticks, payload_bytes, contract: See :class:`servers.feed.Feed`.
        heartbeat_s: See :class:`servers.options.ServerOptions`.
        clock: The simulated clock.
        quotes: Symbol and price of each tick; a seeded walk.

    Attributes:
        requests: All requests so far.
        refusals: Status and sentence with which the next requests are refused, instead of answered.
        missed: Ticks of which clients were told that the history no longer has them.
        empty_answers: Answers to requests that held no tick.
        yielded_seq: The newest tick that the client has yielded, if somebody notes it here.
        stale_requests: Requests for ticks after a cursor that was older than that.
        length_headers: How answers write the length of their body, in turn, ``{}`` standing for the number.
        body_end: White space behind each array, which belongs to the body.
        content_type: The header that says of a stream that it has lines.
        chunk_bytes: Into how long chunks a stream is cut; None, all that is sent at one instant is one.
        line_end: How the lines of a stream end.
        closes_when_full: A WebSocket server that is full opens, and says so by a close (1013), not by HTTP.
    """

    def __init__(
        self,
        rate_hz: float,
        *,
        earlier_ticks: int = 5,
        history_ticks: int = 5_000,
        payload_bytes: int = PAYLOAD_BYTES,
        contract: str = "every",
        heartbeat_s: float | None = None,
        clock: Clock | None = None,
        quotes: Iterator[tuple[str, float]] | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.begin_ns = self.clock.now_ns
        self.payload_bytes, self.contract, self.heartbeat_s = payload_bytes, contract, heartbeat_s
        self._quotes, self._history_ticks = quotes, history_ticks
        self.feed = self._feed(rate_hz, earlier_ticks)
        self._restarted = False
        self.requests: list[Request] = []
        self.refusals: list[tuple[int, str]] = []
        self.missed = self.yielded_seq = self.empty_answers = 0
        self.stale_requests: list[Request] = []
        self.length_headers: tuple[str, ...] = ("Content-Length: {}",)
        self.body_end = b""
        self.content_type = f"Content-Type: {STREAM_TYPE}"
        self.chunk_bytes: int | None = None
        self.line_end = b"\n"
        self.closes_when_full = False
        self._refuse_until_ns = 0

    def _feed(self, rate_hz: float, earlier_ticks: int) -> Feed:
        half_period_ns = round(0.5e9 / rate_hz)  # ticks and polls never fall on the same instant
        start_ns = self.clock.now_ns - round((earlier_ticks - 1) / rate_hz * 1e9) - half_period_ns
        feed = Feed(
            due_times("steady", rate_hz=rate_hz, seed=0, start_ns=start_ns),
            random_walk(0) if self._quotes is None else self._quotes,
            payload_bytes=self.payload_bytes,
            contract=self.contract,
            history_ticks=self._history_ticks,
            clock=self.clock,
        )
        feed.publish_due()
        return feed

    def restart(self, rate_hz: float) -> None:
        """Count from 1 again, as a server that was started anew: cursors from before are ahead of it."""
        self.feed, self._restarted, self.yielded_seq = self._feed(rate_hz, 1), True, 0

    def refuse(self, seconds: float) -> None:
        """Refuse all requests for so many simulated seconds, as a server that is full."""
        self._refuse_until_ns = self.clock() + round(seconds * 1e9)

    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Return how a request that comes now is refused, None if it is not."""
        if self.refusals:
            return self.refusals.pop(0)
        if self.is_ahead(request):
            return (
                400,
                f"after={request.cursor} is ahead of the newest tick, {self.feed.newest_seq}; start anew",
            )
        return FULL if self.clock() < self._refuse_until_ns else None

    def record(self, request: Request) -> None:
        """Write a request down.

        Raises:
            Fault: If there is no end to them.
        """
        self.requests.append(request)
        if request.cursor is not None and request.cursor < self.yielded_seq:
            self.stale_requests.append(request)
        before = self.requests[-MOST_REQUESTS_AT_ONCE:]
        if len(self.requests) > MOST_REQUESTS_AT_ONCE and before[0].at_ns == request.at_ns:
            raise Fault(
                "it asks again and again without a pause",
                seen=f"{MOST_REQUESTS_AT_ONCE} requests at one instant",
                expected="a pause between requests, or an answer that is waited for",
                hint="short polling sleeps between polls; long polling gives after=CURSOR and hold=SECONDS, "
                "so that the server waits",
            )

    def is_ahead(self, request: Request) -> bool:
        """Return whether a request asks with a cursor from before a restart."""
        return self._restarted and (request.cursor or 0) > self.feed.newest_seq

    def close_market(self) -> None:
        """Let no more ticks come."""
        self.feed.next_due_ns = NEVER_NS

    def requests_between(self, start_s: float, end_s: float) -> list[Request]:
        """Return the requests from ``start_s`` up to ``end_s`` simulated seconds after the beginning."""
        low, high = (self.begin_ns + round(s * 1e9) for s in (start_s, end_s))
        return [request for request in self.requests if low <= request.at_ns < high]
