"""The rules for a sans-I/O client, ``class Client(TickClient)``."""

import itertools
import re
from typing import NamedTuple

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.simulated.client_driver import HOLD_S, POLL_INTERVAL_S, ClientDriver
from bench.course.grading.simulated.server_connections import LineStreamConnection, WebSocketConnection
from bench.course.grading.simulated.service import Service
from clients.base import TickClient

ASKING = ("short_polling", "long_polling")
EARLIER_TICKS = 5
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


class StudentClient(NamedTuple):
    """A student's client class, and the transport that it speaks."""

    client_class: type[TickClient]
    transport: str

    def connect_to(self, service: Service, read_bytes: int | None = None) -> ClientDriver:
        """Connect a new client to a service."""
        return ClientDriver(self.client_class, self.transport, service, read_bytes)


def asks_in_the_right_form(student: StudentClient) -> None:
    """The server refuses every other form; here the first request is looked at."""
    service = Service(1)
    student.connect_to(service).run(0.1)
    if not service.requests:
        fail(
            "it asks nothing",
            "no byte after connected()",
            "a request in the outbox",
            "connected() puts the first request into self.outbox",
        )
    first = service.requests[0]
    if first.cursor is not None:
        fail(
            "its first request has a cursor already",
            first.target,
            "/ticks without `after`",
            "cursor is None until a tick has come; see TickClient._query",
        )
    if student.transport == "long_polling" and "hold" not in first.query:
        fail(
            "it does not say how long the server may hold the request",
            first.target,
            f"/ticks?hold={HOLD_S:g}",
            "override _query(), and name hold_s in `settings`",
        )


def begins_with_the_newest(student: StudentClient) -> None:
    """Five ticks have been published; a client that comes now gets the fifth first."""
    driver = student.connect_to(Service(1, earlier_ticks=EARLIER_TICKS))
    driver.run(0.1)
    expect_order(driver.seqs, EARLIER_TICKS, EARLIER_TICKS)


def every_tick_once_and_in_order(student: StudentClient) -> None:
    """At rates below, near and above that of the polls."""
    for rate_hz in (1, 10, 100):
        service = Service(rate_hz)
        driver = student.connect_to(service)
        driver.run(WINDOW_S)
        last = driver.finish()
        expect_order(driver.seqs, EARLIER_TICKS, last)
        if driver.client.cursor != last:
            fail(
                "its cursor is not the newest tick",
                f"cursor is {driver.client.cursor}",
                f"{last}, the seq of the tick returned last",
                "self._read(array) decodes the array and moves the cursor",
            )


def several_ticks_in_one_array(student: StudentClient) -> None:
    """A history of 2,500 ticks comes in batches of up to 1,000."""
    service = Service(0.01, earlier_ticks=2_500)
    driver = student.connect_to(service)
    driver.client.cursor = 0
    driver.run(WINDOW_S)
    expect_order(driver.seqs, 1, 2_500)


def reads_that_split_anywhere(student: StudentClient) -> None:
    """TCP is a stream: a read may end within a head, a frame header or a tick; brackets may be in a text."""
    for read_bytes in (1, 7, 1_000):
        service = Service(10, quotes=itertools.repeat(("A]},[{B", 1.0)))
        driver = student.connect_to(service, read_bytes)
        driver.run(3)
        last = driver.finish()
        expect_order(driver.seqs, EARLIER_TICKS, last)


def heads_as_http_has_them(student: StudentClient) -> None:
    """A body has as many bytes as Content-Length says, and the name of that may be written in any case."""
    service = Service(10)
    service.length_headers, service.body_end = LENGTH_HEADERS, b" \r\n\n"
    driver = student.connect_to(service)
    driver.run(3)
    last = driver.finish()
    expect_order(driver.seqs, EARLIER_TICKS, last)


def counts_what_it_does(student: StudentClient) -> None:
    """The counters are what a trial reports of a client."""
    service = Service(1.3)
    driver = student.connect_to(service)
    driver.run(WINDOW_S)
    driver.finish()
    client, request_count = driver.client, len(service.requests)
    unanswered = 1 if student.transport == "long_polling" else 0  # the server holds the newest
    counted = (client.requests, client.messages, client.empty_responses)
    expected = (request_count, request_count - unanswered, service.empty_answers)
    if counted != expected:
        fail(
            "it does not count what it does",
            "requests, messages, empty_responses: " + ", ".join(map(str, counted)),
            ", ".join(map(str, expected)),
            "self.requests counts what it has asked, self.messages whole answers, self.empty_responses those "
            "without a tick",
        )


def answers_without_ticks(student: StudentClient) -> None:
    """Empty arrays; or what is said beside ticks: what was missed, a ping, an empty line."""
    service = Service(0.1)
    driver = student.connect_to(service)
    driver.run(1)
    connection = driver.connection
    if isinstance(connection, WebSocketConnection):
        connection.say(b'{"missed":3}')
        connection.ping(b"")
    elif isinstance(connection, LineStreamConnection):
        connection.say(b'{"missed":3}', b"")
        service.line_end = b"\r\n"
        connection.say(b"", b'{"missed":3}')
    driver.run(23)
    last = driver.finish()
    expect_order(driver.seqs, EARLIER_TICKS, last)


