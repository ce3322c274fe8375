"""Exercise 5: a short-polling client with aiohttp."""

import asyncio
import random

import aiohttp

TRANSPORT = "short_polling"
TIMEOUT_S = 10.0
"""An answer that takes longer will not come; aiohttp would wait for 300 s."""
MAY_PASS = {408, 429, 500, 502, 503, 504}
"""Refusals after which the same request may be answered (RFC 9110, section 15; RFC 6585, section 4)."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


async def ticks(url, poll_interval_s=1.0):
    """Yield each tick once and in order, as a dict.

    Raises:
        aiohttp.ClientError: If the server will never answer: what it refuses now it would refuse again.
    """
    cursor, failures = None, 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session:
        while True:
            array = []
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array, failures = await answer.json(), 0
            except aiohttp.ClientResponseError as refusal:
                failures += 1
                if refusal.status == 400 and cursor is not None:
                    cursor = None  # ahead of the server: it was started anew, and so do we
                elif refusal.status not in MAY_PASS:
                    raise
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
                failures += 1  # cut, or no answer: the next poll asks with the same cursor
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(pause_s(failures) if failures else poll_interval_s)


def pause_s(failures):
    """Return how long to wait after so many failures on end: at random, up to twice as long each time.

    At random, or all clients would come back at the instant at which a server is there again.
    """
    return random.uniform(0, min(FIRST_PAUSE_S * 2 ** min(failures, 10), LONGEST_PAUSE_S))
