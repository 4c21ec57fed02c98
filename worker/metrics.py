"""A worker's metrics, read when they are asked for. Changes nothing and keeps nothing."""

from collections.abc import Iterator

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from schemas import metrics
from schemas.exposition import family, single
from worker.leases import Leases
from worker.models import Models


class WorkerMetrics(Collector):
    """What the tally, the leases and the models of one process say at the moment of a scrape."""

    def __init__(self, leases: Leases, models: Models) -> None:
        self._leases = leases
        self._models = models

    def collect(self) -> Iterator[Family]:
        """All of `schemas.metrics.OF_WORKER`."""
        tally = self._leases.tally
        totals = tally.totals
        for name, metric in metrics.OF_RECEIPTS.items():
            yield single(metric, getattr(totals, name))
        stages = totals.seconds.model_dump()
        yield family(metrics.STAGE_SECONDS, [((stage,), seconds) for stage, seconds in stages.items()])
        yield family(metrics.JOBS, [((outcome,), count) for outcome, count in tally.outcomes.items()])
        yield single(metrics.IN_FLIGHT, self._leases.in_flight)
        device, models = self._models.describe()
        yield single(metrics.MODELS, len(models))
        yield family(metrics.MODEL, [((model,), 1) for model in sorted(set(models))])
        yield family(metrics.WORKER, [((self._leases.worker, device), 1)])
