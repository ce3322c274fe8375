"""The rules for a sans-I/O client, ``class Client(TickClient)``."""

import itertools
import re
from typing import NamedTuple

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.simulated.client_driver import HOLD_S, POLL_INTERVAL_S, Drive
from bench.course.grading.simulated.service import Stage
from bench.course.grading.simulated.strict_servers import StreamPeer, WebSocketPeer
from clients.base import TickClient
from servers.wire import encode_array, encode_tick

ASKING = ("short_polling", "long_polling")
ALREADY = 5
WINDOW_S = 10.0
REFUSALS = ((400, "after='x' is not a whole number"), (503, "3 clients are connected"))
LENGTH_HEADERS = (
    "Content-Length: {}",
    "content-length: {}",
    "CONTENT-LENGTH:{}",
    "Server: x\r\nContent-length:  {} \r\nCache-Control: no-store",
    "X-Original-Content-Length: 999\r\nContent-Length: {}",
)
"""Five ways of writing one length: names in any case, white space or none (RFC 9112, sections 5 and 6.2)."""


class Subject(NamedTuple):
    """A student's client class, and the transport that it speaks."""

    client_class: type[TickClient]
    transport: str

    def on(self, stage: Stage, read_bytes: int | None = None) -> Drive:
        """Put a new client on a stage."""
        return Drive(self.client_class, self.transport, stage, read_bytes)


def asks_in_the_right_form(subject: Subject) -> None:
    """The peer refuses every other form; here the first request is looked at."""
    stage = Stage(1)
    subject.on(stage).run(0.1)
    if not stage.requests:
        fail(
            "it asks nothing",
            "no byte after connected()",
            "a request in the outbox",
            "connected() puts the first request into self.outbox",
        )
    first = stage.requests[0]
    if first.cursor is not None:
        fail(
            "its first request has a cursor already",
            first.target,
            "/ticks without `after`",
            "cursor is None until a tick has come; see TickClient._query",
        )
    if subject.transport == "long_polling" and "hold" not in first.query:
        fail(
            "it does not say how long the server may hold the request",
            first.target,
            f"/ticks?hold={HOLD_S:g}",
            "override _query(), and name hold_s in `settings`",
        )


def begins_with_the_newest(subject: Subject) -> None:
    """Five ticks have been published; a client that comes now gets the fifth first."""
    drive = subject.on(Stage(1, already=ALREADY))
    drive.run(0.1)
    expect_order(drive.seqs, ALREADY, ALREADY)


def every_tick_once_and_in_order(subject: Subject) -> None:
    """At rates below, near and above that of the polls."""
    for rate_hz in (1, 10, 100):
        stage = Stage(rate_hz)
        drive = subject.on(stage)
        drive.run(WINDOW_S)
        last = drive.finish()
        expect_order(drive.seqs, ALREADY, last)
        if drive.client.cursor != last:
            fail(
                "its cursor is not the newest tick",
                f"cursor is {drive.client.cursor}",
                f"{last}, the seq of the tick returned last",
                "self._read(array) decodes the array and moves the cursor",
            )


def several_ticks_in_one_array(subject: Subject) -> None:
    """A history of 2,500 ticks comes in batches of up to 1,000."""
    stage = Stage(0.01, already=2_500)
    drive = subject.on(stage)
    drive.client.cursor = 0
    drive.run(WINDOW_S)
    expect_order(drive.seqs, 1, 2_500)


def reads_that_split_anywhere(subject: Subject) -> None:
    """TCP is a stream: a read may end within a head, a frame header or a tick; brackets may be in a text."""
    for read_bytes in (1, 7, 1_000):
        stage = Stage(10, quotes=itertools.repeat(("A]},[{B", 1.0)))
        drive = subject.on(stage, read_bytes)
        drive.run(3)
        last = drive.finish()
        expect_order(drive.seqs, ALREADY, last)


def heads_as_http_has_them(subject: Subject) -> None:
    """A body has as many bytes as Content-Length says, and the name of that may be written in any case."""
    stage = Stage(10)
    stage.length_headers, stage.body_end = LENGTH_HEADERS, b" \r\n\n"
    drive = subject.on(stage)
    drive.run(3)
    last = drive.finish()
    expect_order(drive.seqs, ALREADY, last)


