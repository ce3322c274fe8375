"""Right, and more careful than need be: each of these keeps all rules.

A docstring begins with what the solution speaks, and the form that it has.
"""

import asyncio
import contextlib
import dataclasses
import json
import random

import aiohttp
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from clients.base import ServerError, TickClient
from servers.base import parse_query
from servers.http import serve_http


@dataclasses.dataclass
class Tick:
    seq: int
    due_ns: int


async def polls_with_back_off_and_time_limits(url, poll_interval_s: float = 1.0):
    """short_polling ticks: full jitter after a refusal, a time limit; anew if the cursor is refused."""
    cursor, failures = None, 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            array = []
            try:
                async with (
                    asyncio.timeout(10),
                    session.get(url, params={} if cursor is None else {"after": cursor}) as answer,
                ):
                    if answer.status == 400:
                        cursor = None
                    answer.raise_for_status()
                    array = await answer.json()
                    failures = 0
            except (aiohttp.ClientError, TimeoutError):
                failures += 1
            for tick in array:
                yield Tick(tick["seq"], tick["due_ns"])
                cursor = tick["seq"]
            if failures:
                await asyncio.sleep(random.uniform(0, min(0.2 * 2**failures, 10)) + 0.05)
            else:
                await asyncio.sleep(poll_interval_s)


def was_refused(error):
    """Return whether the cursor was refused, since the server was started anew."""
    return isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == 4400


async def listens_with_back_off(url):
    """websocket ticks: doubles its pause up to a limit, with jitter; a message resets it."""
    cursor, pause_s = None, 0.1
    while True:
        try:
            async with connect(
                url if cursor is None else f"{url}?after={cursor}", ping_interval=20
            ) as connection:
                async for message in connection:
                    pause_s = 0.1
                    decoded = json.loads(message)
                    if isinstance(decoded, dict):
                        continue
                    for tick in decoded:
                        yield tick
                        cursor = tick["seq"]
        except (OSError, WebSocketException, TimeoutError) as error:
            if was_refused(error):
                cursor = None
        await asyncio.sleep(pause_s * random.uniform(0.5, 1))
        pause_s = min(2 * pause_s, 5)


async def reads_ahead(url):
    """websocket ticks: a task of its own fills a queue, so that a slow reader holds nothing up."""
    queue: asyncio.Queue = asyncio.Queue(1_000)

    async def listen():
        cursor = None
        while True:
            try:
                async with connect(url if cursor is None else f"{url}?after={cursor}") as connection:
                    async for message in connection:
                        decoded = json.loads(message)
                        for tick in decoded if isinstance(decoded, list) else ():
                            await queue.put(tick)
                            cursor = tick["seq"]
            except (OSError, WebSocketException) as error:
                if was_refused(error):
                    cursor = None
            await asyncio.sleep(0.2)

    task = asyncio.create_task(listen())
    try:
        while True:
            yield await queue.get()
    finally:
        task.cancel()


async def holds_by_its_own_waiting(query, feed):
    """long_polling handle: hears of ticks by feed.listeners, under a time limit."""
    news = asyncio.Event()
    feed.listeners.add(news.set)
    try:
        if feed.newest_seq <= query.cursor:
            async with asyncio.timeout(query.hold_s):
                await news.wait()
    except TimeoutError:
        pass
    finally:
        feed.listeners.discard(news.set)
    return feed.after(query.cursor)


@contextlib.asynccontextmanager
async def hears_of_ticks_by_a_listener(feed, listener, options):
    """http_streaming serve: a task for each client that is not up to date, and line ends of Windows."""
    keeping_up, stopping = {}, asyncio.Event()
    headers = {
        "Content-Type": "application/x-ndjson; charset=utf-8",
        "Cache-Control": "no-store, no-transform",
    }

    async def catch_up(response, cursor):
        while cursor < feed.newest_seq:
            delivery = feed.after(cursor)
            missed = json.dumps({"missed": delivery.missed}) + "\r\n" if delivery.missed else ""
            await response.write(missed.encode() + delivery.body + b"\r\n")
            cursor = delivery.last_seq
        keeping_up[response] = cursor

    async def answer_ticks(request):
        cursor = parse_query(request.query, feed).cursor
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            await catch_up(response, cursor)
            while not stopping.is_set():
                waiting = asyncio.ensure_future(stopping.wait())
                try:
                    await asyncio.wait_for(waiting, options.heartbeat_s)
                except TimeoutError:
                    await response.write(b"\n")
        finally:
            keeping_up.pop(response, None)
        return response

    catching_up = set()

    def publish():
        for response, cursor in list(keeping_up.items()):
            del keeping_up[response]
            task = asyncio.create_task(catch_up(response, cursor))
            catching_up.add(task)
            task.add_done_callback(catching_up.discard)

    feed.listeners.add(publish)
    async with serve_http("http_streaming", feed, listener, options, answer_ticks):
        yield
        stopping.set()
        feed.listeners.discard(publish)


