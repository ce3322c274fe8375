"""What every server module provides and shares: its shape, its listening socket, and what it refuses.

A server module ``servers/NAME.py``, or ``servers/variants/NAME.py`` by another library, has one function,
``serve(feed, listener, options)``: an asynchronous context manager that serves the feed while it is open, and
answers whoever waits when it closes.
"""

import contextlib
import dataclasses
import importlib
import json
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil

from servers.browser.page import PAGE_PATH
from servers.feed import Feed
from servers.options import STALL_TIMEOUT_S, ServerOptions
from servers.wire import now_ns

PATH = "/ticks"
HEALTH_PATH = "/health"
ICON_PATH = "/favicon.ico"
FOR_PEOPLE = (PAGE_PATH, HEALTH_PATH, ICON_PATH)
"""Who asks for these only is no client. There is no icon, but browsers look for one beside ``/health``."""
BACKLOG = 4096
MAX_HOLD_S = 120.0
DEFAULT_HOLD_S = 30.0
"""RFC 6202, section 5.5: 120 s has worked, and 30 s is generally a safer value."""
ANSWER_HEADERS = {"Cache-Control": "no-store"}
"""Of every answer to a poll: from a cache it would be an old one.

RFC 6202, section 5.6, wants caching suppressed; ``no-store`` does it (RFC 9111, section 5.2.2.5).
"""
VARY_HEADERS = {"Vary": "Accept-Encoding"}
"""Of every answer at /ticks of a server that compresses, compressed or not (RFC 9110, section 12.5.5)."""


class Serve(Protocol):
    """The function that every server module provides."""

    def __call__(
        self, feed: Feed, listener: socket.socket, options: ServerOptions
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Serve the feed on the listening socket while the context is open."""
        ...


def server_modules() -> dict[str, str]:
    """Return the module of every transport, by the transport's name: those with a function ``serve``."""
    folder = Path(__file__).parent
    modules = {}
    for path in (*folder.glob("*.py"), *folder.glob("variants/*.py")):
        if "\nasync def serve(" in path.read_text("utf-8"):
            modules[path.stem] = ".".join(("servers", *path.relative_to(folder).with_suffix("").parts))
    return modules


def load_serve(transport: str) -> Serve:
    """Return the function ``serve`` of a transport's module."""
    serve: Serve = importlib.import_module(server_modules()[transport]).serve
    return serve


# What a client may ask


class BadRequest(ValueError):
    """A request that cannot be answered; its text is the sentence that the client is told."""


@dataclasses.dataclass(frozen=True)
class Query:
    """A valid query: the client's cursor, and how long it lets its request be held (long polling)."""

    cursor: int
    hold_s: float


def parse_query(query: Mapping[str, str], feed: Feed, *, holds: bool = False) -> Query:
    """Read ``after`` (and ``hold``, where the transport holds requests) from a query.

    ``after`` absent: from now on, beginning with the newest tick; ``after=0``: the whole history.

    Raises:
        BadRequest: If a parameter is unknown, given twice, not a number, or out of range.
    """
    known = ("after", "hold") if holds else ("after",)
    given = list(query.items())  # of a MultiDict, all of them
    for name, _ in given:
        if name not in known:
            raise BadRequest(f"unknown parameter {name!r}; known here: {', '.join(known)}")
    if len(given) > len({name for name, _ in given}):
        raise BadRequest("a parameter is given twice; give it once")  # libraries differ in which one counts
    cursor = feed.newest_only()
    if "after" in query:
        text = query["after"]
        if not _is_seq(text):
            raise BadRequest(
                f"after={text!r} is not a whole number from 0; give the newest seq that you have"
            )
        cursor = int(text)
        if cursor > feed.newest_seq:
            raise BadRequest(f"after={cursor} is ahead of the newest tick, {feed.newest_seq}; start anew")
    hold_s = DEFAULT_HOLD_S
    if "hold" in query:
        try:
            hold_s = float(query["hold"])
        except ValueError:
            hold_s = -1.0
        if not 0 <= hold_s <= MAX_HOLD_S:
            raise BadRequest(f"hold={query['hold']!r} is not a number of seconds from 0 to {MAX_HOLD_S:g}")
    return Query(cursor, hold_s)


def _is_seq(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def health(transport: str, feed: Feed, clients: int) -> bytes:
    """Encode the answer of ``GET /health``: what the server knows of itself, at ``now_ns``.

    ``plan`` says when ticks are due (see :func:`servers.workloads.plan.due_times`), but for a recording's.
    """
    answer: dict[str, Any] = {
        "transport": transport,
        "clients": clients,
        "newest_seq": feed.newest_seq,
        "oldest_seq": feed.oldest_seq,
        "contract": feed.contract,
        "plan": dict(feed.plan),
        "now_ns": now_ns(),
        "cpu_ns": time.process_time_ns(),
        "rss_bytes": psutil.Process().memory_info().rss,
    }
    return json.dumps(answer).encode()


# The listening socket


def listen(options: ServerOptions) -> socket.socket:
    """Open the listening socket. Accepted sockets inherit its options: the same for every transport.

    ``mss`` (TCP_MAXSEG) because loopback's segments of 64 KiB exist on no real network;
    TCP_USER_TIMEOUT (RFC 5482; tcp(7)) ends a connection whose peer has not taken a byte for 20 s, or for
    ``user_timeout_s``.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.mss:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, options.mss)
    if options.congestion and hasattr(socket, "TCP_CONGESTION"):
        with contextlib.suppress(OSError):  # this kernel lacks it: what is in force is recorded
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, options.congestion.encode())
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        timeout_s = STALL_TIMEOUT_S if options.user_timeout_s is None else options.user_timeout_s
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1_000))
    listener.bind((options.host, options.port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def ssl_context(options: ServerOptions) -> ssl.SSLContext | None:
    """Return how to encrypt: TLS 1.2 or 1.3, and HTTP/1.1 by ALPN (RFC 7301); None without a certificate.

    Raises:
        ValueError: If the certificate cannot be read.
    """
    if options.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.certificate, password=lambda: "")  # and never ask at the terminal
    except OSError as error:
        raise ValueError(
            f"the certificate {options.certificate} cannot be read ({error.strerror}); "
            "give a PEM file of a private key without password, the certificate, and its chain"
        ) from error
    return context


def congestion_in_force(sock: socket.socket) -> str:
    """Return the congestion control that a socket really uses, or '' where the system does not tell."""
    if not hasattr(socket, "TCP_CONGESTION"):
        return ""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
