"""The experiments, one file per question. A file here whose first line is a question is found by itself.

``QUESTIONS`` is read from these lines, so that a list of them imports no experiment; ``EXPERIMENTS`` in
catalogue.py has the experiments themselves.
"""

from pathlib import Path

_ORDER = tuple(
    (
        "freshness interval rate clients overhead handshake idle compression network recovery library "
        "wind_sensor unread_answer instrument"
    ).split()
)
_QUOTES = '"' * 3


def _find_questions() -> dict[str, str]:
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        with path.open(encoding="utf-8") as file:
            first_line = file.readline().strip()
        if first_line.startswith(_QUOTES) and first_line.endswith("?"):
            found[path.stem] = first_line.removeprefix(_QUOTES)
    known = [name for name in _ORDER if name in found]
    return {name: found[name] for name in [*known, *sorted(set(found) - set(known))]}


QUESTIONS = _find_questions()
"""The questions of all experiments by name, in the order in which they are taught."""
