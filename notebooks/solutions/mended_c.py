"""Exercise 9c, mended: a latency begins when a tick is due, not when somebody asks for it."""

import asyncio
import random

import aiohttp

from servers.wire import now_ns

TRANSPORT = "short_polling"
MAY_PASS = {408, 429, 500, 502, 503, 504}


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict with its latency_ms."""
    cursor, failures = None, 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        while True:
            array = []
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array, failures = await answer.json(), 0
            except aiohttp.ClientResponseError as refusal:
                failures += 1
                if refusal.status == 400 and cursor is not None:
                    cursor = None  # the server was started anew
                elif refusal.status not in MAY_PASS:
                    raise
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
                failures += 1
            arrived_ns = now_ns()
            for tick in array:
                yield {**tick, "latency_ms": (arrived_ns - tick["due_ns"]) / 1e6}
                cursor = tick["seq"]
            pause_s = random.uniform(0, min(2 ** min(failures, 5), 30)) if failures else poll_interval_s
            await asyncio.sleep(pause_s)
