"""The records of the runs that this worker takes part in, checked against its own settings before anything else."""

import threading

from schemas.run import RunRecord
from worker.ledger import Ledger
from worker.settings import WorkerSettings


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

    def record(self, run: str) -> RunRecord:
        """The record of a run; raises `Refused` where the settings forbid what it asks for."""
        with self._lock:
            text = self._ledger.record(run)
            if text is None:
                raise UnknownRun(f"the ledger holds no run {run!r}")
            if run not in self._known or self._known[run][0] != text:
                record = RunRecord.model_validate_json(text)
                self._settings.check(record)
                self._known[run] = (text, record)
            return self._known[run][1]
