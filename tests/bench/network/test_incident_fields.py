"""Fields of incidents: what is filled in, what is refused, and how much time they are given."""

import dataclasses
from typing import Any

import pytest

from bench.columns.fields import PLAIN, is_ordinary
from bench.columns.words import field_words
from bench.network.incident_fields import Incident, IncidentFields
from bench.scenario import FIELDS, Scenario, ScenarioError
from bench.transports import main_names

DOWN: dict[str, Any] = {"incident": "link_down", "rtt_ms": 20.0}


def test_an_incident_that_lasts_lasts_a_second_unless_told_otherwise() -> None:
    for incident in Incident:
        scenario = Scenario("websocket", incident=incident.value, rtt_ms=20.0)
        assert scenario.incident_s == (1.0 if incident.lasts else None)
    assert Scenario("websocket", **DOWN, incident_s=0.3).incident_s == 0.3
    assert Scenario("websocket").incident_s is None


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"incident": "flood"}, "there is no incident 'flood'; choose packet_lost, link_down"),
        ({"incident": "link_down"}, "happens to a link, and this is loopback; add rtt_ms=20"),
        ({"incident": "forgotten"}, "add rtt_ms=20"),
        ({"incident_s": 1.0}, "but nothing happens here; leave incident_s out"),
        ({"incident": "packet_lost", "rtt_ms": 20.0, "incident_s": 1.0}, "which does not last, happens here"),
        ({**DOWN, "incident_s": 0.01}, "incident_s is 0.01; it must be from 0.05 to 600"),
        ({**DOWN, "incident_s": 601.0}, "incident_s is 601; it must be from 0.05 to 600"),
        ({"silence_s": 0.0, "rate_hz": 200}, "silence_s is 0; it must be from 0.05 to 600"),
        ({"user_timeout_s": float("nan")}, "user_timeout_s is nan; it must be"),
        ({"backoff": "never"}, "backoff is 'never'; choose jittered or doubling or none"),
        ({**DOWN, "incident_s": 3.0}, "a window of 4 s is too short for .* takes 3 s; ask for window_s=6.1"),
        (
            {"incident": "address_changed", "rtt_ms": 20.0, "silence_s": 2.5},
            "takes 2.5 s; ask for window_s=5.1",
        ),
        ({**DOWN, "rate_hz": 0.25}, "ask for window_s=9.333"),
        ({**DOWN, "rate_hz": 1e-8, "plan": "poisson"}, "too short .* choose a shorter one"),
        ({"silence_s": 0.1}, "websocket may hear nothing for 0.1 s though all is well; raise it, or add a"),
        ({"rate_hz": 0, "silence_s": 9.0}, "may hear nothing for ever though .* add a shorter heartbeat_s"),
        ({"silence_s": 0.3, "rtt_ms": 100.0}, "may hear nothing for 0.4 s"),  # while it connects
        ({"transport": "long_polling", "silence_s": 30.0}, "hear nothing for 30 s .* or lower hold_s"),
        ({"generator": "asyncio", "silence_s": 1.0}, "asyncio has no incidents, and no silence_s"),
        ({"generator": "asyncio", "backoff": "none"}, "asyncio has no incidents"),
        ({"generator": "asyncio", "incident": "server_killed"}, "asyncio has no incidents"),
    ],
)
def test_what_cannot_happen_is_refused_with_what_to_do(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        Scenario(**({"transport": "websocket"} | fields))


@pytest.mark.parametrize(
    "fields",
    [
        {**DOWN, "incident_s": 3.0, "window_s": 6.1},
        {**DOWN, "silence_s": 0.2},
        {**DOWN, "silence_s": 60.0},  # TCP comes back by itself
        {"incident": "server_killed"},
        {"rate_hz": 0, "heartbeat_s": 0.3, "silence_s": 0.35},
        {"transport": "long_polling", "silence_s": 1.0, "hold_s": 0.8},
        {"transport": "short_polling", "silence_s": 0.2},
        {"silence_s": 1.0, "user_timeout_s": 2.0, "backoff": "doubling"},
    ],
)
def test_what_was_asked_for_is_allowed(fields: dict[str, Any]) -> None:
    scenario = Scenario(**({"transport": "websocket"} | fields))
    assert dataclasses.replace(scenario, clients=7).incident == scenario.incident


@pytest.mark.parametrize("transport", main_names())
@pytest.mark.parametrize("incident", list(Incident))
def test_there_is_time_for_a_client_to_come_back(incident: Incident, transport: str) -> None:
    more = {"silence_s": 1.2, "hold_s": 1.0, "user_timeout_s": 3.0, "window_s": 8.0}
    usual = Scenario(transport, rtt_ms=20.0, **more)
    scenario = Scenario(transport, rtt_ms=20.0, incident=incident.value, **more)
    lasts_s = scenario.incident_s or 0.0
    # TCP waits as long again as the outage was, a client may wait for silence, then for its turn
    waits_s = 2 * lasts_s + 1.2 + 3.0 + 2.0
    assert scenario.drain_s >= usual.drain_s + waits_s
    kept_s, usual_s = (each.server_options().history_ticks / each.rate_hz for each in (scenario, usual))
    assert kept_s >= usual_s + waits_s - 1 / scenario.rate_hz
    assert scenario.server_options().user_timeout_s == 3.0
    assert scenario.server_options().max_clients >= 4 * scenario.clients  # with connections that are dead


def test_who_may_wait_in_vain_is_given_the_time_in_the_plan() -> None:
    push, poll = (
        {name: Scenario(transport, rtt_ms=20.0, **fields).planned_s for name, fields in {
            "usual": {}, "in vain": {"incident": "address_changed"},
            "finds out": {"incident": "address_changed", "silence_s": 1.0},
        }.items()}
        for transport in ("websocket", "short_polling")
    )  # fmt: skip
    assert push["in vain"] > push["finds out"] + 0.5
    assert push["finds out"] == push["usual"]
    assert poll["in vain"] == poll["usual"]  # it asks, and is told


def test_usual_trials_are_told_as_ever() -> None:
    for name in (field.name for field in dataclasses.fields(IncidentFields)):
        assert FIELDS[name].since == 7
        assert name in PLAIN
        assert is_ordinary(name, FIELDS[name].default) or name == "incident_s"
    assert field_words("incident", "link_down") == "link down"
    assert field_words("incident_s", 1.5, alone=True) == "lasting 1.5 s"
    assert field_words("backoff", "none") == "back-off none"
