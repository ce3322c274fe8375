"""Exercise 5, short polling with aiohttp: this client asks once. Make it ask again and again.

Grade it with ``bench grade polling_ticks.py``; watch it run beside ``bench serve short_polling --port 8000``.
"""

import asyncio

import aiohttp

TRANSPORT = "short_polling"
TIMEOUT_S = 10.0
"""An answer that takes longer will not come; aiohttp would wait for 300 s."""


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session:
        # To do: ask again after poll_interval_s, with ?after=CURSOR as soon as a tick has come (params={…}).
        # Come back after what may pass: a refusal (503), a cut connection (aiohttp.ClientConnectionError and
        # ClientPayloadError), no answer in time (TimeoutError, which is no aiohttp.ClientError). Give up
        # after what will not. See "How a client comes back" in the exercises.
        async with session.get(url) as answer:
            array = await answer.json()
        for tick in array:
            yield tick


async def main():
    """Print the ticks of a server."""
    async for tick in ticks("http://127.0.0.1:8000/ticks"):
        print(tick["seq"], tick["symbol"], tick["price"])


if __name__ == "__main__":
    asyncio.run(main())
