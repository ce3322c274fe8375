"""Exercise 9a, lost ticks: mended where it does not help."""

import asyncio

import aiohttp

TRANSPORT = "short_polling"


async def _poll(url, poll_interval_s, query=lambda newest: {}, is_new=lambda seq, newest: seq > newest):
    """The colleague's client, with what is asked and what is new as parameters."""
    newest = 0
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params=query(newest)) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            for tick in array:
                if is_new(tick["seq"], newest):
                    newest = tick["seq"]
                    yield tick
            await asyncio.sleep(poll_interval_s)


async def polls_more_often(url, poll_interval_s=1.0):
    """Ten times as often loses a tenth. Graded: it asks too often."""
    async for tick in _poll(url, poll_interval_s / 10):
        yield tick


async def throws_the_filter_away(url, poll_interval_s=1.0):
    """The comparison swallows ticks, surely. Graded: ticks came twice."""
    async for tick in _poll(url, poll_interval_s, is_new=lambda seq, newest: True):
        yield tick


async def remembers_all_that_it_has_seen(url, poll_interval_s=1.0):
    """A set instead of a number. Graded: ticks were lost."""
    seen = set()
    async for tick in _poll(url, poll_interval_s, is_new=lambda seq, newest: seq not in seen):
        seen.add(tick["seq"])
        yield tick


async def asks_after_zero(url, poll_interval_s=1.0):
    """0 is the newest before any. Graded: its first request has a cursor already."""
    async for tick in _poll(url, poll_interval_s, query=lambda newest: {"after": newest}):
        yield tick


async def asks_from_one_before(url, poll_interval_s=1.0):
    """To be safe; the filter takes away what comes twice. Graded: it asks for ticks that it has."""
    async for tick in _poll(
        url, poll_interval_s, query=lambda newest: {"after": newest - 1} if newest else {}
    ):
        yield tick


async def asks_for_the_whole_history(url, poll_interval_s=1.0):
    """Nothing is lost if all is asked for. Graded: its first request has a cursor already."""
    async for tick in _poll(url, poll_interval_s, query=lambda newest: {"after": 0}):
        yield tick
