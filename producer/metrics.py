"""The metrics of a Redis and its runs, asked of it at each scrape. Keeps nothing, so it cannot be out of date."""

from collections import Counter
from collections.abc import Iterator

import redis
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from producer.moment import Moment, look
from schemas import metrics
from schemas.exposition import family, single


class BrokerMetrics(Collector):
    """All of `schemas.metrics.OF_SERVICE`; of runs that have ended only how many there are."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def collect(self) -> Iterator[Family]:
        """What is so now; where Redis is away, that it is."""
        try:
            moment = look(self._client)
        except redis.RedisError:
            yield single(metrics.REDIS_UP, 0)
            return
        yield single(metrics.REDIS_UP, 1)
        yield from _of_broker(moment)
        yield from _of_runs(moment)


def _of_broker(moment: Moment) -> Iterator[Family]:
    yield single(metrics.QUEUED, moment.queued)
    yield single(metrics.UNACKED, moment.unacknowledged)
    yield single(metrics.MALFORMED, moment.malformed)
    devices = Counter(beat.device for beat in moment.workers)
    yield family(metrics.WORKERS, [((device,), count) for device, count in sorted(devices.items())])
    states = Counter(run.progress.state for run in moment.runs)
    yield family(metrics.RUNS, [((state,), count) for state, count in sorted(states.items())])


def _of_runs(moment: Moment) -> Iterator[Family]:
    # A run that has ended would keep its series for good; so only those that can still change have some.
    runs = [run for run in moment.runs if run.open]
    yield single(metrics.LEASES, sum(run.leased for run in runs))
    for name, metric in metrics.OF_RUNS.items():
        yield family(metric, [((run.record.run,), float(getattr(run, name))) for run in runs])
    where = [(run.record.run, run.record.table, run.record.spec.model) for run in runs]
    yield family(metrics.RUN, [(labels, 1) for labels in where])