def counts_what_it_does(subject: Subject) -> None:
    """The counters are what a trial reports of a client."""
    stage = Stage(1.3)
    drive = subject.on(stage)
    drive.run(WINDOW_S)
    drive.finish()
    client, asked = drive.client, len(stage.requests)
    unanswered = 1 if subject.transport == "long_polling" else 0  # the server holds the newest
    counted = (client.requests, client.messages, client.empty_responses)
    expected = (asked, asked - unanswered, stage.empty_answers)
    if counted != expected:
        fail(
            "it does not count what it does",
            "requests, messages, empty_responses: " + ", ".join(map(str, counted)),
            ", ".join(map(str, expected)),
            "self.requests counts what it has asked, self.messages whole answers, self.empty_responses those "
            "without a tick",
        )


def answers_without_ticks(subject: Subject) -> None:
    """Empty arrays; or what a stream says beside ticks."""
    stage = Stage(0.1)
    drive = subject.on(stage)
    drive.run(1)
    peer = drive.peer
    if isinstance(peer, WebSocketPeer):
        peer.say(b'{"missed":3}')
        peer.ping(b"")
    elif isinstance(peer, StreamPeer):
        array = encode_array([encode_tick(seq, 0, "ACME", 1.0, 96) for seq in (6, 7)]).decode()
        peer.say(": only a comment")
        peer.line_end = "\r\n"
        peer.say("retry: 500")
        peer.say("event: missed", 'data: {"missed":3}')
        first, _, second = array.partition("},")
        peer.say("unknown: field", "id:7", f"data:{first}}},", f"data:{second}")
        drive.run(1)
        expect_order(drive.seqs, ALREADY, ALREADY + 2)
        return
    drive.run(23)
    last = drive.finish()
    expect_order(drive.seqs, ALREADY, last)


def resumes_after_a_cut(subject: Subject) -> None:
    """The connection is cut in silence, and in the middle of a delivery."""
    stage = Stage(10)
    drive = subject.on(stage)
    for part_bytes in (1, 40, 150):
        drive.run(1)
        drive.cut()
        drive.run(1)
        drive.cut_after_bytes = part_bytes
    drive.run(1)
    last = drive.finish()
    expect_order(drive.seqs, ALREADY, last)


def refusals_are_errors_not_crashes(subject: Subject) -> None:
    """400 and 503, with the server's sentence; then it goes on."""
    stage = Stage(10)
    stage.refusals = list(REFUSALS)
    drive = subject.on(stage)
    drive.expects_refusal = True
    drive.run(3)
    told = [
        str(status) in said and sentence in said
        for said, (status, sentence) in zip(drive.refused, REFUSALS, strict=False)
    ]
    if told != [True] * len(REFUSALS) or len(drive.refused) != len(REFUSALS):
        fail(
            "a refusal is not told as one",
            "; ".join(drive.refused) or "no ServerError",
            "for each: a ServerError with the status and the server's sentence, such as "
            "ServerError('HTTP 503: 3 clients are connected')",
            'look at the status before the body; the body of a refusal is {"error": "the sentence"}',
        )
    last = drive.finish()
    expect_order(drive.seqs, drive.seqs[0] if drive.seqs else ALREADY, last)


def requests_are_counted(subject: Subject) -> None:
    """How often it asks in 10 s of simulated time."""
    stage = Stage(10)
    drive = subject.on(stage)
    drive.run(WINDOW_S + 1)
    _expect_requests(stage, *_requests_expected(subject, stage))
    if subject.transport == "long_polling":
        quiet = Stage(0.001)
        subject.on(quiet).run(WINDOW_S + 1)
        _expect_requests(
            quiet, round(WINDOW_S / HOLD_S), f"one per hold of {HOLD_S:g} s when nothing happens"
        )


def _requests_expected(subject: Subject, stage: Stage) -> tuple[int, str]:
    if subject.transport == "short_polling":
        return round(WINDOW_S / POLL_INTERVAL_S), f"one per poll_interval_s of {POLL_INTERVAL_S:g} s"
    if subject.transport == "long_polling":
        return round(WINDOW_S * 10), "one per tick at 10 Hz"
    return 0, "none after the first: the server pushes"


