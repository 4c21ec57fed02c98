"""Everything that one worker process holds, built once at its start and closed once at its end."""

import signal
from typing import Any

from worker.departure import Departure
from worker.engine import Engine
from worker.leases import Leases
from worker.ledger import Ledger, connect, connect_briefly
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
        brief = Ledger(connect_briefly(settings.broker_url), worker)
        self._departure = Departure(brief, self._leases, grace_seconds=settings.grace_seconds)
        runs = Runs(ledger, settings)
        self.pipeline = Pipeline(ledger, self._leases, runs, models, self._engine, departure=self._departure)

    def start(self) -> None:
        """Begin to say that this worker lives."""
        self._leases.start()

    def stop(self) -> None:
        """Close the engine and leave the list of workers; the pool has finished its jobs by now."""
        self._engine.close()
        self._leases.stop()

    def depart(self) -> None:
        """The process was told to end; told again, it does so at once. In the main thread only."""
        self._departure.begin()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            # Celery would wait for its threads at a second signal, too.
            signal.signal(number, self._depart_at_once)

    def _depart_at_once(self, *_: Any) -> None:
        self._departure.begin(at_once=True)