class ReadsChunksByItself(TickClient):
    """http_streaming Client: without a parser from elsewhere, and it asks anew on the same connection."""

    settings = ()

    def connected(self, now_ns):
        self.ready, self.ready_ns = True, now_ns
        self._bytes = b""
        self._begin()

    def disconnected(self):
        self.ready = False

    def _begin(self):
        self._status, self._headers, self._body, self._is_over = 0, {}, b"", False
        self.requests += 1
        host, port, path = self._address
        query = "" if self.cursor is None else f"?after={self.cursor}"
        self.outbox = f"GET {path}{query} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n".encode()

    def receive_data(self, data, arrived_ns):
        self._bytes += data
        if not self._status and not self._read_head():
            return ()
        if "transfer-encoding" in self._headers:
            self._read_chunks()
        else:
            self._body += self._bytes
            self._bytes = b""
            self._is_over = len(self._body) >= int(self._headers["content-length"])
        if self._status != 200:
            return self._refuse()
        if not self._headers.get("content-type", "").lower().startswith("application/x-ndjson"):
            raise ServerError(f"not a stream of lines but {self._headers.get('content-type')}")
        *lines, self._body = self._body.split(b"\n")
        ticks, arrays = [], 0
        for line in filter(bytes.strip, lines):
            try:
                if "missed" in (said := self._decode_json(line)):
                    self._check_missed(said)
                else:
                    ticks += self._read(line)
                    arrays += 1
            except ServerError as error:
                error.ticks = ticks
                raise
        self.messages += arrays
        self.stamp_shared = arrays > 1
        if self._is_over:
            self._begin()
        return ticks

    def _decode_json(self, line):
        try:
            said = json.loads(line)
        except ValueError as error:
            raise ServerError(f"no JSON: {line[:40]!r}") from error
        return said if isinstance(said, dict) else {}

    def _check_missed(self, said):
        if not isinstance(said["missed"], int):
            raise ServerError(f"missed is {said['missed']!r}, which is no number")

    def _read_head(self):
        head, end, rest = self._bytes.partition(b"\r\n\r\n")
        if not end:
            return False
        status_line, *lines = head.decode("latin-1").split("\r\n")
        for name, _, value in (line.partition(":") for line in lines):
            self._headers[name.lower()] = value.strip()
        self._status, self._bytes = int(status_line.split(" ")[1]), rest
        return True

    def _read_chunks(self):
        while not self._is_over:
            size, end, rest = self._bytes.partition(b"\r\n")
            length = int(size.partition(b";")[0], 16) if end else 0
            if not end or len(rest) < length + 2:
                return
            self._body += rest[:length]
            self._bytes = rest[length + 2 :]
            self._is_over = length == 0

    def _refuse(self):
        if not self._is_over:
            return ()
        if self._status == 400:
            self.cursor = None
        raise ServerError(f"HTTP {self._status}: {json.loads(self._body)['error']}")


class LooksTenTimesAHeartbeat:
    """websocket WatchfulClient: it looks again and again; half of each pause is fixed, half is at random."""

    patience, longest_pause_s = 3.0, 2.0

    def __init__(self, address, heartbeat_s, rng):
        self.url, self.heartbeat_ns, self.rng = "ws://{}:{}{}".format(*address), int(heartbeat_s * 1e9), rng
        self.cursor, self.wants_connection, self.deadline_ns = None, True, None
        self.limit_s, self.until_ns, self.opened, self.protocol = 0.05, 0, False, None

    def connecting(self, now_ns):
        self.opened = False
        self.look_until(now_ns, 9e9)

    def connected(self, now_ns):
        self.opened = True
        query = "" if self.cursor is None else f"?after={self.cursor}"
        self.protocol = ClientProtocol(parse_uri(self.url + query))
        self.protocol.send_request(self.protocol.connect())
        self.look_until(now_ns, self.patience * self.heartbeat_ns)

    def look_until(self, now_ns, patience_ns):
        self.until_ns = now_ns + patience_ns
        self.deadline_ns = now_ns + self.heartbeat_ns / 10

    def receive_data(self, data, now_ns):
        self.look_until(now_ns, self.patience * self.heartbeat_ns)
        self.protocol.receive_data(data)
        if self.protocol.handshake_exc:
            raise ServerError("refused")
        events = self.protocol.events_received()
        frames = [each for each in events if isinstance(each, Frame) and each.opcode is not Opcode.CLOSE]
        self.limit_s = 0.05 if frames else self.limit_s
        ticks = [tick for frame in frames for tick in (json.loads(frame.data) if frame.data else ())]
        self.cursor = ticks[-1]["seq"] if ticks else self.cursor
        return ticks

    def data_to_send(self):
        return b"".join(self.protocol.data_to_send())

    def disconnected(self, now_ns):
        self.wants_connection = False
        self.deadline_ns = now_ns + self.draw() * 1e9

    def draw(self):
        self.limit_s, limit_s = min(2 * self.limit_s, self.longest_pause_s), self.limit_s
        return self.rng.uniform(limit_s / 2, limit_s)

    def on_deadline(self, now_ns):
        late_ns = now_ns - self.deadline_ns
        if not self.wants_connection:
            self.wants_connection = True
        elif self.opened and late_ns > self.heartbeat_ns / 2:
            self.look_until(now_ns, self.heartbeat_ns / 2)
        elif now_ns < self.until_ns:
            self.deadline_ns = now_ns + self.heartbeat_ns / 10
        else:
            self.disconnected(now_ns)


class DrawsFromItsLastPause(LooksTenTimesAHeartbeat):
    """websocket WatchfulClient: up to three times its last pause, and patient to the limits of the task."""

    patience, longest_pause_s = 2.5, 30.0

    def draw(self):
        self.limit_s = min(self.rng.uniform(0.05, 3 * self.limit_s), self.longest_pause_s)
        return self.limit_s