def resumes_after_a_cut(student: StudentClient) -> None:
    """The connection is cut in silence, and in the middle of a delivery."""
    service = Service(10)
    driver = student.connect_to(service)
    for part_bytes in (1, 40, 150):
        driver.run(1)
        driver.cut()
        driver.run(1)
        driver.cut_after_bytes = part_bytes
    driver.run(1)
    last = driver.finish()
    expect_order(driver.seqs, EARLIER_TICKS, last)


def refusals_are_errors_not_crashes(student: StudentClient) -> None:
    """400 and 503, with the server's sentence; then it goes on."""
    service = Service(10)
    service.refusals = list(REFUSALS)
    driver = student.connect_to(service)
    driver.expects_refusal = True
    driver.run(3)
    are_told = [
        str(status) in said and sentence in said
        for said, (status, sentence) in zip(driver.refusals, REFUSALS, strict=False)
    ]
    if are_told != [True] * len(REFUSALS) or len(driver.refusals) != len(REFUSALS):
        fail(
            "a refusal is not told as one",
            "; ".join(driver.refusals) or "no ServerError",
            "for each: a ServerError with the status and the server's sentence, such as "
            "ServerError('HTTP 503: 3 clients are connected')",
            'look at the status before the body; the body of a refusal is {"error": "the sentence"}',
        )
    last = driver.finish()
    expect_order(driver.seqs, driver.seqs[0] if driver.seqs else EARLIER_TICKS, last)


def requests_are_counted(student: StudentClient) -> None:
    """How often it asks in 10 s of simulated time."""
    service = Service(10)
    driver = student.connect_to(service)
    driver.run(WINDOW_S + 1)
    _expect_requests(service, *_requests_expected(student, service))
    if student.transport == "long_polling":
        quiet = Service(0.001)
        student.connect_to(quiet).run(WINDOW_S + 1)
        _expect_requests(
            quiet, round(WINDOW_S / HOLD_S), f"one per hold of {HOLD_S:g} s when nothing happens"
        )


def _requests_expected(student: StudentClient, service: Service) -> tuple[int, str]:
    if student.transport == "short_polling":
        return round(WINDOW_S / POLL_INTERVAL_S), f"one per poll_interval_s of {POLL_INTERVAL_S:g} s"
    if student.transport == "long_polling":
        return round(WINDOW_S * 10), "one per tick at 10 Hz"
    return 0, "none after the first: the server pushes"


def _expect_requests(service: Service, expected: int, why: str) -> None:
    seen = len(service.requests_between(0.77, 0.77 + WINDOW_S))
    if seen != expected:
        fail(
            "it asks too often" if seen > expected else "it asks too seldom",
            f"{seen} requests in {WINDOW_S:g} s",
            f"{expected}: {why}",
            "a short poll sets deadline_ns and asks in on_deadline; a long poll asks when it has the answer",
        )


def bytes_are_those_of_the_model(student: StudentClient) -> None:
    """Requests differ by their cursor only; WebSocket's pong is masked: 2 + 4 B around its payload."""
    service = Service(10)
    driver = student.connect_to(service)
    driver.run(3)
    if isinstance(driver.connection, WebSocketConnection):
        _expect_masked_pong(driver, driver.connection)
    driver.cut()
    driver.run(3)
    forms = {
        re.sub(rb"after=\d+|Sec-WebSocket-Key: [^\r]*", b"", request.raw, flags=re.I)
        for request in service.requests
        if request.cursor is not None
    }
    if len(forms) != 1:
        fail(
            "its requests are not the same each time" if forms else "it never asks with its cursor",
            f"{len(forms)} forms, of {', '.join(str(len(form)) for form in sorted(forms)) or 'no'} bytes",
            "one form, in which only the cursor changes",
            "build the headers once; a header that grows is paid for with every tick",
        )


def _expect_masked_pong(driver: ClientDriver, connection: WebSocketConnection) -> None:
    payload = b"are you there?"
    before_bytes = connection.frame_bytes
    connection.ping(payload)
    driver.run(0.5)
    sent_bytes, expected_bytes = connection.frame_bytes - before_bytes, 2 + 4 + len(payload)
    if sent_bytes != expected_bytes:
        fail(
            "its pong is not what the model says" if sent_bytes else "it leaves a ping unanswered",
            f"{sent_bytes} B in frames",
            f"{expected_bytes} B: 2 of header, 4 of mask, {len(payload)} echoed (RFC 6455, 5.2 and 5.5.3)",
            "hand control frames to ClientProtocol and put its data_to_send() into the outbox",
        )


HOUSE = "README, Three ways to the same tick; clients/base.py"
CHECKS: tuple[Check[StudentClient], ...] = (
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
        "servers/wire.py, Missed",
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
ASKING_CHECKS: tuple[Check[StudentClient], ...] = (
    Check(
        "reads as many bytes as Content-Length says, in whatever case its name is",
        "RFC 9110, section 5.1; RFC 9112, section 6.2",
        heads_as_http_has_them,
    ),
    Check(
        "counts its requests, messages and empty answers", "clients/base.py, TickClient", counts_what_it_does
    ),
)


def checks(transport: str) -> tuple[Check[StudentClient], ...]:
    """Return the checks for a transport: clients that ask must read heads, and count."""
    return CHECKS + ASKING_CHECKS * (transport in ASKING)
