"""Where processes run: a core each, and words before their commands."""

import os

import pytest

from bench.measure.place import Place, Places, choose_places, usable_cores
from bench.measure.processes import TrialFailed
from bench.measure.subject import running_server
from bench.measure.trial import run_trial
from bench.scenario import Scenario
from servers.options import ServerOptions

NICER = min(os.nice(0) + 3, 19)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes cannot be pinned here")
def test_subject_and_load_get_a_core_each_where_there_are_two() -> None:
    places = choose_places()
    if usable_cores() == 1:
        assert places == Places()
        return
    assert places.subject.core != places.load.core
    with running_server("websocket", ServerOptions(), places.subject) as server:
        assert os.sched_getaffinity(server.pid) == {places.subject.core}


def test_a_command_begins_with_its_prefix_and_becomes_the_process() -> None:
    nice = Place(prefix=("nice", "-n", "3"))

    with running_server("websocket", ServerOptions(), nice) as server:
        assert server.ready["pid"] == server.pid
        assert os.getpriority(os.PRIO_PROCESS, server.pid) == NICER
        assert server.stop() == 0


def test_what_is_other_in_a_place_is_found() -> None:
    scenario = Scenario("websocket", clients=2, rate_hz=50, window_s=0.2, warmup_s=0)
    row = run_trial(scenario, seed=1, places=Places(load=Place(prefix=("nice", "-n", "3")))).row
    assert row["delivered"] == row["expected"]
    assert f"nice={NICER}" in row["conditions"].split()


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [
        (("no-such-command",), "the server cannot be started by no-such-command: No such file or directory"),
        (("false",), r"the server died \(exit code 1\)"),
    ],
)
def test_a_wrong_prefix_fails_with_a_sentence(prefix: tuple[str, ...], sentence: str) -> None:
    with (
        pytest.raises(TrialFailed, match=sentence),
        running_server("websocket", ServerOptions(), Place(prefix=prefix)),
    ):
        pass
