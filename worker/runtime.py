"""Everything that one worker process holds, built once at its start and closed once at its end."""

import logging
import os
import signal

from schemas.exposition import Exposed
from worker.engine import Engine
from worker.leases import Leases
from worker.ledger import Ledger, connect
from worker.metrics import WorkerMetrics
from worker.models import Models
from worker.pipeline import Pipeline
from worker.runs import Runs
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)


class Runtime:
    """The wiring: settings -> ledger, leases, models, engine -> pipeline."""

    def __init__(self, settings: WorkerSettings, *, worker: str) -> None:
        ledger = Ledger(connect(settings.broker_url), worker)
        models = self._models = Models(device=settings.device, threads=settings.threads)
        self._settings = settings
        self._exposed: Exposed | None = None
        self._engine = Engine()
        self._leases = Leases(ledger, describe=models.describe)
        self.pipeline = Pipeline(ledger, self._leases, Runs(ledger, settings), models, self._engine, end=_end_process)

    def start(self) -> None:
        """Begin to say that this worker lives, and how it does where that is wanted."""
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if port is not None:
            self._exposed = Exposed(WorkerMetrics(self._leases, self._models), host=host, port=port)
            log.info("metrics at %s", self._exposed.url, extra={"action": "metrics_served"})
        self._leases.start()

    def stop(self) -> None:
        """Close the engine and leave the list of workers; the pool has finished its jobs by now."""
        self._engine.close()
        self._leases.stop()
        if self._exposed is not None:
            self._exposed.close()


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
