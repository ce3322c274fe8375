"""Published figures that this suite reproduces, or refutes. One file per publication.

lubbers_greco.py      bandwidth of polling and WebSocket
pimentel_nickerson.py latency over real distances
rfc6202.py            latency of long polling
rfc6455.py            framing bytes of WebSocket
grigorik.py           bytes by layer
bozdag.py             server CPU, push against pull
van_de_vyvere.py      from which latency on polling serves more clients
websockets_memory.py  memory of a connection
tsaqief_sutopo.py     WebSocket beside MQTT on a sensor: 40 ms that are a delayed ACK
llm_webtransport.py   time to the first token: 400 ms that are a connection
"""

from bench.judge.literature import (
    bozdag,
    grigorik,
    llm_webtransport,
    lubbers_greco,
    pimentel_nickerson,
    rfc6202,
    rfc6455,
    tsaqief_sutopo,
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
        tsaqief_sutopo,
        llm_webtransport,
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
