"""Waits where a table is out of reach: a disk that is full or takes no writes, a bucket that is away. Knows no model.

What was encoded is kept in hand meanwhile, and the lease held; that counts as no attempt. So a disk that somebody
makes room on costs time and no work.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from schemas.errors import BucketAway
from schemas.job import Job
from worker.ledger import Ledger

log = logging.getLogger(__name__)

#: What a person can mend while the worker waits.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
#: Then the job is given back, for it may be this machine alone that cannot write. A bucket's client waits, too.
_PATIENCE_SECONDS = 60.0
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 1.0, 15.0

T = TypeVar("T")


class LeaseLost(Exception):
    """Somebody else has this job by now."""


class Obstructed(Exception):
    """The part of this job cannot be written or looked for here now, and nobody is to blame for it."""


class Patience:
    """`leaving` is set when the process is about to end, and nothing can be waited for."""

    def __init__(self, ledger: Ledger, *, leaving: threading.Event) -> None:
        self._ledger = ledger
        self._leaving = leaving

    def wait_for(self, job: Job, step: Callable[[], T]) -> T:
        """What `step` gives; raises `Obstructed` where it cannot be done for a minute, and what else it raises."""
        since, rest = None, _FIRST_REST_SECONDS
        try:
            while True:
                try:
                    return step()
                except (OSError, BucketAway) as error:
                    said = _obstacle(error)
                    if said is None:
                        raise
                since = since or time.monotonic()
                log.warning("job %s/%d waits: %s", job.run, job.job, said, extra={"action": "write_obstructed"})
                if not self._ledger.obstructed(job, said):
                    raise LeaseLost("somebody else has this job by now, or nobody is to")
                if self._leaving.wait(rest) or time.monotonic() - since > _PATIENCE_SECONDS:
                    raise Obstructed(said)
                rest = min(2 * rest, _LONGEST_REST_SECONDS)
        finally:
            if since is not None:
                self._ledger.unobstructed(job)


def _obstacle(error: OSError | BucketAway) -> str | None:
    """What a person can mend while the worker waits; None for what waiting does not help."""
    if isinstance(error, BucketAway):
        return f"cannot reach the table: {error.args[0]}"
    return f"cannot write: {error}" if error.errno in _PASSING else None
