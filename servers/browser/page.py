"""The page at ``/``: what is served here, and its ticks live, as this server's own protocol brings them.

A page is one file without anything from elsewhere, built once when the server starts. What asks for ticks is
a script for each protocol, and stands in the page to be read: ``polling.js``, ``long_polling.js``,
``event_source.js``, ``web_socket.js``. A server names its own; what they share is ``page.js``.
"""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from servers.options import ServerOptions

PAGE_PATH = "/"
HTML = "text/html; charset=utf-8"
CONTRACTS = {
    "every": "every: each tick comes once, in order",
    "latest": "latest: the newest tick only; those before it are superseded",
}
GONE = {"every": "missed", "latest": "superseded"}
"""What a gap in the numbers is, by the contract."""


class Page(NamedTuple):
    """A page, and what is said beside it."""

    body: bytes
    headers: Mapping[str, str]


def build_page(transport: str, options: ServerOptions, script: str) -> Page:
    """Build the page of a server.

    Args:
        transport, options: What it serves, and how.
        script: The file here that asks for ticks, by a function ``listen``.
    """
    listen, shared = _read(script), _read("page.js")
    code = f"\n{listen}\n{shared}"
    page = _read("page.html")
    style = page.partition("<style>")[2].partition("</style>")[0]
    words = {
        "title": html.escape(transport.replace("_", " ")),
        "ticks": html.escape(_ticks(options)),
        "contract": html.escape(CONTRACTS[options.contract]),
        "gone": GONE[options.contract],
        "listing": html.escape(listen.strip()),
        "script": code,
    }
    body = re.sub(r"\{\{(\w+)\}\}", lambda mark: words[mark[1]], page).encode()
    return Page(body, {"Content-Security-Policy": _policy(code, style)})


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _ticks(options: ServerOptions) -> str:
    rate = f"about {options.rate_hz:g} a second, plan {options.plan}"
    if options.plan == "steady":
        rate = f"{options.rate_hz:g} a second"
    if not options.rate_hz:
        rate = "one, then none: a silent market"
    if options.recording is not None:
        rate = f"those of {Path(options.recording).name}, {options.speed:g} times as fast as recorded"
    return f"{rate}; {options.payload_bytes:,} bytes each"


def _policy(code: str, style: str) -> str:
    """Return a policy that permits this script, this style, and questions to this origin; nothing else.

    Source: W3C, Content Security Policy Level 3; there ``'self'`` holds for WebSockets of the origin, too.
    """
    return (
        f"default-src 'none'; script-src {_digest(code)}; style-src {_digest(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