def _expect_requests(stage: Stage, expected: int, why: str) -> None:
    seen = len(stage.between(0.77, 0.77 + WINDOW_S))
    if seen != expected:
        fail(
            "it asks too often" if seen > expected else "it asks too seldom",
            f"{seen} requests in {WINDOW_S:g} s",
            f"{expected}: {why}",
            "a short poll sets deadline_ns and asks in on_deadline; a long poll asks when it has the answer",
        )


def bytes_are_those_of_the_model(subject: Subject) -> None:
    """Requests differ by their cursor only; WebSocket's pong is masked: 2 + 4 B around its payload."""
    stage = Stage(10)
    drive = subject.on(stage)
    drive.run(3)
    if isinstance(drive.peer, WebSocketPeer):
        _expect_masked_pong(drive, drive.peer)
    drive.cut()
    drive.run(3)
    forms = {
        re.sub(rb"after=\d+|Sec-WebSocket-Key: [^\r]*|Last-Event-ID: \d+", b"", asked.raw, flags=re.I)
        for asked in stage.requests
        if asked.cursor is not None
    }
    if len(forms) != 1:
        fail(
            "its requests are not the same each time" if forms else "it never asks with its cursor",
            f"{len(forms)} forms, of {', '.join(str(len(form)) for form in sorted(forms)) or 'no'} bytes",
            "one form, in which only the cursor changes",
            "build the headers once; a header that grows is paid for with every tick",
        )


def _expect_masked_pong(drive: Drive, peer: WebSocketPeer) -> None:
    payload = b"are you there?"
    before_bytes = peer.frame_bytes
    peer.ping(payload)
    drive.run(0.5)
    sent_bytes, expected_bytes = peer.frame_bytes - before_bytes, 2 + 4 + len(payload)
    if sent_bytes != expected_bytes:
        fail(
            "its pong is not what the model says" if sent_bytes else "it leaves a ping unanswered",
            f"{sent_bytes} B in frames",
            f"{expected_bytes} B: 2 of header, 4 of mask, {len(payload)} echoed (RFC 6455, 5.2 and 5.5.3)",
            "hand control frames to ClientProtocol and put its data_to_send() into the outbox",
        )


HOUSE = "README, Three ways to the same tick; clients/base.py"
CHECKS: tuple[Check[Subject], ...] = (
    Check("asks in the right form", HOUSE, asks_in_the_right_form),
    Check("begins with the newest tick", HOUSE, begins_with_the_newest),
    Check(
        "gets every tick once and in order, at 1, 10 and 100 Hz",
        "clients/base.py, _read",
        every_tick_once_and_in_order,
    ),
    Check(
        "takes every tick of an array, and array after array",
        "clients/base.py, _read",
        several_ticks_in_one_array,
    ),
    Check(
        "takes reads of one byte as well as whole answers",
        "clients/base.py, receive_data",
        reads_that_split_anywhere,
    ),
    Check(
        "goes on when an answer or a message brings no tick",
        "servers/wire.py, Missed; WHATWG HTML 9.2.6",
        answers_without_ticks,
    ),
    Check(
        "resumes after a cut connection without loss or double",
        "clients/base.py, connected",
        resumes_after_a_cut,
    ),
    Check(
        "tells refusals (400, 503) as ServerError, and goes on",
        "clients/base.py, ServerError",
        refusals_are_errors_not_crashes,
    ),
    Check(
        "asks as often as its transport needs, counted exactly",
        "clients/base.py, deadline_ns; RFC 6202, section 2",
        requests_are_counted,
    ),
    Check(
        "sends the bytes that the model says",
        "RFC 9112, section 3; RFC 6455, sections 5.2 and 5.3",
        bytes_are_those_of_the_model,
    ),
)
ASKING_CHECKS: tuple[Check[Subject], ...] = (
    Check(
        "reads as many bytes as Content-Length says, in whatever case its name is",
        "RFC 9110, section 5.1; RFC 9112, section 6.2",
        heads_as_http_has_them,
    ),
    Check(
        "counts its requests, messages and empty answers", "clients/base.py, TickClient", counts_what_it_does
    ),
)


def checks(transport: str) -> tuple[Check[Subject], ...]:
    """Return the checks for a transport: clients that ask must read heads, and count."""
    return CHECKS + ASKING_CHECKS * (transport in ASKING)
