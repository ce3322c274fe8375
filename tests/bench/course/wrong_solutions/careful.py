"""Right, and more careful than need be: each of these keeps all rules."""

import asyncio
import dataclasses
import json
import random

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException


@dataclasses.dataclass
class Tick:
    seq: int
    due_ns: int


async def polls_with_back_off_and_time_limits(url, poll_interval_s: float = 1.0):
    """short_polling: full jitter after a refusal, a time limit, and anew where the cursor is refused."""
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
    """websocket: doubles its pause up to a limit, with jitter; a message resets it."""
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
    """websocket: a task of its own fills a queue, so that a slow reader does not hold up the connection."""
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
    """long_polling: hears of ticks by feed.listeners, under a time limit."""
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
