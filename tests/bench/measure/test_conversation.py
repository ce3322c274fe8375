"""What crosses the wire, overheard: every message once, in order, with its exact size; and the commands."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bench.measure.conversation import (
    TickMark,
    TraceEvent,
    _Heard,
    decode,
    frame_headers,
    listing,
    record,
)
from bench.results.run import Run
from bench.scenario import ScenarioError
from bench.transports import TRANSPORTS, main_names
from servers.wire import TickStamp
from tests import ROOT
from tests.bench.report.test_page import small_run
from tests.commands import Done, run_bench

REFERENCE = ROOT / "results" / "reference"
FRAME = b"\x81\x7e\x00\x82" + b"x" * 130


@pytest.fixture(scope="module")
def traces() -> dict[str, list[TraceEvent]]:
    return {name: record(name, 0.5, {"rate_hz": 20.0, "poll_interval_s": 0.1}) for name in main_names()}


@pytest.mark.parametrize("transport", main_names())
def test_every_tick_is_overheard_once_and_in_order(
    traces: dict[str, list[TraceEvent]], transport: str
) -> None:
    seen = [tick.seq for event in traces[transport] for tick in event.ticks]
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    assert len(seen) >= 5


@pytest.mark.parametrize("transport", main_names())
def test_no_tick_comes_before_it_is_due_and_no_answer_before_its_question(
    traces: dict[str, list[TraceEvent]], transport: str
) -> None:
    events = traces[transport]
    assert events[0].direction == "up"
    assert events[0].at_ms == 0
    assert all(event.at_ms >= tick.due_ms for event in events for tick in event.ticks)
    times = [event.at_ms for event in events]
    assert times == sorted(times)
    if TRANSPORTS[transport].family != "push":
        directions = [event.direction for event in events]
        assert directions == (["up", "down"] * len(events))[: len(events)]


def test_sizes_are_those_of_frames_and_heads(traces: dict[str, list[TraceEvent]]) -> None:
    plain = [
        event for event in traces["websocket"] if event.first_line.startswith("text FIN: 4 B header + 130 B")
    ]
    assert {event.size_bytes for event in plain if len(event.ticks) == 1} == {134}  # RFC 6455, section 5.2
    assert traces["websocket"][0].label == "GET, Upgrade"
    assert any(event.first_line.startswith("HTTP/1.1 101") for event in traces["websocket"])
    questions = [event for event in traces["long_polling"] if event.direction == "up"]
    assert all(event.first_line.startswith("GET /ticks?") for event in questions)
    assert questions[1].label.startswith("GET ?after=")


def test_pieces_are_told_whatever_they_are() -> None:
    ticks = [TickStamp(seq=7, due_ns=4_000_000), TickStamp(seq=8, due_ns=5_000_000)]
    heard = [
        _Heard(3_000_000, "up", b"GET /ticks?after=6&hold=30 HTTP/1.1\r\nHost: a\r\n\r\n", ()),
        _Heard(6_000_000, "down", b"HTTP/1.1 200 OK\r\nContent-Length: 260\r\n\r\n[{", ()),
        _Heard(7_000_000, "down", b"rest}]", ticks),
    ]
    events = decode(heard)
    assert [event.label for event in events] == ["GET ?after=6", "200: nothing new", "the rest: ticks 7–8"]
    assert events[2].ticks == (TickMark(7, 1.0), TickMark(8, 2.0))
    lines = "\n".join(listing(events))
    assert "tick 7 3.0 ms after it was due" in lines
    assert f"{len(heard[0].data)} B  to the server in 1" in lines


def test_frames_after_the_handshake_are_decoded_by_their_headers() -> None:
    assert list(frame_headers(FRAME * 2)) == ["text FIN: 4 B header + 130 B"] * 2
    assert list(frame_headers(b"\x89\x00\x8a\x80abcd")) == [
        "ping FIN: 2 B header + 0 B",
        "pong FIN masked: 6 B header + 0 B",
    ]
    assert list(frame_headers(FRAME[:20])) == ["part of a frame"]


def test_a_stream_is_told_line_by_line(traces: dict[str, list[TraceEvent]]) -> None:
    heard = [
        _Heard(0, "up", b"GET /ticks HTTP/1.1\r\n\r\n", ()),
        _Heard(1, "down", b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", ()),
        _Heard(2, "down", b"f\r\nretry: 9\nid: 6\n\n\r\n", ()),
        _Heard(3, "down", b"2\r\n:\n\r\n1b\r\nid: 7\ndata: [{}]\n\n\r\n", [TickStamp(seq=7, due_ns=0)]),
    ]
    told = [(event.first_line, event.label) for event in decode(heard)[1:]]
    assert told == [
        ("HTTP/1.1 200 OK", "200, now events"),
        ("retry: 9; id: 6", "retry: 9; id: 6"),
        ("a comment; id: 7; data", "event: tick 7"),
    ]
    assert "id: 3; data" in [event.first_line for event in traces["server_sent_events"]]


def test_nothing_heard_is_an_empty_listing() -> None:
    assert decode([]) == []
    assert len(list(listing([]))) == 3


@pytest.mark.parametrize(("seconds", "settings"), [(0, {}), (61, {}), (1, {"tls": True})])
def test_what_cannot_be_traced_is_refused_with_a_sentence(seconds: float, settings: dict[str, bool]) -> None:
    with pytest.raises(ScenarioError):
        record("websocket", seconds, settings)


# The commands


@pytest.fixture
def bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    """Run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return partial(run_bench, monkeypatch, capsys)


