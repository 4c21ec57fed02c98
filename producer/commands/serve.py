"""`vecmill serve`: the producer as a service, for schedules, detached runs, and runs whose producer died."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
import redis

from producer.broker import OUTAGE, Broker, connect
from producer.carry_out import carry_out
from producer.commands.options import broker_option, log_option, metrics_options
from producer.ledger import known_runs
from producer.logged import Logged
from producer.metrics import BrokerMetrics
from producer.request import Where
from producer.schedule import Scheduler
from schemas.errors import BucketAway, RunTaken, UsageError, VecmillError
from schemas.exposition import Exposed
from schemas.logs import configure_logs
from schemas.run import RunRecord

_LOOK_SECONDS = 2.0
#: A run that ends in an error that is none of ours is tried so often, each time it is found without a producer.
_MOST_TRIES = 3
log = logging.getLogger(__name__)


@click.command()
@broker_option
@metrics_options
@log_option
def serve(broker: str | None, metrics_port: int | None, metrics_host: str, log_format: str) -> int:
    r"""Fire schedules, carry out detached runs, and take over runs whose producer is gone, until interrupted.

    \b
    export VECMILL_BROKER_URL=redis://:secret@queue-host:6379/0
    vecmill serve
    vecmill serve --metrics-port 9109 --log-format json
    """
    configure_logs(log_format)
    url = Where(broker=broker).broker_url
    if url is None:
        raise UsageError("serve needs a broker", way_out="--broker redis://... or VECMILL_BROKER_URL")
    service = _Service(url)
    if metrics_port is not None:
        exposed = Exposed(BrokerMetrics(connect(url)), host=metrics_host, port=metrics_port)
        log.info("metrics at %s", exposed.url, extra={"action": "metrics_served"})
    log.info("serving", extra={"action": "service_started"})
    while True:
        try:
            service.look()
        except redis.RedisError as error:
            log.warning("Redis refuses or is away (%s); waiting for it", error, extra={"action": "redis_away"})
        time.sleep(_LOOK_SECONDS)


class _Service:
    """Begins what is due and drives running runs that nobody drives, each in a thread."""

    def __init__(self, url: str) -> None:
        self._where = Where(broker=url)
        self._broker = Broker(url)
        self._scheduler = Scheduler(self._broker, Logged())
        self._working: dict[str, threading.Thread] = {}
        self._tried: Counter[str] = Counter()

    def look(self) -> None:
        """Fire what is due, and take what nobody drives."""
        self._working = {name: thread for name, thread in self._working.items() if thread.is_alive()}
        for due in self._scheduler.due():
            self._start(f"schedule:{due.schedule.name}", self._scheduler.fire, due)
        for run in known_runs(self._broker.client):
            record = self._orphan(run)
            if record is not None:
                self._start(run, self._drive, record)

    def _start(self, name: str, work: Callable[[Any], None], of: Any) -> None:
        if name not in self._working:
            self._working[name] = threading.Thread(target=work, args=(of,), name=name, daemon=True)
            self._working[name].start()

    def _orphan(self, run: str) -> RunRecord | None:
        ledger = self._broker.ledger(run)
        try:
            progress = ledger.progress()
            if progress is None or progress.state != "running" or ledger.holder() is not None:
                return None
            record = ledger.record()
        except redis.ResponseError:
            return None  # Somebody else's value under a name of ours.
        # A sample is embedded again by whoever takes over the run that it is for.
        return None if record is None or record.sample_of is not None else record

    def _drive(self, record: RunRecord) -> None:
        of_run = {"run": record.run}
        try:
            done = carry_out(record, self._where, Logged(record.run))
            log.info("\n".join(done.lines()), extra={"action": "run_committed", **of_run})
        except RunTaken as error:
            log.info(str(error.args[0]), extra={"action": "run_taken", **of_run})
        except OUTAGE as error:
            # Before the run was driven, or after; it is taken up again when Redis answers.
            log.warning("run %s: Redis does not answer (%s)", record.run, error,
                        extra={"action": "redis_away", **of_run})  # fmt: skip
        except BucketAway as error:
            log.warning("run %s: %s; it is tried again", record.run, error.args[0],
                        extra={"action": "bucket_away", **of_run})  # fmt: skip
        except VecmillError as error:
            log.error("run %s: %s", record.run, error, extra={"action": "run_failed", **of_run})
            self._mark_failed(record.run, str(error))
        except Exception as error:  # a fault of ours or of a library: it may pass, but not be tried for ever
            self._tried[record.run] += 1
            reason = f"{type(error).__name__} in the service, {self._tried[record.run]} times: see its log"
            log.exception("run %s: a try of %d ended unexpectedly", record.run, _MOST_TRIES,
                          extra={"action": "run_broke_off", **of_run})  # fmt: skip
            if self._tried[record.run] >= _MOST_TRIES:
                del self._tried[record.run]
                self._mark_failed(record.run, reason)

    def _mark_failed(self, run: str, reason: str) -> None:
        ledger = self._broker.ledger(run)
        try:
            progress = ledger.progress()
            if progress is not None and progress.state == "running":
                ledger.set_state("failed", reason)
        except redis.RedisError as error:
            log.warning("run %s: its failure could not be noted: %s", run, error, extra={"action": "note_failed"})
