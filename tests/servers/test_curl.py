"""``curl -N`` shows a stream of events as it comes: each tick before the next one exists."""

import asyncio
import itertools
import json

from bench.transports import Transport
from servers.base import PATH, listen, load_serve
from servers.feed import Feed
from servers.options import ServerOptions
from servers.workloads.market import random_walk
from tests.asking import by_event_stream
from tests.tools import tool
from tests.waiting import LIMIT_S

TICKS = 5


@by_event_stream
def test_curl_shows_each_tick_before_the_next_one_is_published(transport: Transport) -> None:
    """The feed's clock stands, and goes on when curl has shown the tick before."""
    now = 0

    async def seqs_shown(curl: asyncio.StreamReader) -> list[int]:
        line = b""
        while not line.startswith(b"data: "):
            line = await curl.readline()
        return [tick["seq"] for tick in json.loads(line.removeprefix(b"data: "))]

    async def play() -> None:
        nonlocal now
        feed = Feed(itertools.count(0), random_walk(1), payload_bytes=128, clock=lambda: now)
        feed.publish_due()
        options = ServerOptions()
        with listen(options) as listener:
            async with load_serve(transport.server)(feed, listener, options):
                url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}?after=0"
                words = ("--no-buffer", "--silent", "--show-error", "--noproxy", "*", url)
                curl = await asyncio.create_subprocess_exec(
                    tool("curl"), *words, stdout=asyncio.subprocess.PIPE
                )
                try:
                    assert curl.stdout is not None
                    for seq in range(1, TICKS + 1):
                        assert await asyncio.wait_for(seqs_shown(curl.stdout), LIMIT_S) == [seq]
                        assert feed.newest_seq == seq
                        now += 1
                        feed.publish_due()
                finally:
                    curl.kill()
                    await curl.wait()
                feed.close()

    asyncio.run(play())
