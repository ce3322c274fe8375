"""Exercise 7, a server for long polling: this one answers at once. Make it hold the request.

``query`` has the client's ``cursor``, and ``hold_s``, for how long it may be held; both have been checked.
``feed`` is servers/feed.py: read what it offers to those who wait. Grade it with
``bench grade long_polling_handle.py``.
"""

TRANSPORT = "long_polling"


async def handle(query, feed):
    """Return what a client is to be sent."""
    # To do: one line, before this one.
    return feed.after(query.cursor)
