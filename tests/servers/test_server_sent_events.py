"""What servers of event streams owe beside the conformance tests: resuming, heartbeats, and their headers."""

import json
from contextlib import ExitStack
from itertools import islice

import pytest

from bench.transports import Transport
from tests.asking import StartServer, by_event_stream, event_stream, get, wait_for_tick
from tests.waiting import wait_until


@by_event_stream
def test_a_stream_says_what_proxies_and_caches_must_know(
    transport: Transport, start_server: StartServer
) -> None:
    server = start_server(transport)
    with event_stream(server) as (answer, _):
        told = {name.lower(): value for name, value in answer.getheaders()}
    assert told["content-type"].partition(";")[0] == "text/event-stream"
    assert {"no-store", "no-transform"} <= set(told["cache-control"].split(", "))
    assert told["x-accel-buffering"] == "no"
    assert "content-length" not in told
    assert "access-control-allow-origin" not in told


@by_event_stream
def test_a_stream_begins_with_its_cursor_and_when_to_come_back(
    transport: Transport, start_server: StartServer
) -> None:
    """A client that is cut off before its first event knows from where: no tick is lost to it."""
    server = start_server(transport, rate_hz=0.01)
    wait_for_tick(server, 1)
    with event_stream(server, "/ticks?after=1") as (_, blocks):
        opening = next(blocks)
    assert opening["id"] == "1"
    assert opening["retry"].isdigit()
    assert "data" not in opening


@by_event_stream
@pytest.mark.parametrize(
    ("target", "last_id", "first"),
    [("/ticks?after=0", None, 1), ("/ticks", "3", 4), ("/ticks?after=0", "5", 6), ("/ticks?after=5", "0", 1)],
)
def test_the_last_event_id_is_newer_than_the_address(
    transport: Transport, start_server: StartServer, target: str, last_id: str | None, first: int
) -> None:
    server = start_server(transport, rate_hz=50)
    wait_for_tick(server, 8)
    headers = {} if last_id is None else {"Last_Event_ID": last_id}
    with event_stream(server, target, **headers) as (_, blocks):
        _, event, following = islice(blocks, 3)
    seqs = [tick["seq"] for tick in json.loads(event["data"])]
    assert (seqs[0], seqs[-1]) == (first, int(event["id"]))
    assert json.loads(following["data"])[0]["seq"] == seqs[-1] + 1


@by_event_stream
@pytest.mark.parametrize("last_id", ["x", "-1", "99999999", "1.5"])
def test_a_last_event_id_that_is_no_cursor_is_refused(
    transport: Transport, start_server: StartServer, last_id: str
) -> None:
    with event_stream(start_server(transport), Last_Event_ID=last_id) as (answer, _):
        assert answer.status == 400
        sentence = json.loads(answer.read())["error"]
    assert "Last-Event-ID" in sentence
    assert last_id in sentence


@by_event_stream
def test_who_is_told_what_was_missed_is_not_told_twice(
    transport: Transport, start_server: StartServer
) -> None:
    server = start_server(transport, rate_hz=100, history_ticks=10)
    wait_for_tick(server, 40)
    with event_stream(server, "/ticks?after=0") as (_, blocks):
        _, missed, event = islice(blocks, 3)
    assert missed["event"] == "missed"
    assert (
        int(missed["id"]) == json.loads(missed["data"])["missed"] == json.loads(event["data"])[0]["seq"] - 1
    )


@by_event_stream
def test_a_heartbeat_is_a_comment(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport, rate_hz=0.01, heartbeat_s=0.05)
    wait_for_tick(server, 1)
    with event_stream(server, "/ticks?after=1") as (answer, blocks):
        next(blocks)
        for _ in range(3):
            assert answer.readline() == b":\n"


@by_event_stream
def test_a_full_server_says_when_to_come_again(transport: Transport, start_server: StartServer) -> None:
    server = start_server(transport, max_clients=2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(event_stream(server))
        with event_stream(server) as (answer, _):
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "2 clients are connected" in json.loads(answer.read())["error"]
    wait_until(lambda: server.health()["clients"] <= 1, "those who have left are not counted")


@by_event_stream
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_a_stream_is_asked_for_by_get(transport: Transport, start_server: StartServer, method: str) -> None:
    status, headers, _ = get(start_server(transport), "/ticks", method)
    assert (status, headers["Allow"]) == (405, "GET")
