"""The subject of a trial: a server in a process of its own, started fresh, always stopped."""

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bench.measure.processes import START_TIMEOUT_S, Process, TrialFailed
from bench.results.observation import ServerState
from servers.options import ServerOptions

STATE_TIMEOUT_S = 30.0


class Server(Process):
    """A running server. ``ready`` is the line that it printed: url, pid, start_ns and so on."""

    def __init__(self, transport: str, options: ServerOptions) -> None:
        super().__init__("server", "servers", transport, *options.arguments(), "--stop-with-stdin")
        try:
            self.ready: dict[str, Any] = json.loads(self.read_line(START_TIMEOUT_S))
        except BaseException:
            self.kill()
            raise
        self.url: str = self.ready["url"]
        address = urlsplit(self.url)
        self.host, self.port, self.path = address.hostname or "", address.port or 0, address.path
        # It is on this machine: no proxy is needed, whatever the shell says.
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if options.certificate is not None:  # it is this server's own: it needs nobody to vouch for it
            trust = ssl.create_default_context(cafile=options.certificate)
            trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            handlers.append(urllib.request.HTTPSHandler(context=trust))
        self._opener = urllib.request.build_opener(*handlers)

    def state(self, first_seq: int, last_seq: int) -> ServerState:
        """Ask the server for its memory, and for the lags of these ticks, by standard input and output.

        Raises:
            TrialFailed: If it does not answer.
        """
        self.write_line(json.dumps({"first_seq": first_seq, "last_seq": last_seq}).encode())
        line = self.read_line(STATE_TIMEOUT_S)
        try:
            answer = json.loads(line)
            if answer["event"] == "error":
                raise TrialFailed(f"the server: {answer['error']}")
            return ServerState(answer["rss_bytes"], answer["publish_lags_ns"], answer["loop_lags_ns"])
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
            if not self.is_running():
                raise TrialFailed(f"the server died ({self.how_it_ended()})") from None
            raise TrialFailed(f"the server did not tell its health: {error}") from None


@contextlib.contextmanager
def running_server(transport: str, options: ServerOptions) -> Iterator[Server]:
    """Run a server while the context is open."""
    server = Server(transport, options)
    try:
        yield server
    finally:
        server.stop()
