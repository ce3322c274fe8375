"""The master's ledger: what each worker has reported, against what it says that it had when it was done.

Locust's master waits half a second for the last reports, and then forgets whoever is late. So each worker
says how many deliveries it had in all, and the master compares.
"""

import dataclasses


@dataclasses.dataclass
class Page:
    """One worker's page. ``drained`` is what it says that it had in all; None until it says so."""

    reported: int = 0
    drained: int | None = None
    lost: bool = False


class Ledger:
    """Pages of all workers of one test.

    Args:
        compares: Whether numbers are compared; with ``--reset-stats`` Locust throws some of them away.
    """

    def __init__(self, *, compares: bool = True) -> None:
        self.pages: dict[str, Page] = {}
        self._compares = compares

    def expect(self, worker: str) -> None:
        """Expect a worker to account for itself."""
        self.pages.setdefault(worker, Page())

    def report(self, worker: str, deliveries: int) -> None:
        """Add what a report of a worker holds."""
        self.expect(worker)
        self.pages[worker].reported += deliveries

    def drain(self, worker: str, deliveries: int) -> None:
        """Note what a worker says that it had in all."""
        self.expect(worker)
        self.pages[worker].drained = deliveries

    def lose(self, worker: str) -> None:
        """Note that a worker is gone without having accounted for itself."""
        self.pages[worker].lost = True

    @property
    def open_workers(self) -> list[str]:
        """The workers of which more is to be expected."""
        return [
            worker
            for worker, page in self.pages.items()
            if not page.lost and (page.drained is None or (self._compares and page.drained > page.reported))
        ]

    def problems(self) -> list[str]:
        """Return a sentence for each worker whose figures are not whole."""
        sentences = []
        for worker, page in self.pages.items():
            if page.drained is None:
                sentences.append(
                    f"worker {worker} was lost: {page.reported} deliveries of it are in these figures, "
                    "what came after its last report is not"
                )
            elif self._compares and page.drained != page.reported:
                sentences.append(
                    f"worker {worker} had {page.drained} deliveries, but {page.reported} of them were "
                    "reported: these figures are not whole"
                )
        return sentences
