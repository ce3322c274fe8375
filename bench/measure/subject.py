"""The subject of a trial: whatever serves. Here, a server in a process of its own, always stopped.

Nothing is asked of it over the port that is measured: its CPU time is read from outside, and what only it
knows it tells on its standard output, when asked on its standard input (servers/questions.py).
"""

import contextlib
import dataclasses
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from bench.measure.place import ANYWHERE, Place
from bench.measure.processes import START_TIMEOUT_S, Process, TrialFailed
from bench.results.observation import ServerState, Usage
from clients.base import Address
from servers.options import ServerOptions

STATE_TIMEOUT_S = 30.0


class Subject(Protocol):
    """Whatever serves, ready to be measured."""

    @property
    def place(self) -> Place:
        """Where it runs."""

    @property
    def ready(self) -> Mapping[str, Any]:
        """What it said when it was ready: ``start_ns`` of its plan, its loop, congestion and conditions."""

    @property
    def address(self) -> Address:
        """Where it listens."""

    def usage(self) -> Usage:
        """Read what it has used, from outside: it does nothing for it. Raises TrialFailed if it has died."""

    def state(self, first_seq: int, last_seq: int) -> ServerState:
        """Let it tell its memory, open files, and the lags of these ticks; not over the measured port.

        Raises:
            TrialFailed: If it does not.
        """

    def check(self) -> None:
        """Raise TrialFailed if it has died."""


class Server(Process):
    """A running server. ``ready`` is the line that it printed: url, pid, start_ns and so on.

    It can be killed, and started again as the same feed: a process of its own each time, here one subject.
    """

    def __init__(self, transport: str, options: ServerOptions, place: Place = ANYWHERE) -> None:
        if place.core is not None:
            options = dataclasses.replace(options, core=place.core)
        self._transport, self._options, self._earlier_cpu_ns = transport, options, 0
        super().__init__("server", "servers", *self._arguments(options), place=place)
        self.ready = self._hear_ready()
        self.url: str = self.ready["url"]
        url = urlsplit(self.url)
        self.address = Address(url.hostname or "", url.port or 0, url.path)
        self.host, self.port, self.path = self.address
        # It is on this machine: no proxy is needed, whatever the shell says.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if options.certificate is not None:  # it is this server's own: it needs nobody to vouch for it
            trust = ssl.create_default_context(cafile=options.certificate)
            trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            handlers.append(urllib.request.HTTPSHandler(context=trust))
        self._opener = urllib.request.build_opener(*handlers)

    def _arguments(self, options: ServerOptions) -> list[str]:
        return [self._transport, *options.arguments(), "--stop-with-stdin"]

    def _hear_ready(self) -> dict[str, Any]:
        try:
            ready: dict[str, Any] = json.loads(self.read_line(START_TIMEOUT_S))
            return ready
        except BaseException:
            self.kill()
            raise

    def kill(self) -> int:
        """Kill the server (SIGKILL), as :meth:`Process.kill` does: it has no time to say good-bye."""
        with contextlib.suppress(TrialFailed):
            self._earlier_cpu_ns = self.usage().cpu_ns
        return super().kill()

    def start_again(self) -> int:
        """Start the server that was killed: same port, same feed. Return since when it listens, in ns.

        Raises:
            TrialFailed: If it does not come back.
        """
        options = dataclasses.replace(self._options, port=self.port, start_ns=self.ready["start_ns"])
        self._launch("servers", *self._arguments(options))
        self.ready = self._hear_ready()
        return int(self.ready["listens_ns"])

    def usage(self) -> Usage:
        """Read what it has used, from outside, with those that were killed.

        Raises:
            TrialFailed: If it has died.
        """
        used = super().usage()
        return used._replace(cpu_ns=used.cpu_ns + self._earlier_cpu_ns)

    def state(self, first_seq: int, last_seq: int) -> ServerState:
        """Ask the server for memory, open files, and the lags of these ticks, by standard input and output.

        Raises:
            TrialFailed: If it does not answer.
        """
        self.write_line(json.dumps({"first_seq": first_seq, "last_seq": last_seq}).encode())
        line = self.read_line(STATE_TIMEOUT_S)
        try:
            answer = json.loads(line)
            if answer["event"] == "error":
                raise TrialFailed(f"the server: {answer['error']}")
            return ServerState(
                answer["rss_bytes"],
                answer["open_files"],
                answer["publish_lags_ns"],
                answer["loop_lags_ns"],
            )
        except (ValueError, KeyError, TypeError):
            raise TrialFailed(f"the server said something unexpected: {line[:200]!r}") from None

    def health(self, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """Ask the server how it is, by HTTP as people do; never while it is measured.

        Raises:
            TrialFailed: If it does not answer.
        """
        try:
            with self._opener.open(f"{self.url.removesuffix(self.path)}/health", timeout=timeout_s) as answer:
                health: dict[str, Any] = json.load(answer)
                return health
        except (OSError, ValueError) as error:
            self.check()
            raise TrialFailed(f"the server did not tell its health: {error}") from None


@contextlib.contextmanager
def running_server(transport: str, options: ServerOptions, place: Place = ANYWHERE) -> Iterator[Server]:
    """Run a server while the context is open."""
    server = Server(transport, options, place)
    try:
        yield server
    finally:
        server.stop()
