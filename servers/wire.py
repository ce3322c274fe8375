"""What servers and clients share: a tick, its JSON, and the clock."""

import random
import string
import time
from collections.abc import Iterable

import msgspec

now_ns = time.perf_counter_ns
"""The bench clock: monotonic, and one clock for all processes of a machine.

Source: the documentation of :func:`time.perf_counter` (system-wide; Python 3.10 made it so on every OS).
"""

MIN_PAYLOAD_BYTES = 96
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_BATCH_BYTES = 256 * 1024
MAX_BATCH_TICKS = 1_000

_LARGEST_INT64 = 2**63 - 1
_PADDING_BYTES = 2 * MAX_PAYLOAD_BYTES


def _noise() -> str:
    """Return letters and digits at random: compressing them saves no more than 6 of 8 bits for 62 letters."""
    return "".join(random.Random(0).choices(string.ascii_letters + string.digits, k=_PADDING_BYTES))


def _text() -> str:
    """Return what a market says beside the price, as fields whose names repeat and whose figures do not."""
    rng = random.Random(0)
    quotes: list[str] = []
    while len(quotes) < _PADDING_BYTES // 64:
        bid = rng.uniform(10, 500)
        quotes.append(
            f"bid={bid:.2f},ask={bid + 0.01 * rng.randint(1, 5):.2f},volume={rng.randrange(100, 10**6, 100)},"
            f"venue={rng.choice(['XNYS', 'XNAS', 'XLON', 'XPAR'])},currency=USD,session=open;"
        )
    return "".join(quotes)[:_PADDING_BYTES]


PADDINGS = {"noise": _noise(), "text": _text()}
"""What ticks are filled up with: noise, or text, which compresses as real messages do."""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One price change. ``due_ns`` is when the plan publishes it, on the bench clock, late process or not."""

    seq: int
    due_ns: int
    symbol: str
    price: float
    padding: str


class TickStamp(msgspec.Struct, frozen=True, gc=False):
    """The two fields of a tick that a measurement needs; decoding skips the others."""

    seq: int
    due_ns: int


class Missed(msgspec.Struct, frozen=True, gc=False):
    """What a WebSocket server says before the ticks if the history no longer has ``missed`` of them."""

    missed: int


def encode_tick(
    seq: int, due_ns: int, symbol: str, price: float, payload_bytes: int, padding: str = "noise"
) -> bytes:
    """Encode a tick as a JSON object of exactly ``payload_bytes`` bytes.

    The padding takes up what the digits leave; it is other for each tick, and named in ``PADDINGS``.

    Raises:
        ValueError: If the tick without padding is longer than ``payload_bytes``.
    """
    bare_bytes = len(msgspec.json.encode(Tick(seq, due_ns, symbol, price, "")))
    padding_bytes = payload_bytes - bare_bytes
    if padding_bytes < 0:
        raise ValueError(f"the tick takes {bare_bytes} bytes, but payload_bytes is {payload_bytes}")
    start = seq * 7919 % (_PADDING_BYTES - MAX_PAYLOAD_BYTES)
    filling = PADDINGS[padding][start : start + padding_bytes]
    return msgspec.json.encode(Tick(seq, due_ns, symbol, price, filling))


def largest_encoding_bytes(symbol: str, price: float) -> int:
    """Return the length in bytes of this quote's longest possible tick, without padding."""
    return len(msgspec.json.encode(Tick(10**9, _LARGEST_INT64, symbol, price, "")))


def encode_array(encoded_ticks: Iterable[bytes]) -> bytes:
    """Join encoded ticks to the JSON array that every delivery on every transport is."""
    return b"[" + b",".join(encoded_ticks) + b"]"


decode_ticks = msgspec.json.Decoder(list[Tick]).decode
decode_stamps = msgspec.json.Decoder(list[TickStamp]).decode
