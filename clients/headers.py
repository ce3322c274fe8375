"""The header sets of requests: ``minimal`` (what HTTP/1.1 demands) and ``browser`` (what Chrome sends).

The browser set was read off the wire of Chromium 156 on Linux, for ``fetch()``, ``EventSource``
and ``WebSocket`` of a page of the same origin; only the product names are those of Chrome.
tests/browser/test_request_headers.py reads it again, off the Chromium that is there.
"""

from collections.abc import Iterator

from clients.base import Address

HEADER_SETS = ("minimal", "browser")

_BRANDS = '"Not:A-Brand";v="8", "Chromium";v="156", "Google Chrome";v="156"'
_USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)

_ACCEPT_EVENTS = "Accept: text/event-stream\r\n"
_PAST_CACHES = "Pragma: no-cache\r\nCache-Control: no-cache\r\n"


def header_lines(headers: str, address: Address, *, cookie_bytes: int = 0, compression: bool = False) -> str:
    """Return the header lines of a request for ticks, each ended by CRLF.

    Args:
        headers: ``minimal`` or ``browser``.
        address: The server.
        cookie_bytes: Length of the value of the Cookie header; 0 sends none.
        compression: Whether the minimal set asks for gzip; a browser always does.

    Raises:
        ValueError: If there is no such header set.
    """
    host = _host(address)
    lines = [("Host", host)]
    if headers == "browser":
        lines += [
            ("Connection", "keep-alive"),
            ("sec-ch-ua-platform", '"Linux"'),
            ("User-Agent", _USER_AGENT),
            ("sec-ch-ua", _BRANDS),
            ("sec-ch-ua-mobile", "?0"),
            ("Accept", "*/*"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Dest", "empty"),
            ("Referer", f"http://{host}/"),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
            ("Accept-Language", "en-US,en;q=0.9"),
        ]
    elif headers != "minimal":
        raise ValueError(f"headers is {headers!r}; choose one of {', '.join(HEADER_SETS)}")
    elif compression:
        lines.append(("Accept-Encoding", "gzip"))
    lines += _cookie(cookie_bytes)
    return "".join(f"{name}: {value}\r\n" for name, value in lines)


def event_source_lines(
    headers: str, address: Address, *, cookie_bytes: int = 0, compression: bool = False
) -> str:
    """Return the header lines of an EventSource's request (WHATWG HTML, section 9.2.3); arguments as above.

    It accepts ``text/event-stream`` and nothing else, and asks past every cache.
    """
    lines = header_lines(headers, address, cookie_bytes=cookie_bytes, compression=compression)
    if headers == "minimal":
        return lines + _ACCEPT_EVENTS
    lines = lines.replace("Accept: */*\r\n", "")
    lines = lines.replace("sec-ch-ua-platform: ", f"{_PAST_CACHES}sec-ch-ua-platform: ")
    return lines.replace("sec-ch-ua: ", f"{_ACCEPT_EVENTS}sec-ch-ua: ")


def websocket_headers(headers: str, address: Address, *, cookie_bytes: int = 0) -> list[tuple[str, str]]:
    """Return the headers that a WebSocket handshake carries beyond those of RFC 6455, section 4.1.

    What it offers for compression is not among them: :class:`clients.websocket.Client` adds it.
    """
    if headers not in HEADER_SETS:
        raise ValueError(f"headers is {headers!r}; choose one of {', '.join(HEADER_SETS)}")
    lines: list[tuple[str, str]] = []
    if headers == "browser":
        lines = [
            ("Pragma", "no-cache"),
            ("Cache-Control", "no-cache"),
            ("User-Agent", _USER_AGENT),
            ("Origin", f"http://{_host(address)}"),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
            ("Accept-Language", "en-US,en;q=0.9"),
        ]
    return [*lines, *_cookie(cookie_bytes)]


def _host(address: Address) -> str:
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def _cookie(cookie_bytes: int) -> Iterator[tuple[str, str]]:
    if cookie_bytes:
        yield "Cookie", ("session=" + "0123456789abcdef" * (cookie_bytes // 16 + 1))[:cookie_bytes]
