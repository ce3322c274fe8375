"""Header sets: the least that HTTP/1.1 demands, and what a browser sends."""

import pytest

from clients.base import Address
from clients.headers import HEADER_SETS, header_lines, websocket_headers

ADDRESS = Address("127.0.0.1", 8000)


def fields(lines: str) -> dict[str, str]:
    assert lines.endswith("\r\n")
    pairs = [line.split(": ", 1) for line in lines[:-2].split("\r\n")]
    assert len(dict(pairs)) == len(pairs), "a header was sent twice"
    return dict(pairs)


def test_minimal_is_exactly_the_host():
    assert header_lines("minimal", ADDRESS) == "Host: 127.0.0.1:8000\r\n"


def test_an_ipv6_host_stands_in_brackets():
    assert header_lines("minimal", Address("::1", 80)) == "Host: [::1]:80\r\n"


def test_a_browser_says_more_about_itself():
    browser = fields(header_lines("browser", ADDRESS))
    assert browser["Host"] == "127.0.0.1:8000"
    assert browser["Referer"] == "http://127.0.0.1:8000/"
    assert {"User-Agent", "Accept", "Accept-Encoding", "Sec-Fetch-Mode"} <= set(browser)


@pytest.mark.parametrize("headers", HEADER_SETS)
@pytest.mark.parametrize("cookie_bytes", [1, 5, 8, 100, 4_096])
def test_the_cookie_has_exactly_the_size_asked_for(headers, cookie_bytes):
    assert len(fields(header_lines(headers, ADDRESS, cookie_bytes=cookie_bytes))["Cookie"]) == cookie_bytes
    assert len(dict(websocket_headers(headers, ADDRESS, cookie_bytes=cookie_bytes))["Cookie"]) == cookie_bytes


@pytest.mark.parametrize("headers", HEADER_SETS)
def test_no_cookie_is_sent_unless_asked_for(headers):
    assert "Cookie" not in fields(header_lines(headers, ADDRESS))
    assert "Cookie" not in dict(websocket_headers(headers, ADDRESS))


def test_a_minimal_handshake_adds_nothing():
    assert websocket_headers("minimal", ADDRESS) == []


def test_a_browser_tells_the_websocket_server_its_origin():
    assert dict(websocket_headers("browser", ADDRESS))["Origin"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize("make", [header_lines, websocket_headers])
def test_an_unknown_set_is_refused(make):
    with pytest.raises(ValueError, match="headers is 'curl'; choose one of minimal, browser"):
        make("curl", ADDRESS)
