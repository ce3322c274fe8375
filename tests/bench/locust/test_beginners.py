"""The users that one writes first, as a load generator: they obey the swarm's orders and are seen."""

import ast
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.locust.start import LOCUSTFILE
from bench.measure.load import running_swarm
from bench.measure.processes import TrialFailed
from bench.measure.subject import running_server
from bench.measure.trial import run_trial
from bench.scenario import Scenario, ScenarioError
from bench.transports import TRANSPORTS, names_of
from clients.load.orders import Connected, Order
from servers.options import ServerOptions
from tests.clients.test_ordinary_clients import assert_each_client_has_all
from tests.waiting import LIMIT_S

USERS = 5
DRIVEN = [name for name in names_of(variant_of=None) if TRANSPORTS[name].client_class.beginner]


@pytest.mark.parametrize("transport", DRIVEN)
def test_a_whole_trial(transport: str) -> None:
    polls = "poll_interval_s" in TRANSPORTS[transport].client_class.settings
    fields: dict[str, Any] = {"poll_interval_s": 0.2} if polls else {}
    trial = run_trial(
        Scenario(
            transport, clients=USERS, rate_hz=20, window_s=0.6, warmup_s=0.2, generator="locust", **fields
        ),
        seed=1,
    )
    row = trial.row
    assert_each_client_has_all(trial, ticks=12, clients=USERS)
    assert row["connections_opened"] == USERS
    assert (row["requests"] > 0) == polls
    assert row["app_bytes_per_delivery_down"] > row["payload_bytes"]


def order(folder: Path, **fields: Any) -> Order:
    usual: dict[str, Any] = {"client": "websocket", "host": "127.0.0.1", "port": 1, "path": "/ticks"}
    return Order(folder=str(folder), **{**usual, "clients": 2, **fields})


def test_it_ends_with_its_standard_input_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        running_server("websocket", ServerOptions(rate_hz=20)) as server,
        running_swarm("locust") as load,
    ):
        load.send(order(tmp_path, port=server.port))
        assert isinstance(load.receive(LIMIT_S), Connected)
        family = psutil.Process(load.pid).children(recursive=True)
        assert load.stop() == 1  # by itself, not by a signal
        assert not [each for each in family if each.is_running()]


def test_users_who_do_not_get_through_are_told_with_their_reason(tmp_path: Path) -> None:
    with running_swarm("locust") as load:
        load.send(order(tmp_path, connect_timeout_s=0.2))
        with pytest.raises(TrialFailed, match=r"2 of 2 clients did not get through.*[Cc]onnect"):
            load.receive(LIMIT_S)


@pytest.mark.parametrize(
    ("transport", "fields", "sentence"),
    [
        ("server_sent_events", {}, "has no clients for server_sent_events"),
        ("websocket", {"tls": True}, "does not obey tls"),
        ("websocket", {"headers": "browser", "cookie_bytes": 9}, "does not obey headers and cookie_bytes"),
        ("short_polling", {"keep_alive": False}, "does not obey keep_alive"),
        ("websocket", {"loss": 0.1}, "cannot tell when what waited"),
    ],
)
def test_what_it_lacks_is_refused_beforehand(transport: str, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=f"generator locust {sentence}.*; use the swarm"):
        Scenario(transport, generator="locust", **fields)


def test_a_user_that_is_named_is_there() -> None:
    source = ast.parse(LOCUSTFILE.with_name("beginners.py").read_text(encoding="utf-8"))
    users = {node.name for node in source.body if isinstance(node, ast.ClassDef)}
    assert users == {TRANSPORTS[name].client_class.beginner for name in DRIVEN}
