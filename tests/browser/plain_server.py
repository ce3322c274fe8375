"""A server that reads what a browser sends off the wire, and answers with bytes that a test has written."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.waiting import LIMIT_S

PAGE = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<title>a page</title>"


class PlainServer(ThreadingTCPServer):
    """Answers each connection once, and closes it.

    Args:
        answers: What is sent, by the path of the request; another path gets a page.

    Attributes:
        heads: For each path the heads of its requests: all lines, as they came.
    """

    daemon_threads = True

    def __init__(self, answers: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.port = self.server_address[1]
        self.answers = answers
        self.heads: dict[str, list[list[str]]] = {}


class Connection(StreamRequestHandler):
    timeout = LIMIT_S

    def handle(self) -> None:
        """Read the head of one request and answer; a browser also connects ahead and asks for nothing."""
        head: list[str] = []
        with contextlib.suppress(OSError):
            while (line := self.rfile.readline()) not in (b"", b"\r\n"):
                head.append(line.decode("ascii").removesuffix("\r\n"))
            if head:
                path = head[0].split(" ")[1].partition("?")[0]
                assert isinstance(self.server, PlainServer)
                self.server.heads.setdefault(path, []).append(head)
                self.wfile.write(self.server.answers.get(path, PAGE).encode())


@contextlib.contextmanager
def plain_server(answers: Mapping[str, str]) -> Iterator[PlainServer]:
    """Run a server while the context is open."""
    with PlainServer(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
