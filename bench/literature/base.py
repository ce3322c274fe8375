"""What a publication is here: what it says, how it came to that, and a judgement from a run's trials."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bench.evidence import Evidence, NotMeasured

STANDS = "stands"
WITHIN_LIMITS = "stands within limits"
FALLS = "does not stand"
NOT_JUDGED = "cannot be judged from this run"


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
