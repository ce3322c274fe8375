"""A tick on the wire has exactly the size asked for, and comes back as what it was."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.wire import (
    MAX_PAYLOAD_BYTES,
    MIN_PAYLOAD_BYTES,
    Tick,
    TickStamp,
    decode_stamps,
    decode_ticks,
    encode_array,
    encode_tick,
    largest_encoding_bytes,
)
from servers.workloads.market import SYMBOLS, random_walk

ticks = st.fixed_dictionaries(
    {
        "seq": st.integers(1, 10**6),
        "due_ns": st.integers(0, 2**63 - 1),
        "symbol": st.sampled_from(sorted(SYMBOLS)),
        "price": st.integers(1, 999_999).map(lambda cents: cents / 100),
        "payload_bytes": st.integers(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES),
    }
)


@given(ticks)
def test_a_tick_has_exactly_the_size_asked_for(tick):
    assert len(encode_tick(**tick)) == tick["payload_bytes"]


def test_every_size_can_be_had():
    for payload_bytes in range(MIN_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1, 7):
        assert len(encode_tick(10**6, 2**63 - 1, "INITECH", 9_999.99, payload_bytes)) == payload_bytes


def test_every_quote_of_the_random_market_fits_the_smallest_payload():
    quotes = itertools.islice(random_walk(0), 5_000)
    assert all(len(encode_tick(10**6, 2**63 - 1, *quote, 96)) == 96 for quote in quotes)


@given(st.lists(ticks, max_size=5))
def test_ticks_come_back_as_they_went(sent):
    received = decode_ticks(encode_array([encode_tick(**tick) for tick in sent]))
    assert [(tick.seq, tick.due_ns, tick.symbol, tick.price) for tick in received] == [
        (tick["seq"], tick["due_ns"], tick["symbol"], tick["price"]) for tick in sent
    ]


@given(st.lists(ticks, max_size=5))
def test_a_measurement_reads_only_the_stamps(sent):
    received = decode_stamps(encode_array([encode_tick(**tick) for tick in sent]))
    assert received == [TickStamp(tick["seq"], tick["due_ns"]) for tick in sent]


def test_an_array_is_its_elements_joined():
    assert [encode_array(parts) for parts in ([], [b"1"], [b"1", b"2"])] == [b"[]", b"[1]", b"[1,2]"]


def test_neighbours_have_other_padding():
    one, two = decode_ticks(encode_array(encode_tick(seq, 0, "ACME", 1.0, 1_000) for seq in (1, 2)))
    assert one.padding != two.padding


def test_a_tick_that_cannot_fit_is_refused():
    with pytest.raises(ValueError, match="but payload_bytes is 96"):
        encode_tick(1, 0, "A" * 96, 1.0, 96)


@given(symbol=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), price=st.floats(1e-9, 1e15))
def test_what_fits_by_its_largest_encoding_always_fits(symbol, price):
    needed_bytes = largest_encoding_bytes(symbol, price)
    assert len(encode_tick(10**9, 2**63 - 1, symbol, price, needed_bytes)) == needed_bytes


def test_a_tick_is_plain_json():
    assert msgspec.json.decode(encode_tick(1, 2, "ACME", 3.5, 96), type=Tick).symbol == "ACME"
