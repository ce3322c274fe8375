"""Exercise 9c, a latency that begins too late: mended where it does not help."""

import asyncio
import time

import aiohttp

from servers.wire import now_ns

TRANSPORT = "short_polling"


async def _poll(url, poll_interval_s, latencies_ms):
    """The colleague's client, with latency_ms as a function of the array, when it was asked for, and now."""
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
            for tick, latency_ms in zip(array, latencies_ms(array, began_ns, now_ns()), strict=True):
                yield {**tick, "latency_ms": latency_ms}
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)


async def adds_half_an_interval(url, poll_interval_s=1.0):
    """Theory says so. Graded: its latency does not begin when the tick was due."""

    def latencies_ms(array, began_ns, now):
        return [(now - began_ns) / 1e6 + poll_interval_s * 500] * len(array)

    async for tick in _poll(url, poll_interval_s, latencies_ms):
        yield tick


async def takes_the_first_for_all(url, poll_interval_s=1.0):
    """They came together. Graded: its latency does not begin when the tick was due."""

    def latencies_ms(array, began_ns, now):
        return [(now - array[0]["due_ns"]) / 1e6 for _ in array]

    async for tick in _poll(url, poll_interval_s, latencies_ms):
        yield tick


async def takes_the_last_for_all(url, poll_interval_s=1.0):
    """They came together. Graded: its latency does not begin when the tick was due."""

    def latencies_ms(array, began_ns, now):
        return [(now - array[-1]["due_ns"]) / 1e6 for _ in array]

    async for tick in _poll(url, poll_interval_s, latencies_ms):
        yield tick


async def has_another_clock(url, poll_interval_s=1.0):
    """Time is time. Graded: its latency does not begin when the tick was due."""

    def latencies_ms(array, began_ns, now):
        return [(time.time_ns() - tick["due_ns"]) / 1e6 for tick in array]

    async for tick in _poll(url, poll_interval_s, latencies_ms):
        yield tick


async def is_in_seconds(url, poll_interval_s=1.0):
    """The unit is in the name. Graded: its latency does not begin when the tick was due."""

    def latencies_ms(array, began_ns, now):
        return [(now - tick["due_ns"]) / 1e9 for tick in array]

    async for tick in _poll(url, poll_interval_s, latencies_ms):
        yield tick


async def tells_none(url, poll_interval_s=1.0):
    """What is not said cannot be wrong. Graded: what it yields is no tick."""
    async for tick in _poll(url, poll_interval_s, lambda array, began_ns, now: [None] * len(array)):
        del tick["latency_ms"]
        yield tick
