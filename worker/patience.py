"""Waits where a part cannot be written now: a full disk, or one that takes no writes. Knows no model.

What was encoded is kept in hand meanwhile, and the lease held; that counts as no attempt. So a disk that somebody
makes room on costs time and no work.
"""

import errno
import logging
import threading
from collections.abc import Callable

from schemas.job import Job
from schemas.receipt import Receipt
from worker.ledger import Ledger

log = logging.getLogger(__name__)

#: What a person can mend while the worker waits.
_PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
#: A minute in all: then the job is given back, for it may be this machine alone that cannot write.
_RESTS_SECONDS = (1, 2, 4, 8, 15, 30)


class LeaseLost(Exception):
    """Somebody else has this job by now."""


class Obstructed(Exception):
    """The part of this job cannot be written here now, and nobody is to blame for it."""


class Patience:
    """`leaving` is set when the process is about to end, and nothing can be waited for."""

    def __init__(self, ledger: Ledger, *, leaving: threading.Event) -> None:
        self._ledger = ledger
        self._leaving = leaving

    def write(self, job: Job, part: Callable[[], Receipt]) -> Receipt:
        """What `part` gives; raises `Obstructed` where it cannot be written for a minute, and what else it raises."""
        told = False
        try:
            for rest in _RESTS_SECONDS:
                try:
                    return part()
                except OSError as error:
                    if error.errno not in _PASSING:
                        raise
                    said = f"cannot write: {error}"
                told = True
                log.warning("job %s/%d waits: %s", job.run, job.job, said, extra={"action": "write_obstructed"})
                if not self._ledger.obstructed(job, said):
                    raise LeaseLost("somebody else has this job by now, or nobody is to")
                if self._leaving.wait(rest):
                    break
            raise Obstructed(said)
        finally:
            if told:
                self._ledger.unobstructed(job)