def test_wire_prints_a_listing_and_draws_it(bench: Callable[..., Done], tmp_path: Path) -> None:
    done = bench(
        *"wire short_polling websocket --seconds 0.3 --figure wire.svg --set poll_interval_s=0.1".split()
    )
    assert done.code == 0, done.stderr
    assert "GET /ticks HTTP/1.1" in done.stdout
    assert "HTTP/1.1 101 Switching Protocols" in done.stdout
    assert "to the client in" in done.stdout
    assert (tmp_path / "wire.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("wire websockt", 2, "did you mean websocket?"),
        ("wire websocket --figure wire.doc", 2, "--figure is a .png, .svg or .pdf"),
        ("wire websocket --seconds 0", 2, "seconds is 0"),
        ("wire websocket --set tls=yes", 2, "inside TLS"),
        ("plot nothing", 1, "there is no run 'nothing'"),
        ("report nothing", 1, "there is no run 'nothing'"),
    ],
)
def test_wrong_words_get_one_sentence(
    bench: Callable[..., Done], arguments: str, code: int, said: str, tmp_path: Path
) -> None:
    done = bench(*arguments.split())
    assert done.code == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_plot_and_report_of_an_empty_run_say_so(bench: Callable[..., Done], tmp_path: Path) -> None:
    run = small_run(tmp_path / "results")
    drawn = bench("plot")
    assert drawn.code == 1
    assert "nothing to draw" in drawn.stderr
    told = bench("report")
    assert told.code == 0, told.stderr
    assert told.stdout.strip() == str(Path("results") / run.folder.name / "report.html")
    assert Run.open(run.folder).rows == []


def test_plot_writes_png_and_svg_of_the_reference(bench: Callable[..., Done], tmp_path: Path) -> None:
    """Two experiments are enough: each figure is drawn in tests/bench/report/test_run_figures.py."""
    mine = tmp_path / "results" / "mine"
    shutil.copytree(REFERENCE, mine)
    facts = json.loads((mine / "run.json").read_text(encoding="utf-8"))
    few = json.dumps({**facts, "experiments": ["freshness", "interval"]})
    (mine / "run.json").write_text(few, encoding="utf-8")
    done = bench("plot", "mine")
    assert done.code == 0, done.stderr
    files = {path.name for path in (mine / "figures").iterdir()}
    assert {"freshness_latency.png", "freshness_latency.svg", "interval_frontier.png"} <= files
    drawn = {name for name in files if not name.startswith("front")}  # these came with the export
    assert len(done.stdout.splitlines()) == len(drawn)
