"""The conversation of two lines: who writes apart, is answered, and leaves Nagle's rule on has to wait."""

import threading

import pytest

from bench.measure.two_writes import WAYS, Way, measure_two_writes

SLOW = Way(apart=True, no_delay=False)


@pytest.mark.alone
def test_only_a_message_written_apart_waits_for_an_ack() -> None:
    measured = {
        Way(each["apart"], each["no_delay"], each["answered"]): each["median_ms"]
        for each in measure_two_writes(rounds=9)
    }
    assert set(measured) == set(WAYS)
    for way, median_ms in measured.items():
        assert way == SLOW or 0 < median_ms < measured[SLOW] / 3, way


def test_nobody_is_left_behind() -> None:
    before = threading.active_count()
    told = measure_two_writes(rounds=2)
    assert threading.active_count() == before
    assert all(each["rounds"] == 2 and each["sd_ms"] >= 0 for each in told)
