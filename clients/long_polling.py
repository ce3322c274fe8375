"""Long polling: ask, and ask again as soon as the answer is there; the server does the waiting (RFC 6202)."""

from typing import Any, ClassVar

from clients.base import Address
from clients.http import HttpClient


class Client(HttpClient):
    """A long-polling client.

    Args:
        address: The server.
        hold_s: Longest time in seconds that the server may hold a request.
        options: See :class:`clients.http.HttpClient`.
    """

    settings: ClassVar[tuple[str, ...]] = ("hold_s", *HttpClient.settings)

    __slots__ = ("_hold",)

    def __init__(self, address: Address, *, hold_s: float = 30.0, **options: Any) -> None:
        super().__init__(address, **options)
        self._hold = f"hold={hold_s:g}"

    def _query(self) -> str:
        return f"?{self._hold}" if self.cursor is None else f"?after={self.cursor}&{self._hold}"

    def _answered(self, arrived_ns: int, waiting: bool) -> None:
        self._ask(arrived_ns)
