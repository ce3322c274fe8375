"""Exercise 7, a long-polling server: wrong in the ways that come first."""

import asyncio

TRANSPORT = "long_polling"


async def looks_before_it_waits(query, feed):
    """The line in the wrong place. Graded: it answers with the wrong ticks."""
    delivery = feed.after(query.cursor)
    await feed.newer_than(query.cursor, query.hold_s)
    return delivery


async def polls_itself(query, feed):
    """Look again five times a second. Graded: it answers at the wrong time."""
    waited_s = 0.0
    while feed.newest_seq <= query.cursor and waited_s < query.hold_s:
        await asyncio.sleep(0.2)
        waited_s += 0.2
    return feed.after(query.cursor)


async def sleeps_for_the_hold(query, feed):
    """The hold is how long the request is held. Graded: it answers at the wrong time."""
    await asyncio.sleep(query.hold_s)
    return feed.after(query.cursor)


async def waits_for_the_next(query, feed):
    """It waits for what comes after now, not after the cursor. Graded: it answers at the wrong time."""
    await feed.newer_than(feed.newest_seq, query.hold_s)
    return feed.after(query.cursor)


async def waits_until_there_is_something(query, feed):
    """An empty answer is no answer. Graded: it answers at the wrong time."""
    while feed.newest_seq <= query.cursor:
        await feed.newer_than(query.cursor, 30)
    return feed.after(query.cursor)


async def has_its_own_hold(query, feed):
    """RFC 6202 says that 30 seconds are safe. Graded: it answers at the wrong time."""
    await feed.newer_than(query.cursor, 30)
    return feed.after(query.cursor)


async def spins(query, feed):
    """sleep(0) is an await. Graded: it spins: it looks again and again, and never waits."""
    while feed.newest_seq <= query.cursor:
        await asyncio.sleep(0)
    return feed.after(query.cursor)


async def sends_the_newest_only(query, feed):
    """Whoever waited wants the news. Graded: ticks were lost."""
    await feed.newer_than(query.cursor, query.hold_s)
    return feed.after(max(feed.newest_only(), query.cursor))


async def returns_the_body(query, feed):
    """The array is what is sent. Graded: what handle returns is no delivery."""
    await feed.newer_than(query.cursor, query.hold_s)
    return feed.after(query.cursor).body


async def gives_up_by_an_exception(query, feed):
    """A time-out is an error. Graded: it crashed."""
    async with asyncio.timeout(query.hold_s):
        while feed.newest_seq <= query.cursor:
            await feed.newer_than(query.cursor, 300)
    return feed.after(query.cursor)
