"""The producer's verbs on the ledger: open, adopt, enqueue, reconcile, watch. Knows no source and no table.

The keys are documented in `schemas.ledger`. The ledger may be lost at any time: all of it follows from
the run's record and the parts that exist, and `open` with `adopt` builds it again.
"""

from producer.ledger.progress import Progress
from producer.ledger.run import PRODUCER_SECONDS, Ledger
from producer.ledger.server import known_runs, living_workers, malformed, queued, unacknowledged

__all__ = [
    "PRODUCER_SECONDS",
    "Ledger",
    "Progress",
    "known_runs",
    "living_workers",
    "malformed",
    "queued",
    "unacknowledged",
]
