"""Server options: impossible ones are refused with a sentence, possible ones survive the command line."""

import argparse
import dataclasses
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.options import (
    MIN_RATE_HZ,
    MIN_SPEED,
    SHORTEST_S,
    ServerOptions,
    add_options,
    congestions,
)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"plan": "hourly"}, "plan is 'hourly'; choose one of steady, poisson, bursty, replay"),
        ({"contract": "some"}, "contract is 'some'; it is every or latest"),
        ({"rate_hz": -1}, "rate_hz is -1; it must be from 0 (a silent market) to 10,000"),
        ({"rate_hz": 10_001}, "rate_hz is 10001; it must be from 0 (a silent market) to 10,000"),
        ({"rate_hz": float("nan")}, "rate_hz is nan; it must be from 0 (a silent market) to 10,000"),
        ({"speed": 0}, "speed is 0; it must be from 1e-06 to 1,000,000"),
        ({"time_unit": "ms"}, "time_unit belongs to a recording: give both, or leave it out"),
        ({"payload_bytes": 95}, "payload_bytes is 95; it must be from 96 to 65536"),
        ({"payload_bytes": 65_537}, "payload_bytes is 65537; it must be from 96 to 65536"),
        ({"history_ticks": 0}, "history_ticks is 0; it must be 1 or more"),
        ({"history_ticks": 10**6}, "a history of 1000000 ticks of 128 B is over 64 MiB; lower the rate"),
        ({"max_clients": 0}, "max_clients is 0; it must be from 1 to 1,000,000"),
        ({"heartbeat_s": 0}, "heartbeat_s is 0; it must be from 0.001 to 86,400, or left out for none"),
        (
            {"user_timeout_s": 0},
            "user_timeout_s is 0; it must be from 0.001 to 86,400, or left out for 20",
        ),
        ({"user_timeout_s": float("nan")}, "user_timeout_s is nan; it must be from 0.001"),
        ({"plan": "replay"}, "plan replay and recording go together: give both or neither"),
        ({"recording": "a.csv"}, "plan replay and recording go together: give both or neither"),
    ],
)
def test_an_impossible_option_is_refused_with_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ServerOptions(**wrong)


@pytest.mark.parametrize(
    "extreme",
    [{"rate_hz": 10_000}, {"payload_bytes": 96}, {"payload_bytes": 65_536}, {"history_ticks": 2**19}],
)
def test_the_extremes_are_allowed(extreme):
    assert dataclasses.asdict(ServerOptions(**extreme)).items() >= extreme.items()


def parse(arguments: list[str]) -> ServerOptions:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return ServerOptions(**vars(parser.parse_args(arguments)))


def some(*, at_least: float) -> st.SearchStrategy[float]:
    return st.floats(at_least, 10_000, exclude_min=True)


file_names = st.text(string.ascii_letters + "-. /", min_size=1).filter(lambda name: name != "none")
options = st.builds(
    ServerOptions,
    host=st.sampled_from(["127.0.0.1", "localhost", "::1"]),
    port=st.integers(0, 65_535),
    rate_hz=st.just(0) | some(at_least=MIN_RATE_HZ),
    plan=st.sampled_from(["steady", "poisson", "bursty"]),
    speed=some(at_least=MIN_SPEED),
    seed=st.integers(-10, 2**40),
    payload_bytes=st.integers(96, 65_536),
    contract=st.sampled_from(["every", "latest"]),
    history_ticks=st.integers(1, 1_000),
    max_clients=st.integers(1, 10**6),
    heartbeat_s=st.none() | some(at_least=SHORTEST_S),
    user_timeout_s=st.none() | some(at_least=SHORTEST_S),
    mss=st.none() | st.integers(88, 32_767),
    congestion=st.sampled_from([None, "cubic", *congestions()]),
    core=st.none() | st.integers(0, 127),
    stop_with_stdin=st.booleans(),
)


@given(options)
def test_options_survive_the_command_line(wanted):
    assert parse(wanted.arguments()) == wanted


@given(file_names)
def test_any_name_of_a_recording_survives_the_command_line(name):
    wanted = ServerOptions(plan="replay", recording=name, time_unit="ms")
    assert parse(wanted.arguments()) == wanted


def test_defaults_need_no_arguments():
    assert ServerOptions().arguments() == []
    assert parse([]) == ServerOptions()


def test_every_option_is_explained():
    assert all(field.metadata["help"] for field in dataclasses.fields(ServerOptions))


def test_a_wrong_type_is_named_in_plain_words(capsys):
    with pytest.raises(SystemExit):
        parse(["--port", "http"])
    assert "invalid whole number value: 'http'" in capsys.readouterr().err
