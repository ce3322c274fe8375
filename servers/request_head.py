"""What the head of a request must be like: rules of HTTP and WebSocket that the libraries see differently.

Each server asks here, so that one request has one answer on all of them.
"""

import functools
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote

from multidict import MultiDict

from servers.base import BadRequest

_TARGET = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})+")
"""What a path and a query may hold (RFC 3986, sections 3.3 and 3.4); all else is percent-encoded."""
WEBSOCKET_VERSION = "13"
"""The only version of the WebSocket protocol (RFC 6455, section 4.1)."""


class WrongVersion(BadRequest):
    """A handshake in another version. It is told which one is spoken (RFC 6455, section 4.2.2)."""


@functools.lru_cache(maxsize=64)
def read_target(target: str) -> tuple[str, MultiDict[str]]:
    """Return path and query of a request's target. Clients that hold the same ticks ask in the same words.

    Both forms are read: ``/path?query`` and ``http://host/path?query`` (RFC 9112, section 3.2).

    Raises:
        BadRequest: If it has characters that no target has.
    """
    check_target(target)
    if not target.startswith("/"):
        _, _, rest = target.partition("://")
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    return unquote(path), MultiDict(parse_qsl(query, keep_blank_values=True))


def check_target(target: str) -> None:
    """Refuse a target that is no URL: the ``*`` of OPTIONS is none, and nothing is asked of it here.

    Raises:
        BadRequest: If it has characters that no target has.
    """
    if not _TARGET.fullmatch(target) or target.startswith("//"):
        raise BadRequest(f"the target {target[:80]!r} is no path with a query; ask for /ticks?after=SEQ")


def check_hosts(hosts: Sequence[str]) -> None:
    """Refuse a request without exactly one Host (RFC 9112, section 3.2).

    Raises:
        BadRequest: If there is none, or several.
    """
    if len(hosts) != 1:
        raise BadRequest(f"a request has one Host header (RFC 9112, section 3.2), not {len(hosts)}")


def check_version(versions: Sequence[str]) -> None:
    """Refuse a WebSocket handshake in another version. One without any is the library's to refuse.

    Raises:
        WrongVersion: If it is not 13.
    """
    if versions and versions != [WEBSOCKET_VERSION]:
        raise WrongVersion(
            f"this server speaks version {WEBSOCKET_VERSION} of WebSocket, not {', '.join(versions)}"
        )
