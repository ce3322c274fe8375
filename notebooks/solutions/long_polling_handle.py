"""Exercise 7: a server for long polling is one for short polling, and a line."""

TRANSPORT = "long_polling"


async def handle(query, feed):
    """Return what a client is to be sent, once there is something, or the hold is over."""
    await feed.newer_than(query.cursor, query.hold_s)
    return feed.after(query.cursor)
