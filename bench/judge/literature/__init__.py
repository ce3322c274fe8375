"""Published figures that this suite reproduces, or refutes. One file per publication.

lubbers_greco.py      bandwidth of polling and WebSocket
pimentel_nickerson.py latency over real distances (waits for the emulated network)
rfc6202.py            latency of long polling
rfc6455.py            framing bytes of WebSocket
grigorik.py           bytes by layer
bozdag.py             server CPU, push against pull
van_de_vyvere.py      from which latency on polling serves more clients
websockets_memory.py  memory of a connection
"""

from bench.judge.literature import (
    bozdag,
    grigorik,
    lubbers_greco,
    pimentel_nickerson,
    rfc6202,
    rfc6455,
    van_de_vyvere,
    websockets_memory,
)
from bench.judge.literature.base import (
    FALLS,
    NOT_JUDGED,
    STANDS,
    WITHIN_LIMITS,
    Judgement,
    Publication,
    as_record,
)

PUBLICATIONS = [
    module.PUBLICATION
    for module in (
        lubbers_greco,
        pimentel_nickerson,
        rfc6202,
        rfc6455,
        grigorik,
        bozdag,
        van_de_vyvere,
        websockets_memory,
    )
]

__all__ = [
    "FALLS",
    "NOT_JUDGED",
    "PUBLICATIONS",
    "STANDS",
    "WITHIN_LIMITS",
    "Judgement",
    "Publication",
    "as_record",
]
