"""Everything that one worker process holds, built once at its start and closed once at its end."""

import os
import signal

from worker.engine import Engine
from worker.leases import Leases
from worker.ledger import Ledger, connect
from worker.models import Models
from worker.pipeline import Pipeline
from worker.runs import Runs
from worker.settings import WorkerSettings


class Runtime:
    """The wiring: settings -> ledger, leases, models, engine -> pipeline."""

    def __init__(self, settings: WorkerSettings, *, worker: str) -> None:
        ledger = Ledger(connect(settings.broker_url), worker)
        models = Models(device=settings.device, threads=settings.threads)
        self._engine = Engine()
        self._leases = Leases(ledger, describe=models.describe)
        self.pipeline = Pipeline(ledger, self._leases, Runs(ledger, settings), models, self._engine, end=_end_process)

    def start(self) -> None:
        """Begin to say that this worker lives."""
        self._leases.start()

    def stop(self) -> None:
        """Close the engine and leave the list of workers; the pool has finished its jobs by now."""
        self._engine.close()
        self._leases.stop()


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
