"""Exercise 9c: a colleague measures short polling. "1.8 ms, as fast as WebSocket!" Find the fault."""

import asyncio

import aiohttp

from servers.wire import now_ns

TRANSPORT = "short_polling"


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict with its latency_ms."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            began_ns = now_ns()
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            latency_ms = (now_ns() - began_ns) / 1e6
            for tick in array:
                yield {**tick, "latency_ms": latency_ms}
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)
