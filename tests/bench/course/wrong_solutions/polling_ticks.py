"""Exercise 5, a short-polling client with aiohttp: wrong in the ways that come first."""

import asyncio

import aiohttp

TRANSPORT = "short_polling"


async def opens_a_session_for_each_poll(url, poll_interval_s=1.0):
    """The example of the library's first page, in a loop. Graded: it connects again and again."""
    cursor = None
    while True:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(url, params={} if cursor is None else {"after": cursor}) as answer,
            ):
                answer.raise_for_status()
                for tick in await answer.json():
                    yield tick
                    cursor = tick["seq"]
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(poll_interval_s)


async def tries_again_at_once(url, poll_interval_s=1.0):
    """The pause is within the try. Graded: it tries again and again without a pause."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
                for tick in array:
                    yield tick
                    cursor = tick["seq"]
                await asyncio.sleep(poll_interval_s)
            except aiohttp.ClientError:
                continue


async def takes_only_the_last(url, poll_interval_s=1.0):
    """The newest price is the one that counts. Graded: ticks were lost."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            if array:
                cursor = array[-1]["seq"]
                yield array[-1]
            await asyncio.sleep(poll_interval_s)


async def starts_anew_after_an_error(url, poll_interval_s=1.0):
    """Better safe than sorry. Graded: ticks were lost."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            array = []
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                cursor = None
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)


async def does_not_look_at_the_status(url, poll_interval_s=1.0):
    """An answer is an answer. Graded: what it yields is no tick."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)


async def has_its_own_interval(url, poll_interval_s=1.0):
    """It was one second when it was tried. Graded: it asks too seldom."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(1)


async def asks_for_the_next(url, poll_interval_s=1.0):
    """The next tick is the newest and one. Graded: it does not ask in the right form."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor + 1}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)


async def catches_everything(url, poll_interval_s=1.0):
    """It must never crash. Graded: it cannot be stopped."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    for tick in await answer.json():
                        yield tick
                        cursor = tick["seq"]
            except:  # noqa: E722
                pass
            await asyncio.sleep(poll_interval_s)


async def polls_by_urllib(url, poll_interval_s=1.0):
    """It is in the standard library. Graded: it blocks: it waits without an await."""
    import json
    import urllib.request

    while True:
        with urllib.request.urlopen(url) as answer:
            for tick in json.load(answer):
                yield tick
        await asyncio.sleep(poll_interval_s)


async def asks_for_ever_after_a_restart(url, poll_interval_s=1.0):
    """Every refusal passes. Graded: it does not begin anew when its cursor is refused."""
    cursor = None
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url, params={} if cursor is None else {"after": cursor}) as answer:
                    answer.raise_for_status()
                    array = await answer.json()
            except aiohttp.ClientError:
                array = []
            for tick in array:
                yield tick
                cursor = tick["seq"]
            await asyncio.sleep(poll_interval_s)
