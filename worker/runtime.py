"""Everything that one worker process holds, built once at its start and closed once at its end."""

import gc
import logging
import os
import signal
from typing import Any

from schemas.exposition import Exposed
from schemas.transport import DEVICE_LOST
from worker.departure import Departure
from worker.engine import Engine
from worker.leases import Leases
from worker.ledger import Ledger, connect, connect_briefly
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
        brief = Ledger(connect_briefly(settings.broker_url), worker)
        self._departure = Departure(brief, self._leases, grace_seconds=settings.grace_seconds)
        runs = Runs(ledger, settings)
        self.pipeline = Pipeline(ledger, self._leases, runs, models, self._engine, departure=self._departure)

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
        if self._departure.exit_code == DEVICE_LOST:
            # Celery ends with 0 here, and so nobody would start it again.
            logging.shutdown()
            os._exit(DEVICE_LOST)
        # At its end the interpreter looks for garbage in all that torch brought: a second in which a run seems to hang.
        gc.freeze()

    def depart(self) -> None:
        """The process was told to end; told again, it does so at once. In the main thread only."""
        # First of all: at a second signal Celery would try to kill its threads, which it cannot.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, self._depart_at_once)
        self._departure.begin()

    def _depart_at_once(self, *_: Any) -> None:
        self._departure.begin(at_once=True)
