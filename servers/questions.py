"""What a server tells whoever started it: questions on standard input, answers on standard output, as lines.

Control does not travel over the path that is measured. A question by HTTP would open a connection to the
measured port, and wait in the queue of those that are measured. So the harness asks here, one JSON object a
line, with the first and the last tick of its window:

    {"first_seq": 101, "last_seq": 150}

and the answer holds the memory of the process, how many files it has open, of which each connection is one,
and the lags of these ticks (see Feed.lags_between):

    {"event": "state", "rss_bytes": 41000000, "open_files": 112,
     "publish_lags_ns": [81000, …], "loop_lags_ns": [12000, …]}

What is no question is answered with ``{"event": "error", "error": "a sentence"}``. For people there is
``GET /health``.
"""

import contextlib
import json
import os

import psutil

from servers.feed import Feed

LONGEST_QUESTION_BYTES = 4096


class BadQuestion(ValueError):
    """A line that is no question; its text is the sentence that the asker is told."""


class Questions:
    """A file of questions, read as they come; for a pipe that an event loop watches."""

    def __init__(self, fd: int, feed: Feed) -> None:
        self._fd, self._feed = fd, feed
        self._begun = b""

    def read(self) -> list[bytes] | None:
        """Read what there is and return the answers, a line each; None: the file has ended."""
        data = os.read(self._fd, 65536)
        if not data:
            return None
        *lines, self._begun = (self._begun + data).split(b"\n")
        if len(self._begun) > LONGEST_QUESTION_BYTES:
            lines, self._begun = [*lines, self._begun], b""
        return [answer(line, self._feed) for line in lines]


def answer(line: bytes, feed: Feed) -> bytes:
    """Answer one question with one line."""
    try:
        first_seq, last_seq = _window(line)
    except BadQuestion as bad:
        return _line({"event": "error", "error": str(bad)})
    process = psutil.Process()
    rss_bytes = process.memory_info().rss  # before the lags are put together, which takes memory
    publish_lags_ns, loop_lags_ns = feed.lags_between(first_seq, last_seq)
    return _line(
        {
            "event": "state",
            "rss_bytes": rss_bytes,
            "open_files": process.num_fds(),
            "publish_lags_ns": publish_lags_ns,
            "loop_lags_ns": loop_lags_ns,
        }
    )


def _window(line: bytes) -> tuple[int, int]:
    question = None
    if len(line) <= LONGEST_QUESTION_BYTES:
        with contextlib.suppress(ValueError, RecursionError):
            question = json.loads(line)
    names = ("first_seq", "last_seq")
    if not isinstance(question, dict) or set(question) != set(names):
        shown = line[:40].decode(errors="replace")
        raise BadQuestion(f'{shown!r} is no question; ask {{"first_seq": 1, "last_seq": 50}}')
    for name in names:
        if type(question[name]) is not int or question[name] < 0:
            raise BadQuestion(f"{name} is {question[name]!r}; give the number of a tick, from 0")
    return question["first_seq"], question["last_seq"]


def _line(words: dict[str, object]) -> bytes:
    return json.dumps(words).encode() + b"\n"
