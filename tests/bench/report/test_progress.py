"""What is said while a run goes on, in words that a newcomer can read."""

import pytest

from bench.report.progress import _width_words


@pytest.mark.parametrize(
    ("width", "words"),
    [(0.0, "±0%"), (0.17, "±17%"), (1.0, "±100%"), (1.5, "×2.5"), (8.0, "×9"), (14_556.01, "over ×10")],
)
def test_how_narrow_intervals_have_become_is_never_said_in_thousands_of_percent(
    width: float, words: str
) -> None:
    assert _width_words(width) == words
