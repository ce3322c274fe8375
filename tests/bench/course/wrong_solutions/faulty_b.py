"""Exercise 9b, ticks that come twice: mended where it does not help."""

import asyncio
import json

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

TRANSPORT = "websocket"


async def _listen(url, query, is_new=lambda seq, cursor: True, pause_s=0.1):
    """The colleague's client, with what is asked, what is new and its pause as parameters."""
    cursor = None
    while True:
        try:
            async with connect(url if cursor is None else f"{url}{query(cursor)}") as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            if is_new(tick["seq"], cursor or 0):
                                yield tick
                                cursor = tick["seq"]
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(pause_s)


async def filters_what_comes_twice(url):
    """A comparison hides it. Graded: it asks for ticks that it has."""
    async for tick in _listen(url, lambda cursor: f"?after={cursor - 1}", lambda seq, cursor: seq > cursor):
        yield tick


async def asks_for_the_next(url):
    """Minus was wrong, so it is plus. Graded: it does not ask in the right form."""
    async for tick in _listen(url, lambda cursor: f"?after={cursor + 1}"):
        yield tick


async def asks_without_a_cursor(url):
    """Then nothing can be wrong with it. Graded: ticks came twice."""
    async for tick in _listen(url, lambda cursor: ""):
        yield tick


async def asks_from_the_start(url):
    """All of it, and the filter takes the rest away. Graded: it asks for ticks that it has."""
    async for tick in _listen(url, lambda cursor: "?after=0", lambda seq, cursor: seq > cursor):
        yield tick


async def waits_longer(url):
    """The server needs a moment after a cut. Graded: ticks came twice."""
    async for tick in _listen(url, lambda cursor: f"?after={cursor - 1}", pause_s=1.0):
        yield tick


async def does_not_come_back(url):
    """Without a second connection nothing comes twice. Graded: it crashed."""
    async with connect(url) as connection:
        async for message in connection:
            for tick in json.loads(message):
                yield tick
