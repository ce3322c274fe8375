"""Exercise 9b, mended: after=CURSOR has to be the newest tick held, or that one comes again after a cut."""

import asyncio
import json

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

TRANSPORT = "websocket"


async def ticks(url):
    """Yield each tick once and in order, as a dict."""
    cursor = None
    while True:
        try:
            async with connect(url if cursor is None else f"{url}?after={cursor}") as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
                            cursor = tick["seq"]
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)
