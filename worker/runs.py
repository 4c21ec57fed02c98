"""The records of the runs that this worker takes part in, checked against its own settings before anything else."""

import threading

from schemas.run import RunRecord
from worker.ledger import Ledger
from worker.settings import WorkerSettings


class UnknownRun(Exception):
    """The ledger does not know this run (any more)."""


class Runs:
    """Reads a run's record once and keeps it; a record never changes while its run lasts."""

    def __init__(self, ledger: Ledger, settings: WorkerSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._known: dict[str, RunRecord] = {}
        self._lock = threading.Lock()

    def record(self, run: str) -> RunRecord:
        """The record of a run; raises `Refused` where the settings forbid what it asks for."""
        with self._lock:
            if run not in self._known:
                record = self._ledger.record(run)
                if record is None:
                    raise UnknownRun(f"the ledger holds no run {run!r}")
                self._settings.check(record)
                self._known[run] = record
            return self._known[run]
