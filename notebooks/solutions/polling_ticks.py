"""Exercise 5: a short-polling client with aiohttp."""

import asyncio

import aiohttp

TRANSPORT = "short_polling"


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []  # refused, or cut: the next poll asks with the same cursor
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)
