"""`vecmill serve`: the producer as a service, for schedules, detached runs, and runs whose producer died."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
import redis
from rich.console import Console

from producer.broker import OUTAGE, Broker
from producer.carry_out import carry_out
from producer.commands.options import broker_option
from producer.display import Lines
from producer.ledger import known_runs
from producer.request import Where
from producer.schedule import Scheduler
from schemas.errors import RunTaken, UsageError, VecmillError
from schemas.run import RunRecord

_LOOK_SECONDS = 2.0
#: A run that ends in an error that is none of ours is tried so often, each time it is found without a producer.
_MOST_TRIES = 3
log = logging.getLogger(__name__)


@click.command()
@broker_option
def serve(broker: str | None) -> int:
    r"""Fire schedules, carry out detached runs, and take over runs whose producer is gone, until interrupted.

    \b
    export VECMILL_BROKER_URL=redis://:secret@queue-host:6379/0
    vecmill serve
    """
    url = Where(broker=broker).broker_url
    if url is None:
        raise UsageError("serve needs a broker", way_out="--broker redis://... or VECMILL_BROKER_URL")
    service = _Service(url)
    click.echo("serving", err=True)
    while True:
        try:
            service.look()
        except redis.RedisError as error:
            click.echo(f"Redis does not do what it is asked ({error}); waiting for it", err=True)
        time.sleep(_LOOK_SECONDS)


class _Service:
    """Begins what is due and drives running runs that nobody drives, each in a thread."""

    def __init__(self, url: str) -> None:
        self._where = Where(broker=url)
        self._broker = Broker(url)
        self._scheduler = Scheduler(self._broker, Lines(Console(stderr=True)))
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
        display = Lines(Console(stderr=True))
        try:
            for text in carry_out(record, self._where, display).lines():
                display.say(text)
        except RunTaken as error:
            display.say(str(error.args[0]))
        except VecmillError as error:
            display.say(f"run {record.run}: {error}")
            self._mark_failed(record.run, str(error))
        except OUTAGE as error:
            display.say(f"run {record.run}: Redis does not answer ({error}); it is taken up again")
        except Exception as error:  # a fault of ours or of a library: it may pass, but not be tried for ever
            self._tried[record.run] += 1
            reason = f"{type(error).__name__} in the service, {self._tried[record.run]} times: see its log"
            log.exception("run %s: a try of %d ended unexpectedly", record.run, _MOST_TRIES)
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
            click.echo(f"run {run}: its failure could not be noted: {error}", err=True)
