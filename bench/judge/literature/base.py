"""What a publication is here: what it says, how it came to that, and a judgement from a run's trials.

One rule judges all published figures, by how many times the run's figure differs from it, either way:

    up to 1.5 times   it stands: machines, versions and libraries differ by as much
    up to 3 times     it stands within limits: whoever designs by it is wrong, but by no order of magnitude
    beyond            it does not stand

Inside a published range the distance is 1. Where a run has several such figures, by libraries or rates,
their geometric mean is judged and their span is told. Of a publication with several figures the worst
decides, and a figure that the run lacks keeps it from more than "within limits". A rule of a specification
has no distance: what is counted is what it says, or it does not stand (rfc6455.py).
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.results.evidence import Evidence, NotMeasured

STANDS = "stands"
WITHIN_LIMITS = "stands within limits"
FALLS = "does not stand"
NOT_JUDGED = "cannot be judged from this run"

STANDS_RATIO, LIMITS_RATIO = 1.5, 3.0
WORST_FIRST = (FALLS, WITHIN_LIMITS, STANDS)


def distance_ratio(measured: float, published: float | tuple[float, float]) -> float:
    """Return by how many times a figure differs from a published one or from the nearer end of a range.

    Returns:
        1 or more; infinite if the figure is not above 0, or is infinite itself.
    """
    low, high = published if isinstance(published, tuple) else (published, published)
    if not 0 < measured < math.inf:
        return math.inf
    return max(measured / high, low / measured, 1.0)


def verdict_on(measured: float, published: float | tuple[float, float]) -> str:
    """Return the verdict on a published figure (or range) by the same figure of a run: see the rule above."""
    distance = distance_ratio(measured, published)
    return STANDS if distance <= STANDS_RATIO else WITHIN_LIMITS if distance <= LIMITS_RATIO else FALLS


def worst(verdicts: Iterable[str], *, complete: bool = True) -> str:
    """Return the verdict on a publication by those on its figures, of which the run may lack some."""
    given = [*verdicts, *([] if complete else [WITHIN_LIMITS])]
    return min(given, key=WORST_FIRST.index)


def middle(figures: Iterable[float]) -> float:
    """Return the geometric mean: a half and a double are equally far from 1."""
    each = list(figures)
    return math.exp(sum(map(math.log, each)) / len(each))


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a run says of a published figure.

    Attributes:
        verdict: One of the four above.
        ours: The same figure from the run, in sentences.
        headings, rows: A table beside it, if there is one.
        doubt: Whether some of the trials are suspect, in words.
    """

    verdict: str
    ours: str
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    doubt: str = ""


@dataclasses.dataclass(frozen=True)
class Publication:
    """A published figure.

    Attributes:
        name: A short name of our own.
        authors, year, title, where: What to look for in a library.
        figure: What it says, in our words.
        obtained: Whether its authors measured or computed it.
        trap: What is easily overlooked.
        judge: Judges it by a run.
    """

    name: str
    authors: str
    year: str
    title: str
    where: str
    figure: str
    obtained: str
    trap: str
    judge: Callable[[Evidence], Judgement]

    def judged_by(self, evidence: Evidence) -> Judgement:
        """Return the judgement by a run; one that lacks what is needed says what to measure."""
        evidence.used.clear()
        try:
            found = self.judge(evidence)
        except NotMeasured as missing:
            return Judgement(NOT_JUDGED, f"{str(missing)[0].upper()}{str(missing)[1:]}")
        return dataclasses.replace(found, doubt=evidence.doubt)


def as_record(publication: Publication, judgement: Judgement) -> dict[str, Any]:
    """Return a publication and its judgement for JSON."""
    told = {
        field.name: getattr(publication, field.name)
        for field in dataclasses.fields(publication)
        if field.name != "judge"
    }
    return told | dataclasses.asdict(judgement)
