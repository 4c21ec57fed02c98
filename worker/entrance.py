"""How a job comes into this process: claimed and held, or left to others. Knows no job's content."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from schemas.job import Job
from worker.departure import Departure
from worker.leases import Leases
from worker.ledger import Claim, Ledger, Verdict

log = logging.getLogger(__name__)


class Entrance:
    """One per worker process; safe to use from all threads of its pool."""

    def __init__(self, ledger: Ledger, leases: Leases, departure: Departure) -> None:
        self._ledger = ledger
        self._leases = leases
        self._departure = departure

    @contextmanager
    def claimed(self, job: Job, *, able: bool) -> Iterator[Claim | None]:
        """The ledger's answer; with `Verdict.GO` the lease is held for the length of the block.

        None where this process is about to end, or is not `able` to do a job: then it is passed on.
        """
        with ExitStack() as held:
            with self._departure.claiming() as may:
                claim = self._ledger.claim(job) if may and able else None
                if claim is not None and claim.verdict is Verdict.GO:
                    held.enter_context(self._leases.hold(job))
            if claim is None:
                self._departure.pass_on(job)
            elif claim.verdict is not Verdict.GO:
                self._leases.tally.count("declined")
                log.info("job %s/%d: %s", job.run, job.job, claim.verdict,
                         extra={"action": "job_declined", "run": job.run, "job": job.job})  # fmt: skip
            yield claim
