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
from servers.options import ServerOptions


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

    def health(self, *, lags_after: int | None = None, timeout_s: float = 30.0) -> dict[str, Any]:
        """Ask the server how it is.

        Raises:
            TrialFailed: If it does not answer.
        """
        query = "" if lags_after is None else f"?lags_after={lags_after}"
        try:
            url = f"{self.url.removesuffix(self.path)}/health{query}"
            with self._opener.open(url, timeout=timeout_s) as answer:
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
