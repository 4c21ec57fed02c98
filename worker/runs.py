"""The records of the runs that this worker takes part in, checked against its own settings before anything else."""

import os
import threading

from pydantic import ValidationError

from schemas.job import Job, errors_path
from schemas.run import RunRecord
from worker.ledger import Ledger
from worker.settings import Refused, WorkerSettings


class UnknownRun(Exception):
    """The ledger does not know this run (any more)."""


class Runs:
    """Parses and checks a run's record once, for as long as the ledger's is the same.

    It is read anew for every job: a run id may come again, for another table, while this worker lives.
    """

    def __init__(self, ledger: Ledger, settings: WorkerSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._known: dict[str, tuple[bytes, RunRecord]] = {}
        self._lock = threading.Lock()

    def record(self, job: Job) -> RunRecord:
        """The record of a job's run; raises `Refused` where the settings forbid what it asks for."""
        record = self._record(job.run)
        # At every job, since the table's folders are anybody's who may write there.
        for place in job.part, errors_path(job.run, job.job):
            self._settings.check_place(os.path.join(record.table, place))
        return record

    def _record(self, run: str) -> RunRecord:
        with self._lock:
            text = self._ledger.record(run)
            if text is None:
                raise UnknownRun(f"the ledger holds no run {run!r}")
            if run not in self._known or self._known[run][0] != text:
                record = _parsed(run, text)
                self._settings.check(record)
                self._known[run] = (text, record)
            return self._known[run][1]


def _parsed(run: str, text: bytes) -> RunRecord:
    try:
        record = RunRecord.model_validate_json(text)
    except ValidationError as error:
        # Neither its values nor its names: they may be anybody's.
        raise Refused(
            f"the record of run {run} in Redis is none that this worker can read: {error.error_count()} fault(s)",
            way_out="use one version of Vecmill for producer and workers",
        ) from None
    if record.run != run:
        raise Refused(f"the record of run {run} in Redis is that of another run", way_out="start a new run")
    return record
