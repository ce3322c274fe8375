"""Exercise 6, WebSocket with the library websockets: this client hears one message. Make it listen on.

Grade it with ``bench grade websocket_ticks.py``; watch it run beside ``bench serve websocket --port 8001``.
"""

import asyncio
import json

from websockets.asyncio.client import connect

TRANSPORT = "websocket"


async def ticks(url):
    """Yield each tick once and in order, as a dict."""
    async with connect(url) as connection:
        # To do: take message after message (async for), and every tick of each; a message {"missed": n} is no
        # array. When the connection ends, or is refused for now, wait a moment and connect again with
        # ?after=CURSOR. Give up after what will not pass. See "How a client comes back" in the exercises.
        message = await connection.recv()
        for tick in json.loads(message):
            yield tick


async def main():
    """Print the ticks of a server."""
    async for tick in ticks("ws://127.0.0.1:8001/ticks"):
        print(tick["seq"], tick["symbol"], tick["price"])


if __name__ == "__main__":
    asyncio.run(main())
