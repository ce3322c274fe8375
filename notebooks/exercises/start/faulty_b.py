"""Exercise 9b: a colleague's WebSocket client. "On the train, the volumes are too high." Find the fault."""

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
            async with connect(url if cursor is None else f"{url}?after={cursor - 1}") as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):
                        for tick in array:
                            yield tick
                            cursor = tick["seq"]
        except (OSError, WebSocketException):
            pass
        await asyncio.sleep(0.1)
