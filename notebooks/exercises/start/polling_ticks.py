"""Exercise 5, short polling with aiohttp: this client asks once. Make it ask again and again.

Grade it with ``bench grade polling_ticks.py``; watch it run beside ``bench serve short_polling --port 8000``.
"""

import asyncio

import aiohttp

TRANSPORT = "short_polling"


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict."""
    async with aiohttp.ClientSession() as session:
        # To do: ask again after poll_interval_s, with ?after=CURSOR as soon as a tick has come (params={…}),
        # and go on when the server refuses (503) or the connection is cut (aiohttp.ClientError).
        answer = await session.get(url)
        for tick in await answer.json():
            yield tick


async def main():
    """Print the ticks of a server."""
    async for tick in ticks("http://127.0.0.1:8000/ticks"):
        print(tick["seq"], tick["symbol"], tick["price"])


if __name__ == "__main__":
    asyncio.run(main())
