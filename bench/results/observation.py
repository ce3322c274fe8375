"""What a trial leaves, as raw as it is."""

from collections.abc import Sequence
from typing import NamedTuple


class ServerState(NamedTuple):
    """What a server tells of itself: its memory, and two lags of each tick that was asked for.

    Published − due; and how long its event loop took to turn to the tick, a part of the former.
    """

    rss_bytes: int
    publish_lags_ns: Sequence[int]
    loop_lags_ns: Sequence[int]
