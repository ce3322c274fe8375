"""The further rules for a client that reads a stream of lines: chunks, its end, what is no line, counters."""

from bench.course.grading.base import Check, expect_order, fail
from bench.course.grading.checks.client import EARLIER_TICKS, StudentClient
from bench.course.grading.simulated.client_driver import ClientDriver
from bench.course.grading.simulated.server_connections import LineStreamConnection
from bench.course.grading.simulated.service import STREAM_TYPE, Service

OTHER_TYPES = ("Content-Type: text/html; charset=utf-8", "X-Content-Type: application/x-ndjson")
OTHER_SPELLING = "content-type:Application/X-NDJSON; charset=utf-8"
"""Names and types are in any case, and parameters may follow (RFC 9110, sections 5.1 and 8.3.1)."""
UNREADABLE = (b"<html>", b'{"seq":6}', b'[{"sequence":6}]', b'{"missed":"three"}')
"""No JSON; neither ticks nor what was missed; an array of something else; no number."""
UNFINISHED = (b"", b'[{"seq":', b"[", b'{"mis')
"""What comes of a line before the stream ends."""


def chunks_that_split_anywhere(student: StudentClient) -> None:
    """Chunks shorter than a line; one chunk of three long lines."""
    for chunk_bytes in (1, 50):
        service = Service(10, earlier_ticks=40, history_ticks=10)
        service.chunk_bytes = chunk_bytes
        _expect_all(student, service, first=31)
    _expect_all(student, Service(0.01, earlier_ticks=2_500), first=1)


def _expect_all(student: StudentClient, service: Service, first: int) -> None:
    driver = student.connect_to(service)
    driver.client.cursor = 0
    driver.run(1)
    last = driver.finish()
    expect_order(
        driver.seqs,
        first,
        last,
        "a chunk is no line: whoever is on the way may cut the stream into other chunks. Collect bytes in "
        "on_body, and cut them at \\n",
    )


def a_stream_that_ends(student: StudentClient) -> None:
    """Its last chunk comes, at the end of a line or within one; the connection stays."""
    service = Service(10)
    driver = student.connect_to(service)
    for unfinished_line in UNFINISHED:
        driver.run(1)
        _stream(driver).end(unfinished_line)
    driver.run(1)
    last = driver.finish()
    expect_order(
        driver.seqs,
        EARLIER_TICKS,
        last,
        "the next stream is asked for with the cursor of the newest tick; what came of a line before the end "
        "is forgotten",
    )


def streams_of_something_else(student: StudentClient) -> None:
    """The page of a hotel's network in place of ticks; and the right type in other letters."""
    service = Service(10)
    driver = student.connect_to(service)
    driver.expects_refusal = True
    for header in OTHER_TYPES:
        driver.cut()
        service.content_type = header
        refused_before = len(driver.refusals)
        driver.run(0.3)
        if len(driver.refusals) == refused_before:
            fail(
                "it takes whatever it gets for a stream of lines",
                f"no ServerError after 200 OK with {header}",
                f"a ServerError, since its Content-Type is not {STREAM_TYPE}",
                "on_header(self, name, value) is called by the parser with each header",
            )
    driver.expects_refusal = False
    service.content_type = OTHER_SPELLING
    driver.run(1)
    last = driver.finish()
    expect_order(driver.seqs, driver.seqs[0] if driver.seqs else EARLIER_TICKS, last)


def what_is_no_line(student: StudentClient) -> None:
    """A tick and what is no line of this format come in one read: the tick counts."""
    service = Service(1)
    driver = student.connect_to(service)
    driver.expects_refusal = True
    for number, line in enumerate(UNREADABLE, start=1):
        driver.run(0.2)
        _publish_next(driver)
        _stream(driver).say(line)
        driver.run(0.3)
        if len(driver.refusals) != number:
            fail(
                "it does not tell what it cannot read",
                f"no ServerError after the line {line.decode()}",
                "a ServerError with a sentence",
                "a line is an array of ticks, what was missed, or empty; all else is an error",
            )
    last = driver.finish()
    expect_order(
        driver.seqs,
        EARLIER_TICKS,
        last,
        "the ticks before it in the same read have come, and moved the cursor: give them to the error, as "
        "error.ticks (clients/base.py, ServerError)",
    )


def counts_and_flags(student: StudentClient) -> None:
    """One request; a message for each array; two arrays in one read have one stamp."""
    service = Service(1)
    driver = student.connect_to(service)
    driver.run(5)
    _stream(driver).say(b"", b"")
    driver.run(5)
    client = driver.client
    counted, expected = (client.requests, client.messages), (1, len(driver.seqs))
    if counted != expected:
        fail(
            "it does not count what it does",
            "requests, messages: {}, {}".format(*counted),
            "{}, {}".format(*expected),
            "self.requests counts what it has asked, self.messages the arrays; an empty line is neither",
        )
    alone = client.stamp_shared
    _publish_next(driver)
    _publish_next(driver)
    driver.run(0.1)
    if alone or not client.stamp_shared:
        fail(
            "it does not tell whether messages share a stamp",
            f"stamp_shared is {alone} after one array, {client.stamp_shared} after two in one read",
            "False, True",
            "the kernel's stamp is that of the newest byte of a read: too late for all arrays but the last",
        )


def _stream(driver: ClientDriver) -> LineStreamConnection:
    """Return the connection, on which a stream is to be under way."""
    connection = driver.connection
    if not (isinstance(connection, LineStreamConnection) and connection.under_way):
        fail(
            "it does not ask for the next stream",
            "no stream, though the last has ended a while ago",
            "a new connection, and a request on it",
            "on_message_complete tells of the end: the client is then done_with_connection, which "
            "connected() takes back; wants_connection stays True",
        )
    return connection


def _publish_next(driver: ClientDriver) -> None:
    """Let the next tick be due now; the client has not read it yet."""
    driver.service.clock.now_ns = driver.service.feed.next_due_ns
    driver.service.feed.publish_due()
    _stream(driver).wake()


CHECKS: tuple[Check[StudentClient], ...] = (
    Check(
        "takes lines for messages, and not chunks",
        "RFC 6202, section 3.2, Framing Techniques",
        chunks_that_split_anywhere,
    ),
    Check(
        "resumes when the stream ends, and drops what came of a line",
        "RFC 9112, section 7.1; clients/base.py, done_with_connection",
        a_stream_that_ends,
    ),
    Check(
        "takes a stream of lines only, which the head tells",
        "RFC 9110, section 8.3",
        streams_of_something_else,
    ),
    Check(
        "tells what it cannot read as ServerError, and loses no tick by it",
        "clients/base.py, ServerError",
        what_is_no_line,
    ),
    Check(
        "counts its requests and arrays, and tells shared stamps",
        "clients/base.py, TickClient",
        counts_and_flags,
    ),
)
