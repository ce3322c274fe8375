"""What a link may be, and what a scenario says of it."""

import dataclasses
from typing import Any

import pytest

from bench.network.link import LINKS, Link, LinkError
from bench.network.link_fields import OF_THE_LINK
from bench.scenario import FIELDS, Scenario, ScenarioError


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rtt_ms": -1.0}, "rtt_ms is -1; it must be from 0 to 2,000"),
        ({"jitter_ms": 2000.0}, "jitter_ms is 2000"),
        ({"loss": 1.0}, "loss is 1; it must be from 0 to 0.5"),
        ({"loss": 5.0}, "loss is 5"),  # percent
        ({"burst_packets": 0.5}, "burst_packets is 0.5; it must be 0"),
        ({"rate_mbit": -3.0}, "rate_mbit is -3; it must be 0"),
        ({"rate_mbit": 1e6}, "rate_mbit is 1e"),
        ({"queue_ms": -1.0}, "queue_ms is -1"),
        ({"link": "5g"}, "there is no link '5g'; choose lan, fibre"),
        ({"rtt_ms": float("nan")}, "rtt_ms is nan"),
    ],
)
def test_an_impossible_link_is_refused_with_the_field_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        Scenario("websocket", **fields)
    if "link" not in fields:
        with pytest.raises(LinkError, match=words):
            Link(**fields)


@pytest.mark.parametrize("name", LINKS)
def test_a_named_link_fills_what_is_not_given_and_has_a_source(name: str) -> None:
    scenario = Scenario("websocket", link=name)
    assert scenario.link_asked_for() == LINKS[name].link
    assert all(getattr(scenario, field) is not None for field in OF_THE_LINK)
    assert len(LINKS[name].source) > 10


def test_a_field_given_beside_a_name_wins_and_the_name_stays() -> None:
    scenario = Scenario("websocket", link="4g", rtt_ms=0.0, rate_mbit=0.0)
    assert (scenario.link, scenario.rtt_ms, scenario.rate_mbit) == ("4g", 0.0, 0.0)


def test_no_delay_is_not_no_link() -> None:
    loopback, box = Scenario("websocket"), Scenario("websocket", rtt_ms=0.0)
    assert loopback != box
    assert loopback.link_asked_for() is None
    assert box.link_asked_for() == Link()
    assert {getattr(loopback, name) for name in ("link", *OF_THE_LINK)} == {None}
    assert (box.rtt_ms, box.loss, box.rate_mbit) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("name", OF_THE_LINK)
def test_one_field_is_enough_for_a_link(name: str) -> None:
    fields: dict[str, Any] = {
        "queue_ms": {"queue_ms": 50.0, "rate_mbit": 5.0},
        "burst_packets": {"burst_packets": 3.0, "loss": 0.01},
    }.get(name, {name: 0.25})
    scenario = Scenario("short_polling", **fields)
    assert scenario.link_asked_for() == Link(**fields)


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({"burst_packets": 3.0}, "loss=0.01"),
        ({"burst_packets": 3.0, "rate_mbit": 5.0, "link": "4g"}, "loss=0.01"),
        ({"queue_ms": 50.0, "loss": 0.01}, "rate_mbit=5"),
        ({"queue_ms": 50.0, "link": "satellite"}, "rate_mbit=5"),
    ],
)
def test_what_would_do_nothing_is_refused_with_what_it_needs(fields: dict[str, Any], needed: str) -> None:
    with pytest.raises(ScenarioError, match=f"does nothing without .*; add {needed}, or leave"):
        Scenario("websocket", **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"queue_ms": 50.0, "link": "4g"},
        {"queue_ms": 50.0, "rate_mbit": 0.0},  # as one of several rates
        {"burst_packets": 3.0, "loss": 0.0},
    ],
)
def test_what_has_what_it_needs_is_allowed_and_can_be_changed(fields: dict[str, Any]) -> None:
    scenario = Scenario("websocket", **fields)
    assert dataclasses.replace(scenario, clients=7).link_asked_for() == scenario.link_asked_for()


def test_the_fields_of_scenarios_and_those_of_links_are_the_same() -> None:
    assert {field.name for field in dataclasses.fields(Link)} == set(OF_THE_LINK)
    for name in ("link", *OF_THE_LINK):
        assert FIELDS[name].since == 6
        assert FIELDS[name].default is None


def test_a_scenario_with_a_link_allows_more_time() -> None:
    near, far = Scenario("websocket"), Scenario("websocket", rtt_ms=500.0, loss=0.01)
    assert far.connect_s > near.connect_s + 1
    assert far.drain_s > near.drain_s
    assert far.planned_s > near.planned_s


def test_ordinary_clients_are_refused_where_packets_may_be_lost() -> None:
    Scenario("websocket", generator="asyncio", rtt_ms=50.0)
    with pytest.raises(ScenarioError, match="use the swarm"):
        Scenario("websocket", generator="asyncio", loss=0.01)
