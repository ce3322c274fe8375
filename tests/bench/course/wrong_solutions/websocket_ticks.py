"""Exercise 6, a WebSocket client with the library websockets: wrong in the ways that come first."""

import asyncio
import json

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

TRANSPORT = "websocket"


def address(url, cursor):
    return url if cursor is None else f"{url}?after={cursor}"


async def takes_what_was_missed_for_ticks(url):
    """Every message is an array. Graded: what it yields is no tick."""
    cursor = None
    while True:
        try:
            async with connect(address(url, cursor)) as connection:
                async for message in connection:
                    for tick in json.loads(message):
                        yield tick
                        cursor = tick["seq"]
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)


async def connects_again_at_once(url):
    """As fast as it can, so that nothing is late. Graded: it tries again and again without a pause."""
    cursor = None
    while True:
        try:
            async with connect(address(url, cursor)) as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
                            cursor = tick["seq"]
        except (OSError, WebSocketException):
            pass


async def comes_back_without_its_cursor(url):
    """Connect, and listen. Graded: ticks came twice."""
    while True:
        try:
            async with connect(url) as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)


async def connects_for_each_message(url):
    """One question, one answer, as in HTTP. Graded: it connects again and again."""
    cursor = None
    while True:
        try:
            async with connect(address(url, cursor)) as connection:
                array = json.loads(await connection.recv())
            if isinstance(array, list):
                for tick in array:
                    yield tick
                    cursor = tick["seq"]
        except (OSError, WebSocketException):
            await asyncio.sleep(0.1)


async def takes_one_tick_of_a_message(url):
    """There was one in each when it was tried. Graded: ticks were lost."""
    cursor = None
    while True:
        try:
            async with connect(address(url, cursor)) as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        yield array[0]
                        cursor = array[0]["seq"]
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)


async def knows_only_closed_connections(url):
    """A connection that ends says ConnectionClosed. Graded: it crashed."""
    cursor = None
    while True:
        try:
            async with connect(address(url, cursor)) as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
                            cursor = tick["seq"]
        except ConnectionClosed:
            pass
        await asyncio.sleep(0.1)


async def asks_for_each_tick(url):
    """It polls, through a WebSocket. Graded: it asks by messages."""
    async with connect(url) as connection:
        while True:
            array = json.loads(await connection.recv())
            for tick in array:
                yield tick
            await connection.send(json.dumps({"after": array[-1]["seq"]}))


async def asks_for_ever_after_a_restart(url):
    """Every close passes. Graded: it does not begin anew when its cursor is refused."""
    cursor = None
    while True:
        try:
            async with connect(address(url, cursor)) as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
                            cursor = tick["seq"]
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)
