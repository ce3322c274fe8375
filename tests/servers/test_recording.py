"""A recording is read as people have it: whole, once a process, or refused with its line and the reason."""

import gzip
import itertools
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.workloads import recording as module
from servers.workloads.recording import Recording, RecordingError, read_recording, recording_digest

S = 1_000_000_000
HEADER = "time,symbol,price\n"
GOOD = HEADER + "10,ACME,1.5\n10.5,ACME,1.25\n12,STARK,9\n"


def read(tmp_path: Path, text: str | bytes, **options) -> Recording:
    path = tmp_path / "ticks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_recording(path, **{"payload_bytes": 128, **options})


def offsets(tmp_path: Path, *times: str, **options) -> list[int]:
    return list(read(tmp_path, HEADER + "".join(f"{t},A,1\n" for t in times), **options).offsets_ns)


def quotes(recording: Recording) -> list[tuple[str, float]]:
    return list(itertools.islice(recording.loop(), len(recording.prices)))


def test_a_recording_in_seconds_counts_from_its_first_row(tmp_path):
    recording = read(tmp_path, GOOD)
    assert list(recording.offsets_ns) == [0, S // 2, 2 * S]
    assert quotes(recording) == [("ACME", 1.5), ("ACME", 1.25), ("STARK", 9.0)]


def test_its_rate_is_that_of_its_loop(tmp_path):
    assert read(tmp_path, GOOD).rate_hz == pytest.approx(1.0)  # 2 s, and one mean gap of 1 s


def test_its_quotes_begin_again_after_the_last(tmp_path):
    assert list(itertools.islice(read(tmp_path, GOOD).loop(), 3, 5)) == [("ACME", 1.5), ("ACME", 1.25)]


def test_speed_shortens_the_gaps(tmp_path):
    assert list(read(tmp_path, GOOD, speed=2).offsets_ns) == [0, S // 4, S]


# Times


@pytest.mark.parametrize(
    ("times", "gaps_ns"),
    [
        (["1735693200", "1735693200.25"], [S // 4]),
        (["1735693200123", "1735693200223", "1735693200423"], [S // 10, S // 5]),
        (["1735693200123456", "1735693200123457"], [1_000]),
        (["1735693200123456789", "1735693200123456790"], [1]),  # a float of it is 256 ns apart
        (["1735693200.123456789", "1735693200.123456790"], [1]),
        (["34200.5", "34201"], [S // 2]),  # s since midnight
        (["-2", "-1.5"], [S // 2]),
        (["0.0", "1e-05"], [10_000]),  # as Python writes it
        (["20240102", "20240103"], [86_400 * S]),
        (["20240102175959", "20240102180000"], [S]),
        (["20240102175959.5", "20240102180000"], [S // 2]),
        (["20240102", "20240103120000"], [129_600 * S]),
        (["2024-05-01T09:30:00.250Z", "2024-05-01T11:30:01.250+02:00"], [S]),
        (["2024-05-01T09:30:00Z", "2024-05-01 09:30:01"], [S]),  # none is UTC
        (["2024-05-01", "2024-05-02"], [86_400 * S]),
        (["20240501T093000", "20240501T093001"], [S]),
        (["2024-05-01T09:30:00.123456789Z", "2024-05-01T09:30:00.123456790Z"], [1]),
    ],
)
def test_the_kind_of_a_time_is_told_by_how_it_looks(tmp_path, times, gaps_ns):
    assert offsets(tmp_path, *times) == [0, *itertools.accumulate(gaps_ns)]


@pytest.mark.parametrize(("unit", "gap_ns"), [("s", 100 * S), ("ms", S // 10), ("us", 100_000), ("ns", 100)])
def test_a_unit_that_size_cannot_tell_is_said(tmp_path, unit, gap_ns):
    since_midnight = ["34200000", "34200100"]
    with pytest.raises(RecordingError, match=r"line 2: the size of time '34200000' .* say it by time_unit"):
        offsets(tmp_path, *since_midnight)
    assert offsets(tmp_path, *since_midnight, time_unit=unit) == [0, gap_ns]


def test_a_unit_that_is_said_is_that_of_dates_too(tmp_path):
    assert offsets(tmp_path, "20240102", "20240103", time_unit="ms") == [0, 1_000_000]


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (
            ["1735689599999", "1735689600000000"],
            "line 3: the size of time '1735689600000000' is not that of ms",
        ),
        (["0", "1735689600"], "line 3: the size of time '1735689600' is not that of s"),
        (["20240102", "20240199"], "line 3: time '20240199' is no date of 8 digits"),
        (["2024-05-01", "5"], "line 3: time '5' is neither a plain number nor ISO 8601"),
        (["5", "2024-05-01T00:00:00"], "line 3: time '2024-05-01T00:00:00' is not a plain number of s"),
        (["2024-05-01 09:30:00 EST"], "line 2: time '2024-05-01 09:30:00 EST' is neither"),
        (["01/02/2024"], "line 2: time '01/02/2024' is neither"),
        (["1.73569E+12"], "line 2: time '1.73569E+12' is neither"),  # Excel kept six digits of it
        (["1_0"], "line 2: time '1_0' is neither"),
        (["0", "1_0"], "line 3: time '1_0' is not a plain number"),
        (["0", "1-2"], "line 3: time '1-2' is not a plain number"),
        (["0", ""], "line 3: time '' is not a plain number"),
        ([""], "line 2: time '' is neither"),
        (["nan"], "line 2: time 'nan' is neither"),
        (["0", "inf"], "line 3: time 'inf' is not a plain number"),
        (["2", "1"], "line 3: the time is before that of the row above"),
        (["0001-01-01"], "over 292 years"),
    ],
)
def test_a_time_that_is_not_plain_is_refused(tmp_path, times, sentence):
    with pytest.raises(RecordingError, match=re.escape(sentence)):
        offsets(tmp_path, *times)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [("1e99999999", "is not a plain number of ms"), ("9" * 20, "is over 292 years from its zero")],
)
def test_a_number_that_is_beyond_all_times_is_not_computed(tmp_path, number, sentence):
    with pytest.raises(RecordingError, match=f"line 3: time '{number}' {sentence}"):
        offsets(tmp_path, "0", number, time_unit="ms")


def test_a_speed_that_makes_ages_of_it_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="lasts over 292 years; raise speed"):
        read(tmp_path, GOOD, speed=1e-12)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of this process cannot be set")
def test_a_time_without_zone_means_the_same_on_every_machine(tmp_path, monkeypatch):
    found = []
    for zone in ("UTC", "CET-1CEST,M3.5.0,M10.5.0/3"):
        with monkeypatch.context() as patch:
            patch.setitem(os.environ, "TZ", zone)
            time.tzset()
            folder = tmp_path / str(len(found))
            folder.mkdir()
            found.append(offsets(folder, "2024-03-31T01:30:00", "2024-03-31T03:30:00"))
        time.tzset()
    assert found == [[0, 7_200 * S]] * 2


FIRST = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)


@given(
    gaps_us=st.lists(st.integers(0, 10**10), min_size=1, max_size=20),
    form=st.sampled_from(["s", "ms", "us", "ns", "iso", "zone"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    packed=st.booleans(),
)
def test_the_same_market_is_read_from_every_form(tmp_path_factory, gaps_us, form, delimiter, packed):
    since_us = [0, *itertools.accumulate(gaps_us)]
    epoch_us = [round(FIRST.timestamp()) * 10**6 + us for us in since_us]
    instants = [FIRST + timedelta(microseconds=us) for us in since_us]
    times = {
        "s": [f"{us // 10**6}.{us % 10**6:06}" for us in epoch_us],
        "ms": [f"{us // 10**3}.{us % 10**3:03}" for us in epoch_us],
        "us": [str(us) for us in epoch_us],
        "ns": [f"{us}000" for us in epoch_us],
        "iso": [instant.replace(tzinfo=None).isoformat(" ") for instant in instants],
        "zone": [instant.isoformat() for instant in instants],
    }[form]
    lines = [("Timestamp", "Symbol", "Last"), *((each, "A", f"{row / 4}") for row, each in enumerate(times))]
    text = "\n".join(delimiter.join(cells) for cells in lines)
    if delimiter == ";":
        text = text.replace(".", ",")
    path = tmp_path_factory.getbasetemp() / f"{form}.csv"
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if packed else text.encode())
    recording = read_recording(path, payload_bytes=128)
    assert list(recording.offsets_ns) == [us * 1_000 for us in since_us]
    assert list(recording.prices) == [row / 4 for row in range(len(times))]


# Files


@pytest.mark.parametrize(
    "text",
    [
        "Time,Symbol,Price\n0,ACME,1.5\n1,ACME,1.6\n",
        " time , symbol, price\n0, ACME , 1.5\n1, ACME, 1.6\n",
        "time;symbol;price\n0;ACME;1,5\n1;ACME;1,6\n",
        "time;symbol;price\n0;ACME;1.5\n1;ACME;1.6\n",
        "Date\tTicker\tClose\n0\tACME\t1.5\n1\tACME\t1.6\n",
        "sep=,\ntime,symbol,price\n0,ACME,1.5\n1,ACME,1.6\n",
        "sep=;\ntime;symbol;price\n0;ACME;1,5\n1;ACME;1,6\n",
        '"sep=|"\ntime|symbol|price\n0|ACME|1.5\n1|ACME|1.6\n',
        "venue,price,timestamp,symbol,venue\nX,1.5,0,ACME,\nY,1.6,1,ACME,\n",
        "time,symbol,price\r\n0,ACME,1.5\r\n\r\n,,\r\n1,ACME,1.6,\r\n,,\r\n",
        'time,symbol,price,note\n0,ACME,1.5,"two\nlines"\n1,ACME,1.6,\n',
        'time,symbol,price\n"0","ACME","1.5"\n"1", "ACME", "1.6"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_as_people_have_them(tmp_path, text, encoding):
    for content in (text.encode(encoding), gzip.compress(text.encode(encoding), mtime=0)):
        recording = read(tmp_path, content)
        assert list(recording.offsets_ns) == [0, S]
        assert quotes(recording) == [("ACME", 1.5), ("ACME", 1.6)]


@pytest.mark.parametrize("price", ["-37.63", "0", "8.6e-06", "0.0000086", "+1", "1E3", "1.09410"])
def test_a_price_may_be_any_number(tmp_path, price):
    assert quotes(read(tmp_path, HEADER + f"0,A,{price}\n")) == [("A", float(price))]


NEEDED = "; needed are time, symbol, price"
ROW = HEADER + "0,ACME,1\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,symbol\n0,A\n", "line 1 names time, symbol" + NEEDED),
        ("Date,Open,High,Low,Close,Adj Close,Volume\n", "line 1 names Date, Open, High, Low, Close, Adj"),
        ("1735693200123,BTCUSDT,90100.10\n", "line 1 names 1735693200123, BTCUSDT, 90100.10" + NEEDED),
        ("a\x1b[2J,b\n", r"line 1 names a\x1b[2J, b" + NEEDED),
        ("", "line 1 names nothing" + NEEDED),
        ("sep=;\nwhen;what\n", "line 2 names when, what" + NEEDED),
        ("time,symbol,price,price\n0,A,1,2\n", "line 1 names both price and price"),
        ("time,symbol,price,Price\n0,A,1,2\n", "line 1 names both price and Price"),
        ("date,time,symbol,price\n20240102,93000,A,1\n", "line 1 names both date and time"),
        (HEADER, "no row after the column names"),
        (HEADER + "\n,,\n", "no row after the column names"),
        (ROW + "1,ACME,dear\n", "line 3: price 'dear' is not a number"),
        (ROW + "1,ACME,1_000\n", "line 3: price '1_000' is not a number"),
        (ROW + '1,ACME,"1,000"\n', "line 3: '1,000' has ',', but the decimal mark of the file is '.'"),
        (ROW + "1,ACME,1,5\n", "line 3 has 4 cells, but line 1 names 3 columns"),
        (ROW + "1,ACME\n", "line 3 has 2 cells, but line 1 names 3 columns"),
        (ROW + "1\n", "line 3 has 1 cell, but line 1 names 3 columns"),
        (ROW + "1,ACME,nan\n", "line 3: price 'nan' is not a number"),
        (ROW + "1,ACME,inf\n", "line 3: price 'inf' is not a number"),
        (ROW + "1,ACME,1e999\n", "line 3: price '1e999' is too large"),
        (ROW + "1,ACME,\n", "line 3: price '' is not a number"),
        (ROW + "1,ACME,٣\n", "line 3: price '٣' is not a number"),
        (ROW + "1,,1\n", "line 3: the symbol is empty"),
        (ROW + "1,A\x1b[2JB,1\n", r"line 3: symbol 'A\x1b[2JB' holds control characters"),
        (ROW + "1,A\u202eB,1\n", r"line 3: symbol 'A\u202eB' holds control characters"),
        (ROW + '1,"A\nB",1\n', r"line 4: symbol 'A\nB' holds control characters"),
        (ROW + "\n\n1,ACME,dear\n", "line 5: price 'dear'"),
        ("sep=,\n" + ROW + "1,ACME,dear\n", "line 4: price 'dear'"),
        ('time,symbol,price,note\n0,A,1,"b\nc"\n\n1,A,dear,\n', "line 5: price 'dear'"),
        ("time;symbol;price\n0;A;1,5\n1;A;1.234,5\n", "line 3: '1.234,5' has"),
        ("time;symbol;price\n0;A;1,5\n1;A;1.234\n", "line 3: '1.234' has '.', but the decimal mark"),
        ("time;symbol;price\n0;A;1.5\n1;A;1,234\n", "line 3: '1,234' has ',', but the decimal mark"),
        (ROW + f"1,{'A' * 60},1\n", "payload_bytes is 128, raise it"),
        (ROW + '1,"ACME,1\n', "cannot be read as a CSV file"),
        ("x" * 100_000, "line 1 is over 65,536 characters long"),
        (ROW + "\0" * 100_000, "line 3 is over 65,536 characters long"),
    ],
)
def test_a_recording_that_cannot_be_replayed_is_refused_with_the_reason(tmp_path, text, sentence):
    with pytest.raises(RecordingError) as refusal:
        read(tmp_path, text)
    assert sentence in str(refusal.value)
    assert "ticks.csv" in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (GOOD.encode() + b"\xff\xfe\x00", "cannot be read as a CSV file"),
        (GOOD.replace("ACME", "Zürich").encode("latin-1"), "cannot be read as a CSV file"),
        (gzip.compress(GOOD.encode() * 100, mtime=0)[:-20], "cannot be read as a CSV file"),
        (gzip.compress(GOOD.encode(), mtime=0)[:10] + b"nothing to unpack", "cannot be read as a CSV file"),
        (b"PK\x03\x04 and so on", "is a ZIP archive or a workbook"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, sentence):
    with pytest.raises(RecordingError, match=sentence):
        read(tmp_path, content)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "nowhere.csv", "."])
def test_what_is_no_file_is_neither_read_nor_digested(path):
    for ask in (recording_digest, lambda path: read_recording(path, payload_bytes=128)):
        with pytest.raises(RecordingError, match="no such file"):
            ask(Path(path))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(RecordingError, match="no such file"):
        read_recording(tmp_path / "pipe.csv", payload_bytes=128)


def test_a_longer_payload_has_room_for_a_longer_symbol(tmp_path):
    text = HEADER + f"1,{'A' * 60},1\n"
    assert quotes(read(tmp_path, text, payload_bytes=256)) == [("A" * 60, 1.0)]


def test_a_short_price_fits_where_the_longest_would_not(tmp_path):
    text = HEADER + "0,ACME,{}\n"
    assert read(tmp_path, text.format("1.5"), payload_bytes=96)
    with pytest.raises(RecordingError, match="symbol 'ACME' at 0\\.000123456789012345 needs"):
        read(tmp_path, text.format("0.000123456789012345"), payload_bytes=96)


# Once a process


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    opened = []
    really = module._opened
    monkeypatch.setattr(module, "_opened", lambda path: opened.append(path) or really(path))
    for payload_bytes, speed in [(128, 1), (128, 1), (256, 1), (128, 2)]:
        read_recording(write(tmp_path, GOOD), payload_bytes=payload_bytes, speed=speed)
    assert len(opened) == 1
    assert quotes(read_recording(write(tmp_path, GOOD + "13,ACME,2\n"), payload_bytes=128))[-1] == ("ACME", 2)
    assert len(opened) == 2


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "market.csv"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


def test_many_rows_are_read_in_turns_and_said_to_take_long(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(module, "_LONG_S", 0.0)
    rows = [f"{row / 8},S{row // 10},{row}\n" for row in range(100)]
    recording = read(tmp_path, HEADER + "".join(rows))
    assert list(recording.offsets_ns) == [row * S // 8 for row in range(100)]
    assert quotes(recording) == [(f"S{row // 10}", float(row)) for row in range(100)]
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"reading .*ticks\.csv: [\d,]+ rows so far …\n", said.err)
    with pytest.raises(RecordingError, match="line 101: the time is before"):
        read(tmp_path, HEADER + "".join([*rows[:98], rows[99], rows[98]]))


def test_a_recording_that_takes_too_long_to_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ROWS", 2)
    with pytest.raises(RecordingError, match="has over 2 rows"):
        read(tmp_path, GOOD)


# The digest


def test_a_digest_is_that_of_the_bytes(tmp_path):
    one, same, other = (tmp_path / name for name in ("one.csv", "same.csv", "other.csv"))
    one.write_text(GOOD, encoding="utf-8")
    same.write_text(GOOD, encoding="utf-8")
    other.write_text(GOOD.replace("9", "8"), encoding="utf-8")
    assert recording_digest(one) == recording_digest(same) != recording_digest(other)
