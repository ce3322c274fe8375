"""Exercise 9a: a colleague's short-polling client. "It works, but the chart looks jumpy." Find the fault."""

import asyncio

import aiohttp

TRANSPORT = "short_polling"


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict."""
    newest = 0
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            for tick in array:
                if tick["seq"] > newest:
                    newest = tick["seq"]
                    yield tick
            await asyncio.sleep(poll_interval_s)
