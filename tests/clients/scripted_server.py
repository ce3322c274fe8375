"""A tiny server that follows a script: one thread accepts, and one thread serves each connection."""

import contextlib
import socket
import threading

from tests.waiting import LIMIT_S


class Server:
    """Listens on a free port of 127.0.0.1; ``script(connection, number)`` serves connection 0, 1, 2 …"""

    def __init__(self, script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._stopping = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            serve = threading.Thread(
                target=self._serve, args=(connection, len(self._threads) - 1), daemon=True
            )
            self._threads.append(serve)
            serve.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(LIMIT_S)
            self._script(connection, number)

    def stop(self) -> None:
        self._stopping = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(LIMIT_S)
        self._listener.close()
