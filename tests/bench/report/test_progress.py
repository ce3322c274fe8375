"""What is said while a run goes on, in words that a newcomer can read."""

from typing import Any

import pytest

from bench.measure.schedule import Planned
from bench.report.progress import _too_narrow, _width_words
from bench.scenario import Scenario


@pytest.mark.parametrize(
    ("width", "words"),
    [(0.0, "±0%"), (0.17, "±17%"), (1.0, "±100%"), (1.5, "×2.5"), (8.0, "×9"), (14_556.01, "over ×10")],
)
def test_how_narrow_intervals_have_become_is_never_said_in_thousands_of_percent(
    width: float, words: str
) -> None:
    assert _width_words(width) == words


def test_who_asks_more_of_a_link_than_it_carries_is_told_before_the_run() -> None:
    """Without headers, so that it is sure: 60 clients × 100 Hz × 128 B are 6.144 Mbit/s."""

    def warning(**fields: Any) -> str:
        link = {"clients": 60, "rate_hz": 100.0, "payload_bytes": 128, "rtt_ms": 50.0, "rate_mbit": 4.0}
        scenario = Scenario("websocket", **{**link, **fields})
        return _too_narrow([Planned(1, 1, ("network",), scenario, seed=1)])

    assert "60 clients × 100 Hz × 128 B are 6.14 Mbit/s without any header, and it carries 4:" in warning()
    carried: list[dict[str, Any]] = [
        {"rate_mbit": 6.2},
        {"rate_mbit": 0.0},
        {"rate_hz": 60.0},
        {"clients": 30},
        {"clients": 25, "payload_bytes": 160},
        {"compression": True},
        {"contract": "latest"},
        {"rtt_ms": None, "rate_mbit": None},
    ]
    assert [warning(**fields) for fields in carried] == [""] * len(carried)
