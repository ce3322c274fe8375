"""Exercise 6: a WebSocket client with the library websockets."""

import asyncio
import json
import random

from websockets.asyncio.client import connect, process_exception
from websockets.exceptions import ConnectionClosedError, InvalidHandshake

TRANSPORT = "websocket"
TIMEOUTS = {"open_timeout": 10, "ping_interval": 20, "ping_timeout": 20}
"""In seconds. Without pings a client would listen for ever to a server that is gone without a word."""
BAD_QUERY = 4400
"""The server's close code for a query that it cannot answer (servers/websocket_rules.py)."""
WILL_NOT_PASS = {1002, 1003, 1007, 1008, 1009, 1010, BAD_QUERY}
"""Close codes that the same client would get again (RFC 6455, section 7.4.1)."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


async def ticks(url):
    """Yield each tick once and in order, as a dict.

    Raises:
        WebSocketException: If the server will never serve: what it refuses now it would refuse again.
    """
    cursor, failures = None, 0
    while True:
        try:
            asked = url if cursor is None else f"{url}?after={cursor}"
            async with connect(asked, **TIMEOUTS) as connection:
                async for message in connection:
                    array = json.loads(message)
                    if isinstance(array, list):  # and not {"missed": n}
                        for tick in array:
                            yield tick
                            cursor, failures = tick["seq"], 0
        except ConnectionClosedError as closed:
            close = closed.rcvd or closed.sent  # neither: cut without a word, close code 1006
            code = close.code if close else 1006
            if code == BAD_QUERY and cursor is not None:
                cursor = None  # ahead of the server: it was started anew, and so do we
            elif code in WILL_NOT_PASS:
                raise
        except (OSError, InvalidHandshake) as error:
            if process_exception(error) is not None:  # the library knows which of them may pass
                raise
        failures += 1
        await asyncio.sleep(pause_s(failures))


def pause_s(failures):
    """Return how long to wait after so many failures on end: at random, up to twice as long each time.

    At random, or all clients would come back at the instant at which a server is there again.
    """
    return random.uniform(0, min(FIRST_PAUSE_S * 2 ** min(failures, 10), LONGEST_PAUSE_S))
