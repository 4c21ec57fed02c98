"""`vecmill serve`: the producer as a service, for schedules, detached runs, and runs whose producer died."""

import threading
import time
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


@click.command()
@broker_option
def serve(broker: str | None) -> int:
    r"""Fire schedules, carry out detached runs, and take over runs whose producer is gone, until interrupted.

    \b
    vecmill serve --broker redis://:secret@queue-host:6379/0
    """
    url = Where(broker=broker).broker_url
    if url is None:
        raise UsageError("serve needs a broker", way_out="--broker redis://... or VECMILL_BROKER_URL")
    service = _Service(url)
    click.echo("serving", err=True)
    while True:
        try:
            service.look()
        except OUTAGE as error:
            click.echo(f"Redis does not answer ({error}); waiting for it", err=True)
        time.sleep(_LOOK_SECONDS)


class _Service:
    """Begins what is due and drives running runs that nobody drives, each in a thread."""

    def __init__(self, url: str) -> None:
        self._where = Where(broker=url)
        self._broker = Broker(url)
        self._scheduler = Scheduler(self._broker, Lines(Console(stderr=True)))
        self._working: dict[str, threading.Thread] = {}

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
        progress = ledger.progress()
        if progress is None or progress.state != "running" or ledger.holder() is not None:
            return None
        record = ledger.record()
        # A sample is embedded again by whoever takes over the run that it is for.
        return None if record is None or record.sample_of is not None else record

    def _drive(self, record: RunRecord) -> None:
        display = Lines(Console(stderr=True))
        try:
            for text in carry_out(record, self._where, display).lines():
                display.say(text)
        except RunTaken as error:
            display.say(str(error.args[0]))
        except redis.RedisError as error:
            # Before the run was driven, or after; it is taken up again when Redis answers.
            display.say(f"run {record.run}: Redis does not answer ({error})")
        except VecmillError as error:
            display.say(f"run {record.run}: {error}")
            self._mark_failed(record.run, str(error))

    def _mark_failed(self, run: str, reason: str) -> None:
        ledger = self._broker.ledger(run)
        try:
            progress = ledger.progress()
            if progress is not None and progress.state == "running":
                ledger.set_state("failed", reason)
        except redis.RedisError as error:
            click.echo(f"run {run}: its failure could not be noted: {error}", err=True)
