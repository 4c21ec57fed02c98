"""What this worker has done since it began. Knows no queue, no file and no metrics."""

import threading
from collections import Counter

from schemas.receipt import Receipt, Totals

#: The ways in which a job ends for a worker.
OUTCOMES = ("done", "given_back", "declined")


class Tally:
    """Sums that the threads of the pool add to, and that others read whole."""

    def __init__(self) -> None:
        self._totals = Totals()
        # Zeros, too: of a number that is not there nobody can tell how it grew.
        self._outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self._lock = threading.Lock()

    def add(self, receipt: Receipt) -> None:
        """A job of ours is done."""
        with self._lock:
            self._totals = self._totals.plus(receipt)

    def count(self, outcome: str) -> None:
        """A job ended here in one of the ways that jobs do."""
        with self._lock:
            self._outcomes[outcome] += 1

    @property
    def totals(self) -> Totals:
        """The receipts of the jobs that were done here, added up."""
        return self._totals

    @property
    def outcomes(self) -> dict[str, int]:
        """How many jobs ended in which way."""
        with self._lock:
            return dict(self._outcomes)
