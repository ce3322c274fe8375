"""The users that one writes first for Locust, and that most tutorials show: to be held against the truth.

``locust -f bench/locust/beginners.py WebSocketUser --host http://127.0.0.1:8000``. They take the time when
Python gets to a tick, not when it came: the more of them there are, the later that is (exercise 13).
"""

import json
import time
from typing import Any

import websocket
from locust import FastHttpUser, User, constant_pacing, task


def report(user: User, ticks: list[dict[str, Any]], length_bytes: int) -> None:
    """Tell Locust of each tick, and how late it is now."""
    for tick in ticks:
        latency_ms = (time.perf_counter_ns() - tick["due_ns"]) / 1e6
        user.environment.events.request.fire(
            request_type="TICK",
            name=type(user).__name__,
            response_time=latency_ms,
            response_length=length_bytes,
            exception=None,
            context={},
        )


class WebSocketUser(User):
    """Waits for messages."""

    def on_start(self) -> None:
        """Connect."""
        self.socket = websocket.create_connection(f"{(self.host or '').replace('http', 'ws', 1)}/ticks")
        self.socket.recv()  # the newest tick: it was due before

    @task
    def receive(self) -> None:
        """Take the next message."""
        message = self.socket.recv()
        report(self, json.loads(message), len(message))


class ShortPollingUser(FastHttpUser):
    """Asks twice a second for what is new."""

    wait_time = constant_pacing(0.5)
    newest: int | None = None

    @task
    def poll(self) -> None:
        """Ask once."""
        query = "" if self.newest is None else f"?after={self.newest}"
        response = self.client.get(f"/ticks{query}", name="/ticks")
        ticks: list[dict[str, Any]] = response.json()  # type: ignore[assignment]
        if ticks and self.newest is not None:
            report(self, ticks, len(response.content or b""))
        if ticks:
            self.newest = ticks[-1]["seq"]
