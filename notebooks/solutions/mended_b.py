"""Exercise 9b, mended: after=CURSOR has to be the newest tick held, or that one comes again after a cut."""

import asyncio
import json
import random

from websockets.asyncio.client import connect, process_exception
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

TRANSPORT = "websocket"
BAD_QUERY = 4400
WILL_NOT_PASS = {1002, 1003, 1007, 1008, 1009, 1010, BAD_QUERY}


async def ticks(url):
    """Yield each tick once and in order, as a dict."""
    cursor, failures = None, 0
    while True:
        try:
            async with connect(url if cursor is None else f"{url}?after={cursor}") as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
                            cursor, failures = tick["seq"], 0
        except ConnectionClosedError as closed:
            close = closed.rcvd or closed.sent
            code = close.code if close else 1006
            if code == BAD_QUERY and cursor is not None:
                cursor = None  # the server was started anew
            elif code in WILL_NOT_PASS:
                raise
        except (OSError, InvalidHandshake) as error:
            if process_exception(error) is not None:
                raise
        failures += 1
        await asyncio.sleep(random.uniform(0, min(2 ** min(failures, 5), 30)))
