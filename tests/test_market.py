"""The random market looks like one; a recording is read whole, or refused with its line and the reason."""

import itertools
import os
import time

import numpy as np
import pytest

from servers.market import SYMBOLS, RecordingError, random_walk, read_recording

TICKS = 60_000


def write(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "ticks.csv"
    path.write_bytes(text.encode(encoding))
    return path


def read(tmp_path, text: str, *, payload_bytes: int = 128, speed: float = 1.0):
    return read_recording(write(tmp_path, text), payload_bytes=payload_bytes, speed=speed)


# The random walk


@pytest.fixture(scope="module")
def walk() -> list[tuple[str, float]]:
    return list(itertools.islice(random_walk(11), TICKS))


def returns_of(symbol: str, quotes: list[tuple[str, float]]) -> np.ndarray:
    return np.diff(np.log([price for name, price in quotes if name == symbol]))


def autocorrelation(values: np.ndarray, lag: int = 1) -> float:
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def test_the_same_seed_gives_the_same_market(walk):
    assert list(itertools.islice(random_walk(11), 1_000)) == walk[:1_000]


def test_another_seed_gives_another_market(walk):
    assert list(itertools.islice(random_walk(12), 1_000)) != walk[:1_000]


def test_every_symbol_is_traded(walk):
    assert {symbol for symbol, _ in walk} == set(SYMBOLS)


def test_prices_are_positive_whole_cents(walk):
    assert all(price > 0 and price == round(price * 100) / 100 for _, price in walk)


def test_prices_stay_near_their_opening(walk):
    assert all(SYMBOLS[symbol] / 2 < price < SYMBOLS[symbol] * 2 for symbol, price in walk)


# STARK is dear enough for whole cents not to blur the returns
def test_returns_have_fat_tails(walk):
    returns = returns_of("STARK", walk)
    standardised = (returns - returns.mean()) / returns.std()
    assert np.mean(standardised**4) > 4  # 3 is a normal distribution's


def test_turbulence_comes_in_clusters(walk):
    returns = returns_of("STARK", walk)
    assert autocorrelation(np.abs(returns)) > max(autocorrelation(returns), 0) + 0.1


# A recording

GOOD = "time,symbol,price\n10,ACME,1.5\n10.5,ACME,1.25\n12,STARK,9\n"


def test_a_recording_in_seconds_counts_from_its_first_row(tmp_path):
    recording = read(tmp_path, GOOD)
    assert recording.offsets_ns == [0, 500_000_000, 2_000_000_000]
    assert recording.quotes == [("ACME", 1.5), ("ACME", 1.25), ("STARK", 9.0)]


def test_its_rate_is_that_of_its_loop(tmp_path):
    assert read(tmp_path, GOOD).rate_hz == pytest.approx(1.0)  # 2 s, and one mean gap of 1 s


def test_its_quotes_begin_again_after_the_last(tmp_path):
    assert list(itertools.islice(read(tmp_path, GOOD).loop(), 3, 5)) == [("ACME", 1.5), ("ACME", 1.25)]


def test_speed_shortens_the_gaps(tmp_path):
    assert read(tmp_path, GOOD, speed=2).offsets_ns == [0, 250_000_000, 1_000_000_000]


def test_times_may_be_iso_8601(tmp_path):
    rows = "2024-05-01T09:30:00.250Z,A,1\n2024-05-01T11:30:01.250+02:00,A,2\n"
    assert read(tmp_path, "time,symbol,price\n" + rows).offsets_ns == [0, 1_000_000_000]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of this process cannot be set")
def test_a_time_without_zone_means_the_same_on_every_machine(tmp_path, monkeypatch):
    across_the_change = "time,symbol,price\n2024-03-31T01:30:00,A,1\n2024-03-31T03:30:00,A,2\n"
    offsets = []
    for zone in ("UTC", "CET-1CEST,M3.5.0,M10.5.0/3"):
        with monkeypatch.context() as patch:
            patch.setitem(os.environ, "TZ", zone)
            time.tzset()
            offsets.append(read(tmp_path, across_the_change).offsets_ns)
        time.tzset()
    assert offsets[0] == offsets[1]


def test_a_byte_order_mark_and_other_columns_do_no_harm(tmp_path):
    text = "venue,price,time,symbol\nX,1.5,0,ACME\nY,2.5,1,ACME\n"
    path = write(tmp_path, text, encoding="utf-8-sig")
    assert read_recording(path, payload_bytes=128).quotes == [("ACME", 1.5), ("ACME", 2.5)]


ABSENT = "line 1: no column "
ROW = "time,symbol,price\n0,ACME,1\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,symbol\n0,A\n", ABSENT + "price"),
        ("when,what,price\n0,A,1\n", ABSENT + "symbol or time"),
        ("", ABSENT + "price or symbol or time"),
        ("time,symbol,price\n", "no row after the column names"),
        (ROW + "soon,ACME,1\n", "line 3: time 'soon' is neither seconds nor ISO 8601"),
        (ROW + ",ACME,1\n", "line 3: time '' is neither"),
        (ROW + "nan,ACME,1\n", "line 3: time 'nan' is not a finite number"),
        (ROW + "inf,ACME,1\n", "line 3: time 'inf' is not a finite number"),
        (ROW + "2,ACME,1\n1,ACME,1\n", "line 4: time 1 is before the row above"),
        (ROW + "1,ACME,dear\n", "line 3: price 'dear' is not a number"),
        (ROW + "1,ACME\n", "line 3: price None is not a number"),
        (ROW + "1,ACME,-2\n", "line 3: price '-2' is not above 0"),
        (ROW + "1,ACME,0\n", "line 3: price '0' is not above 0"),
        (ROW + "1,ACME,nan\n", "line 3: price 'nan' is not above 0"),
        (ROW + "1,ACME,inf\n", "line 3: price 'inf' is not above 0"),
        (ROW + "1,,1\n", "line 3: the symbol is empty"),
        (ROW + f"1,{'A' * 60},1\n", "payload_bytes is 128, raise it"),
    ],
)
def test_a_recording_that_cannot_be_replayed_is_refused_with_the_reason(tmp_path, text, sentence):
    with pytest.raises(RecordingError) as refusal:
        read(tmp_path, text)
    assert sentence in str(refusal.value)
    assert "ticks.csv" in str(refusal.value)


def test_a_longer_payload_has_room_for_a_longer_symbol(tmp_path):
    text = f"time,symbol,price\n1,{'A' * 60},1\n"
    assert read(tmp_path, text, payload_bytes=256).quotes == [("A" * 60, 1.0)]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read as a CSV file"):
        read_recording(tmp_path / "nowhere.csv", payload_bytes=128)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "ticks.csv"
    path.write_bytes(GOOD.encode() + b"\xff\xfe\x00")
    with pytest.raises(RecordingError, match="cannot be read as a CSV file"):
        read_recording(path, payload_bytes=128)


def test_the_busiest_stretch_of_a_recording_is_known(tmp_path):
    path = tmp_path / "burst.csv"
    rows = [*(f"{step / 2000},ACME,1" for step in range(200)), "8,ACME,1"]
    path.write_text("time,symbol,price\n" + "\n".join(rows) + "\n", encoding="utf-8")
    recording = read_recording(path, payload_bytes=128)
    assert recording.most_within(1.0) == 201  # the last tick, and the next lap's burst
    assert recording.most_within(0.01) == 21
    assert recording.most_within(100.0) >= 201 * 12
