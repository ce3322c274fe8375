"""What a server tells by standard output when it is asked by standard input."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from bench.measure.processes import TrialFailed
from bench.measure.subject import Server, running_server
from bench.transports import TRANSPORTS
from servers.options import ServerOptions
from servers.questions import LONGEST_QUESTION_BYTES, Questions, answer
from tests.servers.test_feed import GAP_NS, feed_of
from tests.waiting import wait_until


def told(line: bytes) -> Any:
    feed, _ = feed_of(5)
    said = answer(line, feed)
    assert said.count(b"\n") == 1
    assert said.endswith(b"\n")
    return json.loads(said)


def test_memory_and_the_lags_of_the_ticks_that_are_asked_for() -> None:
    state = told(b'{"first_seq": 2, "last_seq": 4}')
    assert state["publish_lags_ns"] == [3 * GAP_NS, 2 * GAP_NS, GAP_NS]
    assert state["loop_lags_ns"] == [0, 0, 0]
    assert state["rss_bytes"] > 1_000_000
    assert state["open_files"] >= 3


def test_of_no_tick_only_the_memory() -> None:
    state = told(b'{"last_seq": 0, "first_seq": 1}')
    assert (state["publish_lags_ns"], state["loop_lags_ns"]) == ([], [])
    assert state["rss_bytes"] > 1_000_000


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "'' is no question; ask {"),
        (b"how are you?", "'how are you?' is no question"),
        (b"[1, 2]", "is no question"),
        (b'"first_seq"', "is no question"),
        (b'{"first_seq": 1}', "is no question"),
        (b'{"first_seq": 1, "last_seq": 2, "more": 3}', "is no question"),
        (b'{"first_seq": -1, "last_seq": 2}', "first_seq is -1; give the number of a tick, from 0"),
        (b'{"first_seq": 1, "last_seq": "2"}', "last_seq is '2'"),
        (b'{"first_seq": true, "last_seq": 2}', "first_seq is True"),
        (b'{"first_seq": 1.5, "last_seq": 2}', "first_seq is 1.5"),
        (b"\xff\xfe", "is no question"),
        (b"[" * LONGEST_QUESTION_BYTES, "is no question"),
        (b"1" * (LONGEST_QUESTION_BYTES + 1), "is no question"),
    ],
)
def test_what_is_no_question_is_answered_with_a_sentence(line: bytes, sentence: str) -> None:
    said = told(line)
    assert said["event"] == "error"
    assert sentence in said["error"]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe: to read from, and to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def test_questions_come_in_pieces_and_together(pipe: tuple[int, int]) -> None:
    questions, question = Questions(pipe[0], feed_of(5)[0]), b'{"first_seq": 5, "last_seq": 5}\n'
    os.write(pipe[1], question[:7])
    assert questions.read() == []
    os.write(pipe[1], question[7:] + question + question[:3])
    assert [json.loads(each)["publish_lags_ns"] for each in questions.read() or []] == [[0], [0]]
    os.close(pipe[1])
    assert questions.read() is None


def test_a_question_without_end_is_not_kept(pipe: tuple[int, int]) -> None:
    questions = Questions(pipe[0], feed_of(5)[0])
    os.write(pipe[1], b"x" * (LONGEST_QUESTION_BYTES + 1))
    assert [json.loads(each)["event"] for each in questions.read() or []] == ["error"]


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server(TRANSPORTS["websocket"].server, ServerOptions(rate_hz=100)) as started:
        yield started


def test_a_server_tells_its_state_and_goes_on(server: Server) -> None:
    wait_until(lambda: server.health()["newest_seq"] >= 3, "three ticks are published")
    with pytest.raises(TrialFailed, match="the server: last_seq is -1"):
        server.state(1, -1)
    state = server.state(1, 3)
    assert len(state.publish_lags_ns) == len(state.loop_lags_ns) == 3
    assert all(lag_ns > 0 for lag_ns in state.publish_lags_ns)
    assert state.rss_bytes > 1_000_000
    assert server.stop() == 0


def test_a_server_that_is_gone_tells_nothing(server: Server) -> None:
    server.kill()
    with pytest.raises(TrialFailed, match=r"the server died \(by signal 9\)"):
        server.state(1, 3)
