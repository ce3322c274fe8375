"""Exercise 9c: a colleague measures short polling. "1.8 ms, as fast as WebSocket!" Find the fault."""

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
            began_ns = now_ns()
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
            latency_ms = (now_ns() - began_ns) / 1e6
            for tick in array:
                yield {**tick, "latency_ms": latency_ms}
                cursor = tick["seq"]
            pause_s = random.uniform(0, min(2 ** min(failures, 5), 30)) if failures else poll_interval_s
            await asyncio.sleep(pause_s)
